/* Owns the adding up of a trace (profile.h). */
#include "cli/profile/profile.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/memory.h"
#include "cli/profile/waiters.h"
#include "cli/trace/names.h"
#include "cli/trace/waits.h"

struct adder {
    struct trace_writer walk; /* first */
    struct profile *p;
    const struct profile_opts *opts;
    struct waiters *waiters;
    struct off_cpu {
        uint64_t ns;  /* own time in functions with WAITS_OFF_CPU */
        uint32_t fn;  /* the first of them */
    } * off_cpu;      /* by thread */
    bool *wanted;     /* by function: matches opts->match; NULL = all do */
    uint64_t slow_ns; /* a call must be slower than this to get in */
};

static struct adder *adder_of(struct trace_writer *w) { return (struct adder *)(void *)w; }

static int on_enter(struct trace_writer *w, struct walk_thread *t, struct walk_frame *f) {
    struct adder *a = adder_of(w);
    if (t->depth > 1) {
        unsigned bits = waiters_bits(a->waiters, f[-1].fn);
        f->within = bits | (f[-1].within & (bits & WAITS ? ~0u : ~(unsigned)WAITS_NEXT));
    }
    return a->opts->tree ? stacks_enter(&a->p->stacks, t, f) : 0;
}

/* ---- waiting ---- */

/* Adds the own time of a call that is over. */
static int add_waiting(struct adder *a, const struct walk_thread *t, struct walk_frame *f, const struct walk_end *end) {
    unsigned bits = waiters_bits(a->waiters, f->fn);
    bool in_loop = f->within & WAITS_IN_LOOP;
    int rc = 0;
    if (bits & WAITS && end->self_ns) {
        rc = waiters_add(a->waiters, t, in_loop, end->self_ns);
        if (!in_loop) {
            a->p->functions[f->fn].wait_ns += end->self_ns;
            a->p->threads[t->thread->index].wait_ns += end->self_ns;
            if (bits & WAITS_IDLE || f->within & (WAITS_BELOW | WAITS_NEXT)) f->idle_ns += end->self_ns;
        }
    }
    struct off_cpu *off = &a->off_cpu[t->thread->index];
    if (bits & WAITS_OFF_CPU && (!off->ns || off->fn == f->fn)) {
        off->fn = f->fn;
        off->ns += end->self_ns;
    }
    if (t->depth > 1) f[-1].idle_ns += f->idle_ns;
    return rc;
}

/* A thread that worked for longer than it was on a CPU has waited for the rest: where its CPU time is known. */
static void add_off_cpu(struct adder *a) {
    struct profile *p = a->p;
    for (uint32_t i = 0; i < p->nthreads; i++) {
        struct profile_thread *t = &p->threads[i];
        const struct off_cpu *off = &a->off_cpu[i];
        uint64_t worked = t->total_ns - t->wait_ns;
        if (!off->ns || t->thread->cpu != TRACE_CPU_EXACT || t->thread->cpu_ns >= worked) continue;
        uint64_t waited = worked - t->thread->cpu_ns < off->ns ? worked - t->thread->cpu_ns : off->ns;
        p->functions[off->fn].wait_ns += waited;
        t->wait_ns += waited;
    }
}

/* ---- the slowest calls ---- */

static uint64_t slow_ns(const struct profile_slow *s) { return s->end_ns - s->start_ns; }

/* Where a call of `name` that takes ns goes: NULL = nowhere, slower ones are there already. */
static struct profile_slow *slow_place(struct adder *a, const struct trace_name *name, uint64_t ns) {
    struct profile *p = a->p;
    struct profile_slow *least = NULL, *least_alike = NULL;
    unsigned alike = 0;
    for (uint32_t i = 0; i < p->nslow; i++) {
        struct profile_slow *s = &p->slow[i];
        if (!least || slow_ns(s) < slow_ns(least)) least = s;
        if (s->name != name) continue;
        alike++;
        if (!least_alike || slow_ns(s) < slow_ns(least_alike)) least_alike = s;
    }
    if (alike >= PROFILE_SLOW_ALIKE) return ns > slow_ns(least_alike) ? least_alike : NULL;
    return p->nslow < a->opts->slowest ? &p->slow[p->nslow++] : least;
}

static void keep_slow(struct adder *a, const struct walk_thread *t, const struct walk_frame *f, const struct walk_end *end) {
    struct profile *p = a->p;
    struct profile_slow *to = slow_place(a, a->walk.functions[f->fn], end->end_ns - f->start_ns);
    if (!to) return;
    to->thread = t->thread;
    to->name = a->walk.functions[f->fn];
    to->start_ns = f->start_ns;
    to->end_ns = end->end_ns;
    to->self_ns = end->self_ns;
    to->raised = end->raised;
    to->from_attach = f->from_attach;
    to->resumed = f->resumed;
    to->depth = t->depth - 1;
    to->nstack = to->depth < PROFILE_STACK_MAX ? to->depth : PROFILE_STACK_MAX;
    for (uint32_t i = 0; i < to->nstack; i++) to->stack[i] = a->walk.functions[t->frames[to->depth - to->nstack + i].fn];
    if (p->nslow < a->opts->slowest) return;
    a->slow_ns = UINT64_MAX;
    for (uint32_t i = 0; i < p->nslow; i++)
        if (slow_ns(&p->slow[i]) < a->slow_ns) a->slow_ns = slow_ns(&p->slow[i]);
}

/* ---- calls, gaps ---- */

static int note_open(struct adder *a, const struct walk_thread *t) {
    struct profile_thread *to = &a->p->threads[t->thread->index];
    if (to->open_depth) return 0; /* the innermost frame comes first and sees the whole stack */
    to->open_depth = t->depth;
    to->nopen = t->depth < PROFILE_STACK_MAX ? t->depth : PROFILE_STACK_MAX;
    to->open = memory_calloc(to->nopen, sizeof *to->open);
    if (!to->open) return -ENOMEM;
    for (uint32_t i = 0; i < to->nopen; i++) to->open[i] = a->walk.functions[t->frames[t->depth - to->nopen + i].fn];
    return 0;
}

static int on_leave(struct trace_writer *w, struct walk_thread *t, struct walk_frame *f, const struct walk_end *end) {
    struct adder *a = adder_of(w);
    struct profile *p = a->p;
    struct profile_function *fn = &p->functions[f->fn];
    struct profile_thread *thread = &p->threads[t->thread->index];
    uint64_t ns = end->end_ns - f->start_ns;
    fn->self_ns += end->self_ns;
    if (end->outermost) fn->total_ns += ns;
    fn->calls += !f->resumed;
    fn->open += f->open && !f->resumed;
    fn->raised += end->raised;
    thread->calls += !f->resumed;
    thread->pieces++;
    thread->total_ns += end->self_ns;
    int waiting = add_waiting(a, t, f, end);
    if (waiting) return waiting;
    p->from_attach += f->from_attach;
    if (a->opts->tree) stacks_leave(&p->stacks, f, end);
    if (f->open) {
        int rc = note_open(a, t);
        if (rc) return rc;
    } else if (ns > a->slow_ns && a->opts->slowest && f->longest_child_ns < ns - ns / 10 && f->idle_ns < ns - ns / 10 &&
               (!a->wanted || a->wanted[f->fn])) {
        keep_slow(a, t, f, end);
    }
    return durations_add(&fn->pieces, ns);
}

static int on_gap(struct trace_writer *w, struct walk_thread *t, uint64_t from_ns, uint64_t to_ns, uint64_t count) {
    struct profile *p = adder_of(w)->p;
    p->threads[t->thread->index].dropped += count;
    if (p->all_gaps++ < PROFILE_GAPS_MAX)
        p->gaps[p->ngaps++] = (struct profile_gap){.thread = t->thread, .from_ns = from_ns, .to_ns = to_ns, .count = count};
    return 0;
}

/* ---- the stack at the start ---- */

/* Frames of the stack when tracing began come here as they end, the innermost first; on_end turns them round. */
static int note_start(struct profile_thread *t, const struct trace_call *call) {
    static const char in_c[] = "[in C: ";
    bool inside = call->name->name_len > sizeof in_c && !memcmp(call->name->name, in_c, sizeof in_c - 1);
    if (!call->at_line && !inside) return 0;
    if (t->start_depth++ >= PROFILE_STACK_MAX) return 0;
    if (!t->start) t->start = memory_calloc(PROFILE_STACK_MAX, sizeof *t->start);
    if (!t->start_lines) t->start_lines = memory_calloc(PROFILE_STACK_MAX, sizeof *t->start_lines);
    if (!t->start || !t->start_lines) return -ENOMEM;
    t->start_lines[t->nstart] = call->at_line;
    t->start[t->nstart++] = call->name;
    return 0;
}

static void finish_start(struct profile_thread *t) {
    bool any = false;
    for (uint32_t i = 0; i < t->nstart; i++) any |= t->start_lines[i] != 0;
    if (!any) t->nstart = 0;
    for (uint32_t i = 0, k = t->nstart; i + 1 < k--; i++) {
        const struct trace_name *name = t->start[i];
        uint32_t line = t->start_lines[i];
        t->start[i] = t->start[k];
        t->start_lines[i] = t->start_lines[k];
        t->start[k] = name;
        t->start_lines[k] = line;
    }
}

/* ---- putting it in order ---- */

static int slowest_first(const void *x, const void *y) {
    const struct profile_slow *a = x, *b = y;
    if (slow_ns(a) != slow_ns(b)) return slow_ns(a) < slow_ns(b) ? 1 : -1;
    return (a->start_ns > b->start_ns) - (a->start_ns < b->start_ns);
}
static int gaps_by_time(const void *x, const void *y) {
    const struct profile_gap *a = x, *b = y;
    return (a->to_ns > b->to_ns) - (a->to_ns < b->to_ns);
}

static int on_end(struct trace_writer *w, const struct trace_totals *totals) {
    struct profile *p = adder_of(w)->p;
    uint32_t nfunctions = 0, nthreads = 0;
    add_off_cpu(adder_of(w));
    for (uint32_t i = 0; i < w->nfunctions; i++) {
        if (!p->functions[i].pieces.n) continue;
        p->open += p->functions[i].open;
        p->calls += p->functions[i].calls;
        p->pieces += p->functions[i].pieces.n;
        struct profile_function *to = &p->functions[nfunctions++];
        *to = p->functions[i];
        to->name = w->functions[i];
        to->waits = waiters_bits(adder_of(w)->waiters, i) & WAITS;
        to->waiter = waiters_most(adder_of(w)->waiters, i, false);
        to->loop_waiter = waiters_most(adder_of(w)->waiters, i, true);
    }
    p->nfunctions = nfunctions;
    for (uint32_t i = 0; i < p->nthreads; i++) {
        if (!p->threads[i].pieces && !p->threads[i].dropped) continue;
        p->total_ns += p->threads[i].total_ns;
        p->wait_ns += p->threads[i].wait_ns;
        finish_start(&p->threads[i]);
        p->threads[nthreads++] = p->threads[i];
    }
    p->nthreads = nthreads;
    if (p->nslow) qsort(p->slow, p->nslow, sizeof *p->slow, slowest_first);
    if (p->ngaps) qsort(p->gaps, p->ngaps, sizeof *p->gaps, gaps_by_time);
    if (adder_of(w)->opts->tree) stacks_finish(&p->stacks);
    p->start_ns = w->start_ns;
    p->raised_unknown = w->info->raised_unknown;
    p->end_ns = w->end_ns;
    p->totals = *totals;
    return 0;
}

static const struct walk_ops walk = {.enter = on_enter, .leave = on_leave, .gap = on_gap, .end = on_end};

/* The number behind `key` in a JSON text, 0 without one. A text in there would have \" for ". */
static uint64_t number_behind(const char *key, const char *json, size_t len) {
    const char *at = json ? memmem(json, len, key, strlen(key)) : NULL, *end = json + len;
    uint64_t n = 0;
    if (!at) return 0;
    for (at += strlen(key); at < end && *at >= '0' && *at <= '9' && n < UINT64_MAX / 20; at++) n = 10 * n + (uint64_t)(*at - '0');
    return n;
}

/* What --budget wrote into the arguments of a call. */
static int adder_call(struct trace_writer *w, const struct trace_call *call) {
    if (!w->threads[call->thread->index].skip) {
        int rc = note_start(&adder_of(w)->p->threads[call->thread->index], call);
        if (rc) return rc;
    }
    if (call->args_json && !w->threads[call->thread->index].skip)
        adder_of(w)->p->folded += number_behind("\"folded\":{\"calls\":", call->args_json, call->args_json_len);
    return walk_call(w, call);
}

static bool mark_is(const struct trace_mark *mark, const char *name) {
    return mark->ph == 'i' && mark->name_len == strlen(name) && !memcmp(mark->name, name, mark->name_len);
}

/* Calls that --budget folded and that no shown call is around have a mark on their thread. */
static int adder_mark(struct trace_writer *w, const struct trace_mark *mark) {
    bool skip = w->threads[mark->thread->index].skip;
    if (mark_is(mark, TRACE_UNSEEN) && !skip) {
        adder_of(w)->p->unseen++;
        adder_of(w)->p->unseen_ns += number_behind("\"ns\":", mark->args_json, mark->args_json_len);
    }
    if (mark_is(mark, "folded") && !skip) {
        uint64_t n = number_behind("{\"calls\":", mark->args_json, mark->args_json_len);
        adder_of(w)->p->folded += n;
        adder_of(w)->p->folded_alone += n;
    }
    return walk_mark(w, mark);
}

static const struct trace_writer_ops adder_ops = {
    .begin = walk_begin,
    .enter = walk_enter,
    .call = adder_call,
    .gap = walk_gap,
    .counter = walk_counter,
    .mark = adder_mark,
    .end = walk_end,
};

/* A copy with an end, for functions that want one. NULL = no memory. */
static char *text_of(const void *text, size_t len) {
    char *copy = memory_alloc(len + 1);
    if (!copy) return NULL;
    if (len) memcpy(copy, text, len);
    copy[len] = 0;
    return copy;
}

static bool matches(const char *pattern, char *text) {
    bool is = text && fnmatch(pattern, text, 0) == 0;
    memory_free(text);
    return is;
}

bool profile_match(const struct trace_name *name, const char *pattern) {
    if (matches(pattern, text_of(name->name, name->name_len)) || matches(pattern, text_of(name->file, name->file_len)))
        return true;
    char *shown = memory_alloc(name_text_max(name) + 1);
    if (shown) *name_put_text(shown, name) = 0;
    return matches(pattern, shown);
}

/* Which threads, which functions. */
static int choose(struct adder *a, struct vt_err *err) {
    const struct profile_opts *o = a->opts;
    bool any = !o->tid && !o->thread, any_function = false;
    for (uint32_t i = 0; i < a->walk.info->nthreads; i++) {
        const struct trace_thread *t = a->walk.info->threads[i];
        a->walk.threads[i].skip =
            (o->tid && t->tid != o->tid) || (o->thread && !matches(o->thread, text_of(t->name, t->name ? t->name_len : 0)));
        any |= t->shown && !a->walk.threads[i].skip;
    }
    if (!any && o->tid) return vt_err_set(err, -ESRCH, "the trace has no thread %u; --threads lists them", o->tid);
    if (!any) return vt_err_set(err, -ESRCH, "no thread of the trace is called %s; --threads lists them", o->thread);
    if (!o->match) return 0;
    a->wanted = memory_calloc(a->walk.nfunctions + 1u, sizeof *a->wanted);
    if (!a->wanted) return vt_err_set(err, -ENOMEM, "out of memory");
    for (uint32_t i = 0; i < a->walk.nfunctions; i++)
        any_function |= a->wanted[i] = profile_match(a->walk.functions[i], o->match);
    if (any_function) return 0;
    return vt_err_set(err, -ESRCH, "no function or file of the trace matches %s; '*WORD*' finds a word anywhere", o->match);
}

static int open_adder(struct adder *a, struct trace_info *info) {
    struct profile *p = a->p;
    int rc = walk_open(&a->walk, info, &walk);
    if (rc) return rc;
    p->nfunctions = a->walk.nfunctions;
    p->nthreads = info->nthreads;
    p->functions = memory_calloc(p->nfunctions + 1u, sizeof *p->functions);
    p->threads = memory_calloc(p->nthreads + 1u, sizeof *p->threads);
    p->slow = memory_calloc(a->opts->slowest + 1u, sizeof *p->slow);
    p->gaps = memory_calloc(PROFILE_GAPS_MAX, sizeof *p->gaps);
    a->off_cpu = memory_calloc(p->nthreads + 1u, sizeof *a->off_cpu);
    if (!p->functions || !p->threads || !p->slow || !p->gaps || !a->off_cpu) return -ENOMEM;
    for (uint32_t i = 0; i < p->nthreads; i++) p->threads[i].thread = info->threads[i];
    if ((rc = waiters_new(&a->walk, &a->waiters))) return rc;
    return a->opts->tree ? stacks_init(&p->stacks, info, &(struct stacks_opts){.fold = true}) : 0;
}

int profile_make(struct trace_source *source, const struct profile_opts *opts, struct profile **out, struct vt_err *err) {
    struct adder a = {.opts = opts};
    struct run_opts run_opts = {.stop = opts->stop};
    a.p = memory_calloc(1, sizeof *a.p);
    if (!a.p) return vt_err_set(err, -ENOMEM, "out of memory");
    int rc = open_adder(&a, trace_source_info(source));
    if (rc)
        vt_err_set(err, rc, "%s", strerror(-rc));
    else
        rc = choose(&a, err);
    if (!rc) rc = trace_source_run(source, &run_opts, &adder_ops, &a.walk, &a.p->totals, err);
    a.p->names = a.walk.functions;
    a.walk.functions = NULL;
    walk_close(&a.walk);
    waiters_free(a.waiters);
    memory_free(a.off_cpu);
    memory_free(a.wanted);
    if (rc) {
        profile_free(a.p);
        return rc;
    }
    *out = a.p;
    return 0;
}

void profile_free(struct profile *p) {
    if (!p) return;
    for (uint32_t i = 0; p->functions && i < p->nfunctions; i++) durations_free(&p->functions[i].pieces);
    for (uint32_t i = 0; p->threads && i < p->nthreads; i++) {
        memory_free(p->threads[i].open);
        memory_free(p->threads[i].start);
        memory_free(p->threads[i].start_lines);
    }
    memory_free(p->functions);
    memory_free(p->threads);
    memory_free(p->slow);
    memory_free(p->gaps);
    memory_free(p->names);
    stacks_free(&p->stacks);
    memory_free(p);
}

/* ---- functions in order ---- */

const char *const profile_sort_names[PROFILE_SORTS] = {"self", "total", "calls", "mean", "p50", "p99", "max", "name"};

uint64_t profile_mean(const struct profile_function *f) { return f->pieces.n ? f->pieces.sum_ns / f->pieces.n : 0; }

static uint64_t key_of(const struct profile_function *f, enum profile_sort sort) {
    switch (sort) {
    case PROFILE_TOTAL: return f->total_ns;
    case PROFILE_CALLS: return f->calls;
    case PROFILE_MEAN: return profile_mean(f);
    case PROFILE_P50: return durations_percentile(&f->pieces, 50);
    case PROFILE_P99: return durations_percentile(&f->pieces, 99);
    case PROFILE_MAX: return f->pieces.max_ns;
    case PROFILE_NAME: return 0;
    default: return profile_work_ns(f);
    }
}

static int compare_bytes(const char *a, size_t n, const char *b, size_t m) {
    int order = n && m ? memcmp(a, b, n < m ? n : m) : 0;
    return order ? order : (n > m) - (n < m);
}

/* Character i of "module.func", the name of a C function; -1 behind its end. */
static int c_name_at(const struct trace_name *n, size_t i) {
    size_t owner = n->file_len ? n->file_len + 1u : 0;
    if (i + 1 < owner) return (uint8_t)n->file[i];
    if (i < owner) return '.';
    return i - owner < n->name_len ? (uint8_t)n->name[i - owner] : -1;
}

/* Traces that came as JSON have the owner of a C function in its name. */
static int compare_c_names(const struct trace_name *a, const struct trace_name *b) {
    size_t i = 0;
    while (c_name_at(a, i) >= 0 && c_name_at(a, i) == c_name_at(b, i)) i++;
    return c_name_at(a, i) - c_name_at(b, i);
}

int profile_compare_names(const struct trace_name *a, const struct trace_name *b, bool line) {
    if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
    if (a->kind) return compare_c_names(a, b);
    int order = compare_bytes(a->name, a->name_len, b->name, b->name_len);
    if (!order) order = compare_bytes(a->file, a->file_len, b->file, b->file_len);
    return order || !line ? order : (a->line > b->line) - (a->line < b->line);
}

struct keyed {
    uint64_t key;
    const struct profile_function *f;
};
static int in_order(const void *x, const void *y) {
    const struct keyed *a = x, *b = y;
    if (a->key != b->key) return a->key < b->key ? 1 : -1;
    return profile_compare_names(a->f->name, b->f->name, true);
}

int profile_sorted(const struct profile *p, enum profile_sort sort, const char *match, const struct profile_function ***out,
                   size_t *n) {
    struct keyed *all = memory_calloc(p->nfunctions + 1u, sizeof *all);
    const struct profile_function **list = memory_calloc(p->nfunctions + 1u, sizeof *list);
    *n = 0;
    if (!all || !list) {
        memory_free(all);
        memory_free(list);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < p->nfunctions; i++)
        if (!match || profile_match(p->functions[i].name, match))
            all[(*n)++] = (struct keyed){.key = key_of(&p->functions[i], sort), .f = &p->functions[i]};
    qsort(all, *n, sizeof *all, in_order);
    for (size_t i = 0; i < *n; i++) list[i] = all[i].f;
    memory_free(all);
    *out = list;
    return 0;
}
