/* Owns the index of a .vzt of several processes (sections.h). */
#include "cli/format/vzt/sections.h"

#include <errno.h>
#include <string.h>

#include "cli/base/memory.h"
#include "cli/base/text_map.h"
#include "proto/msg.h"

struct reading {
    struct sections *s;
    struct text_map by_number; /* struct section */
    size_t room;
};

void sections_free(struct sections *s) {
    if (!s) return;
    for (size_t i = 0; i < s->n; i++) {
        memory_free(s->list[i]->pieces);
        memory_free(s->list[i]);
    }
    memory_free(s->list);
    memory_free(s);
}

/* NULL: no memory. */
static struct section *section_of(struct reading *r, uint32_t number) {
    struct sections *s = r->s;
    void **slot = text_map_slot(&r->by_number, &number, sizeof number);
    if (!slot || *slot) return slot ? *slot : NULL;
    if (s->n == r->room) {
        size_t room = r->room ? r->room * 2 : 16;
        struct section **grown = memory_realloc(s->list, room * sizeof(struct section *));
        if (!grown) return NULL;
        s->list = grown;
        r->room = room;
    }
    struct section *section = memory_calloc(1, sizeof *section);
    if (!section) return NULL;
    section->number = number;
    s->list[s->n++] = section;
    return *slot = section;
}

static int add_piece(struct section *section, uint64_t offset, uint64_t len) {
    struct vt_trace_piece *last = section->n ? &section->pieces[section->n - 1] : NULL;
    if (section->n == section->room) {
        size_t room = section->room ? section->room * 2 : 4;
        struct vt_trace_piece *grown = memory_realloc(section->pieces, room * sizeof *grown);
        if (!grown) return -ENOMEM;
        last = section->n ? &grown[section->n - 1] : NULL;
        section->pieces = grown;
        section->room = room;
    }
    section->pieces[section->n++] = (struct vt_trace_piece){.at = last ? last->at + last->len : 0, .offset = offset, .len = len};
    return 0;
}

/* A piece that reaches over the end of the file is cut there. */
static int take_section(struct reading *r, const struct vt_trace_frame *frame) {
    struct vt_trace *file = r->s->file;
    ProtobufCMessage *msg;
    int rc = vt_msg_unpack(frame->type, frame->payload, frame->len, &msg);
    if (rc == -EPROTO)
        return vt_err_set(&r->s->damage, -EBADMSG, "damaged at byte %llu: section", (unsigned long long)frame->offset);
    if (rc) return rc;
    const Vt__Section *m = (const void *)msg;
    uint64_t at = vt_trace_pos(file), size = vt_trace_size(file), len = m->bytes;
    uint32_t number = m->number;
    vt_msg_free(msg);
    if (at >= size || len > size - at) {
        r->s->truncated = true;
        len = at < size ? size - at : 0;
    }
    if (!len) return 0;
    struct section *section = section_of(r, number);
    rc = section ? add_piece(section, at, len) : -ENOMEM;
    vt_trace_skip(file, len);
    return rc;
}

static bool has_sections(const struct vt_trace_frame *frame) {
    ProtobufCMessage *msg;
    if (frame->type != VT_FRAME_HEADER || vt_msg_unpack(frame->type, frame->payload, frame->len, &msg)) return false;
    bool has = ((const Vt__TraceHeader *)(const void *)msg)->format == VT_TRACE_FORMAT_SECTIONS;
    vt_msg_free(msg);
    return has;
}

int sections_read(struct vt_trace *t, struct sections **out, struct vt_err *err) {
    struct vt_trace_frame frame;
    struct vt_err why = {0};
    vt_trace_rewind(t);
    int rc = vt_trace_next(t, true, &frame, &why);
    if (rc != 1 || !has_sections(&frame)) {
        vt_trace_rewind(t);
        return 0; /* whatever is wrong: the reader of one process says it */
    }
    struct reading r = {.s = memory_calloc(1, sizeof *r.s)};
    if (!r.s) return vt_err_set(err, -ENOMEM, "out of memory");
    r.s->file = t;
    while ((rc = vt_trace_next(t, true, &frame, &r.s->damage)) == 1) {
        if (frame.type == VT_FRAME_SECTION && (rc = take_section(&r, &frame))) break;
    }
    r.s->truncated |= vt_trace_truncated(t);
    text_map_free(&r.by_number);
    if (rc == -EBADMSG) rc = 0; /* what comes before is good */
    if (rc) {
        vt_err_set(err, rc, "%s", rc == -ENOMEM ? "out of memory" : r.s->damage.msg);
        sections_free(r.s);
        return rc;
    }
    *out = r.s;
    return 1;
}
