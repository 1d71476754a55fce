/* viztracerd's options. */
#ifndef VT_DAEMON_COMMAND_LINE_H
#define VT_DAEMON_COMMAND_LINE_H

#include "options/options.h"

struct command_line {
    const char *socket_path, *spool_dir; /* NULL = not given */
    int private_fd, helper_fd;           /* -1 = not given */
};
#define COMMAND_LINE_INIT                                                                                                        \
    { .private_fd = -1, .helper_fd = -1 }
extern const struct options_command command_line; /* for struct command_line */

#endif
