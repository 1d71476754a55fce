/* Owns the choice of who reads a trace file, by its first bytes (source.h). */
#include "cli/trace/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define HEAD_LEN 64u

struct trace_source {
    const struct trace_source_ops *ops;
    struct trace_info *info;
    void *state;
    struct trace_select select;
    bool selects;
};

static const struct trace_source_ops *const kinds[] = {&source_vzt, &source_cvf, &source_json, &source_pftrace};

/* zlib hands files that are not gzipped through as they are. */
static int read_head(const char *path, uint8_t *head, size_t *len, struct vt_err *err) {
    errno = 0;
    gzFile f = gzopen(path, "rbe");
    int rc = errno ? -errno : -ENOMEM;
    if (!f) return vt_err_set(err, rc, "%s: %s", path, strerror(-rc));
    errno = 0;
    int n = gzread(f, head, HEAD_LEN);
    rc = n >= 0 ? 0 : errno ? -errno : -EBADMSG;
    if (rc == -EBADMSG)
        vt_err_set(err, rc, "%s: the gzip data is damaged", path);
    else if (rc)
        vt_err_set(err, rc, "%s: %s", path, strerror(-rc));
    gzclose(f);
    *len = n > 0 ? (size_t)n : 0;
    return rc;
}

int trace_source_open(const char *path, struct trace_source **out, struct vt_err *err) {
    uint8_t head[HEAD_LEN];
    size_t len = 0;
    int rc = read_head(path, head, &len, err);
    if (rc) return rc;
    if (!len) return vt_err_set(err, -EBADMSG, "%s: the file is empty", path);
    const struct trace_source_ops *ops = NULL;
    for (size_t i = 0; i < VT_ARRAY_LEN(kinds) && !ops; i++)
        if (kinds[i]->is(head, len)) ops = kinds[i];
    if (!ops) return vt_err_set(err, -EBADMSG, "%s: no trace that viztracer can read", path);
    struct trace_info *info;
    void *state;
    rc = ops->open(path, &info, &state, err);
    return rc ? rc : trace_source_new(ops, info, state, out, err);
}

int trace_source_new(const struct trace_source_ops *ops, struct trace_info *info, void *state, struct trace_source **out,
                     struct vt_err *err) {
    struct trace_source *s = calloc(1, sizeof *s);
    if (!s) {
        ops->close(info, state);
        return vt_err_set(err, -ENOMEM, "out of memory");
    }
    *s = (struct trace_source){.ops = ops, .info = info, .state = state};
    *out = s;
    return 0;
}

void trace_source_close(struct trace_source *s) {
    if (!s) return;
    s->ops->close(s->info, s->state);
    free(s);
}

const char *trace_source_kind(const struct trace_source *s) { return s->ops->kind; }
struct trace_info *trace_source_info(struct trace_source *s) {
    return s->info;
}

static int run_whole(void *ctx, const struct model_opts *opts, const struct trace_writer_ops *ops, struct trace_writer *w,
                     struct trace_totals *totals, struct vt_err *err) {
    const struct trace_source *s = ctx;
    return s->ops->run(s->info, s->state, opts, ops, w, totals, err);
}

/* ---- a writer that looks for the first and the last moment ---- */

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
static int range_call(struct trace_writer *w, const struct trace_call *c) {
    return see(w, c->start_ns, c->open ? c->start_ns : c->end_ns);
}
static int range_gap(struct trace_writer *w, const struct trace_gap *g) { return see(w, g->ns, g->ns); }
static int range_counter(struct trace_writer *w, const struct trace_counter *c) { return see(w, c->ns, c->ns); }
static int range_mark(struct trace_writer *w, const struct trace_mark *m) { return see(w, m->ns, m->ns); }
static int range_end(struct trace_writer *w, const struct trace_totals *totals) {
    (void)totals;
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
    struct model_opts all = {0};
    return s->info->range_known ? 0 : run_whole(s, &all, &ops, &w, &totals, err);
}

int trace_source_select(struct trace_source *s, const struct trace_select *select, struct vt_err *err) {
    int rc = select_check(select, s->info, err);
    if (rc) return rc;
    s->select = *select;
    s->selects = !select_is_all(select);
    return 0;
}

int trace_source_run(struct trace_source *s, const struct model_opts *opts, const struct trace_writer_ops *ops,
                     struct trace_writer *w, struct trace_totals *totals, struct vt_err *err) {
    int rc = s->selects && select_has_window(&s->select) ? trace_source_range(s, err) : 0;
    if (rc) return rc;
    if (s->selects) return select_run(&s->select, s->info, run_whole, s, opts, ops, w, totals, err);
    return run_whole(s, opts, ops, w, totals, err);
}
