/* Reads .vzt files frame by frame in constant memory, once or several times. Nothing in the file is trusted. One thread per
 * struct vt_trace. */
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

/* A piece of a file. Pieces in a row make a stream of bytes. */
struct vt_trace_piece {
    uint64_t at;     /* of its first byte in the stream: the sum of the lengths before */
    uint64_t offset; /* in the file */
    uint64_t len;
};

/* -EBADMSG: not a .vzt file; other -errno: cannot be read. err has a line. */
VT_MUST_CHECK int vt_trace_open(const char *path, struct vt_trace **out, struct vt_err *err);
/* A stream of frames, without magic, in pieces of a file that is open as `whole`, which has to stay open. The pieces stay the
 * caller's. All offsets are those of the stream. -ENOMEM. */
VT_MUST_CHECK int vt_trace_open_pieces(const struct vt_trace *whole, const struct vt_trace_piece *pieces, size_t n,
                                       struct vt_trace **out);
void vt_trace_close(struct vt_trace *t);
void vt_trace_rewind(struct vt_trace *t);
/* The next frame is looked for that many bytes further on. */
void vt_trace_skip(struct vt_trace *t, uint64_t bytes);
/* Where in the file a byte of a trace is that is read in pieces; of others the same. For messages. */
uint64_t vt_trace_file_offset(const struct vt_trace *t, uint64_t offset);
/* Size of the file when it was opened, and the position of the reader, in bytes. */
uint64_t vt_trace_size(const struct vt_trace *t);
uint64_t vt_trace_pos(const struct vt_trace *t);
/* True after the reader has met an incomplete last frame. */
bool vt_trace_truncated(const struct vt_trace *t);

/* Reads the next frame of a known trace type; others are skipped. 1 = a frame; 0 = the end, also before an incomplete frame;
 * -EBADMSG = wrong checksum or length, the rest cannot be trusted; else -errno. err says where. heads_only: only the first bytes
 * of Block frames are read, unchecked, enough for vt_trace_block_head. */
VT_MUST_CHECK int vt_trace_next(struct vt_trace *t, bool heads_only, struct vt_trace_frame *frame, struct vt_err *err);

/* Fields of a Block payload; -EBADMSG. */
VT_MUST_CHECK int vt_trace_get_block(const uint8_t *payload, size_t len, struct vt_trace_block *block);
/* The same from a cut payload: data and data_len are not set. */
VT_MUST_CHECK int vt_trace_block_head(const uint8_t *payload, size_t len, struct vt_trace_block *block);

#endif
