/* Framing, the same on the socket and in .vzt files.
 *
 *   0        4        8        12               12+length
 *   +--------+--------+--------+----------------+
 *   | length | type   | crc32  | payload        |     u32 little endian
 *   +--------+--------+--------+----------------+
 *
 * length: bytes of payload, at most the type's limit (msg.c), checked before anything is allocated.
 * crc32: zlib's, of the payload. A .vzt file is VT_FILE_MAGIC (8 bytes) and then frames; it is
 * readable up to the last whole frame. Unknown types are skipped by readers of files. */
#ifndef VT_PROTO_FRAME_H
#define VT_PROTO_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base.h"

#define VT_PROTOCOL 1u
#define VT_TRACE_FORMAT 1u
#define VT_FILE_MAGIC "VZT\x01\r\n\x1a\n"
#define VT_FRAME_HDR 12u
#define VT_FRAME_MAX (4u << 20)

enum vt_frame_type {
    VT_FRAME_HEADER = 1,
    VT_FRAME_CLOCK = 2,
    VT_FRAME_NAMES = 3,
    VT_FRAME_THREAD = 4,
    VT_FRAME_STACK = 5,
    VT_FRAME_BLOCK = 6,
    VT_FRAME_TASK = 7,
    VT_FRAME_DROPS = 8,
    VT_FRAME_STATS = 9,
    VT_FRAME_END = 10,
    VT_FRAME_THROTTLED = 11,
    VT_CTL_HELLO = 64,
    VT_CTL_ATTACH = 65,
    VT_CTL_ATTACHED = 66,
    VT_CTL_ERROR = 67,
    VT_CTL_STOP = 68,   /* PidReq: end this connection's session */
    VT_CTL_DETACH = 69, /* PidReq: end anybody's session on pid, as far as the kernel would let you */
    VT_CTL_DETACHED = 70,
    VT_CTL_STATUS = 71, /* empty */
    VT_CTL_STATUS_REP = 72,
    VT_CTL_UNINSTALL = 73, /* PidReq */
    VT_CTL_OK = 74,
    VT_CTL_SAVED = 75, /* empty, client: the trace is safe, the spool may go */
};

enum vt_end_reason {
    VT_END_STOPPED = 0, /* as asked */
    VT_END_DURATION = 1,
    VT_END_TARGET_EXIT = 2, /* target ended by itself or was killed; what was in the arena is in the trace */
    VT_END_EXEC = 3,
    VT_END_LEASE = 4,
    VT_END_SPOOL_FULL = 5, /* disk full or max_bytes */
    VT_END_AGENT = 6,      /* agent left by itself: text says why */
    VT_END_CLIENT_GONE = 7,
    VT_END_DAEMON = 8, /* daemon was told to end */
    VT_END_ENTRIES = 9 /* never sent: --tracer_entries is applied when the trace is saved */
};

enum vt_session_state {
    VT_SESSION_STARTING = 0,
    VT_SESSION_PENDING,
    VT_SESSION_TRACING,
    VT_SESSION_STOPPING,
    VT_SESSION_DRAINED,
    VT_SESSION_ENDED
};

void vt_frame_put_header(uint8_t hdr[VT_FRAME_HDR], uint32_t type, const void *payload, uint32_t len);
/* Header check without the payload: 0 and *type, *len, *crc; -EPROTO when length is above the type's limit. */
VT_MUST_CHECK int vt_frame_get_header(const uint8_t hdr[VT_FRAME_HDR], uint32_t *type, uint32_t *len, uint32_t *crc);
VT_MUST_CHECK int vt_frame_check(uint32_t crc, const void *payload, uint32_t len); /* -EBADMSG */

/* Accumulates bytes from a stream and hands out whole frames. */
struct vt_frame_buf {
    uint8_t *buf;
    size_t len, size, pos;
};
void vt_frame_buf_free(struct vt_frame_buf *b);
/* Adds bytes (as read from a socket). */
VT_MUST_CHECK int vt_frame_buf_add(struct vt_frame_buf *b, const void *data, size_t len);
/* Next whole frame: 1 and type, payload, len (valid until the next call), 0 = needs more bytes, -EPROTO/-EBADMSG. */
VT_MUST_CHECK int vt_frame_buf_next(struct vt_frame_buf *b, uint32_t *type, const uint8_t **payload, uint32_t *len);

#endif
