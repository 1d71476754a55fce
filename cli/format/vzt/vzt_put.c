/* Owns the blocks of a .vzt that is being written (vzt_put.h). */
#include "cli/format/vzt/vzt_put.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/memory.h"

#define OPEN_MAX 128u /* open blocks, about 200 KB each; at one more, all are written */

#define PIECE (256u << 10)  /* a section with more than that is written */
#define HELD_MAX (8u << 20) /* bytes in all sections; then all are written */

static int write_frame(struct output *out, uint32_t type, const ProtobufCMessage *msg) {
    uint8_t *frame;
    size_t len;
    int rc = vt_msg_pack(type, msg, &frame, &len);
    if (rc) return rc;
    output_write(out, frame, len);
    free(frame);
    return output_error(out);
}

static int write_piece(struct vzt_file *f, uint32_t number) {
    struct vzt_section *section = &f->sections[number];
    Vt__Section head = VT__SECTION__INIT;
    if (!section->len) return 0;
    head.number = number;
    head.bytes = (uint32_t)section->len;
    int rc = write_frame(f->out, VT_FRAME_SECTION, &head.base);
    if (!rc) output_write(f->out, section->data, section->len);
    f->held -= section->len;
    section->len = 0;
    return rc ? rc : output_error(f->out);
}

int vzt_file_flush(struct vzt_file *f) {
    int rc = 0;
    for (uint32_t i = 0; f->sections && i < f->nsections && !rc; i++) {
        rc = write_piece(f, i);
        memory_free(f->sections[i].data);
        f->sections[i] = (struct vzt_section){0};
    }
    return rc;
}

int vzt_file_sections(struct vzt_file *f, uint32_t n) {
    Vt__TraceHeader header = VT__TRACE_HEADER__INIT;
    f->sections = memory_calloc(n, sizeof *f->sections);
    if (!f->sections) return -ENOMEM;
    f->nsections = n;
    header.format = VT_TRACE_FORMAT_SECTIONS;
    header.tool_version = (char *)(uintptr_t)VT_VERSION;
    return write_frame(f->out, VT_FRAME_HEADER, &header.base);
}

int vzt_put_frame(struct vzt_file *f, uint32_t number, uint32_t type, const ProtobufCMessage *msg) {
    uint8_t *frame;
    size_t len;
    if (!f->sections) return write_frame(f->out, type, msg);
    int rc = vt_msg_pack(type, msg, &frame, &len);
    if (rc) return rc;
    struct vzt_section *section = &f->sections[number];
    if (section->len + len > section->room) {
        size_t room = section->len + len + (section->len + len) / 2;
        uint8_t *grown = memory_realloc(section->data, room);
        if (!grown) rc = -ENOMEM;
        if (grown) section->data = grown;
        if (grown) section->room = room;
    }
    if (!rc) memcpy(section->data + section->len, frame, len);
    free(frame);
    if (rc) return rc;
    section->len += len;
    f->held += len;
    if (f->held > HELD_MAX) return vzt_file_flush(f);
    return section->len > PIECE ? write_piece(f, number) : 0;
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
    if (p->wrote) p->wrote(p->ctx, s->section, block.events);
    rc = vzt_put_frame(&p->file, s->section, VT_FRAME_BLOCK, &block.base);
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
    for (uint32_t i = 0; i < p->file.nsections; i++) memory_free(p->file.sections[i].data);
    memory_free(p->file.sections);
}
