/* Owns joining traces (source_many.h): one trace_info made out of theirs, and a writer in front that translates. */
#include "cli/convert/source_many.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/memory.h"
#include "cli/format/format.h"
#include "cli/trace/info_build.h"

#define OTHER_CLOCK_NS 1000000000u

struct part {
    struct trace_source *source;
    const char *path;          /* borrowed, used only while opening */
    struct trace_name **names; /* owned here; by the part's index */
    struct trace_thread **threads;
    uint64_t shift_ns;
    uint64_t first_ns, last_ns; /* shifted */
    struct text_map pids;       /* its processes by pid */
};

struct many {
    struct info_build build;
    struct part *parts;
    size_t n;
    const struct run_opts *opts; /* options of the run */
    size_t at;
};

/* The writer in front. */
struct trace_writer {
    struct part *part;
    const struct trace_writer_ops *ops;
    struct trace_writer *inner;
};

/* ---- a run ---- */

static int begin(struct trace_writer *w) {
    (void)w;
    return 0; /* many_run does it once for all parts */
}
static int end(struct trace_writer *w, const struct trace_totals *totals) {
    (void)w;
    (void)totals;
    return 0;
}

static struct trace_name *name_of(const struct part *part, const struct trace_name *name) { return part->names[name->index]; }

static int call(struct trace_writer *w, const struct trace_call *from) {
    const struct part *part = w->part;
    struct trace_call to = *from;
    to.thread = part->threads[from->thread->index];
    to.name = name_of(part, from->name);
    to.start_ns += part->shift_ns;
    to.end_ns += part->shift_ns;
    return w->ops->call(w->inner, &to);
}

static int gap(struct trace_writer *w, const struct trace_gap *from) {
    struct trace_gap to = *from;
    to.thread = w->part->threads[from->thread->index];
    to.ns += w->part->shift_ns;
    return w->ops->gap(w->inner, &to);
}

static int counter(struct trace_writer *w, const struct trace_counter *from) {
    struct trace_counter to = *from;
    to.thread = w->part->threads[from->thread->index];
    to.ns += w->part->shift_ns;
    return w->ops->counter(w->inner, &to);
}

static int mark(struct trace_writer *w, const struct trace_mark *from) {
    struct trace_mark to = *from;
    to.thread = w->part->threads[from->thread->index];
    to.ns += w->part->shift_ns;
    return w->ops->mark ? w->ops->mark(w->inner, &to) : 0;
}

static const struct trace_writer_ops translate = {
    .begin = begin, .call = call, .gap = gap, .counter = counter, .mark = mark, .end = end};

static void add_totals(struct trace_totals *sum, const struct trace_totals *t) {
    sum->calls += t->calls;
    sum->open += t->open;
    sum->short_calls += t->short_calls;
    sum->dropped = t->dropped > UINT64_MAX - sum->dropped ? UINT64_MAX : sum->dropped + t->dropped;
    sum->unmatched += t->unmatched;
    sum->cut += t->cut;
}

static void progress(void *arg, uint64_t done, uint64_t size) {
    const struct many *m = arg;
    const uint64_t share = 1000;
    m->opts->progress(m->opts->progress_arg, m->at * share + (size ? (done < size ? done : size) * share / size : 0),
                      m->n * share);
}

static int many_run(struct trace_info *info, void *state, const struct run_opts *opts, const struct trace_writer_ops *ops,
                    struct trace_writer *inner, struct trace_totals *totals, struct vt_err *err) {
    struct many *m = state;
    struct run_opts part_opts = *opts;
    int rc = ops->begin(inner);
    *totals = (struct trace_totals){.threads = info->nshown};
    m->opts = opts;
    if (opts->progress) {
        part_opts.progress = progress;
        part_opts.progress_arg = m;
    }
    for (m->at = 0; m->at < m->n && !rc; m->at++) {
        struct trace_writer w = {.part = &m->parts[m->at], .ops = ops, .inner = inner};
        struct trace_totals t;
        rc = trace_source_run(w.part->source, &part_opts, &translate, &w, &t, err);
        if (!rc) add_totals(totals, &t);
    }
    if (!rc) rc = ops->end(inner, totals);
    if (rc) vt_err_set(err, rc, "converting the traces: %s", strerror(-rc));
    return rc;
}

static void many_close(struct trace_info *info, void *state) {
    struct many *m = state;
    for (size_t i = 0; i < m->n; i++) {
        trace_source_close(m->parts[i].source);
        memory_free(m->parts[i].names);
        memory_free(m->parts[i].threads);
        text_map_free(&m->parts[i].pids);
    }
    memory_free(m->parts);
    info_build_free(&m->build);
    memory_free(m);
    trace_info_free(info);
}

static const struct trace_source_ops source_many = {.run = many_run, .close = many_close};

/* ---- opening ---- */

static void note(const struct many_opts *opts, const char *fmt, ...) VT_PRINTF(2, 3);
static void note(const struct many_opts *opts, const char *fmt, ...) {
    char text[1024];
    va_list ap;
    if (!opts->note) return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    opts->note(opts->note_arg, text);
}

static int open_parts(struct many *m, const char *const *paths, size_t n, const struct many_opts *opts, struct vt_err *err) {
    for (size_t i = 0; i < n; i++) {
        struct part *part = &m->parts[m->n];
        struct vt_err why = {0};
        int rc = trace_source_open(paths[i], &part->source, &why);
        if (rc == -EBADMSG) {
            note(opts, "%s; it is left out", why.msg);
            continue;
        }
        if (!rc) {
            m->n++;
            rc = trace_source_range(part->source, &why);
        }
        if (rc) return vt_err_set(err, rc, "%s", why.msg);
        part->path = paths[i];
        const struct trace_info *info = trace_source_info(part->source);
        if (info->limit[0] && !m->build.info->limit[0]) snprintf(m->build.info->limit, sizeof info->limit, "%s", info->limit);
        if (info->filters[0] && !m->build.info->filters[0])
            snprintf(m->build.info->filters, sizeof info->filters, "%s", info->filters);
        if (info->damage.code) note(opts, "%s: %s; what comes after that place is left out", paths[i], info->damage.msg);
        char left_out[LEFT_OUT_TEXT];
        if (info->left_out.wrong_checksum) note(opts, "%s: %s", paths[i], LEFT_OUT_WRONG_CHECKSUM);
        if (left_out_events(&info->left_out, left_out)[0]) note(opts, "%s: left out: %s", paths[i], left_out);
        if (left_out_parts(&info->left_out, left_out)[0]) note(opts, "%s has what is not carried over: %s", paths[i], left_out);
    }
    return m->n ? 0 : vt_err_set(err, -EBADMSG, "none of these files is a trace that viztracer can read; name other ones");
}

static uint64_t reference(const struct trace_info *info) { return info->sync_ns ? info->sync_ns : info->first_ns; }

/* Moves every part's reference to one time, the earliest at which no part begins before 0. */
static void align(struct many *m) {
    uint64_t target = 0;
    for (size_t i = 0; i < m->n; i++) {
        const struct trace_info *info = trace_source_info(m->parts[i].source);
        if (reference(info) > info->first_ns + target) target = reference(info) - info->first_ns;
    }
    for (size_t i = 0; i < m->n; i++) /* may wrap: the sum with any time of the part does not */
        m->parts[i].shift_ns = target - reference(trace_source_info(m->parts[i].source));
}

/* Parts of another clock are placed by the wall clock. Returns the base time of the output. */
static uint64_t put_in_place(struct many *m, const struct many_opts *opts) {
    uint64_t least = UINT64_MAX, last = 0;
    for (size_t i = 0; i < m->n; i++) {
        uint64_t base = trace_source_info(m->parts[i].source)->real_minus_mono;
        if (base && base < least) least = base;
        if (base) last = base;
    }
    bool same = true;
    for (size_t i = 0; i < m->n && !opts->align; i++) {
        uint64_t base = trace_source_info(m->parts[i].source)->real_minus_mono;
        if (!base || base - least <= OTHER_CLOCK_NS) continue;
        m->parts[i].shift_ns = base - least;
        same = false;
        note(opts, "%s is from another machine or boot: it is put where the wall clock says", m->parts[i].path);
    }
    return same || least == UINT64_MAX ? last : least;
}

static bool overlaps(const struct part *a, const struct part *b) { return a->first_ns < b->last_ns && b->first_ns < a->last_ns; }

/* Is there a process of this number in a part before this one, at the same time? */
static bool clashes(const struct many *m, size_t at, uint32_t pid) {
    for (size_t i = 0; i < at; i++)
        if (text_map_get(&m->parts[i].pids, &pid, sizeof pid) && overlaps(&m->parts[i], &m->parts[at])) return true;
    return false;
}

/* A process that is in several parts was traced from the first beginning to the last end. */
static void add_times(struct trace_process *to, const struct trace_process *from, uint64_t shift_ns) {
    uint64_t start = from->start_ns + shift_ns, end = from->end_ns + shift_ns;
    if (!from->end_ns) return;
    if (!to->end_ns || start < to->start_ns) to->start_ns = start;
    if (end > to->end_ns) to->end_ns = end;
}

/* Our process for one of a part. */
static struct trace_process *process_for(struct many *m, size_t at, const struct trace_process *from,
                                         const struct many_opts *opts) {
    char key[64];
    bool clash = clashes(m, at, from->pid);
    int len = snprintf(key, sizeof key, clash ? "%u of trace %zu" : "%u", from->pid, at + 1);
    if (clash)
        note(opts, "%s: process %u is in another of the traces at the same time; it is shown as \"%s\"", m->parts[at].path,
             from->pid, key);
    struct trace_process *to = info_build_process(&m->build, key, (size_t)len);
    char *name = NULL;
    if (!to) return NULL;
    add_times(to, from, m->parts[at].shift_ns);
    if (from->cmdline_len && info_build_text(&to->cmdline, &to->cmdline_len, from->cmdline, from->cmdline_len)) return NULL;
    if (!from->name_len) return to;
    int name_len = clash ? asprintf(&name, "%.*s (%s)", (int)from->name_len, from->name, key) : 0;
    if (name_len < 0) return NULL;
    int rc = info_build_text(&to->name, &to->name_len, clash ? name : from->name, clash ? (size_t)name_len : from->name_len);
    free(name);
    return rc ? NULL : to;
}

static int join_threads(struct many *m, size_t at, struct trace_process **processes) {
    struct part *part = &m->parts[at];
    const struct trace_info *from = trace_source_info(part->source);
    for (uint32_t i = 0; i < from->nthreads; i++) {
        const struct trace_thread *old = from->threads[i];
        char key[64];
        int len = snprintf(key, sizeof key, "%zu/%u", at, i); /* threads of two parts are never merged: each nests on its own */
        struct trace_thread *new = info_build_thread(&m->build, processes[old->process->index], key, (size_t)len);
        bool main = !old->name_len && old->tid == old->process->pid; /* its process may get another number */
        const char *name = main ? "MainThread" : old->name_len ? old->name : "";
        if (!new || info_build_text(&new->name, &new->name_len, name, main ? strlen(name) : old->name_len)) return -ENOMEM;
        new->tid = old->tid;
        new->ident = old->ident;
        new->cpu = old->cpu;
        new->cpu_ns = old->cpu_ns;
        new->shown = old->shown;
        m->build.info->nshown += new->shown;
        part->threads[i] = new;
    }
    return 0;
}

static int join_names(struct many *m, struct part *part) {
    struct trace_info *from = trace_source_info(part->source);
    part->names[0] = &m->build.info->unknown;
    for (uint32_t p = 0; p < ID_TABLE_PAGES; p++)
        for (uint32_t k = 0; from->names.pages[p] && k < ID_TABLE_PAGE; k++) {
            const struct trace_name *old = from->names.pages[p][k];
            if (old && !(part->names[old->index] = info_build_name_parts(&m->build, old))) return -ENOMEM;
        }
    for (size_t i = 0; i < from->texts.slots; i++) {
        const struct text_map_entry *e = &from->texts.entries[i];
        if (!e->key || !e->value) continue;
        const struct trace_text *old = e->value;
        void **slot = text_map_slot(&m->build.info->texts, e->key, e->len);
        struct trace_text *new = slot ? memory_alloc(sizeof *new + old->len) : NULL;
        if (!new) return -ENOMEM;
        memcpy(new, old, sizeof *new + old->len);
        memory_free(*slot);
        *slot = new;
    }
    return 0;
}

static int join(struct many *m, size_t at, const struct many_opts *opts) {
    struct part *part = &m->parts[at];
    struct trace_info *from = trace_source_info(part->source), *to = m->build.info;
    struct trace_process **processes = memory_calloc(from->nprocesses + 1u, sizeof *processes);
    part->names = memory_calloc(from->nnames, sizeof(struct trace_name *));
    part->threads = memory_calloc(from->nthreads + 1u, sizeof(struct trace_thread *));
    int rc = processes && part->names && part->threads ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < from->nprocesses && !rc; i++) {
        void **slot = text_map_slot(&part->pids, &from->processes[i]->pid, sizeof from->processes[i]->pid);
        if (slot)
            *slot = from->processes[i];
        else
            rc = -ENOMEM;
    }
    for (uint32_t i = 0; i < from->nprocesses && !rc; i++)
        if (!(processes[i] = process_for(m, at, from->processes[i], opts))) rc = -ENOMEM;
    if (!rc) rc = join_threads(m, at, processes);
    if (!rc) rc = join_names(m, part);
    memory_free(processes);
    to->overflow |= from->overflow;
    to->cut_off |= from->cut_off;
    to->only_texts &= from->only_texts;
    if (to->uid == (uint32_t)-1) to->uid = from->uid;
    if (from->damage.code) vt_err_set(&to->damage, from->damage.code, "%s: %s", part->path, from->damage.msg);
    return rc;
}

/* Earlier parts come first. */
static int compare_parts(const void *a, const void *b) {
    const struct part *x = a, *y = b;
    return x->first_ns < y->first_ns ? -1 : x->first_ns > y->first_ns;
}

int source_many_open(const char *const *paths, size_t n, const struct many_opts *opts, struct trace_source **out,
                     struct vt_err *err) {
    struct many *m = memory_calloc(1, sizeof *m);
    struct trace_info *info = trace_info_new();
    if (m) m->parts = memory_calloc(n + 1, sizeof *m->parts);
    if (!m || !info || !m->parts) {
        if (m) memory_free(m->parts);
        memory_free(m);
        trace_info_free(info);
        return vt_err_set(err, -ENOMEM, "out of memory");
    }
    m->build.info = info;
    info->only_texts = true;
    int rc = open_parts(m, paths, n, opts, err);
    if (rc) {
        many_close(info, m);
        return rc;
    }
    info->real_minus_mono = put_in_place(m, opts);
    if (opts->align) align(m);
    for (size_t i = 0; i < m->n; i++) {
        const struct trace_info *from = trace_source_info(m->parts[i].source);
        m->parts[i].first_ns = from->first_ns + m->parts[i].shift_ns;
        m->parts[i].last_ns = from->last_ns + m->parts[i].shift_ns;
    }
    info->range_known = true;
    for (size_t i = 0; i < m->n; i++) {
        if (!i || m->parts[i].first_ns < info->first_ns) info->first_ns = m->parts[i].first_ns;
        if (m->parts[i].last_ns > info->last_ns) info->last_ns = m->parts[i].last_ns;
    }
    qsort(m->parts, m->n, sizeof *m->parts, compare_parts);
    for (size_t i = 0; i < m->n && !rc; i++) rc = join(m, i, opts);
    if (rc) {
        many_close(info, m);
        return vt_err_set(err, rc, "out of memory");
    }
    return trace_source_new("many", &source_many, info, m, out, err);
}
