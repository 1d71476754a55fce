/* Owns the way from the bytes of a .pftrace to its packets (pftrace_read.h). */
#include "cli/format/perfetto/pftrace_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/input.h"
#include "cli/base/memory.h"
#include "cli/base/pb_arena.h"
#include "cli/base/pb_get.h"
#include "cli/base/pb_put.h"
#include "cli/format/perfetto/perfetto_fields.h"

#define PROGRESS_STEP (4u << 20)

/* ---- messages ---- */

uint64_t pftrace_clock_ns(const Pf__Packet *packet, uint32_t clock) {
    const Pf__ClockSnapshot *snapshot = packet->clock_snapshot;
    uint64_t ns = 0;
    for (size_t i = 0; snapshot && i < snapshot->n_clocks; i++)
        if (snapshot->clocks[i]->id == clock) ns = snapshot->clocks[i]->timestamp;
    return ns;
}

/* False when messages nest deeper than `depth`: protobuf-c recurses once per level. */
static bool is_flat(const ProtobufCMessageDescriptor *message, struct pb_bytes in, unsigned depth) {
    struct pb_field f;
    int rc;
    if (in.len < 2 * depth) return true; /* each level takes at least two bytes */
    if (!depth) return false;
    while ((rc = pb_next(&in, &f)) == 1) {
        const ProtobufCFieldDescriptor *field = f.wire == 2 ? protobuf_c_message_descriptor_get_field(message, f.number) : NULL;
        if (field && field->type == PROTOBUF_C_TYPE_MESSAGE && !is_flat(field->descriptor, f.bytes, depth - 1)) return false;
    }
    return rc == 0;
}

/* NULL when the bytes are not a valid packet. */
static Pf__Packet *unpack(struct pb_arena *arena, struct pb_bytes bytes) {
    ProtobufCAllocator allocator = pb_arena_allocator(arena);
    pb_arena_reset(arena);
    if (!is_flat(&pf__packet__descriptor, bytes, PFTRACE_DEPTH_MAX)) return NULL;
    return pf__packet__unpack(&allocator, bytes.len, bytes.data);
}

/* ---- files ---- */

struct packets {
    struct input *file;
    uint64_t at; /* position in the unpacked bytes */
    uint8_t *packet;
    size_t room;
    struct pb_arena arena; /* of the unpacked packet */
};

/* 1 = read; 0 = the end of the file; -1 = the file is cut off here or damaged. */
static int get_byte(struct packets *in, uint8_t *byte) {
    int rc = input_byte(in->file, byte);
    in->at += rc == 1;
    return rc < 0 || (!rc && input_damage(in->file)) ? -1 : rc;
}

/* The length of the next packet: 1; 0 at the end; -EBADMSG. */
static int next_length(struct packets *in, uint64_t *len) {
    uint8_t byte;
    int rc = get_byte(in, &byte);
    if (rc <= 0) return rc ? -EBADMSG : 0;
    if (byte != PB_TAG(TRACE_PACKET, PB_BYTES)) return -EBADMSG;
    *len = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        if (get_byte(in, &byte) != 1) return -EBADMSG;
        *len |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return *len <= PFTRACE_PACKET_MAX ? 1 : -EBADMSG;
    }
    return -EBADMSG;
}

/* 1 and the packet's bytes; 0; -EBADMSG; -ENOMEM. Allocates for the bytes that have arrived, not for the length that the file
 * claims. */
static int next_packet(struct packets *in, struct pb_bytes *packet) {
    uint64_t len;
    size_t got = 0;
    int rc = next_length(in, &len);
    if (rc != 1) return rc;
    while (got < len) {
        size_t step = len - got < (1u << 20) ? (size_t)len - got : 1u << 20;
        if (got + step > in->room) {
            uint8_t *grown = memory_realloc(in->packet, (got + step) * 2);
            if (!grown) return -ENOMEM;
            in->packet = grown;
            in->room = (got + step) * 2;
        }
        size_t n;
        if (input_read(in->file, in->packet + got, step, &n) || !n) return -EBADMSG;
        got += n;
        in->at += n;
    }
    *packet = (struct pb_bytes){in->packet, (size_t)len};
    return 1;
}

/* Our first packet clears the first sequence and gives the times of its clocks, unless the trace was made for a viewer. */
static bool is_ours(const Pf__Packet *p) {
    return p->sequence_id == 1 && (p->flags & PFTRACE_FLAG_CLEARED) && p->defaults &&
           (p->defaults->timestamp_clock_id == PFTRACE_CLOCK_OWN || (!p->defaults->timestamp_clock_id && !p->clock_snapshot)) &&
           p->defaults->event && p->defaults->event->track_uuid && !p->event;
}

static int read_packets(struct packets *in, const char *path, const struct pftrace_handler *h, void *ctx, struct vt_err *damage,
                        struct vt_err *err) {
    struct pb_bytes bytes;
    uint64_t reported = 0, before = 0;
    int rc;
    while ((rc = next_packet(in, &bytes)) == 1) {
        const Pf__Packet *packet = unpack(&in->arena, bytes);
        rc = packet ? 0 : -EBADMSG;
        if (!before && (rc || !is_ours(packet)))
            return vt_err_set(err, -EPROTO, "%s: a Perfetto trace written by another program: open it in Perfetto", path);
        if (!rc) rc = h->packet(ctx, packet);
        if (!rc && h->stop && *h->stop) rc = vt_err_set(err, -EINTR, "interrupted");
        if (rc) break;
        before = in->at;
        if (h->progress && before - reported >= PROGRESS_STEP) {
            reported = before;
            h->progress(h->progress_arg, input_done(in->file), input_size(in->file));
        }
    }
    if (rc != -EBADMSG) return rc;
    if (!before) return vt_err_set(err, rc, "%s: no trace that viztracer can read", path);
    vt_err_set(damage, rc, input_met_end(in->file) ? "the file ends in the middle, at byte %llu" : "damaged at byte %llu",
               (unsigned long long)before);
    return 0;
}

int pftrace_packets(const char *path, const struct pftrace_handler *handler, void *ctx, struct vt_err *damage,
                    struct vt_err *err) {
    struct packets in = {.arena = {.most = PFTRACE_UNPACKED_MAX}};
    int rc = input_open(path, &in.file, err);
    if (rc) return rc;
    rc = read_packets(&in, path, handler, ctx, damage, err);
    if (rc == -ENOMEM) vt_err_set(err, rc, "out of memory");
    if (!rc && handler->left_out) handler->left_out->wrong_checksum = input_checksum_is_wrong(in.file);
    memory_free(in.packet);
    pb_arena_free(&in.arena);
    input_close(in.file);
    return rc;
}
