/* The sockets of daemons: where daemons listen and clients look. A system daemon: RUNDIR_SYSTEM_SOCKET. A private daemon:
 * <runtime dir>/viztracerd-<pid>.sock. The runtime dir is $XDG_RUNTIME_DIR/viztracerd or /tmp/viztracerd-<uid>; it has mode 0700,
 * belongs to the user, and is never a symbolic link; where another user has taken that name it is /tmp/viztracerd-<uid>-XXXXXX
 * (owndir.h). Any thread. */
#ifndef VT_PROTO_RUNDIR_H
#define VT_PROTO_RUNDIR_H

#include "proto/base.h"

#define RUNDIR_SYSTEM_SOCKET "/run/viztracerd/viztracerd.sock"
#define RUNDIR_MAX 64
#define RUNDIR_SOCKETS 256 /* sockets of one user that are looked at */

/* Makes this user's runtime dir and writes its name to dir. */
VT_MUST_CHECK int rundir_prepare(char *dir, size_t size, struct vt_err *err);
/* True for the socket of a private daemon whose process is gone. */
bool rundir_is_stale(const char *socket_path);
/* Removes such sockets from this user's runtime dir, which rundir_prepare named. */
void rundir_sweep(const char *dir);
/* Calls fn for the sockets of this user's private daemons; for root, of all users'. fn returns non-zero to end the walk; that
 * value is returned. */
int rundir_each(int (*fn)(void *ctx, const char *socket_path, uid_t owner), void *ctx);

#endif
