/* Owns the blocks of a .vzt that is being written (vzt_put.h). */
#include "cli/format/vzt/vzt_put.h"

#include <errno.h>
#include <stdlib.h>

#define OPEN_MAX 128u /* open blocks, about 200 KB each; at one more, all are written */

int vzt_put_frame(struct output *out, uint32_t type, const ProtobufCMessage *msg) {
    uint8_t *frame;
    size_t len;
    int rc = vt_msg_pack(type, msg, &frame, &len);
    if (rc) return rc;
    output_write(out, frame, len);
    free(frame);
    return output_error(out);
}

static int finish(struct vzt_put *p, uint32_t number) {
    struct vzt_stream *s = &p->streams[number];
    Vt__Block block = VT__BLOCK__INIT;
    const uint8_t *data;
    size_t len;
    int rc = vt_block_finish(s->enc, &data, &len, &block.raw_len);
    if (rc) return rc;
    block.serial = number;
    block.ident = s->ident;
    block.tid = s->tid;
    block.base_ticks = s->base_ns;
    block.last_ticks = s->last_ns;
    block.events = vt_block_count(s->enc);
    block.data = (ProtobufCBinaryData){len, (uint8_t *)(uintptr_t)data};
    p->events += block.events;
    rc = vzt_put_frame(p->out, VT_FRAME_BLOCK, &block.base);
    s->base_ns = s->last_ns;
    vt_block_begin(s->enc, s->base_ns);
    return rc;
}

int vzt_put_flush(struct vzt_put *p) {
    int rc = 0;
    for (uint32_t i = 0; i < p->nstreams && !rc && p->nopen; i++) {
        struct vzt_stream *s = &p->streams[i];
        if (!s->enc) continue;
        if (vt_block_count(s->enc)) rc = finish(p, i);
        vt_block_enc_free(s->enc);
        s->enc = NULL;
        p->nopen--;
    }
    return rc;
}

static int ready(struct vzt_put *p, uint32_t number, uint64_t ns) {
    struct vzt_stream *s = &p->streams[number];
    if (s->enc) return 0;
    int rc = p->nopen >= OPEN_MAX ? vzt_put_flush(p) : 0;
    if (rc) return rc;
    if (!(s->enc = vt_block_enc_new())) return -ENOMEM;
    p->nopen++;
    if (!s->started) s->last_ns = ns;
    s->started = true;
    s->base_ns = s->last_ns;
    vt_block_begin(s->enc, s->base_ns);
    return 0;
}

int vzt_put_event(struct vzt_put *p, uint32_t number, uint64_t ns, uint32_t type, uint32_t id) {
    int rc = ready(p, number, ns);
    struct vzt_stream *s = &p->streams[number];
    if (rc) return rc;
    if (ns > s->last_ns) s->last_ns = ns;
    uint64_t record = vt_rec_make(s->last_ns, id, type);
    if (vt_block_put(s->enc, &record, 1, &s->last_ns) == 1) return 0;
    rc = finish(p, number);
    return rc ? rc : vt_block_put(s->enc, &record, 1, &s->last_ns) == 1 ? 0 : -EINVAL;
}

int vzt_put_payload(struct vzt_put *p, uint32_t number, uint64_t ns, uint32_t kind, const void *data, uint32_t len) {
    int rc = ready(p, number, ns);
    if (!rc) rc = vt_block_payload(p->streams[number].enc, kind, data, len);
    if (rc != -ENOSPC) return rc;
    rc = finish(p, number);
    return rc ? rc : vt_block_payload(p->streams[number].enc, kind, data, len);
}

int vzt_put_gap(struct vzt_put *p, uint32_t number, uint64_t ns, uint64_t count) {
    int rc = ready(p, number, ns);
    if (!rc) rc = vt_block_gap(p->streams[number].enc, count);
    if (rc != -ENOSPC) return rc;
    rc = finish(p, number);
    return rc ? rc : vt_block_gap(p->streams[number].enc, count);
}

void vzt_put_free(struct vzt_put *p) {
    for (uint32_t i = 0; i < p->nstreams && p->streams; i++) vt_block_enc_free(p->streams[i].enc);
}
