/* Traces that a daemon kept because no client saved them. They are in its spool folder and no longer locked. */
#ifndef VT_CLI_KEPT_H
#define VT_CLI_KEPT_H

#include "proto/spooldir.h"

/* This user's own spool folder. fn returns non-zero to end the walk. */
int kept_each(int (*fn)(void *ctx, const struct spooldir_file *k), void *ctx);
/* The newest one of pid, or that pid asked for, from the own folder or a system daemon's: 0 or -ENOENT. */
VT_MUST_CHECK int kept_find(pid_t pid, struct spooldir_file *out);
/* From the header of a kept trace: the pid, 0 when it is not readable; and the command line, cut to size, "" then. size 0: it is
 * not wanted. A file is named by the process that asked for the trace: with a launch that is the client. */
pid_t kept_header(const char *path, char *cmdline, size_t size);

#endif
