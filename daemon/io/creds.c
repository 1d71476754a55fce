/* Owns reading the credentials of a connection. */
#include "daemon/io/creds.h"

#include <errno.h>
#include <sys/socket.h>

int creds_read(int fd, struct creds *c) {
    struct ucred u;
    socklen_t len = sizeof(u);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &len)) return -errno;
    c->pid = u.pid;
    c->uid = u.uid;
    c->gid = u.gid;
    len = sizeof(c->groups);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, c->groups, &len)) return -errno;
    c->ngroups = (int)(len / sizeof(gid_t));
    return 0;
}

bool creds_may(const struct creds *c, uid_t owner) { return c->uid == 0 || c->uid == owner; }
