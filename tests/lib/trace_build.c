/* Owns the making of test traces (trace_build.h). */
#include "tests/lib/trace_build.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/abi/arena.h"

static void must(int ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "trace_build: %s failed\n", what);
    abort();
}

void trace_build_open_bare(struct trace_build *b) {
    snprintf(b->path, sizeof b->path, "%s/trace-build-XXXXXX", "/tmp");
    must((b->fd = mkostemp(b->path, O_CLOEXEC)) >= 0, "mkostemp");
    must((b->enc = vt_block_enc_new()) != NULL, "encoder");
    must(vt_write_full(b->fd, VT_FILE_MAGIC, 8) == 0, "write");
}

static void open_with(struct trace_build *b, uint32_t pid, const char *cmdline, const char *options) {
    trace_build_open_bare(b);
    Vt__TraceHeader header = VT__TRACE_HEADER__INIT;
    header.format = VT_TRACE_FORMAT;
    header.pid = pid;
    header.clock = VT_CLOCK_MONOTONIC_NS;
    header.uid = (uint32_t)getuid();
    header.cmdline = (char *)cmdline;
    header.options = (char *)options;
    trace_build_frame(b, VT_FRAME_HEADER, &header.base);
    Vt__Clock clock = VT__CLOCK__INIT;
    clock.real_ns = 5000000000ull;
    clock.hz = 1000000000;
    trace_build_frame(b, VT_FRAME_CLOCK, &clock.base);
}

void trace_build_open(struct trace_build *b) { open_with(b, 100, "", ""); }
void trace_build_open_as(struct trace_build *b, uint32_t pid) { open_with(b, pid, "", ""); }
void trace_build_open_of(struct trace_build *b, const char *cmdline) { open_with(b, 100, cmdline, ""); }
void trace_build_open_with(struct trace_build *b, const char *options) { open_with(b, 100, "", options); }

void trace_build_close(struct trace_build *b) {
    vt_close(&b->fd);
    vt_block_enc_free(b->enc);
    b->enc = NULL;
}

void trace_build_remove(struct trace_build *b) {
    trace_build_close(b);
    unlink(b->path);
}

void trace_build_frame(struct trace_build *b, uint32_t type, const ProtobufCMessage *msg) {
    must(vt_msg_send(b->fd, type, msg) == 0, "frame");
}

static ProtobufCBinaryData bytes(const char *text) { return (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text}; }

void trace_build_name(struct trace_build *b, uint32_t id, uint32_t kind, const char *name, const char *file, uint32_t line) {
    Vt__Name one = VT__NAME__INIT, *list[] = {&one};
    Vt__Names names = VT__NAMES__INIT;
    one.id = id;
    one.kind = kind;
    one.line = line;
    one.name = bytes(name);
    one.file = bytes(file);
    names.n_names = 1;
    names.names = list;
    trace_build_frame(b, VT_FRAME_NAMES, &names.base);
}

void trace_build_thread(struct trace_build *b, uint64_t ident, uint32_t tid, uint32_t serial_plus_1, const char *name) {
    Vt__Thread thread = VT__THREAD__INIT;
    thread.ident = ident;
    thread.tid = tid;
    thread.serial = serial_plus_1;
    thread.name = bytes(name);
    trace_build_frame(b, VT_FRAME_THREAD, &thread.base);
}

void trace_build_stack(struct trace_build *b, uint64_t ident, uint64_t ticks, size_t n, const uint32_t *ids) {
    trace_build_stack_at(b, ident, ticks, n, ids, NULL);
}

void trace_build_stack_at(struct trace_build *b, uint64_t ident, uint64_t ticks, size_t n, const uint32_t *ids,
                          const uint32_t *lines) {
    Vt__Stack stack = VT__STACK__INIT;
    stack.ident = ident;
    stack.ticks = ticks;
    stack.n_ids = n;
    stack.ids = (uint32_t *)(uintptr_t)ids;
    stack.n_lines = lines ? n : 0;
    stack.lines = (uint32_t *)(uintptr_t)lines;
    trace_build_frame(b, VT_FRAME_STACK, &stack.base);
}

void trace_build_block(struct trace_build *b, uint32_t serial, uint64_t ident, uint32_t tid, const struct vt_event *ev,
                       size_t n) {
    uint64_t base = n ? ev[0].ticks : 0, now = base;
    const uint8_t *data;
    size_t len;
    uint32_t raw_len;
    vt_block_begin(b->enc, base);
    for (size_t i = 0; i < n; i++) {
        if (ev[i].type == VT_REC_PAYLOAD) {
            must(vt_block_payload(b->enc, ev[i].id, ev[i].payload, ev[i].payload_len) == 0, "payload");
        } else if (ev[i].type == VT_REC_GAP) {
            must(vt_block_gap(b->enc, ev[i].count) == 0, "gap");
        } else {
            now = ev[i].ticks & ~((1ull << VT_REC_TS_BITS) - 1) ? ev[i].ticks : now; /* upper bits as an EPOCH would give */
            uint64_t rec = vt_rec_make(ev[i].ticks, ev[i].id, ev[i].type);
            must(vt_block_put(b->enc, &rec, 1, &now) == 1, "event");
        }
    }
    must(vt_block_finish(b->enc, &data, &len, &raw_len) == 0, "finish");
    Vt__Block block = VT__BLOCK__INIT;
    block.serial = serial;
    block.ident = ident;
    block.tid = tid;
    block.base_ticks = base;
    block.last_ticks = now;
    block.events = vt_block_count(b->enc);
    block.raw_len = raw_len;
    block.data = (ProtobufCBinaryData){len, (uint8_t *)(uintptr_t)data};
    trace_build_frame(b, VT_FRAME_BLOCK, &block.base);
}

void trace_build_letters(struct trace_build *b) {
    for (uint32_t id = 1; id <= 9; id++) trace_build_name(b, id, 0, (char[]){(char)('a' + id - 1), 0}, "x.py", id);
}

void trace_build_calls(struct trace_build *b, uint32_t serial, uint64_t ident, uint64_t ticks, uint64_t step, const char *text) {
    static const struct {
        char sign;
        uint8_t type;
    } enters[] = {{'(', VT_REC_CALL}, {'[', VT_REC_C_CALL}, {'{', VT_REC_RESUME}, {'<', VT_REC_THROW}},
      leaves[] = {{')', VT_REC_RETURN}, {']', VT_REC_C_RETURN}, {'}', VT_REC_YIELD}, {'!', VT_REC_UNWIND}, {'#', VT_REC_C_RAISE}};
    struct vt_event ev[64];
    size_t n = 0;
    for (; *text; text++) {
        uint32_t type = 0;
        if (*text == ' ') continue;
        must(n < VT_ARRAY_LEN(ev), "events of a text");
        if (*text == '~') {
            ev[n++] = (struct vt_event){.type = VT_REC_GAP, .count = 3};
            continue;
        }
        for (size_t i = 0; i < VT_ARRAY_LEN(enters); i++)
            if (*text == enters[i].sign) type = enters[i].type;
        if (type) text++;
        uint32_t id = (uint32_t)(*text - 'a') + 1;
        if (!type) text++;
        for (size_t i = 0; i < VT_ARRAY_LEN(leaves) && !type; i++)
            if (*text == leaves[i].sign) type = leaves[i].type;
        must(type != 0, text);
        ev[n++] = (struct vt_event){.ticks = ticks, .type = type, .id = id};
        ticks += step;
    }
    trace_build_block(b, serial, ident, 7, ev, n);
}

void trace_build_end(struct trace_build *b, uint64_t hooks_on, uint64_t dropped) { trace_build_end_at(b, hooks_on, 0, dropped); }

void trace_build_end_at(struct trace_build *b, uint64_t hooks_on, uint64_t hooks_off, uint64_t dropped) {
    Vt__End end = VT__END__INIT;
    end.hooks_on_ticks = hooks_on;
    end.hooks_off_ticks = hooks_off;
    end.dropped = dropped;
    trace_build_frame(b, VT_FRAME_END, &end.base);
}

char *trace_build_slurp(const char *path, size_t *len) {
    FILE *f = fopen(path, "rb");
    must(f != NULL, path);
    size_t size = 0, room = 4096, n;
    char *text = malloc(room + 1);
    while ((n = fread(text + size, 1, room - size, f)) > 0) {
        size += n;
        if (size == room) text = realloc(text, (room *= 2) + 1);
        must(text != NULL, "memory");
    }
    fclose(f);
    text[size] = 0;
    if (len) *len = size;
    return text;
}
