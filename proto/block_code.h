/* The code that block_enc.c and block_dec.c must share exactly: layout of the raw bytes, the predictor, varints. FORMAT.md
 * draws it. A change here is a new trace format. */
#ifndef VT_PROTO_BLOCK_CODE_H
#define VT_PROTO_BLOCK_CODE_H

#include <stdint.h>
#include <string.h>

#include "proto/abi/record.h"
#include "proto/block.h"

#define BLOCK_HEAD 12u /* u32 tokens, u32 side bytes, u32 payload bytes */

/* Token: kind in bits 0..1, ticks since the event before in bits 2..15. */
enum block_kind {
    BLOCK_NATURAL = 0,   /* the leave event of the top of the stack */
    BLOCK_PREDICTED = 1, /* what followed last time in this situation */
    BLOCK_EXPLICIT = 2,  /* side: varint event word */
    BLOCK_SPECIAL = 3    /* side: varint record type, then PAYLOAD: varint kind, varint length; GAP: varint count */
};
#define BLOCK_DELTA_LONG 0x3fffu /* side: varint ticks, after what the kind put there */

/* An event word is id << 4 | type: the low 30 bits of a record. */
#define BLOCK_WORD_MASK ((1u << VT_REC_TS_SHIFT) - 1)

#define BLOCK_PREDICT_BITS 12
#define BLOCK_STACK 4096u /* a power of two; deeper stacks wrap, which only costs prediction */
/* One entered function: the lower half is its natural leave event, the upper half its part of the hash. */
struct block_predictor {
    uint64_t stack[BLOCK_STACK];
    uint32_t next[1u << BLOCK_PREDICT_BITS];
};
/* Position in a block. Separate from the tables, so that a loop can keep it in registers. */
struct block_place {
    uint32_t depth;
    uint32_t last; /* the event word before, its part of the hash */
    uint64_t top;  /* stack[depth] */
};

static inline uint32_t block_share(uint32_t word) { return word * 0x85ebca6bu; }
static inline uint64_t block_entered(uint32_t word) {
    /* turns an enter type into its natural leave type; RETURN for all types that do not enter */
    static const uint8_t leave_of[16] = {
        [0] = VT_REC_RETURN,
        [VT_REC_CALL] = VT_REC_CALL ^ VT_REC_RETURN,
        [VT_REC_RESUME] = VT_REC_RESUME ^ VT_REC_YIELD,
        [VT_REC_THROW] = VT_REC_THROW ^ VT_REC_YIELD,
        [VT_REC_C_CALL] = VT_REC_C_CALL ^ VT_REC_C_RETURN,
    };
    return (uint64_t)(word * 0x9e3779b1u) << 32 | (word ^ leave_of[word & 15]);
}
static inline void block_begin(struct block_predictor *p, struct block_place *at) {
    *at = (struct block_place){.top = block_entered(0)};
    p->stack[0] = at->top;
    memset(p->next, 0xff, sizeof p->next); /* not an event word, so that nothing is predicted at the start */
}
static inline uint32_t block_natural(const struct block_place *at) { return (uint32_t)at->top; }
static inline uint32_t *block_next(struct block_predictor *p, const struct block_place *at) {
    return &p->next[((uint32_t)(at->top >> 32) ^ at->last) >> (32 - BLOCK_PREDICT_BITS)];
}
static inline void block_enter(struct block_predictor *p, struct block_place *at, uint32_t word) {
    p->stack[++at->depth & (BLOCK_STACK - 1)] = at->top = block_entered(word);
}
static inline void block_leave(struct block_predictor *p, struct block_place *at) {
    at->top = p->stack[--at->depth & (BLOCK_STACK - 1)];
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
/* Returns NULL when the number runs past end or over 64 bits. */
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
