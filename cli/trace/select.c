/* Owns the choice of a part of a trace (select.h). */
#include "cli/trace/select.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/memory.h"
#include "cli/trace/names.h"

/* ---- parsing what the user typed ---- */

static int parse_time(const char *text, size_t len, uint64_t *ns) {
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}};
    char copy[64], *end;
    if (len >= sizeof copy || len == 0 || text[0] < '0' || text[0] > '9') return -EINVAL;
    memcpy(copy, text, len);
    copy[len] = 0;
    double v = strtod(copy, &end);
    for (size_t i = 0; i < VT_ARRAY_LEN(units); i++) {
        if (strcmp(end, units[i].unit)) continue;
        v = v * units[i].ns + 0.5;
        if (!(v < 1e18)) return -EINVAL;
        *ns = (uint64_t)v;
        return 0;
    }
    return -EINVAL;
}

int select_parse_slice(const char *text, struct trace_select *select) {
    const char *dots = strstr(text, "..");
    uint64_t from = 0, to = 0;
    if (!dots || (dots == text && !dots[2])) return -EINVAL;
    if (dots > text && parse_time(text, (size_t)(dots - text), &from)) return -EINVAL;
    if (dots[2] && parse_time(dots + 2, strlen(dots + 2), &to)) return -EINVAL;
    if (dots[2] && to <= from) return -EINVAL;
    select->from_ns = from;
    select->to_ns = to;
    return 0;
}

static int add_number(uint32_t *list, size_t *n, const char *text) {
    char *end;
    errno = 0;
    unsigned long v = strtoul(text, &end, 10);
    if (errno || *end || text[0] < '0' || text[0] > '9' || v > UINT32_MAX) return -EINVAL;
    if (*n == SELECT_MAX) return -E2BIG;
    list[(*n)++] = (uint32_t)v;
    return 0;
}
int select_add_pid(struct trace_select *s, const char *text) { return add_number(s->pids, &s->npids, text); }
int select_add_tid(struct trace_select *s, const char *text) { return add_number(s->tids, &s->ntids, text); }

int select_add_match(struct trace_select *s, const char *glob) {
    if (!glob[0]) return -EINVAL;
    if (s->nglobs == SELECT_MAX) return -E2BIG;
    s->globs[s->nglobs++] = glob;
    return 0;
}

bool select_has_window(const struct trace_select *s) { return s->from_ns || s->to_ns; }
bool select_is_all(const struct trace_select *s) { return !select_has_window(s) && !s->npids && !s->ntids && !s->nglobs; }

/* ---- the writer in front ---- */

/* A wanted call that is inside no other wanted call. */
struct subtree {
    uint64_t start, end;
    uint64_t nth; /* of the thread's calls: what it calls was told before it */
};

struct select_thread {
    bool wanted;
    bool gave;      /* something of it was handed over */
    uint64_t calls; /* calls told so far */
    uint64_t left;  /* how many of them were cut at the window's start */
    /* Of a source that announces calls: the calls announced and not ended, outermost first. */
    struct trace_call *open;
    uint32_t nopen, open_room;
    uint32_t told;  /* of them, how many the inner writer knows */
    uint32_t early; /* frames that began before the window, when the first call in it came */
    bool began;     /* it came */
    struct subtree *subtrees;
    size_t nsubtrees, room;
};

struct trace_writer {
    const struct trace_select *select;
    struct trace_info *info;
    const struct trace_writer_ops *ops; /* NULL = a pass that only looks */
    struct trace_writer *inner;
    bool finds_subtrees;
    uint64_t from_ns, to_ns;       /* the window, absolute */
    struct select_thread *threads; /* by index */
    uint8_t *matches;              /* by index of the name */
    uint64_t unselected;
};

static int note_subtree(struct trace_writer *w, const struct trace_call *call, uint64_t nth) {
    struct select_thread *t = &w->threads[call->thread->index];
    size_t at = t->nsubtrees; /* behind a gap a lost end is told late: later subtrees may be there already */
    while (at && t->subtrees[at - 1].start > call->end_ns) at--;
    size_t first = at;
    while (first && t->subtrees[first - 1].start >= call->start_ns) first--;
    if (t->nsubtrees == t->room) {
        size_t room = t->room ? t->room * 2 : 16;
        struct subtree *grown = memory_realloc(t->subtrees, room * sizeof *grown);
        if (!grown) return -ENOMEM;
        t->subtrees = grown;
        t->room = room;
    }
    memmove(t->subtrees + first + 1, t->subtrees + at, (t->nsubtrees - at) * sizeof *t->subtrees);
    t->nsubtrees += first + 1 - at;
    t->subtrees[first] = (struct subtree){call->start_ns, call->end_ns, nth};
    return 0;
}

/* Subtrees are sorted by start and do not overlap. */
static const struct subtree *subtree_at(const struct select_thread *t, uint64_t ns) {
    size_t low = 0, high = t->nsubtrees;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (t->subtrees[mid].start <= ns)
            low = mid + 1;
        else
            high = mid;
    }
    return low && t->subtrees[low - 1].end >= ns ? &t->subtrees[low - 1] : NULL;
}

/* Is the nth call of the thread in a subtree, or its top? A call with the same times as its callee is told after it. */
static bool in_subtree(const struct trace_writer *w, const struct trace_call *call, uint64_t nth) {
    const struct select_thread *t = &w->threads[call->thread->index];
    if (!w->matches) return true;
    const struct subtree *s = subtree_at(t, call->start_ns);
    if (!s || s->start > call->start_ns) return false;
    return call->end_ns <= s->end && nth <= s->nth;
}

static bool in_window(const struct trace_writer *w, uint64_t ns) { return ns >= w->from_ns && ns <= w->to_ns; }

static bool wants_moment(const struct trace_writer *w, const struct trace_thread *thread, uint64_t ns) {
    const struct select_thread *t = &w->threads[thread->index];
    return w->ops && t->wanted && in_window(w, ns) && (!w->matches || subtree_at(t, ns));
}

static int select_begin(struct trace_writer *w) { return w->ops ? w->ops->begin(w->inner) : 0; }

/* ---- announced calls: only the stacks are kept ---- */

static int select_enter(struct trace_writer *w, const struct trace_call *call) {
    struct select_thread *t = &w->threads[call->thread->index];
    if (t->nopen == t->open_room) {
        uint32_t room = t->open_room ? t->open_room * 2 : 64;
        struct trace_call *grown = memory_realloc(t->open, room * sizeof *grown);
        if (!grown) return -ENOMEM;
        t->open = grown;
        t->open_room = room;
    }
    t->open[t->nopen++] = *call;
    return 0;
}

/* What began before the window was at another line when the window began. */
static void forget_line(struct trace_call *call) {
    static const char alone[] = "{\"at_line\":";
    size_t len = sizeof alone - 1;
    if (!call->at_line) return;
    call->at_line = 0;
    if (call->args_json_len > len && !memcmp(call->args_json, alone, len) && !memchr(call->args_json, ',', call->args_json_len))
        call->args_json = NULL;
}

/* Start of the frame that has `at` frames around it. Frames from before the window start with the window, one nanosecond
 * apart. */
static uint64_t start_in_window(const struct trace_writer *w, const struct select_thread *t, uint64_t start_ns, uint32_t at) {
    uint64_t back = at < t->early ? t->early - 1 - at : 0;
    if (start_ns >= w->from_ns) return start_ns;
    uint64_t cut = back < w->from_ns ? w->from_ns - back : 0;
    return cut > start_ns ? cut : start_ns;
}

/* Hands a wanted call over, outer ones first: the callers of a wanted call reach into the window, too. */
static int give_announced(struct trace_writer *w, struct select_thread *t, struct trace_call *call, uint32_t at) {
    int rc = 0;
    if (!t->began) {
        while (t->early < t->nopen && t->open[t->early].start_ns < w->from_ns) t->early++;
        t->early += !call->announced && call->start_ns < w->from_ns;
        t->began = true;
    }
    t->gave = true;
    for (; w->ops->enter && t->told < at && !rc; t->told++) {
        struct trace_call around = t->open[t->told];
        around.start_ns = start_in_window(w, t, around.start_ns, t->told);
        if (t->open[t->told].start_ns < w->from_ns) forget_line(&around);
        rc = w->ops->enter(w->inner, &around);
    }
    if (rc) return rc;
    call->announced = call->announced && at < t->told;
    call->in_order = call->in_order && w->ops->enter;
    if (call->start_ns < w->from_ns) forget_line(call);
    call->start_ns = start_in_window(w, t, call->start_ns, at);
    if (call->end_ns > w->to_ns) call->end_ns = w->to_ns;
    if (call->start_ns > call->end_ns) call->start_ns = call->end_ns;
    return w->ops->call(w->inner, call);
}

static int select_announced(struct trace_writer *w, const struct trace_call *call) {
    struct select_thread *t = &w->threads[call->thread->index];
    struct trace_call cut = *call;
    uint32_t at = call->announced && t->nopen ? t->nopen - 1 : t->nopen;
    bool wanted = t->wanted && cut.start_ns <= w->to_ns && cut.end_ns >= w->from_ns;
    int rc = wanted ? give_announced(w, t, &cut, at) : 0;
    w->unselected += !wanted && !call->resumed;
    if (call->announced && t->nopen) t->nopen--;
    if (t->told > t->nopen) t->told = t->nopen;
    return rc;
}

static int select_call(struct trace_writer *w, const struct trace_call *call) {
    struct select_thread *t = &w->threads[call->thread->index];
    uint64_t nth = t->calls++;
    if (!w->ops) return w->finds_subtrees && t->wanted && w->matches[call->name->index] ? note_subtree(w, call, nth) : 0;
    struct trace_call cut = *call;
    bool wanted = t->wanted && cut.start_ns <= w->to_ns && cut.end_ns >= w->from_ns && in_subtree(w, call, nth);
    if (!wanted) {
        w->unselected += !call->resumed;
        return 0;
    }
    t->gave = true;
    if (cut.start_ns < w->from_ns) {
        forget_line(&cut);
        uint64_t start = w->from_ns - (t->left < w->from_ns ? t->left : w->from_ns);
        if (start > cut.start_ns) cut.start_ns = start;
        t->left++;
    }
    if (cut.end_ns > w->to_ns) cut.end_ns = w->to_ns;
    if (cut.start_ns > cut.end_ns) cut.start_ns = cut.end_ns;
    return w->ops->call(w->inner, &cut);
}

static int select_gap(struct trace_writer *w, const struct trace_gap *gap) {
    struct select_thread *t = &w->threads[gap->thread->index]; /* between subtrees, too: something is missing there */
    if (!w->ops || !t->wanted || !in_window(w, gap->ns)) return 0;
    t->gave = true;
    return w->ops->gap(w->inner, gap);
}

static int select_counter(struct trace_writer *w, const struct trace_counter *counter) {
    if (!wants_moment(w, counter->thread, counter->ns)) return 0;
    w->threads[counter->thread->index].gave = true;
    return w->ops->counter(w->inner, counter);
}

static int select_mark(struct trace_writer *w, const struct trace_mark *mark) {
    if (!wants_moment(w, mark->thread, mark->ns) || !w->ops->mark) return 0;
    w->threads[mark->thread->index].gave = true;
    return w->ops->mark(w->inner, mark);
}

/* With --match only calls are wanted: a task may be suspended in such a function for a part of the time. */
static int select_await(struct trace_writer *w, const struct trace_await *await) {
    struct trace_await cut = *await;
    if (!w->ops || !w->ops->await || w->matches || !w->threads[await->call.thread->index].wanted) return 0;
    if (cut.call.start_ns > w->to_ns || cut.call.end_ns < w->from_ns) return 0;
    if (cut.call.start_ns < w->from_ns) cut.call.start_ns = w->from_ns;
    if (cut.call.end_ns > w->to_ns) cut.call.end_ns = w->to_ns;
    return w->ops->await(w->inner, &cut);
}

/* Those that the output has something of. */
static uint64_t count_threads(const struct trace_writer *w) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < w->info->nthreads; i++) n += w->threads[i].gave && !w->info->threads[i]->greenlet_of;
    return n;
}

static int select_end(struct trace_writer *w, const struct trace_totals *totals) {
    struct trace_totals t = *totals;
    t.unselected = w->unselected;
    t.threads = count_threads(w);
    return w->ops ? w->ops->end(w->inner, &t) : 0;
}

static const struct trace_writer_ops select_ops = {.begin = select_begin,
                                                   .call = select_call,
                                                   .gap = select_gap,
                                                   .counter = select_counter,
                                                   .mark = select_mark,
                                                   .await = select_await,
                                                   .end = select_end};

static const struct trace_writer_ops announced_ops = {.begin = select_begin,
                                                      .enter = select_enter,
                                                      .call = select_announced,
                                                      .gap = select_gap,
                                                      .counter = select_counter,
                                                      .mark = select_mark,
                                                      .await = select_await,
                                                      .end = select_end};

/* ---- a run ---- */

static bool one_of(const uint32_t *list, size_t n, uint32_t number) {
    for (size_t i = 0; i < n; i++)
        if (list[i] == number) return true;
    return n == 0;
}

/* A thread is chosen with its greenlets, or one of these alone. */
static bool is_wanted_tid(const struct trace_select *s, const struct trace_thread *thread) {
    return one_of(s->tids, s->ntids, thread->tid) || (thread->greenlet_of && one_of(s->tids, s->ntids, thread->greenlet_of->tid));
}

/* Threads that are not wanted are hidden: writers name the shown ones before the first call. */
static int choose_threads(struct trace_writer *w) {
    const struct trace_select *s = w->select;
    w->threads = memory_calloc(w->info->nthreads + 1u, sizeof *w->threads);
    if (!w->threads) return -ENOMEM;
    for (uint32_t i = 0; i < w->info->nprocesses; i++)
        w->info->processes[i]->hidden = !one_of(s->pids, s->npids, w->info->processes[i]->pid);
    w->info->nshown = 0;
    for (uint32_t i = 0; i < w->info->nthreads; i++) {
        struct trace_thread *thread = w->info->threads[i];
        w->threads[i].wanted = !thread->process->hidden && is_wanted_tid(s, thread);
        thread->shown &= w->threads[i].wanted;
        w->info->nshown += thread->shown && !thread->greenlet_of;
    }
    return 0;
}

static bool name_matches(const struct trace_select *s, const struct trace_name *name, char *room) {
    char *end = name_put_text(room, name);
    *end = 0;
    for (size_t i = 0; i < s->nglobs; i++)
        if (!fnmatch(s->globs[i], room, 0)) return true;
    if (name->kind) return false;
    room[name->name_len] = 0;
    for (size_t i = 0; i < s->nglobs; i++)
        if (!fnmatch(s->globs[i], room, 0)) return true;
    return false;
}

/* Which names the globs match, by index; *n of them. */
static int choose_names(const struct trace_select *s, struct trace_info *info, uint8_t **matches, size_t *n) {
    *n = 0;
    *matches = memory_calloc(info->nnames, 1);
    if (!*matches) return -ENOMEM;
    for (uint32_t p = 0; p < info->names.npages; p++)
        for (uint32_t k = 0; info->names.pages[p] && k < ID_TABLE_PAGE; k++) {
            const struct trace_name *name = info->names.pages[p][k];
            char *room = name ? memory_alloc(name_text_max(name) + 1) : NULL;
            if (!name) continue;
            if (!room) return -ENOMEM;
            (*matches)[name->index] = name_matches(s, name, room);
            *n += (*matches)[name->index];
            memory_free(room);
        }
    return 0;
}

int select_check(const struct trace_select *s, struct trace_info *info, struct vt_err *err) {
    for (size_t i = 0; i < s->npids; i++) {
        bool found = false;
        for (uint32_t k = 0; k < info->nprocesses && !found; k++) found = info->processes[k]->pid == s->pids[i];
        if (!found)
            return vt_err_set(err, -EINVAL, "--pid %u: the trace has no such process; viztracer report lists them", s->pids[i]);
    }
    for (size_t i = 0; i < s->ntids; i++) {
        bool found = false;
        for (uint32_t k = 0; k < info->nthreads && !found; k++) found = info->threads[k]->tid == s->tids[i];
        if (!found)
            return vt_err_set(err, -EINVAL, "--tid %u: the trace has no such thread; viztracer report --threads lists them",
                              s->tids[i]);
    }
    if (!s->nglobs) return 0;
    uint8_t *matches = NULL;
    size_t n;
    int rc = choose_names(s, info, &matches, &n);
    memory_free(matches);
    if (rc) return vt_err_set(err, rc, "out of memory");
    return n ? 0
             : vt_err_set(err, -EINVAL, "--match %s: the trace has no function of that name; viztracer report lists them",
                          s->globs[0]);
}

/* Hides threads without a wanted call. */
static void drop_threads(struct trace_writer *w) {
    for (uint32_t i = 0; i < w->info->nthreads; i++) {
        struct trace_thread *thread = w->info->threads[i];
        if (w->threads[i].nsubtrees) continue;
        w->info->nshown -= thread->shown && !thread->greenlet_of;
        thread->shown = w->threads[i].wanted = false;
    }
}

/* Before the run that hands calls over: finds the window in time, and the subtrees. */
static int look(struct trace_writer *w, select_run_fn run, void *ctx, const struct run_opts *opts, struct vt_err *err) {
    const struct trace_select *s = w->select;
    struct trace_totals totals;
    w->from_ns = s->from_ns ? w->info->first_ns + s->from_ns : 0;
    w->to_ns = s->to_ns ? w->info->first_ns + s->to_ns : UINT64_MAX;
    if (!s->nglobs) return 0;
    w->finds_subtrees = true;
    int rc = run(ctx, opts, &select_ops, w, &totals, err);
    w->finds_subtrees = false;
    if (!rc) drop_threads(w);
    return rc;
}

int select_run(const struct trace_select *select, struct trace_info *info, select_run_fn run, void *ctx,
               const struct run_opts *opts, const struct trace_writer_ops *ops, struct trace_writer *inner,
               struct trace_totals *totals, struct vt_err *err) {
    struct trace_writer w = {.select = select, .info = info};
    int rc = choose_threads(&w);
    size_t nmatches;
    if (!rc && select->nglobs) rc = choose_names(select, info, &w.matches, &nmatches);
    if (rc) vt_err_set(err, rc, "out of memory");
    if (!rc) rc = look(&w, run, ctx, opts, err);
    if (!rc) {
        w.ops = ops;
        w.inner = inner;
        info->from_ns = w.from_ns;
        info->to_ns = w.to_ns;
        for (uint32_t i = 0; i < info->nthreads; i++) w.threads[i].calls = 0;
        /* The ends of the calls tell which of them belong to a subtree. */
        rc = run(ctx, opts, info->announces && !w.matches ? &announced_ops : &select_ops, &w, totals, err);
        totals->unselected = w.unselected;
        totals->threads = count_threads(&w);
    }
    info->from_ns = 0;
    info->to_ns = UINT64_MAX;
    for (uint32_t i = 0; w.threads && i < info->nthreads; i++) {
        memory_free(w.threads[i].subtrees);
        memory_free(w.threads[i].open);
    }
    memory_free(w.threads);
    memory_free(w.matches);
    return rc;
}
