/* Messages: one table row per frame type, pack and unpack through protobuf-c with a bounded allocator. */
#ifndef VT_PROTO_MSG_H
#define VT_PROTO_MSG_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base.h"
#include "proto/frame.h"
#include "viztracerd.pb-c.h" /* generated into the build directory */

struct vt_msg_desc {
    uint32_t type; /* enum vt_frame_type */
    const char *name;
    const ProtobufCMessageDescriptor *pb; /* NULL: no payload */
    uint32_t max_len;                     /* of the payload, bytes */
    uint8_t trace;                        /* may stand in a .vzt file */
};
/* NULL = unknown type. */
const struct vt_msg_desc *vt_msg_desc(uint32_t type);

/* Packs header and payload into one malloc'd buffer; msg may be NULL for empty messages. Caller frees *out. */
VT_MUST_CHECK int vt_msg_pack(uint32_t type, const ProtobufCMessage *msg, uint8_t **out, size_t *len);
/* Unpacks with a cap on memory; -EPROTO on a bad or oversized message, -ENOMSG on a type without payload or unknown.
 * Free with vt_msg_free. */
VT_MUST_CHECK int vt_msg_unpack(uint32_t type, const uint8_t *payload, uint32_t len, ProtobufCMessage **out);
void vt_msg_free(ProtobufCMessage *msg);

/* Packs and sends in one go on a blocking fd (MSG_NOSIGNAL where it is a socket). */
VT_MUST_CHECK int vt_msg_send(int fd, uint32_t type, const ProtobufCMessage *msg);
/* Receives the next frame on a blocking fd through b: 0, -EPIPE at the end of the stream, -EPROTO … */
VT_MUST_CHECK int vt_msg_recv(int fd, struct vt_frame_buf *b, uint32_t *type, const uint8_t **payload, uint32_t *len);

#endif
