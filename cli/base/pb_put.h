/* Protobuf bytes written by hand: varints straight into a buffer for what is hot, a growing message for the rest. */
#ifndef VT_CLI_PB_PUT_H
#define VT_CLI_PB_PUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

/* A message being written. Zeroed is empty. Out of memory sticks: nothing more is taken, `failed` tells. */
struct pb {
    uint8_t *data;
    size_t len, room;
    bool failed;
};

static inline void pb_free(struct pb *b) { free(b->data); }

/* Room for n more bytes, or NULL. */
static inline uint8_t *pb_room(struct pb *b, size_t n) {
    if (n > b->room - b->len) {
        size_t room = (b->len + n) * 2;
        uint8_t *grown = b->failed || n > SIZE_MAX / 4 ? NULL : realloc(b->data, room);
        if (!grown) {
            b->failed = true;
            return NULL;
        }
        b->data = grown;
        b->room = room;
    }
    return b->data + b->len;
}

static inline void pb_u64(struct pb *b, uint32_t field, uint64_t v) {
    uint8_t *p = pb_room(b, 2 * PB_VARINT_MAX);
    if (p) b->len = (size_t)(pb_put_varint(pb_put_varint(p, PB_TAG(field, PB_VARINT)), v) - b->data);
}
static inline void pb_fixed64(struct pb *b, uint32_t field, uint64_t v) {
    uint8_t *p = pb_room(b, PB_VARINT_MAX + 8);
    if (!p) return;
    p = pb_put_varint(p, PB_TAG(field, PB_64));
    for (int i = 0; i < 8; i++) *p++ = (uint8_t)(v >> 8 * i);
    b->len = (size_t)(p - b->data);
}
static inline void pb_double(struct pb *b, uint32_t field, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    pb_fixed64(b, field, bits);
}

/* A message or string in it: open, put what is in it, close with what open gave. */
#define PB_LEN_MAX 5u
static inline size_t pb_open(struct pb *b, uint32_t field) {
    uint8_t *p = pb_room(b, PB_VARINT_MAX + PB_LEN_MAX);
    if (!p) return 0;
    b->len = (size_t)(pb_put_varint(p, PB_TAG(field, PB_BYTES)) - b->data) + PB_LEN_MAX;
    return b->len;
}
static inline void pb_close(struct pb *b, size_t start) {
    if (b->failed) return;
    size_t len = b->len - start;
    uint8_t *p = b->data + start - PB_LEN_MAX;
    if (len < 128) {
        *p++ = (uint8_t)len;
        memmove(p, b->data + start, len);
        b->len -= PB_LEN_MAX - 1;
        return;
    }
    if (len >> 32) b->failed = true;
    for (unsigned i = 0; i < PB_LEN_MAX - 1; i++) p[i] = (uint8_t)(len >> 7 * i | 128); /* padded: its end is not moved */
    p[PB_LEN_MAX - 1] = (uint8_t)(len >> 28);
}

/* Any bytes, as the valid UTF-8 that a string has to be. */
static inline void pb_text(struct pb *b, uint32_t field, const void *text, size_t len) {
    size_t start = pb_open(b, field);
    uint8_t *p = len > SIZE_MAX / 16 ? NULL : pb_room(b, UTF8_MAX(len));
    if (!p) {
        b->failed = true;
        return;
    }
    b->len = (size_t)((uint8_t *)utf8_put((char *)p, text, len) - b->data);
    pb_close(b, start);
}

#endif
