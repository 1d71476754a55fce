/* Owns the bytes of a connection: cuts frames out of the input, queues answers, streams from a spool. */
#include "daemon/io/peer.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT_MAX (8u << 20)       /* bytes of answers that may wait for a client that does not read */
#define IN_MAX (512u << 10)      /* bytes of an incomplete frame; the longest request has half of that */
#define ANSWERS_MAX (256u << 10) /* bytes of waiting answers above which no more requests are read */
#define SEND_STEP (4u << 20)     /* bytes sent before other connections get a turn */
#define SEND_AT_ONCE (1u << 20)  /* bytes of the stream that are sent at once, with no answer in between */

/* ---- out ---- */

void peer_send(struct peer *p, uint32_t type, const ProtobufCMessage *msg) {
    uint8_t *frame;
    size_t len;
    int rc = vt_msg_pack(type, msg, &frame, &len);
    if (rc) {
        vt_log(VT_LOG_ERROR, "answer %u cannot be packed: %s", type, strerror(-rc));
        if (type != VT_CTL_ERROR) peer_error(p, rc, "viztracerd's answer is too long to be sent");
        return;
    }
    if (vt_grow(&p->out, &p->out_size, p->out_len + len, 1, OUT_MAX)) {
        p->closing = true;
    } else {
        memcpy(p->out + p->out_len, frame, len);
        p->out_len += len;
    }
    free(frame);
    peer_kick(p);
}

void peer_error(struct peer *p, int code, const char *text) {
    Vt__Error m = VT__ERROR__INIT;
    m.code = code;
    m.text = (char *)text;
    peer_send(p, VT_CTL_ERROR, &m.base);
}

void peer_stream(struct peer *p, const struct spool *spool) {
    p->spool = spool;
    p->offset = 8; /* behind the magic of the file */
    p->frame_left = 0;
    p->tail_sent = false;
    if (spool) peer_kick(p);
}

static void want(struct peer *p, bool out) {
    loop_want(p->loop, &p->io, (peer_backlog(p) <= ANSWERS_MAX ? EPOLLIN : 0u) | (out ? EPOLLOUT : 0u));
}

void peer_kick(struct peer *p) { want(p, true); }

size_t peer_backlog(const struct peer *p) { return p->out_len - p->out_pos; }

/* 1 = something was sent, 0 = nothing to send, -EAGAIN, -errno. An answer is sent only between two frames of the stream. */
static int send_some(struct peer *p) {
    ssize_t n;
    if (!p->frame_left && p->out_pos < p->out_len) {
        n = send(p->fd, p->out + p->out_pos, p->out_len - p->out_pos, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) return -errno;
        p->out_pos += (size_t)n;
        if (p->out_pos == p->out_len) p->out_pos = p->out_len = 0;
        return 1;
    }
    if (!p->spool) return 0;
    uint64_t behind = p->spool->size - p->offset; /* only whole frames */
    if (!p->frame_left && behind <= SEND_AT_ONCE) p->frame_left = behind;
    if (!p->frame_left && behind) {
        uint8_t hdr[VT_FRAME_HDR];
        uint32_t type, len, crc;
        if (pread(p->spool->fd, hdr, sizeof(hdr), (off_t)p->offset) != (ssize_t)sizeof(hdr)) return -EIO;
        int rc = vt_frame_get_header(hdr, &type, &len, &crc);
        if (rc) return rc;
        p->frame_left = VT_FRAME_HDR + len;
    }
    if (p->frame_left) {
        off_t offset = (off_t)p->offset;
        n = sendfile(p->fd, p->spool->fd, &offset, p->frame_left);
        if (n < 0) return -errno;
        if (n == 0) return -EIO;
        p->offset += (uint64_t)n;
        p->frame_left -= (uint64_t)n;
        return 1;
    }
    if (p->spool->tail_len && !p->tail_sent) {
        p->tail_sent = true;
        p->out_pos = p->out_len = 0; /* everything was sent */
        if (vt_grow(&p->out, &p->out_size, p->spool->tail_len, 1, OUT_MAX)) return -ENOMEM;
        memcpy(p->out, p->spool->tail, p->spool->tail_len);
        p->out_len = p->spool->tail_len;
        return 1;
    }
    return 0;
}

/* 0, or an error that ends the connection. */
static int flush_out(struct peer *p) {
    uint64_t sent = 0;
    for (;;) {
        uint64_t left = p->frame_left;
        int rc = send_some(p);
        if (rc == -EINTR) continue;
        if (rc == -EAGAIN) return 0;
        if (rc < 0) return rc;
        if (rc == 0) {
            want(p, false);
            return p->closing ? -ECONNRESET : 0;
        }
        sent += left;
        if (sent > SEND_STEP) return 0;
    }
}

/* ---- in ---- */

static int read_in(struct peer *p) {
    uint8_t buf[65536];
    const uint8_t *payload;
    uint32_t type, len;
    ssize_t n = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (n == 0) return -EPIPE;
    if (p->closing) return 0;
    int rc = vt_frame_buf_add(&p->in, buf, (size_t)n);
    while (!rc && !p->closing) {
        rc = vt_frame_buf_next(&p->in, &type, &payload, &len);
        if (rc <= 0) break;
        rc = p->frame(p->ctx, type, payload, len);
    }
    return !rc && p->in.len - p->in.pos > IN_MAX ? -EPROTO : rc;
}

static void on_io(void *ctx, uint32_t events) {
    struct peer *p = ctx;
    int rc = 0;
    if (events & EPOLLIN) rc = read_in(p);
    if (!rc && events & EPOLLOUT) rc = flush_out(p);
    if (!rc && events & (EPOLLERR | EPOLLHUP) && !(events & EPOLLIN)) rc = -EPIPE;
    if (!rc) return;
    vt_debug(VT_AREA_CLIENT, "client %d: %s", p->creds.pid, strerror(-rc));
    p->gone(p->ctx);
}

/* ---- life ---- */

int peer_open(struct peer *p, struct loop *loop, int fd, const struct peer_user *user, void *ctx) {
    *p = (struct peer){.loop = loop, .fd = fd, .frame = user->frame, .gone = user->gone, .ctx = ctx};
    int rc = creds_read(fd, &p->creds);
    if (!rc) rc = loop_add(loop, &p->io, fd, EPOLLIN, on_io, p);
    if (rc) vt_close(&p->fd);
    return rc;
}

void peer_flush(struct peer *p, int timeout_ms) {
    struct pollfd pfd = {.fd = p->fd, .events = POLLOUT};
    uint64_t until = vt_mono_ns() + (uint64_t)timeout_ms * 1000000u;
    while (p->out_pos < p->out_len && !p->frame_left && vt_mono_ns() < until && poll(&pfd, 1, timeout_ms) > 0 &&
           !(pfd.revents & (POLLERR | POLLHUP))) {
        ssize_t n = send(p->fd, p->out + p->out_pos, p->out_len - p->out_pos, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n <= 0) break;
        p->out_pos += (size_t)n;
    }
}

void peer_close(struct peer *p) {
    loop_del(p->loop, &p->io);
    vt_close(&p->fd);
    vt_frame_buf_free(&p->in);
    free(p->out);
    p->out = NULL;
    p->out_size = 0;
    p->out_len = p->out_pos = 0;
}
