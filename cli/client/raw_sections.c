/* Owns the pieces of a raw trace of several sessions (raw_sections.h). */
#include "cli/client/raw_sections.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/msg.h"

#define PIECE (256u << 10)
#define HELD_MAX (16u << 20) /* bytes in all sections */
#define OLD_NS 500000000ull

static void note_error(struct raw_sections *r, int rc) {
    if (!r->error) r->error = rc;
}

static void write_bytes(struct raw_sections *r, const void *data, size_t len) {
    if (!r->error && fwrite(data, 1, len, r->file) != len) note_error(r, errno ? -errno : -EIO);
}

static void write_message(struct raw_sections *r, uint32_t type, const ProtobufCMessage *msg) {
    uint8_t *frame;
    size_t len;
    int rc = vt_msg_pack(type, msg, &frame, &len);
    if (rc) {
        note_error(r, rc);
        return;
    }
    write_bytes(r, frame, len);
    r->bytes += len;
    free(frame);
}

void raw_sections_open(struct raw_sections *r, FILE *file) {
    Vt__TraceHeader header = VT__TRACE_HEADER__INIT;
    *r = (struct raw_sections){.file = file};
    header.format = VT_TRACE_FORMAT_SECTIONS;
    header.tool_version = (char *)(uintptr_t)VT_VERSION;
    write_bytes(r, VT_FILE_MAGIC, 8);
    write_message(r, VT_FRAME_HEADER, &header.base);
}

void raw_sections_free(struct raw_sections *r) {
    for (uint32_t i = 0; i < r->n; i++) free(r->list[i].data);
    free(r->list);
    *r = (struct raw_sections){0};
}

int raw_sections_add(struct raw_sections *r) {
    if (r->n == VT_SECTIONS_MAX) return -E2BIG;
    if (r->n == r->room) {
        uint32_t room = r->room ? r->room * 2 : 16;
        struct raw_section *grown = realloc(r->list, room * sizeof *grown);
        if (!grown) return -ENOMEM;
        r->list = grown;
        r->room = room;
    }
    r->list[r->n] = (struct raw_section){0};
    return (int)r->n++;
}

/* Memory is given back: a section may be silent for long. */
static void write_piece(struct raw_sections *r, uint32_t number) {
    struct raw_section *section = &r->list[number];
    Vt__Section head = VT__SECTION__INIT;
    if (section->len) {
        head.number = number;
        head.bytes = (uint32_t)section->len;
        write_message(r, VT_FRAME_SECTION, &head.base);
        write_bytes(r, section->data, section->len);
    }
    r->held -= section->len;
    free(section->data);
    *section = (struct raw_section){0};
}

void raw_sections_put(struct raw_sections *r, int number, uint32_t type, const uint8_t *payload, uint32_t len) {
    struct raw_section *section = &r->list[number];
    size_t need = section->len + VT_FRAME_HDR + len;
    if (r->error) return;
    if (need > section->room) {
        size_t room = need < PIECE ? (need < 4096 ? 4096 : need * 2) : need;
        uint8_t *grown = realloc(section->data, room);
        if (!grown) {
            note_error(r, -ENOMEM);
            return;
        }
        section->data = grown;
        section->room = room;
    }
    if (!section->len) section->since_ns = vt_mono_ns();
    vt_frame_put_header(section->data + section->len, type, payload, len);
    if (len) memcpy(section->data + section->len + VT_FRAME_HDR, payload, len);
    section->len = need;
    r->held += VT_FRAME_HDR + len;
    r->bytes += VT_FRAME_HDR + len;
    if (r->held > HELD_MAX)
        raw_sections_flush_old(r, 0, true);
    else if (section->len > PIECE)
        write_piece(r, (uint32_t)number);
}

int raw_sections_flush(struct raw_sections *r, int number) {
    write_piece(r, (uint32_t)number);
    if (!r->error && fflush(r->file)) note_error(r, errno ? -errno : -EIO);
    return r->error;
}

void raw_sections_flush_old(struct raw_sections *r, uint64_t now_ns, bool all) {
    bool any = false;
    for (uint32_t i = 0; i < r->n; i++) {
        if (!r->list[i].len || (!all && now_ns - r->list[i].since_ns < OLD_NS)) continue;
        write_piece(r, i);
        any = true;
    }
    if (any && !r->error && fflush(r->file)) note_error(r, errno ? -errno : -EIO);
}
