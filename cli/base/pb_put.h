/* Writes protobuf bytes: varints straight into a buffer on hot paths, fields of a growing message elsewhere. */
#ifndef VT_CLI_PB_PUT_H
#define VT_CLI_PB_PUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/buf.h"
#include "cli/base/json.h"

enum { PB_VARINT = 0, PB_64 = 1, PB_BYTES = 2 };
#define PB_VARINT_MAX 10u
#define PB_TAG(field, wire) ((uint32_t)(field) << 3 | (wire))

static inline uint8_t *pb_put_varint(uint8_t *p, uint64_t v) {
    while (v >= 128) {
        *p++ = (uint8_t)(v | 128);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

/* Room for n more bytes of a message, or NULL. Messages are written into a struct buf; its `failed` tells of a lack of memory. */
static inline uint8_t *pb_room(struct buf *b, size_t n) { return (uint8_t *)buf_room(b, n); }

static inline void pb_u64(struct buf *b, uint32_t field, uint64_t v) {
    uint8_t *p = pb_room(b, 2 * PB_VARINT_MAX);
    if (p) b->len = (size_t)(pb_put_varint(pb_put_varint(p, PB_TAG(field, PB_VARINT)), v) - b->bytes);
}
static inline void pb_fixed64(struct buf *b, uint32_t field, uint64_t v) {
    uint8_t *p = pb_room(b, PB_VARINT_MAX + 8);
    if (!p) return;
    p = pb_put_varint(p, PB_TAG(field, PB_64));
    for (int i = 0; i < 8; i++) *p++ = (uint8_t)(v >> 8 * i);
    b->len = (size_t)(p - b->bytes);
}
static inline void pb_double(struct buf *b, uint32_t field, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    pb_fixed64(b, field, bits);
}

/* A message or string in it: open, put what is in it, close with what open gave. */
#define PB_LEN_MAX 5u
static inline size_t pb_open(struct buf *b, uint32_t field) {
    uint8_t *p = pb_room(b, PB_VARINT_MAX + PB_LEN_MAX);
    if (!p) return 0;
    b->len = (size_t)(pb_put_varint(p, PB_TAG(field, PB_BYTES)) - b->bytes) + PB_LEN_MAX;
    return b->len;
}
static inline void pb_close(struct buf *b, size_t start) {
    if (b->failed) return;
    size_t len = b->len - start;
    uint8_t *p = b->bytes + start - PB_LEN_MAX;
    if (len < 128) {
        *p++ = (uint8_t)len;
        memmove(p, b->bytes + start, len);
        b->len -= PB_LEN_MAX - 1;
        return;
    }
    if (len >> 32) b->failed = true;
    for (unsigned i = 0; i < PB_LEN_MAX - 1; i++) p[i] = (uint8_t)(len >> 7 * i | 128); /* padded: its end is not moved */
    p[PB_LEN_MAX - 1] = (uint8_t)(len >> 28);
}

/* Any bytes, as the valid UTF-8 that a string has to be. */
static inline void pb_text(struct buf *b, uint32_t field, const void *text, size_t len) {
    size_t start = pb_open(b, field);
    uint8_t *p = len > SIZE_MAX / 16 ? NULL : pb_room(b, UTF8_MAX(len));
    if (!p) {
        b->failed = true;
        return;
    }
    b->len = (size_t)((uint8_t *)utf8_put((char *)p, text, len) - b->bytes);
    pb_close(b, start);
}

#endif
