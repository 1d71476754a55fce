/* The folder in which a daemon keeps traces until their clients have saved them: its name, and what lies there.
 * The daemon holds a lock (flock) on the file of each running session. A file without that lock is a kept trace: its daemon
 * was killed, or no client was left to save it. */
#ifndef VT_PROTO_SPOOLDIR_H
#define VT_PROTO_SPOOLDIR_H

#include <limits.h>

#include "proto/base.h"

struct spooldir_file {
    pid_t pid; /* of the traced process, from the file's name */
    uid_t uid; /* owner of the file */
    uint64_t bytes;
    uint64_t saved_ns; /* CLOCK_REALTIME of the last write */
    char path[PATH_MAX];
};

/* Where to keep traces: $VIZTRACERD_SPOOL, which may not be there yet, else /var/tmp/viztracerd-<uid>, made with `mode`, or
 * /var/tmp/viztracerd-<uid>-XXXXXX where another user has taken that name. 0 or -errno. */
VT_MUST_CHECK int spooldir_prepare(mode_t mode, char *dir, size_t size);
/* Calls fn for each folder where daemons of this user may have kept traces. fn returns non-zero to end the walk; that value is
 * returned. */
int spooldir_each_own(int (*fn)(void *ctx, const char *dir), void *ctx);
/* Calls fn for every kept trace in dir that belongs to uid (root: to anybody). A file without a frame is none; an old one of ours
 * is removed. fn returns non-zero to end the walk; that value
 * is returned. */
int spooldir_each(const char *dir, uid_t uid, int (*fn)(void *ctx, const struct spooldir_file *file), void *ctx);

#endif
