/* Where daemons listen, and where clients look for them.
 * System: RUNDIR_SYSTEM_SOCKET. Private: <runtime dir>/viztracerd-<pid>.sock, the folder being
 * $XDG_RUNTIME_DIR/viztracerd or /tmp/viztracerd-<uid>, mode 0700, its owner checked, never a symlink. */
#ifndef VT_PROTO_RUNDIR_H
#define VT_PROTO_RUNDIR_H

#include "proto/base.h"

#define RUNDIR_SYSTEM_SOCKET "/run/viztracerd/viztracerd.sock"
#define RUNDIR_MAX 64

/* Makes this user's runtime dir and writes its name to dir. */
VT_MUST_CHECK int rundir_prepare(char *dir, size_t size, struct vt_err *err);
/* A folder that only `uid` can have filled. */
bool rundir_is_safe(const char *dir, uid_t uid);
/* Sockets of private daemons: this user's; for root everybody's. fn returns non-zero to end the walk. */
int rundir_each(int (*fn)(void *ctx, const char *socket_path, uid_t owner), void *ctx);

#endif
