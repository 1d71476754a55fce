/* The client's side of a connection to viztracerd: finding one, starting a private one, requests and answers. */
#ifndef VT_CLI_CLIENT_H
#define VT_CLI_CLIENT_H

#include <sys/types.h>

#include "proto/base.h"
#include "proto/frame.h"
#include "proto/msg.h"

struct client {
    int fd;
    struct vt_frame_buf in;
    bool is_private;
    pid_t daemon_pid; /* and its user, as the kernel says */
    uid_t owner;
    pid_t child; /* the private daemon that we started, or 0 */
};

/* A private daemon that is started from now on writes nothing to our stderr, which belongs to a program: unless $VIZTRACERD_LOG
 * asks for it. */
void client_silence_daemon(void);
/* The system daemon where one answers ($VIZTRACERD_SOCKET, "none" = do without), else a private one. */
VT_MUST_CHECK int client_open(struct client *c, struct vt_err *err);
/* One more connection to the daemon that `first` is connected to; a private one that cannot be reached: as client_open. */
VT_MUST_CHECK int client_open_beside(struct client *c, const struct client *first, struct vt_err *err);
/* -ENOENT or -ECONNREFUSED: there is none. */
VT_MUST_CHECK int client_open_system(struct client *c, struct vt_err *err);
/* A listening daemon by its socket; it must run as `owner` or root. Stale sockets are removed. */
VT_MUST_CHECK int client_open_path(struct client *c, const char *path, uid_t owner, struct vt_err *err);
void client_close(struct client *c);

VT_MUST_CHECK int client_send(struct client *c, uint32_t type, const ProtobufCMessage *msg, struct vt_err *err);
/* Sends and waits for the answer of type `want`, with a limit of time (-ETIMEDOUT); *reply (may be NULL) is freed with
 * vt_msg_free. An answer that is an error comes back as its code and text. */
VT_MUST_CHECK int client_request(struct client *c, uint32_t type, const ProtobufCMessage *msg, uint32_t want,
                                 ProtobufCMessage **reply, struct vt_err *err);
/* Takes an Error payload apart. */
int client_error(const uint8_t *payload, uint32_t len, struct vt_err *err);

/* Calls fn for every daemon that can be reached: the system one, then private ones. Non-zero ends the walk. Prints a line on
 * stderr for a daemon that does not answer. */
int client_each(int (*fn)(void *ctx, struct client *c), void *ctx);

#endif
