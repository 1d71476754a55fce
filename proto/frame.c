/* Owns the frame header and splitting a byte stream into frames (FORMAT.md). Knows lengths and checksums, but not the meaning
 * of a payload. msg_table.c has the length limit of each type. */
#include "proto/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Bytes that one buffer may hold. A caller that takes frames out after each add never reaches this. */
#define FRAME_BUF_MAX (4u * VT_FRAME_MAX)

static void put_u32(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

static uint32_t get_u32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t payload_crc(const void *payload, uint32_t len) { return len ? (uint32_t)crc32(0, payload, len) : 0; }

static uint32_t type_limit(uint32_t type) {
    const struct vt_msg_desc *desc = vt_msg_desc(type);
    return desc ? desc->max_len : VT_FRAME_MAX;
}

void vt_frame_put_header(uint8_t hdr[VT_FRAME_HDR], uint32_t type, const void *payload, uint32_t len) {
    put_u32(hdr, len);
    put_u32(hdr + 4, type);
    put_u32(hdr + 8, payload_crc(payload, len));
}

int vt_frame_get_header(const uint8_t hdr[VT_FRAME_HDR], uint32_t *type, uint32_t *len, uint32_t *crc) {
    *len = get_u32(hdr);
    *type = get_u32(hdr + 4);
    *crc = get_u32(hdr + 8);
    return *len > type_limit(*type) ? -EPROTO : 0;
}

int vt_frame_check(uint32_t crc, const void *payload, uint32_t len) { return payload_crc(payload, len) == crc ? 0 : -EBADMSG; }

void vt_frame_buf_free(struct vt_frame_buf *b) {
    free(b->buf);
    memset(b, 0, sizeof *b);
}

int vt_frame_buf_add(struct vt_frame_buf *b, const void *data, size_t len) {
    if (len == 0) return 0;
    if (b->pos == b->len) b->pos = b->len = 0;
    size_t held = b->len - b->pos;
    if (len > FRAME_BUF_MAX || held + len > FRAME_BUF_MAX) return -ENOBUFS;
    if (b->len + len > b->size) {
        if (b->pos) {
            memmove(b->buf, b->buf + b->pos, held);
            b->len = held;
            b->pos = 0;
        }
        if (held + len > b->size) {
            size_t size = b->size ? b->size : 65536;
            while (size < held + len) size *= 2;
            uint8_t *grown = realloc(b->buf, size);
            if (!grown) return -ENOMEM;
            b->buf = grown;
            b->size = size;
        }
    }
    memcpy(b->buf + b->len, data, len);
    b->len += len;
    return 0;
}

int vt_frame_buf_next(struct vt_frame_buf *b, uint32_t *type, const uint8_t **payload, uint32_t *len) {
    size_t held = b->len - b->pos;
    if (held < VT_FRAME_HDR) return 0;
    const uint8_t *hdr = b->buf + b->pos;
    uint32_t crc;
    int rc = vt_frame_get_header(hdr, type, len, &crc);
    if (rc) return rc;
    if (held - VT_FRAME_HDR < *len) return 0;
    *payload = hdr + VT_FRAME_HDR;
    rc = vt_frame_check(crc, *payload, *len);
    if (rc) return rc;
    b->pos += VT_FRAME_HDR + *len;
    return 1;
}
