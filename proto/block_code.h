/* What block_enc.c and block_dec.c must do in exactly the same way: layout of the raw bytes, the predictor, varints.
 * Drawn in FORMAT.md. A change here is a new trace format. */
#ifndef VT_PROTO_BLOCK_CODE_H
#define VT_PROTO_BLOCK_CODE_H

#include <stdint.h>
#include <string.h>

#include "proto/abi/record.h"
#include "proto/block.h"

#define BLOCK_HEAD 12u /* u32 tokens, u32 side bytes, u32 payload bytes */

/* Token: kind in bits 0..1, ticks since the event before in bits 2..15. */
enum block_kind {
    BLOCK_NATURAL = 0,   /* the leave that belongs to the top of the stack */
    BLOCK_PREDICTED = 1, /* what followed last time in this situation */
    BLOCK_EXPLICIT = 2,  /* side: varint event word */
    BLOCK_SPECIAL = 3    /* side: varint record type, then PAYLOAD: varint kind, varint length; GAP: varint count */
};
#define BLOCK_DELTA_LONG 0x3fffu /* side: varint ticks, after what the kind put there */

/* An event word is id << 4 | type: the low 30 bits of a record. */
#define BLOCK_WORD_MASK ((1u << VT_REC_TS_SHIFT) - 1)
#define BLOCK_PLAIN(type) ((type) >= VT_REC_CALL && (type) <= VT_REC_TASK)

#define BLOCK_PREDICT_BITS 12
#define BLOCK_STACK 4096u /* a power of two; deeper stacks wrap, which only costs prediction */
struct block_predictor {
    uint32_t stack[BLOCK_STACK];
    uint32_t next[1u << BLOCK_PREDICT_BITS];
};
/* Where in a block we are. Apart from the tables, so that a loop can hold it in registers. */
struct block_place {
    uint32_t depth;
    uint32_t top;  /* stack[depth] */
    uint32_t last; /* event word before */
};

static inline void block_predictor_reset(struct block_predictor *p) {
    p->stack[0] = 0;
    memset(p->next, 0, sizeof p->next);
}
static inline uint32_t *block_next(struct block_predictor *p, const struct block_place *at) {
    return &p->next[(at->top * 0x9e3779b1u ^ at->last * 0x85ebca6bu) >> (32 - BLOCK_PREDICT_BITS)];
}
/* By type of the top, without branches: a table of 16 values of 4 bits. */
static inline uint32_t block_natural(uint32_t top) {
    const uint64_t leaves = 0x1111111111111111u * VT_REC_RETURN ^
                            (uint64_t)(VT_REC_RETURN ^ VT_REC_C_RETURN) << 4 * VT_REC_C_CALL ^
                            (uint64_t)(VT_REC_RETURN ^ VT_REC_YIELD) << 4 * VT_REC_RESUME ^
                            (uint64_t)(VT_REC_RETURN ^ VT_REC_YIELD) << 4 * VT_REC_THROW;
    return (top & ~15u) | (uint32_t)(leaves >> 4 * (top & 15) & 15);
}
static inline void block_step(struct block_predictor *p, struct block_place *at, uint32_t word) {
    if (VT_REC_IS_ENTER(word & 15))
        p->stack[++at->depth & (BLOCK_STACK - 1)] = at->top = word;
    else if (VT_REC_IS_LEAVE(word & 15) && at->depth)
        at->top = p->stack[--at->depth & (BLOCK_STACK - 1)];
    at->last = word;
}

#define BLOCK_VARINT_MAX 10u
static inline uint8_t *block_put_varint(uint8_t *p, uint64_t v) {
    while (v >= 128) {
        *p++ = (uint8_t)(v | 128);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}
/* NULL when it runs past end or over 64 bits. */
static inline const uint8_t *block_get_varint(const uint8_t *p, const uint8_t *end, uint64_t *v) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && p < end; shift += 7) {
        uint8_t byte = *p++;
        if (shift == 63 && byte > 1) return NULL;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            *v = value;
            return p;
        }
    }
    return NULL;
}
static inline void block_put_u32(uint8_t *p, uint32_t v) {
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(v >> 8 * i);
}
static inline uint32_t block_get_u32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

#endif
