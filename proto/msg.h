/* Messages as frames: packing and unpacking with protobuf-c, sending and receiving. Any thread; functions share no state. */
#ifndef VT_PROTO_MSG_H
#define VT_PROTO_MSG_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base.h"
#include "proto/frame.h"
#include "proto/msg_table.h"

/* Packs header and payload into one malloc'd buffer; msg may be NULL for empty messages. Caller frees *out. */
VT_MUST_CHECK int vt_msg_pack(uint32_t type, const ProtobufCMessage *msg, uint8_t **out, size_t *len);
/* Unpacks with a cap on memory: -EPROTO for a bad or oversized message, -ENOMSG for an unknown type or one without payload.
 * The caller frees *out with vt_msg_free. */
VT_MUST_CHECK int vt_msg_unpack(uint32_t type, const uint8_t *payload, uint32_t len, ProtobufCMessage **out);
void vt_msg_free(ProtobufCMessage *msg);

/* Packs and sends in one go on a blocking fd (MSG_NOSIGNAL where it is a socket). */
VT_MUST_CHECK int vt_msg_send(int fd, uint32_t type, const ProtobufCMessage *msg);
/* Receives the next frame on a blocking fd through b: 0, -EPIPE at the end of the stream, -EPROTO or
 * -EBADMSG for a frame that makes no sense, or -errno. *payload is valid until the next call with b. */
VT_MUST_CHECK int vt_msg_recv(int fd, struct vt_frame_buf *b, uint32_t *type, const uint8_t **payload, uint32_t *len);

#endif
