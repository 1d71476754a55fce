/* Who is at the other end of a socket, as the kernel recorded it when the connection was made. The decisions of the daemon
 * about rights are made from this alone, never from what a client says about itself. */
#ifndef VT_DAEMON_CREDS_H
#define VT_DAEMON_CREDS_H

#include "proto/base.h"

#define CREDS_GROUPS 256

struct creds {
    pid_t pid;
    uid_t uid;
    gid_t gid;
    gid_t groups[CREDS_GROUPS];
    int ngroups;
};

/* -errno; -ERANGE when the client is in more than CREDS_GROUPS groups. */
VT_MUST_CHECK int creds_read(int fd, struct creds *c);
/* True when a client with these credentials may see and end what `owner` started: the same user, or root. */
bool creds_may(const struct creds *c, uid_t owner);

#endif
