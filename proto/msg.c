/* Owns packing messages, unpacking them, and sending and receiving them over a descriptor.
 * Unpacking has a memory budget: a small hostile message cannot make us allocate much. */
#include "proto/msg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A message may take this many times its own length when unpacked, this much besides, and this much for each of the
 * elements that its row allows: an element without figures is 2 bytes, and becomes a struct, a pointer and two notes of the
 * parser. */
#define UNPACK_FACTOR 16u
#define UNPACK_BASE 65536u
#define UNPACK_ELEMENT 192u
#define RECV_STEP 65536u

int vt_msg_pack(uint32_t type, const ProtobufCMessage *msg, uint8_t **out, size_t *len) {
    const struct vt_msg_desc *desc = vt_msg_desc(type);
    if (!desc || (msg == NULL) != (desc->pb == NULL) || (msg && msg->descriptor != desc->pb)) return -EINVAL;
    if (desc->is_valid && !desc->is_valid(msg)) return -EMSGSIZE;
    size_t payload_len = msg ? protobuf_c_message_get_packed_size(msg) : 0;
    if (payload_len > desc->max_len) return -EMSGSIZE;
    uint8_t *buf = malloc(VT_FRAME_HDR + payload_len);
    if (!buf) return -ENOMEM;
    if (msg) protobuf_c_message_pack(msg, buf + VT_FRAME_HDR);
    vt_frame_put_header(buf, type, buf + VT_FRAME_HDR, (uint32_t)payload_len);
    *out = buf;
    *len = VT_FRAME_HDR + payload_len;
    return 0;
}

static void *budget_alloc(void *budget, size_t size) {
    size_t *left = budget;
    if (size > *left) return NULL;
    *left -= size;
    return malloc(size);
}

static void budget_free(void *budget, void *ptr) {
    (void)budget;
    free(ptr);
}

int vt_msg_unpack(uint32_t type, const uint8_t *payload, uint32_t len, ProtobufCMessage **out) {
    const struct vt_msg_desc *desc = vt_msg_desc(type);
    *out = NULL;
    if (!desc || !desc->pb) return -ENOMSG;
    if (len > desc->max_len) return -EPROTO;
    size_t budget = UNPACK_BASE + (size_t)UNPACK_FACTOR * len + (size_t)UNPACK_ELEMENT * desc->elements;
    ProtobufCAllocator bounded = {.alloc = budget_alloc, .free = budget_free, .allocator_data = &budget};
    *out = protobuf_c_message_unpack(desc->pb, &bounded, len, payload);
    if (*out && desc->is_valid && !desc->is_valid(*out)) {
        vt_msg_free(*out);
        *out = NULL;
    }
    return *out ? 0 : -EPROTO;
}

void vt_msg_free(ProtobufCMessage *msg) {
    if (msg) protobuf_c_message_free_unpacked(msg, NULL); /* budget_alloc hands out plain malloc memory */
}

static int send_full(int fd, const uint8_t *buf, size_t len) {
    for (size_t done = 0; done < len;) {
        ssize_t n = send(fd, buf + done, len - done, MSG_NOSIGNAL);
        if (n < 0 && errno == ENOTSOCK) return vt_write_full(fd, buf + done, len - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        done += (size_t)n;
    }
    return 0;
}

int vt_msg_send(int fd, uint32_t type, const ProtobufCMessage *msg) {
    uint8_t *buf;
    size_t len;
    int rc = vt_msg_pack(type, msg, &buf, &len);
    if (rc) return rc;
    rc = send_full(fd, buf, len);
    free(buf);
    return rc;
}

int vt_msg_recv(int fd, struct vt_frame_buf *b, uint32_t *type, const uint8_t **payload, uint32_t *len) {
    uint8_t *step = NULL;
    int rc;
    while ((rc = vt_frame_buf_next(b, type, payload, len)) == 0) {
        if (!step && !(step = malloc(RECV_STEP))) return -ENOMEM;
        ssize_t n = read(fd, step, RECV_STEP);
        if (n < 0 && errno == EINTR) continue;
        rc = n < 0 ? -errno : n == 0 ? -EPIPE : vt_frame_buf_add(b, step, (size_t)n);
        if (rc) break;
    }
    free(step);
    return rc > 0 ? 0 : rc;
}
