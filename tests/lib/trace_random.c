/* Owns the traces of trace_random.h. */
#include "tests/lib/trace_random.h"

#include <check.h>
#include <stdio.h>

#include "cli/convert/convert.h"

enum { EVENTS = 6000, EVENTS_OF_THREAD = 501, DEPTH = 60, NAMES = 19 };

static void put_names(struct trace_build *b) {
    for (uint32_t i = 1; i <= NAMES; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%u", i);
        trace_build_name(b, i, i % 3 == 0, name, i % 3 ? "a.py" : "mod", i % 3 ? i : 0);
    }
}

/* n events of one thread; returns the time of the last one. */
static uint64_t put_events(struct vt_event *ev, size_t n, uint32_t *seed, uint64_t ticks, bool gaps) {
    uint32_t stack[DEPTH], depth = 0;
    for (size_t i = 0; i < n; i++) {
        *seed = *seed * 1664525 + 1013904223;
        ticks += *seed >> 24;
        bool enter = depth == 0 || (depth < DEPTH && (*seed >> 20) % 2);
        if (enter) stack[depth++] = 1 + (*seed >> 8) % NAMES;
        uint32_t id = enter ? stack[depth - 1] : stack[--depth];
        bool piece = (*seed >> 12) % 8 == 0; /* of a generator */
        uint32_t type = id % 3 == 0 ? (enter ? VT_REC_C_CALL : VT_REC_C_RETURN)
                        : enter     ? (piece ? VT_REC_RESUME : VT_REC_CALL)
                                    : (piece ? VT_REC_YIELD : VT_REC_RETURN);
        ev[i] = (struct vt_event){.ticks = ticks, .type = type, .id = id};
        if (gaps && i % 500 == 499 && !enter) ev[i] = (struct vt_event){.type = VT_REC_GAP, .count = i};
    }
    return ticks;
}

void trace_random_build(struct trace_build *b, uint32_t seed, bool gaps) {
    static struct vt_event ev[EVENTS];
    trace_build_open(b);
    put_names(b);
    put_events(ev, EVENTS, &seed, 5000, gaps);
    trace_build_thread(b, 9, 100, 1, "MainThread");
    trace_build_stack(b, 9, 100, 2, (uint32_t[]){1, 2});
    trace_build_block(b, 0, 9, 100, ev, EVENTS);
    trace_build_end(b, 100, 0);
}

void trace_random_threads(struct trace_build *b, const struct trace_random *how) {
    static struct vt_event ev[EVENTS_OF_THREAD];
    uint32_t seed = how->seed;
    uint64_t last = how->from_ns;
    trace_build_open_as(b, how->pid);
    put_names(b);
    for (uint32_t i = 0; i < how->threads; i++) {
        char name[16];
        snprintf(name, sizeof name, "t-%u", i);
        bool runs = i + 1 < how->threads;
        trace_build_thread(b, 10 + i, how->pid + i, runs ? i + 1 : 0, name);
        trace_build_stack(b, 10 + i, how->from_ns, 3, (uint32_t[]){1, 1 + seed % NAMES, 2 + i});
        if (!runs) continue;
        uint64_t end = put_events(ev, EVENTS_OF_THREAD, &seed, how->from_ns + 50 + seed % 5000, how->gaps);
        trace_build_block(b, i, 10 + i, how->pid + i, ev, EVENTS_OF_THREAD);
        if (end > last) last = end;
    }
    if (!how->cut_off) trace_build_end_at(b, how->from_ns, last + how->idle_ns, 0);
}

void trace_random_convert(const char *from, const char *to) {
    struct convert_result result;
    struct vt_err err = {0};
    struct convert_opts opts = {.input = from, .output = to, .no_file_info = true};
    int rc = convert_trace(&opts, &result, &err);
    ck_assert_msg(rc == 0, "%s", err.msg);
}
