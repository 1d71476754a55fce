/* Reads .vzt files frame by frame, in constant memory, as often as wanted. Everything in the file is hostile. */
#ifndef VT_PROTO_TRACE_READER_H
#define VT_PROTO_TRACE_READER_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base.h"
#include "proto/frame.h"

struct vt_trace;

struct vt_trace_frame {
    uint32_t type;
    uint32_t len;           /* bytes at payload */
    const uint8_t *payload; /* valid until the next call */
    uint64_t offset;        /* of the frame in the file */
};

/* A Block frame without a copy of its data. */
struct vt_trace_block {
    uint32_t serial, tid, events, raw_len;
    uint64_t ident, base_ticks, last_ticks;
    const uint8_t *data;
    size_t data_len;
};

/* -EBADMSG when it is no .vzt, -errno when it cannot be read; err says which. */
VT_MUST_CHECK int vt_trace_open(const char *path, struct vt_trace **out, struct vt_err *err);
void vt_trace_close(struct vt_trace *t);
void vt_trace_rewind(struct vt_trace *t);
/* Bytes in the file when it was opened; how far reading is. */
uint64_t vt_trace_size(const struct vt_trace *t);
uint64_t vt_trace_pos(const struct vt_trace *t);
/* True once a read met a last frame that is not whole. */
bool vt_trace_truncated(const struct vt_trace *t);

/* The next frame of a known trace type; others are skipped. 1, 0 = end (also before a frame that is not whole), or
 * -EBADMSG (checksum or length wrong: nothing after it can be trusted) or -errno; err says where.
 * heads_only: of Block frames only the first bytes come, unchecked, enough for vt_trace_block_head. */
VT_MUST_CHECK int vt_trace_next(struct vt_trace *t, bool heads_only, struct vt_trace_frame *frame, struct vt_err *err);

/* Fields of a Block payload; -EBADMSG. */
VT_MUST_CHECK int vt_trace_get_block(const uint8_t *payload, size_t len, struct vt_trace_block *block);
/* The same from a cut payload: data and data_len are not set. */
VT_MUST_CHECK int vt_trace_block_head(const uint8_t *payload, size_t len, struct vt_trace_block *block);

#endif
