/* Owns the native format as an output: a .vzt from any source (convert.c copies a whole .vzt). Times are ns of the monotonic
 * clock.
 *
 * The events of a thread are in the order of their times. Announced calls (writer.h) are written as they come; gaps and
 * counters wait until the calls around them are known. Where calls are not announced, all calls of a thread wait for the end
 * of the trace (56 bytes each, and their arguments) and are sorted then.
 *
 * - A call whose leave was lost in a gap ends before calls that were announced since. Its leave is not written: it was missing
 *   in the source, too, and the reader works it out again.
 * - Frames that are open at the attach become a Stack frame where the rule of model.h gives them the same times again. It does
 *   so unless the trace was cut; then they are ordinary calls.
 * - A resumed piece of a generator or coroutine begins with RESUME, also where a throw() resumed it.
 * - Several processes become sections: each has its own head, names, tasks and end.
 * - A .vzt has no place for categories of marks, for arguments that are not texts, and for source texts: those are counted. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/json_walk.h"
#include "cli/format/vzt/out_vzt_parts.h"
#include "cli/format/vzt/vzt.h"
#include "proto/abi/arena.h"

#define PENDING_MAX (16u << 20) /* calls */
#define PENDING_BYTES_MAX (1ull << 30)
#define STACK_MAX (1u << 17) /* frames in one Stack frame, which may have 4 MiB */
#define NEVER UINT64_MAX

int out_vzt_refuse(struct trace_writer *w, int rc, const char *text) {
    snprintf(w->unheld.refusal, sizeof w->unheld.refusal, "%s", text);
    return rc;
}

static void vzt_free(struct trace_writer *w) {
    if (!w) return;
    if (w->opts.unheld) *w->opts.unheld = w->unheld;
    vzt_put_free(&w->put);
    for (uint32_t i = 0; w->lanes && i < w->info->nthreads; i++) {
        memory_free(w->lanes[i].stack);
        memory_free(w->lanes[i].lines);
        memory_free(w->lanes[i].list);
        memory_free(w->lanes[i].data);
    }
    text_map_free(&w->tasks);
    args_payload_free(&w->json);
    memory_free(w->put.streams);
    memory_free(w->lanes);
    for (uint32_t i = 0; i < w->nsections; i++) memory_free(w->sections[i].named);
    memory_free(w->sections);
    memory_free(w->origins);
    memory_free(w);
}

static void count_events(void *ctx, uint32_t section, uint32_t events) {
    struct trace_writer *w = ctx;
    w->sections[section].events += events;
}

static struct trace_writer *vzt_open(struct output *out, struct trace_info *info, const struct writer_opts *opts) {
    struct trace_writer *w = memory_calloc(1, sizeof *w);
    if (!w) return NULL;
    w->info = info;
    w->opts = *opts;
    w->put.file.out = out;
    w->put.wrote = count_events;
    w->put.ctx = w;
    w->put.nstreams = info->nthreads;
    w->put.streams = memory_calloc(info->nthreads + 1u, sizeof *w->put.streams);
    w->lanes = memory_calloc(info->nthreads + 1u, sizeof *w->lanes);
    if (w->put.streams && w->lanes) return w;
    vzt_free(w);
    return NULL;
}

/* ---- tasks ---- */

static int task_id(struct trace_writer *w, uint32_t section, const struct trace_task *from, uint32_t *id) {
    struct {
        const struct trace_task *task;
        uint64_t section;
    } key = {from, section};
    *id = 0;
    if (!from) return 0;
    void **slot = text_map_slot(&w->tasks, &key, sizeof key);
    if (!slot) return -ENOMEM;
    if (!*slot) {
        if (w->ntasks == VT_ID_MAX) return 0;
        *slot = (void *)(uintptr_t)++w->ntasks;
        Vt__Task to = VT__TASK__INIT;
        to.id = w->ntasks;
        to.address = from->address;
        to.name = (ProtobufCBinaryData){from->name_len < VT_PAYLOAD_MAX ? from->name_len : VT_PAYLOAD_MAX, (uint8_t *)from->name};
        int rc = vzt_put_frame(&w->put.file, section, VT_FRAME_TASK, &to.base);
        if (rc) return rc;
    }
    *id = (uint32_t)(uintptr_t)*slot;
    return 0;
}

/* ---- events ---- */

static int put_task(struct trace_writer *w, uint32_t at, uint64_t ns, uint32_t task) {
    w->lanes[at].task = task;
    w->lanes[at].events = true;
    return vzt_put_event(&w->put, at, ns, VT_REC_TASK, task);
}

/* A frame that was open at the attach goes into the Stack frame if it fits there. 1: it did; 0; -ENOMEM. */
static int on_stack(struct lane *lane, const struct pending *p) {
    if (!p->from_attach || lane->events || p->has_args || p->task || !p->start || lane->nstack == STACK_MAX) return 0;
    if (lane->nstack && p->start != lane->stack_ns + 1) return 0;
    if (lane->nstack == lane->stack_room) {
        uint32_t room = lane->stack_room ? lane->stack_room * 2 : 16;
        uint32_t *grown = memory_realloc(lane->stack, room * sizeof *grown);
        if (!grown) return -ENOMEM;
        lane->stack = grown;
        grown = memory_realloc(lane->lines, room * sizeof *grown);
        if (!grown) return -ENOMEM;
        lane->lines = grown;
        lane->stack_room = room;
    }
    lane->lines[lane->nstack] = p->at_line;
    lane->stack[lane->nstack++] = p->id;
    lane->stack_ns = p->start;
    return 1;
}

static int put_enter(struct trace_writer *w, uint32_t at, const struct pending *p, const uint8_t *args) {
    struct lane *lane = &w->lanes[at];
    int rc = on_stack(lane, p);
    w->sections[w->put.streams[at].section].calls += !p->resumed;
    if (rc) return rc < 0 ? rc : 0;
    lane->events = true;
    if (p->task != lane->task) rc = put_task(w, at, p->start, p->task);
    if (!rc && p->has_args) rc = vzt_put_payload(&w->put, at, p->start, VT_PL_ARGS, args, p->args_len);
    return rc ? rc : vzt_put_event(&w->put, at, p->start, p->c ? VT_REC_C_CALL : p->resumed ? VT_REC_RESUME : VT_REC_CALL, p->id);
}

static int put_leave(struct trace_writer *w, uint32_t at, const struct pending *p, const uint8_t *retval) {
    static const uint8_t types[2][2] = {{VT_REC_RETURN, VT_REC_UNWIND}, {VT_REC_C_RETURN, VT_REC_C_RAISE}};
    int rc = 0;
    w->lanes[at].events = true;
    if (p->has_retval) rc = vzt_put_payload(&w->put, at, p->end, VT_PL_RETVAL, retval, p->retval_len);
    uint32_t type = p->suspended && !p->c ? VT_REC_YIELD : types[p->c][p->raised];
    return rc ? rc : vzt_put_event(&w->put, at, p->end, type, p->id);
}

/* The bytes that were kept of p, from byte `at` on. */
static const uint8_t *kept(const struct lane *lane, const struct pending *p, size_t at) {
    return lane->data ? lane->data + p->data + at : NULL;
}

/* A gap or a counter has the time of the event before it. This writes an event that changes nothing, for its time. */
static int put_moment(struct trace_writer *w, uint32_t at, const struct pending *p) {
    int rc = put_task(w, at, p->start, w->lanes[at].task);
    if (rc) return rc;
    if (p->what == GAP) return vzt_put_gap(&w->put, at, p->start, p->end);
    if (p->what == MARK) return vzt_put_payload(&w->put, at, p->start, VT_PL_MARK, kept(&w->lanes[at], p, 0), p->args_len);
    return vzt_put_payload(&w->put, at, p->start, VT_PL_COUNTER, kept(&w->lanes[at], p, 0), p->args_len);
}

/* ---- what waits ---- */

static void *grown_to(void *list, size_t need, size_t *room, size_t size) {
    if (need <= *room) return list;
    size_t more = need + need / 2 + 64;
    void *grown = memory_realloc(list, more * size);
    if (grown) *room = more;
    return grown;
}

static int keep(struct trace_writer *w, struct lane *lane, struct pending *p, const void *args, const void *retval) {
    size_t len = (size_t)p->args_len + p->retval_len;
    if (w->pending >= PENDING_MAX || w->pending_bytes + len > PENDING_BYTES_MAX)
        return out_vzt_refuse(
            w, -E2BIG,
            "too many calls of this kind of trace for a .vzt, all of them have to be sorted in memory; take a part with "
            "--slice, or name the output .json");
    struct pending *list = grown_to(lane->list, lane->n + 1, &lane->room, sizeof *list);
    if (!list) return -ENOMEM;
    lane->list = list;
    uint8_t *data = len ? grown_to(lane->data, lane->ndata + len, &lane->data_room, 1) : lane->data;
    if (len && !data) return -ENOMEM;
    lane->data = data;
    p->data = lane->ndata;
    p->seq = (uint32_t)lane->n;
    if (p->args_len) memcpy(data + lane->ndata, args, p->args_len);
    if (p->retval_len) memcpy(data + lane->ndata + p->args_len, retval, p->retval_len);
    lane->ndata += len;
    lane->list[lane->n++] = *p;
    w->pending++;
    w->pending_bytes += len;
    return 0;
}

/* Writes the gaps and counters before `ns` of a lane whose calls are announced. */
static int put_moments(struct trace_writer *w, uint32_t at, uint64_t ns) {
    struct lane *lane = &w->lanes[at];
    int rc = 0;
    while (lane->first < lane->n && lane->list[lane->first].start < ns && !rc) rc = put_moment(w, at, &lane->list[lane->first++]);
    if (lane->first < lane->n || !lane->n) return rc;
    w->pending -= lane->n;
    w->pending_bytes -= lane->ndata;
    lane->first = lane->n = lane->ndata = 0;
    return rc;
}

/* Outer calls first. Of equal calls the one that was told last is the outer one, except for open calls, which are told in the
 * order of their enters. A call without duration lies beside a call that begins at the same time. Gaps and counters come last. */
static int compare(const void *a, const void *b) {
    const struct pending *x = a, *y = b;
    if (x->start != y->start) return x->start < y->start ? -1 : 1;
    if ((x->what == CALL) != (y->what == CALL)) return x->what == CALL ? -1 : 1;
    if (x->what != CALL) return x->seq < y->seq ? -1 : 1;
    bool nothing = x->end == x->start, none = y->end == y->start;
    if (nothing != none) return nothing ? -1 : 1;
    if (x->end != y->end) return x->end > y->end ? -1 : 1;
    return (x->seq < y->seq) == nothing ? -1 : 1;
}

/* What is open at the end of a thread has no leave; the thread says until when it was open. */
static void leave_open(struct lane *lane, const struct pending *p) {
    if (p->end > lane->open_end_ns) lane->open_end_ns = p->end;
}

static int put_leaves(struct trace_writer *w, uint32_t at, const uint32_t *stack, size_t *depth, uint64_t ns) {
    const struct lane *lane = &w->lanes[at];
    int rc = 0;
    while (*depth && !rc) {
        const struct pending *top = &lane->list[stack[*depth - 1]];
        if (top->end > ns || (top->open && top->end == ns)) break; /* what is open is around what begins at its end */
        if (ns == NEVER && top->open)
            leave_open(&w->lanes[at], top);
        else
            rc = put_leave(w, at, top, kept(lane, top, top->args_len));
        --*depth;
    }
    return rc;
}

static int put_held(struct trace_writer *w, uint32_t at) {
    struct lane *lane = &w->lanes[at];
    uint32_t *stack = memory_alloc(lane->n * sizeof *stack + 1);
    size_t depth = 0;
    int rc = stack ? 0 : -ENOMEM;
    if (lane->n) qsort(lane->list, lane->n, sizeof *lane->list, compare);
    for (size_t i = 0; i < lane->n && !rc; i++) {
        const struct pending *p = &lane->list[i];
        rc = put_leaves(w, at, stack, &depth, p->start);
        if (rc) break;
        if (p->what != CALL) {
            rc = put_moment(w, at, p);
            continue;
        }
        rc = put_enter(w, at, p, kept(lane, p, 0));
        stack[depth++] = (uint32_t)i;
    }
    if (!rc) rc = put_leaves(w, at, stack, &depth, NEVER);
    memory_free(stack);
    return rc;
}

/* ---- writer ---- */

/* Fills in what is known of a call so far; args and retval may point into w->json. */
static int from_call(struct trace_writer *w, const struct trace_call *call, struct pending *p, const uint8_t **args,
                     const uint8_t **retval) {
    *p = (struct pending){.start = call->start_ns,
                          .end = call->end_ns,
                          .open = call->open,
                          .what = CALL,
                          .c = call->name->kind != 0,
                          .raised = call->raised,
                          /* a Stack frame has Python functions, and system calls that the reader knows as such */
                          .from_attach = call->from_attach && (!call->name->kind || call->name->inside),
                          .resumed = call->resumed,
                          .suspended = call->suspended,
                          .at_line = call->at_line,
                          .has_args = call->args != NULL,
                          .has_retval = call->retval != NULL && !call->open,
                          .args_len = call->args ? call->args_len : 0,
                          .retval_len = call->retval && !call->open ? call->retval_len : 0};
    *args = call->args;
    *retval = call->retval;
    uint32_t section = w->put.streams[call->thread->index].section;
    int rc = out_vzt_name(w, section, call->name, &p->id);
    if (!rc) rc = task_id(w, section, call->task, &p->task);
    if (rc || !call->args_json) return rc;
    if (call->args || call->retval) { /* those of a .vzt; what is said beside them has no place here */
        w->unheld.args += !call->from_attach;
        return 0;
    }
    rc = args_payload_from_json(&w->json, call->args_json, call->args_json_len);
    if (rc) return rc;
    bool lost = w->json.rest || (w->json.has_retval && call->open);
    w->unheld.args += lost;
    p->has_args = w->json.has_args;
    p->args_len = (uint32_t)w->json.args.len;
    *args = (const uint8_t *)w->json.args.data;
    p->has_retval = w->json.has_retval && !call->open;
    p->retval_len = p->has_retval ? (uint32_t)w->json.retval.len : 0;
    *retval = (const uint8_t *)w->json.retval.data;
    return 0;
}

static int vzt_enter(struct trace_writer *w, const struct trace_call *call) {
    const uint8_t *args, *retval;
    struct pending p;
    int rc = from_call(w, call, &p, &args, &retval);
    if (!rc) rc = put_moments(w, call->thread->index, p.start);
    return rc ? rc : put_enter(w, call->thread->index, &p, args);
}

static int vzt_call(struct trace_writer *w, const struct trace_call *call) {
    uint32_t at = call->thread->index;
    struct lane *lane = &w->lanes[at];
    const uint8_t *args, *retval;
    struct pending p;
    int rc = from_call(w, call, &p, &args, &retval);
    if (rc) return rc;
    if (!call->announced && !call->in_order) lane->holds = true;
    if (lane->holds) return keep(w, lane, &p, args, retval);
    if (!call->announced) {
        rc = put_moments(w, at, p.start);
        if (!rc) rc = put_enter(w, at, &p, args);
    }
    if (rc) return rc;
    if (call->open) {
        leave_open(lane, &p);
        return 0;
    }
    rc = put_moments(w, at, p.end);
    bool lost = w->put.streams[at].started && p.end < w->put.streams[at].last_ns;
    return rc || lost ? rc : put_leave(w, at, &p, retval);
}

static int vzt_gap(struct trace_writer *w, const struct trace_gap *gap) {
    struct pending p = {.what = GAP, .start = gap->ns, .end = gap->count};
    uint64_t *dropped = &w->sections[w->put.streams[gap->thread->index].section].dropped;
    *dropped = gap->count > UINT64_MAX - *dropped ? UINT64_MAX : *dropped + gap->count;
    return keep(w, &w->lanes[gap->thread->index], &p, NULL, NULL);
}

static int vzt_counter(struct trace_writer *w, const struct trace_counter *counter) {
    struct pending p = {.what = COUNTER, .start = counter->ns, .args_len = sizeof counter->value};
    return keep(w, &w->lanes[counter->thread->index], &p, &counter->value, NULL);
}

struct collection {
    struct vt_pl_counter value;
    unsigned seen;
    bool other;
};
static void take_number(void *arg, const char *key, size_t len, double v) {
    struct collection *c = arg;
    static const char *const names[] = {"collecting", "collected", "uncollectable"};
    uint64_t *const to[] = {&c->value.collecting, &c->value.collected, &c->value.uncollectable};
    for (unsigned i = 0; i < VT_ARRAY_LEN(names); i++) {
        if (len != strlen(names[i]) || memcmp(key, names[i], len) || !(v >= 0 && v <= 9e15)) continue;
        *to[i] = (uint64_t)v;
        c->seen |= 1u << i;
        return;
    }
    c->other = true;
}

/* What a payload has no room for is left out, and counted. */
static int keep_mark(struct trace_writer *w, const struct trace_mark *mark) {
    uint8_t payload[VT_PAYLOAD_MAX];
    size_t len = sizeof(struct vt_pl_mark) + mark->name_len + mark->id_len + mark->args_json_len;
    bool fits = mark->name_len <= UINT16_MAX && mark->id_len <= UINT16_MAX && len <= sizeof payload;
    bool usual = !mark->bind && (!mark->cat || (mark->cat_len == 7 && !memcmp(mark->cat, "INSTANT", 7)));
    w->unheld.marks += !fits || !usual;
    if (!fits) return 0;
    struct vt_pl_mark head = {.ticks = mark->ns, /* ticks of the file are ns */
                              .args_len = (uint32_t)mark->args_json_len,
                              .name_len = (uint16_t)mark->name_len,
                              .id_len = (uint16_t)mark->id_len,
                              .ph = (uint8_t)mark->ph,
                              .scope = (uint8_t)mark->scope};
    uint8_t *to = payload;
    memcpy(to, &head, sizeof head);
    memcpy(to += sizeof head, mark->name, mark->name_len);
    if (mark->id_len) memcpy(to + mark->name_len, mark->id, mark->id_len);
    if (mark->args_json_len) memcpy(to + mark->name_len + mark->id_len, mark->args_json, mark->args_json_len);
    struct pending p = {.what = MARK, .start = mark->ns, .args_len = (uint32_t)len};
    return keep(w, &w->lanes[mark->thread->index], &p, payload, NULL);
}

/* A JSON trace has garbage collections as counter marks. */
static int vzt_mark(struct trace_writer *w, const struct trace_mark *mark) {
    if (mark->derived) return 0;
    struct collection c = {.seen = 0};
    if (mark->ph == 'C' && mark->name_len == 18 && !memcmp(mark->name, "garbage collection", 18) && mark->args_json)
        json_numbers(mark->args_json, mark->args_json_len, take_number, &c);
    if (c.seen == 7 && !c.other)
        return vzt_counter(w, &(struct trace_counter){.thread = mark->thread, .ns = mark->ns, .value = c.value});
    return keep_mark(w, mark);
}

static int vzt_end(struct trace_writer *w, const struct trace_totals *totals) {
    int rc = 0;
    for (uint32_t i = 0; i < w->info->nthreads && !rc; i++) {
        struct lane *lane = &w->lanes[i];
        rc = lane->holds ? put_held(w, i) : put_moments(w, i, NEVER);
        memory_free(lane->list);
        memory_free(lane->data);
        lane->list = NULL;
        lane->data = NULL;
    }
    if (!rc) rc = vzt_put_flush(&w->put);
    return rc ? rc : out_vzt_end(w, totals);
}

const struct trace_writer_ops out_vzt = {
    .open = vzt_open,
    .begin = vzt_begin,
    .enter = vzt_enter,
    .call = vzt_call,
    .gap = vzt_gap,
    .counter = vzt_counter,
    .mark = vzt_mark,
    .end = vzt_end,
    .free = vzt_free,
};
