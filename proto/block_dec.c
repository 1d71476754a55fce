/* Owns decoding the bytes of a block to events. The bytes are hostile: every length is checked before use, and any
 * block that the encoder could not have made is -EBADMSG. */
#include <errno.h>
#include <stdlib.h>
#include <zstd.h>

#include "proto/block.h"
#include "proto/block_code.h"

struct vt_block_dec {
    struct block_predictor predictor;
    ZSTD_DCtx *zstd;
    uint8_t *raw;
    size_t raw_size;
    struct vt_event *events;
};

/* Reading positions in the raw bytes. */
struct cursor {
    const uint8_t *side, *side_end;
    const uint8_t *payload, *payload_end;
};

struct vt_block_dec *vt_block_dec_new(void) {
    struct vt_block_dec *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->zstd = ZSTD_createDCtx();
    d->events = malloc(VT_BLOCK_EVENTS * sizeof *d->events);
    if (d->zstd && d->events) return d;
    vt_block_dec_free(d);
    return NULL;
}

void vt_block_dec_free(struct vt_block_dec *d) {
    if (!d) return;
    ZSTD_freeDCtx(d->zstd);
    free(d->events);
    free(d->raw);
    free(d);
}

static int inflate_raw(struct vt_block_dec *d, const uint8_t *data, size_t len, uint32_t raw_len) {
    if (raw_len < BLOCK_HEAD || raw_len > VT_BLOCK_RAW_MAX) return -EBADMSG;
    if (raw_len > d->raw_size) {
        free(d->raw);
        d->raw_size = 0;
        d->raw = malloc(raw_len);
        if (!d->raw) return -ENOMEM;
        d->raw_size = raw_len;
    }
    size_t got = ZSTD_decompressDCtx(d->zstd, d->raw, raw_len, data, len);
    return ZSTD_isError(got) || got != raw_len ? -EBADMSG : 0;
}

static int get_special(struct cursor *c, struct vt_event *ev) {
    uint64_t type, first, len;
    if (!(c->side = block_get_varint(c->side, c->side_end, &type)) || !(c->side = block_get_varint(c->side, c->side_end, &first)))
        return -EBADMSG;
    ev->type = (uint32_t)type;
    if (type == VT_REC_GAP) {
        ev->id = 0;
        ev->count = first;
        return 0;
    }
    if (type != VT_REC_PAYLOAD || first >= VT_PL_KINDS) return -EBADMSG;
    if (!(c->side = block_get_varint(c->side, c->side_end, &len)) || len > (size_t)(c->payload_end - c->payload)) return -EBADMSG;
    ev->id = (uint32_t)first;
    ev->count = 0;
    ev->payload = c->payload;
    ev->payload_len = (uint32_t)len;
    c->payload += len;
    return 0;
}

static int get_plain(struct block_predictor *p, struct block_place *at, struct cursor *c, uint32_t kind, struct vt_event *ev) {
    uint32_t *next = block_next(p, at), word;
    if (kind == BLOCK_NATURAL)
        word = block_natural(at);
    else if (kind == BLOCK_PREDICTED)
        word = *next;
    else {
        uint64_t value;
        if (!(c->side = block_get_varint(c->side, c->side_end, &value)) || value > BLOCK_WORD_MASK) return -EBADMSG;
        *next = word = (uint32_t)value;
    }
    if (!VT_REC_IS_PLAIN(word & 15)) return -EBADMSG;
    if (VT_REC_IS_ENTER(word & 15))
        block_enter(p, at, word);
    else if (VT_REC_IS_LEAVE(word & 15) && at->depth)
        block_leave(p, at);
    at->last = block_share(word);
    ev->type = word & 15;
    ev->id = word >> VT_REC_TYPE_BITS;
    return 0;
}

static int get_events(struct vt_block_dec *d, uint64_t base, const uint8_t *tokens, uint32_t count, struct cursor *c) {
    struct block_predictor *p = &d->predictor;
    uint64_t ticks = base;
    struct block_place at;
    block_begin(p, &at);
    for (uint32_t i = 0; i < count; i++) {
        struct vt_event *ev = &d->events[i];
        uint32_t token = tokens[i] | (uint32_t)tokens[count + i] << 8;
        uint64_t delta = token >> 2;
        int rc;
        if ((token & 3) != BLOCK_SPECIAL) {
            ev->count = 0;
            ev->payload = NULL;
            ev->payload_len = 0;
            rc = get_plain(p, &at, c, token & 3, ev);
        } else {
            ev->payload = NULL;
            ev->payload_len = 0;
            rc = get_special(c, ev);
        }
        if (rc) return rc;
        if (delta == BLOCK_DELTA_LONG && !(c->side = block_get_varint(c->side, c->side_end, &delta))) return -EBADMSG;
        if (delta > UINT64_MAX - ticks) return -EBADMSG;
        ticks += delta;
        ev->ticks = ticks;
    }
    return c->side == c->side_end && c->payload == c->payload_end ? 0 : -EBADMSG;
}

int vt_block_decode(struct vt_block_dec *d, uint64_t base, const uint8_t *data, size_t len, uint32_t raw_len, uint32_t events,
                    const struct vt_event **ev, size_t *n) {
    int rc = inflate_raw(d, data, len, raw_len);
    if (rc) return rc;
    uint32_t count = block_get_u32(d->raw), side_len = block_get_u32(d->raw + 4), payload_len = block_get_u32(d->raw + 8);
    if (count != events || count > VT_BLOCK_EVENTS) return -EBADMSG;
    if ((uint64_t)BLOCK_HEAD + 2ull * count + side_len + payload_len != raw_len) return -EBADMSG;
    const uint8_t *tokens = d->raw + BLOCK_HEAD, *side = tokens + 2 * (size_t)count;
    struct cursor c = {side, side + side_len, side + side_len, side + side_len + payload_len};
    rc = get_events(d, base, tokens, count, &c);
    if (rc) return rc;
    *ev = d->events;
    *n = count;
    return 0;
}
