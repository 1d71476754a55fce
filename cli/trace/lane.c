/* Owns the order of the calls of one thread (lane.h). */
#include "cli/trace/lane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/memory.h"

#define ROUNDING_NS 2u /* start and length of a call are rounded each on its own */

struct lane_call {
    uint64_t start, end;
    uint64_t args_at;
    struct trace_name *name;
    struct trace_task *task;
    const struct trace_category *category;
    uint32_t args_len, seq;
    bool has_args, from_attach, raised, open, resumed, suspended;
};

static int grow(void **list, size_t n, size_t *room, size_t size) {
    if (n < *room) return 0;
    size_t more = *room ? *room * 2 : 4;
    void *grown = memory_realloc(*list, more * size);
    if (!grown) return -ENOMEM;
    *list = grown;
    *room = more;
    return 0;
}

/* 0: it fits, start and end may have been moved to fit; 1: it does not fit; -ENOMEM. */
static int fit(struct lane *lane, uint64_t *start, uint64_t *end) {
    if (*end < lane->last_end) {
        if (lane->last_end - *end > ROUNDING_NS) return 1;
        *end = lane->last_end;
    }
    uint64_t first = *start, inside = UINT64_MAX; /* inside: start of the first call inside this one */
    while (lane->nspans && lane->spans[lane->nspans - 1].start >= *start) inside = lane->spans[--lane->nspans].mended;
    uint64_t before = lane->nspans ? lane->spans[lane->nspans - 1].end : 0; /* end of the call before it */
    if (before > *start) {
        if (before - *start > ROUNDING_NS) return 1;
        first = *start = before;
    }
    if (*start >= inside && inside && inside > before) *start = inside - 1;
    if (*end < *start) *end = *start;
    lane->last_end = *end;
    int rc = grow((void **)&lane->spans, lane->nspans, &lane->spans_room, sizeof *lane->spans);
    if (!rc) lane->spans[lane->nspans++] = (struct lane_span){.start = first, .end = *end, .mended = *start};
    return rc;
}

static int hold(struct lane *lane, const struct trace_call *call) {
    int rc = grow((void **)&lane->calls, lane->ncalls, &lane->calls_room, sizeof *lane->calls);
    if (rc || lane->ncalls == UINT32_MAX) return -ENOMEM;
    size_t len = call->args_json ? call->args_json_len : 0;
    while (lane->nargs + len > lane->args_room && !rc) rc = grow((void **)&lane->args, lane->args_room, &lane->args_room, 1);
    if (rc) return rc;
    if (len) memcpy(lane->args + lane->nargs, call->args_json, len);
    lane->calls[lane->ncalls] = (struct lane_call){.start = call->start_ns,
                                                   .end = call->end_ns,
                                                   .name = call->name,
                                                   .task = call->task,
                                                   .category = call->category,
                                                   .seq = (uint32_t)lane->ncalls,
                                                   .args_at = lane->nargs,
                                                   .args_len = (uint32_t)len,
                                                   .has_args = call->args_json != NULL,
                                                   .from_attach = call->from_attach,
                                                   .raised = call->raised,
                                                   .open = call->open,
                                                   .resumed = call->resumed,
                                                   .suspended = call->suspended};
    lane->ncalls++;
    lane->nargs += len;
    return 0;
}

/* Outer calls first: of those that begin and end together the one that the file has last, as callers follow callees. */
static int compare(const void *a, const void *b) {
    const struct lane_call *x = a, *y = b;
    if (x->start != y->start) return x->start < y->start ? -1 : 1;
    if (x->end != y->end) return x->end > y->end ? -1 : 1;
    return x->seq > y->seq ? -1 : 1;
}

static int give(struct lanes *l, const struct trace_call *call) {
    if (call->open)
        l->totals->open += !call->resumed;
    else {
        l->totals->calls += !call->resumed;
        if (call->end_ns - call->start_ns < l->opts->min_duration_ns) {
            l->totals->short_calls += !call->resumed;
            return 0;
        }
    }
    l->lanes[call->thread->index].gave = true;
    return l->ops->call(l->w, call);
}

struct giver {
    struct lanes *l;
    const struct trace_thread *thread;
    struct lane *lane;
    uint32_t *stack; /* calls around the current position */
    size_t depth;
};

/* The number behind "at_line" in the arguments, 0 without one. In a text the quotes would have backslashes. */
static uint32_t line_in(const char *json, size_t len) {
    static const char key[] = "\"at_line\":";
    const char *at = json ? memmem(json, len, key, sizeof key - 1) : NULL;
    uint32_t n = 0;
    if (!at) return 0;
    for (at += sizeof key - 1; at < json + len && *at >= '0' && *at <= '9' && n < UINT32_MAX / 10; at++)
        n = 10 * n + (uint32_t)(*at - '0');
    return n;
}

static int give_held(const struct giver *g, const struct lane_call *held) {
    struct trace_call call = {.thread = g->thread,
                              .name = held->name,
                              .task = held->task,
                              .category = held->category,
                              .start_ns = held->start,
                              .end_ns = held->end,
                              .open = held->open,
                              .from_attach = held->from_attach,
                              .raised = held->raised,
                              .resumed = held->resumed,
                              .suspended = held->suspended,
                              .args_json = held->has_args ? g->lane->args + held->args_at : NULL,
                              .args_json_len = held->args_len};
    if (held->from_attach) call.at_line = line_in(call.args_json, call.args_json_len);
    return give(g->l, &call);
}

/* What is open is around what begins at its end. */
static bool is_over(const struct lane_call *call, const struct lane_call *next) {
    return call->open ? call->end < next->start : call->end <= next->start;
}

static int give_all(struct giver *g) {
    struct lane *lane = g->lane;
    int rc = 0;
    qsort(lane->calls, lane->ncalls, sizeof *lane->calls, compare);
    for (size_t i = 0; i < lane->ncalls && !rc; i++) {
        struct lane_call *call = &lane->calls[i];
        while (g->depth && is_over(&lane->calls[g->stack[g->depth - 1]], call) && !rc)
            rc = give_held(g, &lane->calls[g->stack[--g->depth]]);
        const struct lane_call *around = g->depth ? &lane->calls[g->stack[g->depth - 1]] : NULL;
        if (around && call->end > around->end) {
            if (call->end - around->end > ROUNDING_NS) g->l->totals->cut++;
            call->end = around->end;
        }
        if (around && call->start <= around->start && call->start < call->end) call->start = around->start + 1; /* 1 ns in */
        if (call->start > call->end) call->start = call->end;                                                   /* no room left */
        g->stack[g->depth++] = (uint32_t)i;
    }
    while (g->depth && !rc) rc = give_held(g, &lane->calls[g->stack[--g->depth]]);
    return rc;
}

int lanes_end(struct lanes *l, const struct trace_thread *thread) {
    struct giver g = {.l = l, .thread = thread, .lane = &l->lanes[thread->index]};
    if (l->learns || !g.lane->ncalls) return 0;
    g.stack = memory_alloc(g.lane->ncalls * sizeof *g.stack);
    int rc = g.stack ? give_all(&g) : -ENOMEM;
    memory_free(g.stack);
    return rc;
}

/* ---- all threads ---- */

static void free_lane(struct lane *lane) {
    memory_free(lane->spans);
    memory_free(lane->calls);
    memory_free(lane->args);
    *lane = (struct lane){.holds = lane->holds, .gave = lane->gave};
}

/* Those that short calls which are left out leave something of. */
static uint64_t count_threads(const struct lanes *l) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < l->info->nthreads && i < l->room; i++) n += l->lanes[i].gave;
    return n;
}

int lanes_run(struct lanes *l, const struct lanes_reading *reading, const struct run_opts *opts,
              const struct trace_writer_ops *ops, struct trace_writer *w, struct trace_totals *totals, struct vt_err *err) {
    *totals = (struct trace_totals){.threads = l->info->nshown};
    l->learns = false;
    l->opts = opts;
    l->ops = ops;
    l->w = w;
    l->totals = totals;
    for (size_t i = 0; i < l->room; i++) l->lanes[i].gave = false;
    int rc = ops->begin(w);
    if (!rc) rc = reading->read(reading->ctx, err);
    if (!rc) rc = reading->rest(reading->ctx);
    if (!rc && opts->min_duration_ns) totals->threads = count_threads(l);
    if (!rc && *reading->dropped > totals->dropped) totals->dropped = *reading->dropped;
    if (!rc) rc = ops->end(w, totals);
    if (rc == -ESTALE)
        vt_err_set(err, rc, "%s has changed while it was read; try again when it is complete", reading->path);
    else if (rc)
        vt_err_set(err, rc, "converting the trace: %s", strerror(-rc));
    return rc;
}

int lanes_thread(struct lanes *l, const struct trace_thread *thread) {
    if (thread->index < l->room) return 0;
    size_t room = thread->index * 2u + 16;
    struct lane *grown = memory_realloc(l->lanes, room * sizeof *grown);
    if (!grown) return -ENOMEM;
    memset(grown + l->room, 0, (room - l->room) * sizeof *grown);
    l->lanes = grown;
    l->room = room;
    return 0;
}

void lanes_seen(struct lanes *l, const struct trace_thread *thread, uint64_t from, uint64_t to) {
    if (!l->learns) return;
    if (!l->any || from < l->info->first_ns) l->info->first_ns = from;
    if (!l->any || to > l->info->last_ns) l->info->last_ns = to;
    struct trace_process *process = l->info->processes[thread->process->index];
    if (!process->end_ns || from < process->start_ns) process->start_ns = from;
    if (to > process->end_ns) process->end_ns = to;
    l->any = true;
    l->info->threads[thread->index]->shown = true;
}

int lanes_call(struct lanes *l, const struct trace_call *from) {
    struct lane *lane = &l->lanes[from->thread->index];
    struct trace_call call = *from;
    lanes_seen(l, from->thread, from->start_ns, from->end_ns);
    if (!l->learns) call.at_line = line_in(call.args_json, call.args_json_len);
    if (call.at_line) call.from_attach = true;
    if (lane->holds) return l->learns ? 0 : hold(lane, &call);
    int rc = fit(lane, &call.start_ns, &call.end_ns);
    if (rc == 1) {
        lane->holds = true;
        free_lane(lane);
        return l->learns ? 0 : -ESTALE;
    }
    return rc || l->learns ? rc : give(l, &call);
}

int lanes_open(struct lanes *l, const struct trace_call *from) {
    struct trace_call call = *from;
    call.open = true;
    call.end_ns = from->thread->process->end_ns;
    if (call.end_ns < call.start_ns) call.end_ns = call.start_ns;
    return lanes_call(l, &call);
}

void lanes_clear(struct lanes *l) {
    for (size_t i = 0; i < l->room; i++) free_lane(&l->lanes[i]);
}

void lanes_free(struct lanes *l) {
    lanes_clear(l);
    memory_free(l->lanes);
    l->lanes = NULL;
    l->room = 0;
}
