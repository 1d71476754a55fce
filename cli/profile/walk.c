/* Owns the stacks of a walk (walk.h): entering, leaving, own time, the playback of calls that came without their beginnings. */
#include "cli/profile/walk.h"
#include "proto/abi/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/memory.h"

/* Room of a thread at first: traces may have millions of threads with few calls. */
#define FRAMES_FIRST 8u /* a power of two */
#define CALLS_FIRST 4u

/* A call that waits for the end. */
struct walk_call {
    uint64_t start_ns, end_ns;
    uint32_t fn : 26; /* as many as there are ids */
    uint32_t open : 1, from_attach : 1, raised : 1, resumed : 1;
    uint32_t order; /* within the thread; wraps beyond 4 G calls of one thread, where it no longer matters */
};

/* ---- functions: names by what they say ---- */

static uint64_t hash_name(const struct trace_name *n) {
    uint64_t h = vt_hash(VT_HASH_START ^ n->kind, n->name, n->name_len);
    h = vt_hash(vt_hash(h, &n->line, sizeof n->line), n->file, n->file_len);
    return h ^ h >> 29;
}

static bool same_name(const struct trace_name *a, const struct trace_name *b) {
    return a->kind == b->kind && a->line == b->line && a->name_len == b->name_len && a->file_len == b->file_len &&
           (!a->name_len || !memcmp(a->name, b->name, a->name_len)) && (!a->file_len || !memcmp(a->file, b->file, a->file_len));
}

/* table: open addressing, function + 1. */
static void add_function(struct trace_writer *w, uint32_t *table, uint32_t mask, struct trace_name *name) {
    uint32_t at = (uint32_t)hash_name(name) & mask;
    if (name->index >= w->info->nnames) return;
    while (table[at] && !same_name(w->functions[table[at] - 1], name)) at = (at + 1) & mask;
    if (!table[at] && w->nfunctions < w->info->nnames) {
        w->functions[w->nfunctions] = name;
        table[at] = ++w->nfunctions;
    }
    if (table[at]) w->function_of[name->index] = table[at] - 1;
}

static int find_functions(struct trace_writer *w) {
    uint32_t mask = 1, n = w->info->nnames;
    while (mask < 2 * (uint64_t)n + 2) mask *= 2;
    uint32_t *table = memory_calloc(mask--, sizeof *table);
    w->functions = memory_calloc(n + 1u, sizeof(struct trace_name *));
    w->function_of = memory_calloc(n + 1u, sizeof *w->function_of);
    if (!table || !w->functions || !w->function_of) {
        memory_free(table);
        return -ENOMEM;
    }
    add_function(w, table, mask, &w->info->unknown);
    for (uint32_t p = 0; p < w->info->names.npages; p++)
        for (uint32_t k = 0; w->info->names.pages[p] && k < ID_TABLE_PAGE; k++)
            if (w->info->names.pages[p][k]) add_function(w, table, mask, w->info->names.pages[p][k]);
    memory_free(table);
    return 0;
}

static uint32_t function_of(const struct trace_writer *w, const struct trace_name *name) {
    return name->index < w->info->nnames ? w->function_of[name->index] : 0;
}

/* ---- open, close ---- */

int walk_open(struct trace_writer *w, struct trace_info *info, const struct walk_ops *ops) {
    w->info = info;
    w->ops = ops;
    w->threads = memory_calloc(info->nthreads + 1u, sizeof *w->threads);
    if (!w->threads) return -ENOMEM;
    for (uint32_t i = 0; i < info->nthreads; i++) w->threads[i].thread = info->threads[i];
    return find_functions(w);
}

void walk_close(struct trace_writer *w) {
    for (uint32_t i = 0; w->threads && i < w->info->nthreads; i++) {
        memory_free(w->threads[i].frames);
        memory_free(w->threads[i].outermost);
        memory_free(w->threads[i].calls);
    }
    memory_free(w->threads);
    memory_free(w->functions);
    memory_free(w->function_of);
    w->threads = NULL;
    w->functions = NULL;
    w->function_of = NULL;
}

/* ---- stacks ---- */

static void see(struct trace_writer *w, uint64_t ns) {
    if (!w->started || ns < w->start_ns) w->start_ns = ns;
    if (ns > w->end_ns) w->end_ns = ns;
    w->started = true;
}

/* Twice as many slots as frames that fit. Frames leave in the order opposite to that in which they came, so a slot that is
 * emptied never was in the way of one that is in use. */
static uint32_t *outermost_slot(const struct walk_thread *t, uint32_t fn) {
    uint32_t mask = 2 * t->room - 1, at = (uint32_t)(fn * 0x9e3779b97f4a7c15ull >> 32) & mask;
    while (t->outermost[at] && t->frames[t->outermost[at] - 1].fn != fn) at = (at + 1) & mask;
    return &t->outermost[at];
}

uint32_t walk_outermost(const struct walk_thread *t, uint32_t fn) { return t->room ? *outermost_slot(t, fn) : 0; }

static int more_frames(struct walk_thread *t) {
    uint32_t room = t->room ? t->room * 2 : FRAMES_FIRST;
    uint32_t *table = memory_calloc(2 * (size_t)room, sizeof *table);
    struct walk_frame *grown = table ? memory_realloc(t->frames, room * sizeof *grown) : NULL;
    if (grown) t->frames = grown;
    if (!grown) {
        memory_free(table);
        return -ENOMEM;
    }
    memory_free(t->outermost);
    t->outermost = table;
    t->room = room;
    for (uint32_t i = 0; i < t->depth; i++) {
        uint32_t *slot = outermost_slot(t, grown[i].fn);
        if (!*slot) *slot = i + 1;
    }
    return 0;
}

static void forget_frames(struct walk_thread *t) {
    memory_free(t->frames);
    memory_free(t->outermost);
    t->frames = NULL;
    t->outermost = NULL;
    t->depth = t->room = 0;
}

static int push(struct trace_writer *w, struct walk_thread *t, uint32_t fn, uint64_t start_ns) {
    int rc = t->depth == t->room ? more_frames(t) : 0;
    if (rc) return rc;
    uint32_t *outermost = outermost_slot(t, fn);
    struct walk_frame *f = &t->frames[t->depth++];
    *f = (struct walk_frame){.start_ns = start_ns, .fn = fn};
    if (!*outermost) *outermost = t->depth;
    return w->ops->enter ? w->ops->enter(w, t, f) : 0;
}

static int leave_top(struct trace_writer *w, struct walk_thread *t, uint64_t end_ns, bool raised) {
    struct walk_frame *f = &t->frames[t->depth - 1];
    uint64_t below = f->child_ns, later = 0;
    if (end_ns < f->start_ns) end_ns = f->start_ns;
    bool before_gap = t->gap_ns && end_ns <= t->gap_ns;
    /* Its leave was lost in the gap: what came after that was never below it. */
    if (before_gap && f->child_gap_ns < below) {
        later = below - f->child_gap_ns;
        below = f->child_gap_ns;
    }
    uint64_t ns = end_ns - f->start_ns;
    uint32_t *outermost = outermost_slot(t, f->fn);
    struct walk_end end = {
        .end_ns = end_ns, .self_ns = ns > below ? ns - below : 0, .raised = raised, .outermost = *outermost == t->depth};
    int rc = w->ops->leave(w, t, f, &end);
    if (end.outermost) *outermost = 0;
    t->depth--;
    if (!t->depth) return rc;
    struct walk_frame *around = f - 1;
    around->child_ns += ns + later;
    if (before_gap) around->child_gap_ns += ns; /* it was open then and is counted only now */
    if (ns > around->longest_child_ns) around->longest_child_ns = ns;
    return rc;
}

/* ---- what a writer is told ---- */

int walk_begin(struct trace_writer *w) {
    (void)w;
    return 0;
}

int walk_enter(struct trace_writer *w, const struct trace_call *call) {
    struct walk_thread *t = &w->threads[call->thread->index];
    see(w, call->start_ns);
    if (t->skip) return 0;
    t->last_ns = call->start_ns;
    return push(w, t, function_of(w, call->name), call->start_ns);
}

static int keep(struct walk_thread *t, const struct trace_call *call, uint32_t fn) {
    if (t->ncalls == t->calls_room) {
        size_t room = t->calls_room ? t->calls_room * 2 : CALLS_FIRST;
        struct walk_call *grown = memory_realloc(t->calls, room * sizeof *grown);
        if (!grown) return -ENOMEM;
        t->calls = grown;
        t->calls_room = room;
    }
    t->calls[t->ncalls] = (struct walk_call){.start_ns = call->start_ns,
                                             .end_ns = call->end_ns,
                                             .fn = fn & ID_TABLE_MAX,
                                             .open = call->open,
                                             .from_attach = call->from_attach,
                                             .raised = call->raised,
                                             .resumed = call->resumed,
                                             .order = (uint32_t)t->ncalls};
    t->ncalls++;
    return 0;
}

static bool is_frame(const struct walk_frame *f, uint32_t fn, uint64_t start_ns) {
    return f->fn == fn && f->start_ns == start_ns;
}

int walk_call(struct trace_writer *w, const struct trace_call *call) {
    struct walk_thread *t = &w->threads[call->thread->index];
    uint32_t fn = function_of(w, call->name);
    see(w, call->start_ns);
    see(w, call->end_ns);
    if (t->skip) return 0;
    if (call->end_ns > t->last_ns) t->last_ns = call->end_ns;
    if (!call->in_order) return keep(t, call, fn);
    int rc = call->announced ? 0 : push(w, t, fn, call->start_ns);
    while (!rc && t->depth > 1 && !is_frame(&t->frames[t->depth - 1], fn, call->start_ns)) /* never, as writer.h has it */
        rc = leave_top(w, t, call->end_ns, false);
    if (rc || !t->depth) return rc;
    t->frames[t->depth - 1].from_attach = call->from_attach;
    t->frames[t->depth - 1].open = call->open;
    t->frames[t->depth - 1].resumed = call->resumed;
    return leave_top(w, t, call->end_ns, call->raised);
}

int walk_gap(struct trace_writer *w, const struct trace_gap *gap) {
    struct walk_thread *t = &w->threads[gap->thread->index];
    uint64_t from_ns = t->last_ns;
    see(w, gap->ns);
    if (t->skip) return 0;
    t->last_ns = gap->ns;
    for (uint32_t i = 0; i < t->depth; i++) t->frames[i].child_gap_ns = t->frames[i].child_ns;
    t->gap_ns = gap->ns;
    return w->ops->gap ? w->ops->gap(w, t, from_ns ? from_ns : gap->ns, gap->ns, gap->count) : 0;
}

int walk_counter(struct trace_writer *w, const struct trace_counter *counter) {
    see(w, counter->ns);
    return 0;
}

int walk_mark(struct trace_writer *w, const struct trace_mark *mark) {
    see(w, mark->ns);
    return 0;
}

/* ---- the end ---- */

/* Outermost first: by start; of two that start together the one that ends later; of two alike the one that came later.
 * Calls that take no time stand in front of what begins where they ended. */
static int by_start(const void *x, const void *y) {
    const struct walk_call *a = x, *b = y;
    if (a->start_ns != b->start_ns) return a->start_ns < b->start_ns ? -1 : 1;
    bool a_empty = a->end_ns <= a->start_ns, b_empty = b->end_ns <= b->start_ns;
    if (a_empty != b_empty) return a_empty ? -1 : 1;
    if (!a_empty && a->end_ns != b->end_ns) return a->end_ns > b->end_ns ? -1 : 1;
    return (a->order < b->order) == a_empty ? -1 : 1;
}

/* Is the frame over when next begins? A call that takes no time and was told first is the last thing in it. */
static bool is_over(const struct walk_frame *f, const struct walk_call *next) {
    if (f->end_ns > next->start_ns) return false;
    return f->end_ns < next->start_ns || next->end_ns > next->start_ns || next->order > f->order;
}

/* Leaves the frames that are over; next == NULL: all. */
static int leave_before(struct trace_writer *w, struct walk_thread *t, const struct walk_call *next) {
    int rc = 0;
    while (!rc && t->depth) {
        struct walk_frame *f = &t->frames[t->depth - 1];
        if (next && !is_over(f, next)) break;
        rc = leave_top(w, t, f->end_ns, f->raised);
    }
    return rc;
}

static int play_back(struct trace_writer *w, struct walk_thread *t) {
    int rc = 0;
    t->gap_ns = 0; /* times are final here */
    if (t->ncalls) qsort(t->calls, t->ncalls, sizeof *t->calls, by_start);
    for (size_t i = 0; i < t->ncalls && !rc; i++) {
        const struct walk_call *c = &t->calls[i];
        rc = leave_before(w, t, c);
        if (!rc) rc = push(w, t, c->fn, c->start_ns);
        if (rc) break;
        struct walk_frame *f = &t->frames[t->depth - 1];
        f->end_ns = c->end_ns;
        f->order = c->order;
        f->open = c->open;
        f->resumed = c->resumed;
        f->from_attach = c->from_attach;
        f->raised = c->raised;
    }
    if (!rc) rc = leave_before(w, t, NULL);
    memory_free(t->calls);
    t->calls = NULL;
    t->ncalls = t->calls_room = 0;
    return rc;
}

/* Tracing went on when nothing was called any more. Without any event that is all there is to tell. */
static void see_processes(struct trace_writer *w) {
    const struct trace_info *info = w->info;
    bool any = false;
    for (uint32_t i = 0; i < info->nprocesses; i++) {
        const struct trace_process *process = info->processes[i];
        uint64_t start = trace_process_start(info, process), end = trace_process_end(info, process);
        if (process->hidden || !process->end_ns) continue;
        if (!w->started && (!any || start < w->start_ns)) w->start_ns = start;
        if (end > w->end_ns) w->end_ns = end;
        any = true;
    }
}

int walk_end(struct trace_writer *w, const struct trace_totals *totals) {
    int rc = 0;
    see_processes(w);
    for (uint32_t i = 0; i < w->info->nthreads && !rc; i++) {
        rc = play_back(w, &w->threads[i]);
        forget_frames(&w->threads[i]); /* of this one: the next thread's need no room beside them */
    }
    return rc || !w->ops->end ? rc : w->ops->end(w, totals);
}
