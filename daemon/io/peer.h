/* One connection: frames come in, answers and the bytes of a spool go out. It knows bytes and a spool, no request and no
 * session. Nothing here waits. A slow reader costs no memory: the stream is read from the spool at the reader's own offset.
 * Everything runs in the thread of the event loop. */
#ifndef VT_DAEMON_PEER_H
#define VT_DAEMON_PEER_H

#include "daemon/io/creds.h"
#include "daemon/io/loop.h"
#include "daemon/io/spool.h"
#include "proto/msg.h"

/* What the owner of a connection does. */
struct peer_user {
    /* A whole frame came. Non-zero ends the connection. Must not close the peer. */
    int (*frame)(void *ctx, uint32_t type, const uint8_t *payload, uint32_t len);
    /* The connection has ended: the owner closes the peer. */
    void (*gone)(void *ctx);
};

struct peer { /* embedded in its owner */
    struct loop *loop;
    struct loop_io io;
    struct creds creds;
    int fd;       /* owned */
    bool closing; /* no more input is read; ends when the last answer is sent */
    struct vt_frame_buf in;
    uint8_t *out; /* answers that wait: out_pos..out_len */
    size_t out_pos, out_len;
    uint32_t out_size;
    const struct spool *spool; /* source of the stream, or NULL; belongs to the session */
    uint64_t offset;           /* next byte of the spool to send */
    uint64_t frame_left;       /* bytes of the current frame that are not sent yet */
    bool tail_sent;
    int (*frame)(void *ctx, uint32_t type, const uint8_t *payload, uint32_t len);
    void (*gone)(void *ctx);
    void *ctx;
};

/* Takes fd, also on error. Reads the credentials of the other end. */
VT_MUST_CHECK int peer_open(struct peer *p, struct loop *loop, int fd, const struct peer_user *user, void *ctx);
void peer_close(struct peer *p);
/* Queues a frame. msg may be NULL for types without payload. */
void peer_send(struct peer *p, uint32_t type, const ProtobufCMessage *msg);
/* Queues an Error frame: code is -errno, text one line. */
void peer_error(struct peer *p, int code, const char *text);
/* Begins to send the frames of a spool, which must live until peer_stream(p, NULL) or peer_close. */
void peer_stream(struct peer *p, const struct spool *spool);
/* There is more to send. */
void peer_kick(struct peer *p);
/* Bytes of answers that wait to be sent. */
size_t peer_backlog(const struct peer *p);
/* Waits for at most timeout_ms until the queued answers are sent. For the end of the daemon. */
void peer_flush(struct peer *p, int timeout_ms);

#endif
