/* One client connection: frames in, answers and the stream of its session out. Nothing here waits, and a slow
 * client costs no memory: the stream is read from the spool at the client's own offset. */
#ifndef VT_DAEMON_PEER_H
#define VT_DAEMON_PEER_H

#include <sys/queue.h>

#include "daemon/io/loop.h"
#include "daemon/session/helper.h"
#include "proto/msg.h"

struct server;
struct session;
struct spool;

struct peer {
    LIST_ENTRY(peer) link;
    struct server *server;
    struct loop_io io;
    struct creds creds;
    int fd;
    bool starter; /* the client that started this private daemon */
    bool greeted; /* HELLO came */
    bool closing; /* bad words: goes when its last answer is out */
    struct vt_frame_buf in;
    uint8_t *out; /* answers waiting; out_pos..out_len */
    size_t out_pos, out_len, out_size;
    struct session *session; /* its foreground session */
    struct session *waits;   /* DETACH or UNINSTALL: answer when this one has ended */
    uint32_t waits_for;      /* the frame type to answer with */
    struct helper helper;    /* UNINSTALL without a session: going in by itself */
    struct spool *spool;     /* stream source, owned by the session */
    uint64_t offset;         /* next byte of the spool to send */
    uint64_t frame_left;     /* bytes of the frame being sent */
    bool tail_sent;
};

/* Takes fd. creds NULL = ask the kernel. */
VT_MUST_CHECK int peer_new(struct server *server, int fd, struct peer **out);
void peer_free(struct peer *p);
/* Queues a frame. msg may be NULL. */
void peer_send(struct peer *p, uint32_t type, const ProtobufCMessage *msg);
void peer_error(struct peer *p, int code, const char *text);
/* Begins to feed the peer with a session's trace. */
void peer_stream(struct peer *p, struct spool *spool);
/* There is more to send. */
void peer_kick(struct peer *p);
/* The session has ended: answers whoever waits for that. */
void peer_session_ended(struct server *server, struct session *s);
/* Same user or root: may end and see what `owner` started. */
bool peer_may(const struct peer *p, uid_t owner);

#endif
