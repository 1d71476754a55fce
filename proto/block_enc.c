/* Owns encoding records to the bytes of a block. One encoder per stream. Blocks share nothing, so each can be decoded alone.
 * vt_block_put is the hot loop: the daemon runs it for every event of the target. */
#include <errno.h>
#include <stdlib.h>
#define ZSTD_STATIC_LINKING_ONLY /* for ZSTD_compressSequences */
#include <zstd.h>

#include "proto/abi/atomic.h"
#include "proto/block.h"
#include "proto/block_code.h"

#define SIDE_BYTES (48u << 10)
#define SIDE_ROOM 32u /* most that one event adds: two or three varints and a long delta */
/* Searching tokens for repetitions gains little: each plane becomes the literals of a zstd block of its own, with a Huffman
 * table of its own (tests/bench/drain). Texts of arguments are compressed as usual. */
#define PLANES 3u      /* low bytes with the head before them, high bytes, side bytes and payloads */
#define TEXTS_SHARE 8u /* of the raw bytes, as one part of */

struct vt_block_enc {
    struct block_predictor predictor;
    struct block_place place;
    uint64_t last; /* ticks of the event before */
    /* of the run that is being put: a stamp and what it is in full, ticks that nobody has counted yet, ticks that are not
     * ordinary */
    uint64_t full_stamp, full, jump, longer;
    uint32_t count, calls;
    uint8_t *side_end;
    uint8_t low[VT_BLOCK_EVENTS], high[VT_BLOCK_EVENTS];
    uint8_t side[SIDE_BYTES];
    uint8_t *payload; /* grows up to what a block may hold */
    size_t payload_len, payload_size;
    struct vt_block_packer *packer, *own; /* own: NULL when it is shared with others */
};

struct vt_block_packer {
    uint8_t *raw, *packed;
    size_t raw_size, packed_size;
    ZSTD_CCtx *zstd;
};

struct vt_block_packer *vt_block_packer_new(void) {
    struct vt_block_packer *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->zstd = ZSTD_createCCtx();
    if (!p->zstd) {
        free(p);
        return NULL;
    }
    ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_compressionLevel, 1);
    ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_blockDelimiters, ZSTD_sf_explicitBlockDelimiters);
    return p;
}

void vt_block_packer_free(struct vt_block_packer *p) {
    if (!p) return;
    ZSTD_freeCCtx(p->zstd);
    free(p->raw);
    free(p->packed);
    free(p);
}

struct vt_block_enc *vt_block_enc_new_with(struct vt_block_packer *packer) {
    struct vt_block_enc *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    e->packer = packer;
    vt_block_begin(e, 0);
    return e;
}

struct vt_block_enc *vt_block_enc_new(void) {
    struct vt_block_packer *packer = vt_block_packer_new();
    struct vt_block_enc *e = packer ? vt_block_enc_new_with(packer) : NULL;
    if (e)
        e->own = packer;
    else
        vt_block_packer_free(packer);
    return e;
}

void vt_block_enc_free(struct vt_block_enc *e) {
    if (!e) return;
    vt_block_packer_free(e->own);
    free(e->payload);
    free(e);
}

void vt_block_begin(struct vt_block_enc *e, uint64_t base) {
    block_begin(&e->predictor, &e->place);
    e->last = base;
    e->count = e->calls = 0;
    e->side_end = e->side;
    e->payload_len = 0;
}

uint32_t vt_block_count(const struct vt_block_enc *e) { return e->count; }
uint32_t vt_block_calls(const struct vt_block_enc *e) { return e->calls; }

static bool has_side_room(const struct vt_block_enc *e) { return e->side_end + SIDE_ROOM <= e->side + SIDE_BYTES; }
bool vt_block_full(const struct vt_block_enc *e) { return e->count == VT_BLOCK_EVENTS || !has_side_room(e); }

/* Encodes an event that was not predicted, or whose delta does not fit into a token. Returns its token; -1: it belongs to
 * the next run. Stamps keep their place above the event word, as in a record, so that differences wrap correctly. */
static __attribute__((noinline)) int put_rare(struct vt_block_enc *e, uint64_t rec, uint64_t stamp, uint32_t *next, uint32_t kind,
                                              bool first) {
    const uint64_t range = 1ull << VT_REC_TS_BITS;
    uint64_t delta = (rec - stamp) >> VT_REC_TS_SHIFT;
    uint32_t word = (uint32_t)rec & BLOCK_WORD_MASK;
    if (!VT_REC_IS_PLAIN(word & 15) || (delta >= range / 4 && !first)) return -1;
    if (delta >= range / 2)
        delta = 0;
    else
        stamp = rec - word;
    e->full += (stamp - e->full_stamp) >> VT_REC_TS_SHIFT;
    e->full_stamp = stamp;
    delta += e->jump;
    e->jump = 0;
    e->longer = BLOCK_DELTA_LONG;
    if (kind && word != *next) {
        kind = BLOCK_EXPLICIT;
        *next = word;
        e->side_end = block_put_varint(e->side_end, word);
    }
    if (delta >= BLOCK_DELTA_LONG) {
        e->side_end = block_put_varint(e->side_end, delta);
        delta = BLOCK_DELTA_LONG;
    }
    return (int)(kind | (uint32_t)delta << 2);
}

size_t vt_block_put(struct vt_block_enc *e, const uint64_t *rec, size_t n, uint64_t *now) {
    struct block_place at = e->place;
    uint32_t i = e->count, most = n < VT_BLOCK_EVENTS - i ? i + (uint32_t)n : VT_BLOCK_EVENTS, calls = 0;
    e->full = *now > e->last ? *now : e->last;
    e->jump = e->full - e->last;
    e->longer = e->jump ? 0 : BLOCK_DELTA_LONG;
    uint64_t stamp = e->full_stamp = e->full << VT_REC_TS_SHIFT;
    for (; i < most; i++, rec++) {
        uint64_t one = vt_load_relaxed(rec), delta = (one - stamp) >> VT_REC_TS_SHIFT;
        uint32_t word = (uint32_t)one & BLOCK_WORD_MASK, *next = block_next(&e->predictor, &at);
        uint32_t kind = word != block_natural(&at), missed = word != *next, token = kind | (uint32_t)delta << 2;
        if (__builtin_expect((kind & missed) | (delta >= e->longer), 0)) {
            int rare = has_side_room(e) ? put_rare(e, one, stamp, next, kind, i == e->count) : -1;
            if (rare < 0) break;
            token = (uint32_t)rare;
            stamp = e->full_stamp;
        } else {
            stamp = one - word;
        }
        e->low[i] = (uint8_t)token;
        e->high[i] = (uint8_t)(token >> 8);
        if (VT_REC_IS_ENTER(word & 15)) {
            block_enter(&e->predictor, &at, word);
            calls += VT_REC_IS_CALL(word & 15);
        } else if (VT_REC_IS_LEAVE(word & 15) && at.depth) {
            block_leave(&e->predictor, &at);
        }
        at.last = block_share(word);
    }
    n = i - e->count;
    if (!n) return 0;
    e->calls += calls;
    e->place = at;
    e->count = i;
    e->last = *now = e->full + ((stamp - e->full_stamp) >> VT_REC_TS_SHIFT);
    return n;
}

static void put_special(struct vt_block_enc *e, uint32_t type) {
    e->low[e->count] = BLOCK_SPECIAL;
    e->high[e->count++] = 0;
    e->side_end = block_put_varint(e->side_end, type);
}

int vt_block_payload(struct vt_block_enc *e, uint32_t kind, const void *data, uint32_t len) {
    const size_t most = VT_BLOCK_RAW_MAX - BLOCK_HEAD - 2 * VT_BLOCK_EVENTS - SIDE_BYTES;
    if (len > most) return -EMSGSIZE;
    if (vt_block_full(e) || e->payload_len + len > most) return -ENOSPC;
    if (e->payload_len + len > e->payload_size) {
        size_t size = e->payload_size ? e->payload_size : 4096;
        while (size < e->payload_len + len) size *= 2;
        uint8_t *grown = realloc(e->payload, size);
        if (!grown) return -ENOMEM;
        e->payload = grown;
        e->payload_size = size;
    }
    put_special(e, VT_REC_PAYLOAD);
    e->side_end = block_put_varint(e->side_end, kind);
    e->side_end = block_put_varint(e->side_end, len);
    if (len) memcpy(e->payload + e->payload_len, data, len);
    e->payload_len += len;
    return 0;
}

int vt_block_gap(struct vt_block_enc *e, uint64_t dropped) {
    if (vt_block_full(e)) return -ENOSPC;
    put_special(e, VT_REC_GAP);
    e->side_end = block_put_varint(e->side_end, dropped);
    return 0;
}

static int reserve(uint8_t **buf, size_t *size, size_t need) {
    if (need <= *size) return 0;
    free(*buf);
    *buf = malloc(need);
    *size = *buf ? need : 0;
    return *buf ? 0 : -ENOMEM;
}

int vt_block_finish(struct vt_block_enc *e, const uint8_t **data, size_t *len, uint32_t *raw_len) {
    size_t side_len = (size_t)(e->side_end - e->side);
    size_t raw = BLOCK_HEAD + 2 * (size_t)e->count + side_len + e->payload_len;
    struct vt_block_packer *k = e->packer;
    int rc = reserve(&k->raw, &k->raw_size, raw);
    if (!rc) rc = reserve(&k->packed, &k->packed_size, ZSTD_compressBound(raw));
    if (rc) return rc;

    uint8_t *p = k->raw;
    block_put_u32(p, e->count);
    block_put_u32(p + 4, (uint32_t)side_len);
    block_put_u32(p + 8, (uint32_t)e->payload_len);
    p += BLOCK_HEAD;
    memcpy(p, e->low, e->count);
    memcpy(p += e->count, e->high, e->count);
    memcpy(p += e->count, e->side, side_len);
    if (e->payload_len) memcpy(p + side_len, e->payload, e->payload_len);

    size_t packed = 0, rest = side_len + e->payload_len;
    if (e->payload_len < raw / TEXTS_SHARE && raw < ZSTD_BLOCKSIZE_MAX) {
        const ZSTD_Sequence planes[PLANES] = {
            {.litLength = BLOCK_HEAD + e->count}, {.litLength = e->count}, {.litLength = (unsigned)rest}};
        packed = ZSTD_compressSequences(k->zstd, k->packed, k->packed_size, planes, rest ? PLANES : PLANES - 1, k->raw, raw);
    }
    if (!packed || ZSTD_isError(packed)) packed = ZSTD_compress2(k->zstd, k->packed, k->packed_size, k->raw, raw);
    if (ZSTD_isError(packed)) return -ENOMEM; /* the buffer is large enough by construction */
    *data = k->packed;
    *len = packed;
    *raw_len = (uint32_t)raw;
    return 0;
}
