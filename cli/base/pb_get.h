/* Walks over the fields of protobuf bytes without unpacking them, never beyond their end. */
#ifndef VT_CLI_PB_GET_H
#define VT_CLI_PB_GET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct pb_bytes {
    const uint8_t *data;
    size_t len;
};

struct pb_field {
    uint32_t number;
    uint32_t wire;         /* 0 varint, 1 eight bytes, 2 bytes, 5 four bytes */
    uint64_t value;        /* of wire 0, 1, 5 */
    struct pb_bytes bytes; /* of wire 2 */
};

static inline bool pb_get_varint(struct pb_bytes *in, uint64_t *v) {
    *v = 0;
    for (unsigned shift = 0, i = 0; i < 10 && i < in->len; i++, shift += 7) {
        *v |= (uint64_t)(in->data[i] & 127) << shift;
        if (in->data[i] < 128) {
            in->data += i + 1;
            in->len -= i + 1;
            return true;
        }
    }
    return false;
}

/* 1 and the next field; 0 at the end; -1: it makes no sense. */
static inline int pb_next(struct pb_bytes *in, struct pb_field *f) {
    uint64_t tag, len = 0;
    if (!in->len) return 0;
    if (!pb_get_varint(in, &tag) || tag >> 32 || !(tag >> 3)) return -1;
    f->number = (uint32_t)(tag >> 3);
    f->wire = (uint32_t)tag & 7;
    f->value = 0;
    f->bytes = (struct pb_bytes){0};
    switch (f->wire) {
    case 0: return pb_get_varint(in, &f->value) ? 1 : -1;
    case 1: len = 8; break;
    case 5: len = 4; break;
    case 2:
        if (!pb_get_varint(in, &len)) return -1;
        break;
    default: return -1;
    }
    if (len > in->len) return -1;
    if (f->wire == 2)
        f->bytes = (struct pb_bytes){in->data, (size_t)len};
    else
        memcpy(&f->value, in->data, (size_t)len);
    in->data += len;
    in->len -= (size_t)len;
    return 1;
}

#endif
