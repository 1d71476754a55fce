/* Owns the way from records to the bytes of a block. One encoder per stream; nothing is shared between blocks, so that
 * each decodes alone. The hot loop is vt_block_put: the daemon runs it for every event of the target. */
#include <errno.h>
#include <stdlib.h>
#define ZSTD_STATIC_LINKING_ONLY /* for ZSTD_c_literalCompressionMode */
#include <zstd.h>

#include "proto/block.h"
#include "proto/block_code.h"

#define SIDE_BYTES (48u << 10)
#define SIDE_ROOM 32u /* most that one event adds: two or three varints and a long delta */
/* Tokens have few repetitions worth a search: a third of the time for it, a third more bytes (tests/bench/drain). Texts of
 * arguments are another matter. */
#define ZSTD_LEVEL_TOKENS (-50)
#define ZSTD_LEVEL_TEXTS 1
#define TEXTS_SHARE 8u /* of the raw bytes, as one part of */

struct vt_block_enc {
    struct block_predictor predictor;
    struct block_place place;
    uint64_t last; /* ticks of the event before */
    uint32_t count;
    uint8_t *side_end;
    uint8_t low[VT_BLOCK_EVENTS], high[VT_BLOCK_EVENTS];
    uint8_t side[SIDE_BYTES];
    uint8_t *payload; /* grows up to what a block may hold */
    size_t payload_len, payload_size;
    uint8_t *raw, *packed;
    size_t raw_size, packed_size;
    ZSTD_CCtx *zstd;
    bool fast; /* literals are compressed at each level */
};

struct vt_block_enc *vt_block_enc_new(void) {
    struct vt_block_enc *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    e->zstd = ZSTD_createCCtx();
    if (!e->zstd) {
        free(e);
        return NULL;
    }
    /* levels below 0 leave it out, and it is what makes the low bytes of stamps smaller; a library without it: level 1 */
    e->fast = !ZSTD_isError(ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_literalCompressionMode, ZSTD_ps_enable));
    vt_block_begin(e, 0);
    return e;
}

void vt_block_enc_free(struct vt_block_enc *e) {
    if (!e) return;
    ZSTD_freeCCtx(e->zstd);
    free(e->payload);
    free(e->raw);
    free(e->packed);
    free(e);
}

void vt_block_begin(struct vt_block_enc *e, uint64_t base) {
    block_predictor_reset(&e->predictor);
    e->place = (struct block_place){0};
    e->last = base;
    e->count = 0;
    e->side_end = e->side;
    e->payload_len = 0;
}

uint32_t vt_block_count(const struct vt_block_enc *e) { return e->count; }

static bool has_room(const struct vt_block_enc *e) {
    return e->count < VT_BLOCK_EVENTS && e->side_end + SIDE_ROOM <= e->side + SIDE_BYTES;
}

size_t vt_block_put(struct vt_block_enc *e, const uint64_t *rec, size_t n, uint64_t *now) {
    const uint64_t mask = (1ull << VT_REC_TS_BITS) - 1;
    struct block_predictor *p = &e->predictor;
    struct block_place at = e->place;
    uint64_t clock = *now, last = e->last;
    uint8_t *side = e->side_end;
    const uint8_t *side_stop = e->side + SIDE_BYTES - SIDE_ROOM;
    uint32_t count = e->count;
    size_t i = 0;
    if (n > VT_BLOCK_EVENTS - count) n = VT_BLOCK_EVENTS - count;
    if (side > side_stop) n = 0;
    while (i < n) { /* n comes down to i when the side bytes are full */
        uint32_t word = (uint32_t)rec[i] & BLOCK_WORD_MASK;
        if (!BLOCK_PLAIN(word & 15)) break;
        uint64_t ahead = (vt_rec_ts(rec[i]) - clock) & mask;
        if (ahead <= mask / 2) clock += ahead;
        uint64_t delta = clock > last ? clock - last : 0;
        last += delta;
        i++;

        uint32_t *next = block_next(p, &at);
        uint32_t kind = BLOCK_NATURAL;
        if (word != block_natural(at.top)) kind = word == *next ? BLOCK_PREDICTED : BLOCK_EXPLICIT;
        if (__builtin_expect(kind == BLOCK_EXPLICIT || delta >= BLOCK_DELTA_LONG, 0)) {
            if (kind == BLOCK_EXPLICIT) {
                *next = word;
                side = block_put_varint(side, word);
            }
            if (delta >= BLOCK_DELTA_LONG) {
                side = block_put_varint(side, delta);
                delta = BLOCK_DELTA_LONG;
            }
            if (side > side_stop) n = i;
        }
        uint32_t token = kind | (uint32_t)delta << 2;
        e->low[count] = (uint8_t)token;
        e->high[count++] = (uint8_t)(token >> 8);
        block_step(p, &at, word);
    }
    e->place = at;
    e->last = last;
    e->side_end = side;
    e->count = count;
    *now = clock;
    return i;
}

static void put_special(struct vt_block_enc *e, uint32_t type) {
    e->low[e->count] = BLOCK_SPECIAL;
    e->high[e->count++] = 0;
    e->side_end = block_put_varint(e->side_end, type);
}

int vt_block_payload(struct vt_block_enc *e, uint32_t kind, const void *data, uint32_t len) {
    const size_t most = VT_BLOCK_RAW_MAX - BLOCK_HEAD - 2 * VT_BLOCK_EVENTS - SIDE_BYTES;
    if (len > most) return -EMSGSIZE;
    if (!has_room(e) || e->payload_len + len > most) return -ENOSPC;
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
    if (!has_room(e)) return -ENOSPC;
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
    int rc = reserve(&e->raw, &e->raw_size, raw);
    if (!rc) rc = reserve(&e->packed, &e->packed_size, ZSTD_compressBound(raw));
    if (rc) return rc;

    uint8_t *p = e->raw;
    block_put_u32(p, e->count);
    block_put_u32(p + 4, (uint32_t)side_len);
    block_put_u32(p + 8, (uint32_t)e->payload_len);
    p += BLOCK_HEAD;
    memcpy(p, e->low, e->count);
    memcpy(p += e->count, e->high, e->count);
    memcpy(p += e->count, e->side, side_len);
    if (e->payload_len) memcpy(p + side_len, e->payload, e->payload_len);

    int level = e->fast && e->payload_len < raw / TEXTS_SHARE ? ZSTD_LEVEL_TOKENS : ZSTD_LEVEL_TEXTS;
    ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_compressionLevel, level);
    size_t packed = ZSTD_compress2(e->zstd, e->packed, e->packed_size, e->raw, raw);
    if (ZSTD_isError(packed)) return -ENOMEM; /* the buffer is large enough by construction */
    *data = e->packed;
    *len = packed;
    *raw_len = (uint32_t)raw;
    return 0;
}
