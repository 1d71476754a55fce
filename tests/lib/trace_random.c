/* Owns the traces of trace_random.h. */
#include "tests/lib/trace_random.h"

#include <check.h>
#include <stdio.h>

#include "cli/convert/convert.h"

enum { EVENTS = 6000, DEPTH = 60, NAMES = 19 };

void trace_random_build(struct trace_build *b, uint32_t seed, bool gaps) {
    static struct vt_event ev[EVENTS];
    uint32_t stack[DEPTH], depth = 0;
    uint64_t ticks = 5000;
    trace_build_open(b);
    for (uint32_t i = 1; i <= NAMES; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%u", i);
        trace_build_name(b, i, i % 3 == 0, name, i % 3 ? "a.py" : "mod", i % 3 ? i : 0);
    }
    for (size_t i = 0; i < EVENTS; i++) {
        seed = seed * 1664525 + 1013904223;
        ticks += seed >> 24;
        bool enter = depth == 0 || (depth < DEPTH && (seed >> 20) % 2);
        if (enter) stack[depth++] = 1 + (seed >> 8) % NAMES;
        uint32_t id = enter ? stack[depth - 1] : stack[--depth];
        uint32_t type = id % 3 ? (enter ? VT_REC_CALL : VT_REC_RETURN) : (enter ? VT_REC_C_CALL : VT_REC_C_RETURN);
        ev[i] = (struct vt_event){.ticks = ticks, .type = type, .id = id};
        if (gaps && i % 500 == 499 && !enter) ev[i] = (struct vt_event){.type = VT_REC_GAP, .count = i};
    }
    trace_build_thread(b, 9, 100, 1, "MainThread");
    trace_build_stack(b, 9, 100, 2, (uint32_t[]){1, 2});
    trace_build_block(b, 0, 9, 100, ev, EVENTS);
    trace_build_end(b, 100, 0);
}

void trace_random_convert(const char *from, const char *to) {
    struct convert_result result;
    struct vt_err err = {0};
    struct convert_opts opts = {.input = from, .output = to, .no_file_info = true};
    int rc = convert_trace(&opts, &result, &err);
    ck_assert_msg(rc == 0, "%s", err.msg);
}
