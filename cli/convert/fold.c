/* Owns folding (fold.h): a writer in front of another writer. It first counts how long calls are, then passes the longest on.
 *
 * Calls of a thread come in the order of their ends. A folded call waits in `pending` for the end of the call around it. If
 * that one is shown, it gets the folded call as part of its trace_fold. If it is folded too, it takes the folded call along.
 * The contents of pending calls lie in `items` in the order of time, so taking along copies nothing. */
#include "cli/convert/fold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/json.h"
#include "cli/base/memory.h"
#include "cli/trace/fold_text.h"
#include "cli/trace/names.h"

/* Durations are counted in buckets: exact below 2 * BUCKETS_PER_OCTAVE ns, a fixed fraction of the value above. */
#define BUCKET_BITS 10u
#define BUCKETS_PER_OCTAVE (1u << BUCKET_BITS)
#define BUCKETS ((64u - BUCKET_BITS + 1) * BUCKETS_PER_OCTAVE)

#define COMPACT_ITEMS 8192u /* a pending entry with this many items is summed per function */

#define SAMPLE_LEAST 4u /* leaving out fewer than 3 of 4 is not worth it */

/* A folded call, or the sum of several of one function. */
struct item {
    struct trace_name *name;
    uint64_t calls, self_ns;
};

/* A folded call with all calls inside it, or several such calls side by side in one call. */
struct pending {
    uint64_t start_ns, end_ns; /* start of the first, end of the last */
    uint64_t calls, total_ns;
    size_t first; /* its first item; its items end where those of the next entry begin */
};

struct lane {                /* of a thread */
    struct trace_call *open; /* calls that are announced and have not ended, outermost first */
    uint32_t nopen, open_room;
    uint32_t told; /* of them, how many the inner writer knows */
    struct pending *pending;
    size_t npending, pending_room;
    size_t barrier; /* entries below this one are from before a gap: a call that ends there cannot include later ones */
    struct item *items;
    size_t nitems, items_room;
    size_t compact_at;
    bool gave; /* the output has something of the thread */
};

struct trace_writer {
    const struct trace_writer_ops *ops;
    struct trace_writer *inner;
    uint64_t *buckets;      /* not NULL: this pass only counts */
    uint64_t calls;         /* calls counted */
    uint32_t border;        /* a bucket: shorter calls are folded, longer ones are shown */
    uint64_t border_folded; /* how many calls of that bucket are folded; the first ones are */
    uint64_t folded;        /* without resumed pieces */
    uint32_t listed_max;    /* functions that a fold names */
    struct lane *lanes;     /* by index of the thread */
    const struct trace_info *info;
    struct trace_fold_function *functions; /* the sums being made */
    uint32_t nfunctions;
    uint32_t *place; /* by index of the name: its place in functions, if that entry has this name */
};

static uint32_t bucket_of(uint64_t ns) {
    if (ns < BUCKETS_PER_OCTAVE) return (uint32_t)ns;
    uint32_t shift = 63u - (uint32_t)__builtin_clzll(ns) - BUCKET_BITS;
    return shift * BUCKETS_PER_OCTAVE + (uint32_t)(ns >> shift);
}

/* Room for one more element. */
static int grow(void *array, size_t n, size_t *room, size_t size) {
    if (n < *room) return 0;
    size_t more = *room ? *room * 2 : 8;
    void *grown = memory_realloc(*(void **)array, more * size);
    if (!grown) return -ENOMEM;
    *(void **)array = grown;
    *room = more;
    return 0;
}

/* ---- sums per function ---- */

static void sum_items(struct trace_writer *w, const struct item *item, size_t n) {
    w->nfunctions = 0;
    for (const struct item *end = item + n; item < end; item++) {
        uint32_t *place = &w->place[item->name->index];
        if (*place >= w->nfunctions || w->functions[*place].name != item->name) {
            *place = w->nfunctions++;
            w->functions[*place] = (struct trace_fold_function){.name = item->name};
        }
        w->functions[*place].calls += item->calls;
        w->functions[*place].self_ns += item->self_ns;
    }
}

static bool goes_before(const struct trace_fold_function *x, const struct trace_fold_function *y) {
    if (x->self_ns != y->self_ns) return x->self_ns > y->self_ns;
    if (x->calls != y->calls) return x->calls > y->calls;
    return x->name->index < y->name->index;
}

/* Moves the functions with the most time to the front until they hold `enough_ns` or number `most`. Returns how many. */
static uint32_t put_first(struct trace_fold *fold, uint32_t most, uint64_t enough_ns) {
    uint32_t n = 0;
    for (uint64_t sum = 0; n < fold->nfunctions && n < most && (!n || sum < enough_ns); n++) {
        struct trace_fold_function *f = fold->functions, best;
        uint32_t at = n;
        for (uint32_t i = n + 1; i < fold->nfunctions; i++)
            if (goes_before(&f[i], &f[at])) at = i;
        best = f[at];
        f[at] = f[n];
        f[n] = best;
        sum += best.self_ns;
    }
    return n;
}

/* Sums up the items of the last entry, in place. */
static void compact(struct trace_writer *w, struct lane *lane) {
    size_t first = lane->pending[lane->npending - 1].first;
    sum_items(w, lane->items + first, lane->nitems - first);
    for (uint32_t i = 0; i < w->nfunctions; i++)
        lane->items[first + i] = (struct item){w->functions[i].name, w->functions[i].calls, w->functions[i].self_ns};
    lane->nitems = first + w->nfunctions;
    lane->compact_at = 2 * (size_t)w->nfunctions > COMPACT_ITEMS ? 2 * (size_t)w->nfunctions : COMPACT_ITEMS;
}

/* ---- pending ---- */

static size_t items_of(const struct lane *lane, size_t at) {
    return at < lane->npending ? lane->pending[at].first : lane->nitems;
}

static void remove_range(struct lane *lane, size_t from, size_t to) {
    size_t first = items_of(lane, from), last = items_of(lane, to);
    memmove(lane->items + first, lane->items + last, (lane->nitems - last) * sizeof *lane->items);
    lane->nitems -= last - first;
    for (size_t i = to; i < lane->npending; i++) lane->pending[i].first -= last - first;
    memmove(lane->pending + from, lane->pending + to, (lane->npending - to) * sizeof *lane->pending);
    lane->npending -= to - from;
    if (lane->barrier > from) lane->barrier = lane->barrier > to ? lane->barrier - (to - from) : from;
}

/* Sums up entries from..to and removes them; nfunctions is 0 when there were none. Valid until the next sum. */
static struct trace_fold claim(struct trace_writer *w, struct lane *lane, size_t from, size_t to) {
    struct trace_fold fold = {0};
    if (from >= to) return fold;
    for (size_t i = from; i < to; i++) {
        fold.calls += lane->pending[i].calls;
        fold.total_ns += lane->pending[i].total_ns;
    }
    sum_items(w, lane->items + items_of(lane, from), items_of(lane, to) - items_of(lane, from));
    fold.nfunctions = w->nfunctions;
    fold.functions = w->functions;
    fold.listed = put_first(&fold, w->listed_max, fold.total_ns - fold.total_ns / 10);
    remove_range(lane, from, to);
    return fold;
}

/* Folds a call and the entries from..to inside it. */
static int fold_away(struct trace_writer *w, struct lane *lane, const struct trace_call *call, size_t from, size_t to) {
    struct pending sum = {call->start_ns, call->end_ns, !call->resumed, call->end_ns - call->start_ns, items_of(lane, from)};
    uint64_t below = 0;
    for (size_t i = from; i < to; i++) {
        sum.calls += lane->pending[i].calls;
        below += lane->pending[i].total_ns;
    }
    w->folded += !call->resumed;
    if (grow(&lane->items, lane->nitems, &lane->items_room, sizeof *lane->items)) return -ENOMEM;
    size_t at = items_of(lane, to);
    if (at < lane->nitems) memmove(lane->items + at + 1, lane->items + at, (lane->nitems - at) * sizeof *lane->items);
    lane->items[at] = (struct item){call->name, !call->resumed, sum.total_ns > below ? sum.total_ns - below : 0};
    lane->nitems++;
    for (size_t i = to; i < lane->npending; i++) lane->pending[i].first++;
    if (from < to) {
        memmove(lane->pending + from + 1, lane->pending + to, (lane->npending - to) * sizeof *lane->pending);
        lane->npending -= to - from - 1;
    } else {
        if (grow(&lane->pending, lane->npending, &lane->pending_room, sizeof *lane->pending)) return -ENOMEM;
        memmove(lane->pending + from + 1, lane->pending + from, (lane->npending - from) * sizeof *lane->pending);
        lane->npending++;
    }
    lane->pending[from] = sum;
    /* later entries exist: the call ended in a gap before them, and the call around it may have, too */
    if (lane->barrier > from + 1 || from + 1 < lane->npending) lane->barrier = from + 1;
    return 0;
}

/* Merges the last two entries when both are known to be in one call. */
static void join_last(struct trace_writer *w, struct lane *lane) {
    size_t n = lane->npending;
    if (n < 2 || n - 1 <= lane->barrier) return;
    struct pending *last = &lane->pending[n - 1], *before = last - 1;
    if (lane->nopen && before->start_ns <= lane->open[lane->nopen - 1].start_ns) return;
    before->end_ns = last->end_ns;
    before->calls += last->calls;
    before->total_ns += last->total_ns;
    lane->npending--;
    if (lane->nitems - before->first > lane->compact_at) compact(w, lane);
}

/* ---- the writer ---- */

static int fold_begin(struct trace_writer *w) { return w->buckets ? 0 : w->ops->begin(w->inner); }

static int fold_enter(struct trace_writer *w, const struct trace_call *call) {
    struct lane *lane = &w->lanes[call->thread->index];
    size_t room = lane->open_room;
    if (grow(&lane->open, lane->nopen, &room, sizeof *lane->open)) return -ENOMEM;
    lane->open_room = (uint32_t)room;
    lane->open[lane->nopen++] = *call;
    return 0;
}

/* Announces the open calls below `to` to the inner writer. */
static int tell(struct trace_writer *w, struct lane *lane, uint32_t to) {
    int rc = 0;
    for (; w->ops->enter && lane->told < to && !rc; lane->told++) rc = w->ops->enter(w->inner, &lane->open[lane->told]);
    return rc;
}

static int show(struct trace_writer *w, const struct trace_call *call, const struct trace_fold *fold) {
    struct trace_call shown = *call;
    shown.announced = call->announced && w->ops->enter;
    shown.in_order = call->in_order && w->ops->enter;
    shown.folded = fold->nfunctions ? fold : NULL;
    w->lanes[call->thread->index].gave = true;
    return w->ops->call(w->inner, &shown);
}

static bool is_shown(struct trace_writer *w, uint64_t ns) {
    uint32_t bucket = bucket_of(ns);
    if (bucket != w->border) return bucket > w->border;
    if (!w->border_folded) return true;
    w->border_folded--;
    return false;
}

static int fold_call(struct trace_writer *w, const struct trace_call *call) {
    if (w->buckets) {
        if (call->open) return 0;
        w->calls++;
        w->buckets[bucket_of(call->end_ns - call->start_ns)]++;
        return 0;
    }
    struct lane *lane = &w->lanes[call->thread->index];
    bool told = call->announced && lane->told == lane->nopen && w->ops->enter;
    uint64_t least_ns = call->start_ns + call->in_order;
    size_t to = lane->npending, from;
    for (from = to; from && lane->pending[from - 1].start_ns >= least_ns; from--) {
    }
    while (to > from && lane->pending[to - 1].end_ns > call->end_ns) to--; /* this one ended in a gap before them */
    bool shown = call->open || is_shown(w, call->end_ns - call->start_ns) || told;
    int rc = shown ? tell(w, lane, lane->nopen) : 0;
    if (rc) return rc;
    lane->nopen -= call->announced;
    if (lane->told > lane->nopen) lane->told = lane->nopen;
    if (shown) {
        struct trace_fold fold = claim(w, lane, from, to);
        return show(w, call, &fold);
    }
    rc = fold_away(w, lane, call, from, to);
    if (!rc && call->in_order) join_last(w, lane);
    return rc;
}

static int fold_gap(struct trace_writer *w, const struct trace_gap *gap) {
    if (w->buckets) return 0;
    struct lane *lane = &w->lanes[gap->thread->index];
    lane->barrier = lane->npending;
    lane->gave = true;
    return w->ops->gap(w->inner, gap);
}
static int fold_counter(struct trace_writer *w, const struct trace_counter *counter) {
    return w->buckets ? 0 : w->ops->counter(w->inner, counter);
}
static int fold_mark(struct trace_writer *w, const struct trace_mark *mark) {
    return w->buckets || !w->ops->mark ? 0 : w->ops->mark(w->inner, mark);
}

static int fold_await(struct trace_writer *w, const struct trace_await *await) {
    uint64_t ns = await->call.end_ns - await->call.start_ns;
    if (!w->ops->await) return 0;
    if (w->buckets) { /* a slice of its own, as a call is */
        w->calls += !await->call.open;
        w->buckets[bucket_of(ns)] += !await->call.open;
        return 0;
    }
    return await->call.open || is_shown(w, ns) ? w->ops->await(w->inner, await) : 0;
}

/* Marks the folded calls of a thread that no shown call is around. */
static int mark_rest(struct trace_writer *w, const struct trace_thread *thread, struct lane *lane) {
    if (!lane->npending || !w->ops->mark) return 0;
    struct trace_mark mark = {.thread = thread, .ns = lane->pending[lane->npending - 1].end_ns, .ph = 'i', .scope = 't'};
    struct trace_fold fold = claim(w, lane, 0, lane->npending);
    fold.listed = put_first(&fold, FOLD_LISTED_MAX, UINT64_MAX); /* once per thread, so all functions are listed */
    char *text = fold_json(&fold, &mark.args_json_len);
    if (!text) return -ENOMEM;
    mark.name = "folded";
    mark.name_len = 6;
    mark.args_json = text;
    mark.folded = &fold;
    int rc = w->ops->mark(w->inner, &mark);
    memory_free(text);
    return rc;
}

static uint64_t count_threads(const struct trace_writer *w) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < w->info->nthreads; i++) n += w->lanes[i].gave && !w->info->threads[i]->greenlet_of;
    return n;
}

static int fold_end(struct trace_writer *w, const struct trace_totals *totals) {
    int rc = 0;
    if (w->buckets) return 0;
    for (uint32_t i = 0; i < w->info->nthreads && !rc; i++) rc = mark_rest(w, w->info->threads[i], &w->lanes[i]);
    struct trace_totals t = *totals;
    t.folded = w->folded;
    t.threads = count_threads(w);
    return rc ? rc : w->ops->end(w->inner, &t);
}

static const struct trace_writer_ops count_ops = {.begin = fold_begin,
                                                  .call = fold_call,
                                                  .gap = fold_gap,
                                                  .counter = fold_counter,
                                                  .mark = fold_mark,
                                                  .await = fold_await,
                                                  .end = fold_end};
static const struct trace_writer_ops show_ops = {.begin = fold_begin,
                                                 .enter = fold_enter,
                                                 .call = fold_call,
                                                 .gap = fold_gap,
                                                 .counter = fold_counter,
                                                 .mark = fold_mark,
                                                 .await = fold_await,
                                                 .end = fold_end};

/* Chooses the longest calls, as many as fit. */
static void set_border(struct trace_writer *w, uint64_t budget) {
    uint32_t at = BUCKETS;
    if (w->calls <= budget) return; /* everything from bucket 0 on */
    while (w->buckets[at - 1] <= budget) budget -= w->buckets[--at];
    w->border = at - 1;
    w->border_folded = w->buckets[at - 1] - budget;
}

static void free_lanes(struct trace_writer *w) {
    for (uint32_t i = 0; w->lanes && i < w->info->nthreads; i++) {
        memory_free(w->lanes[i].open);
        memory_free(w->lanes[i].pending);
        memory_free(w->lanes[i].items);
    }
    memory_free(w->lanes);
}

/* The first run. In a sample the beginning of some calls is unknown: they count as long, so that never too many are shown. */
static int count(struct trace_writer *w, struct trace_source *s, const struct run_opts *opts, const struct fold_budget *budget,
                 struct trace_totals *totals, struct vt_err *err) {
    struct run_opts some = *opts;
    uint64_t one_in = budget->sample ? w->info->events / budget->sample : 0;
    struct run_sample sample = {.one_in = one_in < UINT32_MAX ? (uint32_t)one_in : UINT32_MAX};
    if (one_in >= SAMPLE_LEAST) some.sample = &sample;
    int rc = trace_source_run(s, &some, &count_ops, w, totals, err);
    if (rc) return rc;
    double share = sample.events ? (double)sample.events / (double)w->info->events : 1;
    uint64_t most = (double)w->calls / share > (double)budget->whole ? budget->calls : budget->whole;
    uint64_t room = (uint64_t)((double)most * share), unknown = sample.events ? totals->unmatched : 0;
    set_border(w, room > unknown ? room - unknown : 0);
    w->border_folded = (uint64_t)((double)w->border_folded / share);
    w->calls = (uint64_t)((double)w->calls / share);
    return 0;
}

int fold_run(struct trace_source *s, const struct run_opts *opts, const struct trace_writer_ops *ops, struct trace_writer *inner,
             const struct fold_budget *budget, struct trace_totals *totals, struct vt_err *err) {
    const struct trace_info *info = trace_source_info(s);
    struct trace_writer w = {.ops = ops, .inner = inner, .info = info};
    w.lanes = memory_calloc(info->nthreads + 1u, sizeof *w.lanes);
    w.buckets = memory_calloc(BUCKETS, sizeof *w.buckets);
    w.functions = memory_calloc(info->nnames + 1u, sizeof *w.functions);
    w.place = memory_calloc(info->nnames + 1u, sizeof *w.place);
    int rc = w.lanes && w.buckets && w.functions && w.place ? 0 : vt_err_set(err, -ENOMEM, "out of memory");
    if (!rc) rc = count(&w, s, opts, budget, totals, err);
    if (rc) goto out;
    uint64_t shown = w.calls < budget->calls ? w.calls : budget->calls;
    w.listed_max = shown <= 200000 ? FOLD_LISTED_MAX : shown <= 1000000 ? FOLD_LISTED_MAX / 4 : FOLD_LISTED_MAX / 8;
    memory_free(w.buckets);
    w.buckets = NULL;
    for (uint32_t i = 0; i < info->nthreads; i++) w.lanes[i].compact_at = COMPACT_ITEMS;
    memset(totals, 0, sizeof *totals);
    rc = trace_source_run(s, opts, &show_ops, &w, totals, err);
    totals->folded = w.folded;
    totals->threads = count_threads(&w);
out:
    free_lanes(&w);
    memory_free(w.buckets);
    memory_free(w.functions);
    memory_free(w.place);
    return rc;
}

/* ---- for outputs ---- */
