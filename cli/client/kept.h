/* Traces that a daemon kept because no client saved them. They are in its spool folder and no longer locked. */
#ifndef VT_CLI_KEPT_H
#define VT_CLI_KEPT_H

#include "proto/spooldir.h"

/* This user's own spool folder. fn returns non-zero to end the walk. */
int kept_each(int (*fn)(void *ctx, const struct spooldir_file *k), void *ctx);
/* The newest one of pid, from the own folder or a system daemon's: 0 or -ENOENT. */
VT_MUST_CHECK int kept_find(pid_t pid, struct spooldir_file *out);
/* The command line of the process that a kept trace is of, from the trace's header, cut to size; "" when it is not readable.
 * Returns buf. */
char *kept_cmdline(const char *path, char *buf, size_t size);

#endif
