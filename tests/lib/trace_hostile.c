/* Owns the making of traces that ask their reader for as much memory as they can. */
#include "tests/lib/trace_hostile.h"

#include <stdlib.h>
#include <string.h>

#define STACK_IDS 8000u
#define NAME_LEN 1000u
#define CALLS 8000u /* in a block of calls that stay open */

static void call_and_return(struct trace_build *b, uint32_t serial, uint32_t id) {
    uint64_t at = 10 * (uint64_t)serial;
    struct vt_event ev[] = {{.ticks = at, .type = VT_REC_CALL, .id = id}, {.ticks = at + 5, .type = VT_REC_RETURN, .id = id}};
    trace_build_block(b, serial, serial + 1, serial + 1, ev, VT_ARRAY_LEN(ev));
}

static void make_threads(struct trace_build *b, uint32_t i) {
    char name[32];
    snprintf(name, sizeof name, "Thread-%u", i);
    trace_build_thread(b, i + 1, i + 1, i + 1, name);
    call_and_return(b, i, 1 + i % 9);
}

/* Stacks of ever new threads, which then have a call. */
static void make_stacks(struct trace_build *b, uint32_t i) {
    static uint32_t ids[STACK_IDS];
    for (uint32_t k = 0; k < STACK_IDS; k++) ids[k] = 1 + (k * (i + 1)) % 9;
    trace_build_thread(b, i + 1, i + 1, i + 1, "t");
    trace_build_stack(b, i + 1, i, STACK_IDS, ids);
    call_and_return(b, i, 1);
}

static void make_names(struct trace_build *b, uint32_t i) {
    char name[NAME_LEN];
    memset(name, 'a' + (int)(i % 26), sizeof name - 1);
    name[snprintf(name, 16, "f%u", i)] = '_';
    name[sizeof name - 1] = 0;
    trace_build_name(b, 100 + i, 0, name, name, i);
    struct vt_event ev[] = {{.ticks = 10 * (uint64_t)i, .type = VT_REC_CALL, .id = 100 + i},
                            {.ticks = 10 * (uint64_t)i + 5, .type = VT_REC_RETURN, .id = 100 + i}};
    trace_build_block(b, 0, 1, 7, ev, VT_ARRAY_LEN(ev));
}

/* CALLS more calls of one thread that do not return. */
static void make_open(struct trace_build *b, uint32_t i) {
    static struct vt_event ev[CALLS];
    uint64_t at = (uint64_t)i * CALLS;
    for (uint32_t k = 0; k < CALLS; k++) ev[k] = (struct vt_event){.ticks = at + k, .type = VT_REC_CALL, .id = 1 + k % 9};
    trace_build_block(b, 0, 1, 7, ev, CALLS);
}

static void make_tasks(struct trace_build *b, uint32_t i) {
    Vt__Task task = VT__TASK__INIT;
    char name[32];
    uint64_t at = 10 * (uint64_t)i;
    task.id = i + 1;
    task.address = i + 1;
    task.name.data = (uint8_t *)name;
    task.name.len = (size_t)snprintf(name, sizeof name, "task-%u", i);
    trace_build_frame(b, VT_FRAME_TASK, &task.base);
    struct vt_event ev[] = {{.ticks = at, .type = VT_REC_TASK, .id = i + 1},
                            {.ticks = at + 1, .type = VT_REC_CALL, .id = 1},
                            {.ticks = at + 5, .type = VT_REC_RETURN, .id = 1}};
    trace_build_block(b, 0, 1, 7, ev, VT_ARRAY_LEN(ev));
}

static const struct {
    const char *name;
    void (*make)(struct trace_build *b, uint32_t i);
} kinds[] = {
    {"threads", make_threads}, {"stacks", make_stacks}, {"names", make_names}, {"open", make_open}, {"tasks", make_tasks}};
const char *const trace_hostile_kinds[] = {"threads", "stacks", "names", "open", "tasks", NULL};

int trace_hostile_make(struct trace_build *b, const char *kind, uint32_t n) {
    for (size_t k = 0; k < VT_ARRAY_LEN(kinds); k++) {
        if (strcmp(kinds[k].name, kind)) continue;
        trace_build_open(b);
        trace_build_letters(b);
        for (uint32_t i = 0; i < n; i++) kinds[k].make(b, i);
        trace_build_end(b, 0, 0);
        trace_build_close(b);
        return 0;
    }
    return -1;
}

void trace_hostile_json(FILE *f, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        fprintf(f, "%s{\"ph\":\"X\",\"pid\":1,\"tid\":%u,\"ts\":%u,\"dur\":1,\"name\":\"f\"}", i ? "," : "[", i, i);
    fputs("]", f);
}
