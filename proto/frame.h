/* Framing: how messages follow one another, on the socket and in .vzt files alike.
 *
 *   0        4        8        12               12+length
 *   +--------+--------+--------+----------------+
 *   | length | type   | crc32  | payload        |     u32 little endian
 *   +--------+--------+--------+----------------+
 *
 * length: bytes of payload, at most the type's limit (msg_table.c), checked before anything is allocated.
 * crc32: zlib's, of the payload. A .vzt file is VT_FILE_MAGIC (8 bytes) followed by frames. It can be read up to
 * the last whole frame. Readers of files skip unknown types. */
#ifndef VT_PROTO_FRAME_H
#define VT_PROTO_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base.h"
#include "proto/msg_table.h"

#define VT_PROTOCOL 1u
#define VT_TRACE_FORMAT 1u          /* one process */
#define VT_TRACE_FORMAT_SECTIONS 2u /* several: SECTION frames; an older program refuses the number */
#define VT_FILE_MAGIC "VZT\x01\r\n\x1a\n"
#define VT_FRAME_HDR 12u

void vt_frame_put_header(uint8_t hdr[VT_FRAME_HDR], uint32_t type, const void *payload, uint32_t len);
/* Reads a header without its payload: 0 and *type, *len, *crc; -EPROTO when the length is above the type's limit. */
VT_MUST_CHECK int vt_frame_get_header(const uint8_t hdr[VT_FRAME_HDR], uint32_t *type, uint32_t *len, uint32_t *crc);
VT_MUST_CHECK int vt_frame_check(uint32_t crc, const void *payload, uint32_t len); /* -EBADMSG */

/* Accumulates bytes from a stream and hands out whole frames. */
struct vt_frame_buf {
    uint8_t *buf;
    size_t len, size, pos;
};
void vt_frame_buf_free(struct vt_frame_buf *b);
/* Adds bytes (as read from a socket). */
VT_MUST_CHECK int vt_frame_buf_add(struct vt_frame_buf *b, const void *data, size_t len);
/* Next whole frame: 1 and type, payload, len (valid until the next call), 0 = needs more bytes, -EPROTO/-EBADMSG. */
VT_MUST_CHECK int vt_frame_buf_next(struct vt_frame_buf *b, uint32_t *type, const uint8_t **payload, uint32_t *len);

#endif
