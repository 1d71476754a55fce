/* Owns a writer in front of another writer: it counts calls, or leaves out the first ones. The model hands over the calls of
 * one thread in the order of their ends, and threads in the order of their blocks in the trace. So the border between old and
 * new is exact within a thread, and exact to the age of a block (about 50 ms) between threads. */
#include "cli/convert/newest.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "cli/base/memory.h"

struct trace_writer {
    const struct trace_writer_ops *ops; /* NULL = only count */
    struct trace_writer *inner;
    uint64_t calls;    /* calls so far */
    uint64_t skip;     /* how many calls at the start are left out, resumed pieces of calls too */
    uint64_t left_out; /* of them, without resumed pieces */
    const struct trace_info *info;
    bool *gave; /* by index of the thread: the output has something of it */
};

static int newest_begin(struct trace_writer *w) { return w->ops ? w->ops->begin(w->inner) : 0; }
static int newest_call(struct trace_writer *w, const struct trace_call *call) {
    w->calls++;
    if (w->calls > w->skip) {
        if (w->gave) w->gave[call->thread->index] = true;
        return w->ops ? w->ops->call(w->inner, call) : 0;
    }
    w->left_out += !call->resumed;
    return 0;
}
static int newest_gap(struct trace_writer *w, const struct trace_gap *gap) {
    if (w->gave) w->gave[gap->thread->index] = true;
    return w->ops ? w->ops->gap(w->inner, gap) : 0;
}
static int newest_counter(struct trace_writer *w, const struct trace_counter *counter) {
    return w->ops ? w->ops->counter(w->inner, counter) : 0;
}
static int newest_mark(struct trace_writer *w, const struct trace_mark *mark) {
    return w->ops && w->ops->mark ? w->ops->mark(w->inner, mark) : 0;
}
static int newest_await(struct trace_writer *w, const struct trace_await *await) {
    return w->calls > w->skip && w->ops && w->ops->await ? w->ops->await(w->inner, await) : 0;
}
static uint64_t count_threads(const struct trace_writer *w) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < w->info->nthreads; i++) n += w->gave[i] && !w->info->threads[i]->greenlet_of;
    return n;
}

static int newest_end(struct trace_writer *w, const struct trace_totals *totals) {
    struct trace_totals t = *totals;
    t.left_out = w->left_out;
    if (w->gave) t.threads = count_threads(w);
    return w->ops ? w->ops->end(w->inner, &t) : 0;
}

static const struct trace_writer_ops newest_ops = {.begin = newest_begin,
                                                   .call = newest_call,
                                                   .gap = newest_gap,
                                                   .counter = newest_counter,
                                                   .mark = newest_mark,
                                                   .await = newest_await,
                                                   .end = newest_end};

int newest_count(struct trace_source *s, const struct run_opts *opts, struct trace_totals *totals, struct vt_err *err) {
    struct trace_writer counter = {0};
    return trace_source_run(s, opts, &newest_ops, &counter, totals, err);
}

int newest_run(struct trace_source *s, const struct run_opts *opts, const struct trace_writer_ops *ops, struct trace_writer *w,
               uint64_t newest, struct trace_totals *totals, struct vt_err *err) {
    struct trace_writer counter = {0}, front = {.ops = ops, .inner = w};
    int rc = trace_source_run(s, opts, &newest_ops, &counter, totals, err);
    if (rc) return rc;
    if (counter.calls > newest) front.skip = counter.calls - newest;
    memset(totals, 0, sizeof(*totals));
    front.info = trace_source_info(s);
    front.gave = memory_calloc(front.info->nthreads + 1u, sizeof *front.gave);
    if (!front.gave) return vt_err_set(err, -ENOMEM, "out of memory");
    rc = trace_source_run(s, opts, &newest_ops, &front, totals, err);
    totals->left_out = front.left_out;
    totals->threads = count_threads(&front);
    memory_free(front.gave);
    return rc;
}
