/* Event blocks: encodes records of one thread into compressed bytes, and decodes them. No block needs another one.
 * Encoding: 16-bit tokens {kind:2 | delta:14} with prediction from (stack top, last event), low and
 * high bytes in separate planes, explicit ids and payloads in a side stream, zstd over all.
 * FORMAT.md draws the bytes. Time unit: ticks of the trace's clock. */
#ifndef VT_PROTO_BLOCK_H
#define VT_PROTO_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/abi/record.h"
#include "proto/base.h"

#define VT_BLOCK_EVENTS 16384u /* at most, in one block */
#define VT_BLOCK_RAW_MAX (1u << 21)

struct vt_block_enc;    /* one per stream with an open block; about 100 KB and the payloads in the block */
struct vt_block_packer; /* the compressor and its buffers, some MB; only used within vt_block_finish */
/* NULL = out of memory. */
struct vt_block_enc *vt_block_enc_new(void);
/* The same for many encoders in one thread: they share the packer, which must outlive them. */
struct vt_block_enc *vt_block_enc_new_with(struct vt_block_packer *packer);
void vt_block_enc_free(struct vt_block_enc *e);
struct vt_block_packer *vt_block_packer_new(void);
void vt_block_packer_free(struct vt_block_packer *p);

/* Starts a block. base: full stamp of the thread's previous event, or of the chunk. */
void vt_block_begin(struct vt_block_enc *e, uint64_t base);
/* Takes leading plain event records (CALL .. TASK) of rec[0..n), which others may write to: each is read once. Returns how many
 * it took; fewer than n when it met another type, the block is full, or a record but the first seems to go back or a quarter of
 * the range of record stamps ahead: put that again. *now: full stamp of the thread's last event, carried by the caller and moved
 * on here; a first stamp that seems to go back counts as equal to *now. */
size_t vt_block_put(struct vt_block_enc *e, const uint64_t *rec, size_t n, uint64_t *now);
/* 0, or -ENOSPC when the block is full: finish it, begin another, and try again. The time is that of the last event. */
VT_MUST_CHECK int vt_block_payload(struct vt_block_enc *e, uint32_t kind, const void *data, uint32_t len);
VT_MUST_CHECK int vt_block_gap(struct vt_block_enc *e, uint64_t dropped);
uint32_t vt_block_count(const struct vt_block_enc *e); /* events, payloads and gaps in the open block */
uint32_t vt_block_calls(const struct vt_block_enc *e); /* of these: calls that begin, without resumed pieces */
bool vt_block_full(const struct vt_block_enc *e);      /* finish it, begin another */
/* Compressed bytes, owned by the packer, valid until the next vt_block_finish with it. */
VT_MUST_CHECK int vt_block_finish(struct vt_block_enc *e, const uint8_t **data, size_t *len, uint32_t *raw_len);

struct vt_event {
    uint64_t ticks;
    uint32_t type;          /* enum vt_rec_type: CALL .. TASK, PAYLOAD, GAP */
    uint32_t id;            /* name id; PAYLOAD: kind */
    uint64_t count;         /* GAP: events dropped */
    const uint8_t *payload; /* PAYLOAD; valid until the next block */
    uint32_t payload_len;
};
struct vt_block_dec;
struct vt_block_dec *vt_block_dec_new(void);
void vt_block_dec_free(struct vt_block_dec *d);
/* Decodes a whole block of possibly hostile bytes: 0 or -EBADMSG. *ev is owned by d and valid until the next call. */
VT_MUST_CHECK int vt_block_decode(struct vt_block_dec *d, uint64_t base, const uint8_t *data, size_t len, uint32_t raw_len,
                                  uint32_t events, const struct vt_event **ev, size_t *n);

#endif
