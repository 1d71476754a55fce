/* Owns a trace that is being read: its runs, its range of time, and the selected part (source.h). */
#include "cli/trace/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/figures.h"
#include "cli/base/interrupt.h"
#include "cli/base/memory.h"

struct trace_source {
    const char *kind;
    const struct trace_source_ops *ops;
    struct trace_info *info;
    void *state;
    struct trace_select select;
    bool selects;
    char *file;
    int fd; /* of a copy without a name; -1 = none */
};

int trace_source_new(const char *kind, const struct trace_source_ops *ops, struct trace_info *info, void *state,
                     struct trace_source **out, struct vt_err *err) {
    struct trace_source *s = memory_calloc(1, sizeof *s);
    if (!s) {
        ops->close(info, state);
        return vt_err_set(err, -ENOMEM, "out of memory");
    }
    *s = (struct trace_source){.kind = kind, .ops = ops, .info = info, .state = state, .fd = -1};
    *out = s;
    return 0;
}

void trace_source_close(struct trace_source *s) {
    if (!s) return;
    s->ops->close(s->info, s->state);
    vt_close(&s->fd);
    memory_free(s->file);
    memory_free(s);
}

int trace_source_keep_file(struct trace_source *s, const char *file, int fd, struct vt_err *err) {
    s->fd = fd;
    s->file = memory_strdup(file);
    if (s->file) return 0;
    s->fd = -1;
    trace_source_close(s);
    return vt_err_set(err, -ENOMEM, "out of memory");
}

const char *trace_source_file(const struct trace_source *s) { return s->file; }

const char *trace_source_kind(const struct trace_source *s) { return s->kind; }
struct trace_info *trace_source_info(struct trace_source *s) {
    return s->info;
}

static int run_whole(void *ctx, const struct run_opts *opts, const struct trace_writer_ops *ops, struct trace_writer *w,
                     struct trace_totals *totals, struct vt_err *err) {
    const struct trace_source *s = ctx;
    return s->ops->run(s->info, s->state, opts, ops, w, totals, err);
}

/* ---- a writer that finds the first and the last moment ---- */

struct trace_writer {
    struct trace_info *info;
    bool any;
};

static int see(struct trace_writer *w, uint64_t from, uint64_t to) {
    if (!w->any || from < w->info->first_ns) w->info->first_ns = from;
    if (!w->any || to > w->info->last_ns) w->info->last_ns = to;
    w->any = true;
    return 0;
}
static int range_begin(struct trace_writer *w) {
    w->info->first_ns = w->info->last_ns = 0;
    return 0;
}
static int range_call(struct trace_writer *w, const struct trace_call *c) { return see(w, c->start_ns, c->end_ns); }
static int range_gap(struct trace_writer *w, const struct trace_gap *g) { return see(w, g->ns, g->ns); }
static int range_counter(struct trace_writer *w, const struct trace_counter *c) { return see(w, c->ns, c->ns); }
static int range_mark(struct trace_writer *w, const struct trace_mark *m) { return see(w, m->ns, m->ns); }
static int range_end(struct trace_writer *w, const struct trace_totals *totals) {
    (void)totals;
    if (w->any) trace_info_put_ends(w->info);
    w->info->range_known = true;
    return 0;
}

int trace_source_range(struct trace_source *s, struct vt_err *err) {
    static const struct trace_writer_ops ops = {.begin = range_begin,
                                                .call = range_call,
                                                .gap = range_gap,
                                                .counter = range_counter,
                                                .mark = range_mark,
                                                .end = range_end};
    struct trace_writer w = {.info = s->info};
    struct trace_totals totals;
    struct run_opts all = {.stop = &interrupts_seen};
    return s->info->range_known ? 0 : run_whole(s, &all, &ops, &w, &totals, err);
}

/* A window behind the end of the trace is an error of the user. */
static int check_window(struct trace_source *s, struct vt_err *err) {
    char from[16], all[16];
    int rc = trace_source_range(s, err);
    uint64_t ns = s->info->last_ns - s->info->first_ns;
    if (rc || s->select.from_ns <= ns) return rc;
    return vt_err_set(err, -EINVAL, "--slice: nothing is there: it begins at %s, and the trace is %s long",
                      format_duration(from, s->select.from_ns), format_duration(all, ns));
}

int trace_source_select(struct trace_source *s, const struct trace_select *select, struct vt_err *err) {
    int rc = select_check(select, s->info, err);
    if (rc) return rc;
    s->select = *select;
    s->selects = !select_is_all(select);
    return select->from_ns ? check_window(s, err) : 0;
}

int trace_source_run(struct trace_source *s, const struct run_opts *opts, const struct trace_writer_ops *ops,
                     struct trace_writer *w, struct trace_totals *totals, struct vt_err *err) {
    int rc = s->selects && select_has_window(&s->select) ? trace_source_range(s, err) : 0;
    if (rc) return rc;
    if (s->selects) return select_run(&s->select, s->info, run_whole, s, opts, ops, w, totals, err);
    return run_whole(s, opts, ops, w, totals, err);
}
