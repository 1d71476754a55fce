/* Owns joining traces (join.h): one trace_info made out of theirs, and a writer in front that translates. */
#include "cli/trace/join.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/memory.h"
#include "cli/trace/info_build.h"
#include "cli/trace/origins.h"

#define OTHER_CLOCK_NS 1000000000u

#define SAME_BIRTH_NS 50000000u /* one process is not told twice with births further apart; a pid is not used again sooner */

struct part {
    size_t number;                 /* of join_parts */
    struct trace_thread **threads; /* of the joined trace, by the part's index; all are owned by that */
    uint32_t nthreads;
    uint64_t real_minus_mono, sync_ns, shift_ns;
    uint64_t first_ns, last_ns; /* shifted */
};

/* A process of a part. */
struct member {
    const struct part *part;
    uint64_t born_ns;
    uint32_t next; /* of the same pid: its place plus 1; 0 = none */
};

struct many {
    struct info_build build;
    struct join_parts parts_of;
    struct join_opts opts;
    struct part *parts;
    size_t n;
    struct member *members;
    uint32_t nmembers, members_room;
    struct text_map by_pid; /* the newest member of each pid: its place plus 1 */
    struct text_map tasks;  /* struct trace_task by part and what is known of the task */
    uint32_t ntasks;
    const struct run_opts *run; /* options of the run */
    struct origins *origins;    /* of the run; NULL = no process comes from another one */
    size_t at;
};

/* The writer in front. */
struct trace_writer {
    struct many *many;
    const struct part *part;
    struct trace_name **names; /* of the joined trace, by the part's index */
    const struct trace_writer_ops *ops;
    struct trace_writer *inner;
    const struct trace_task *task; /* the last one that was looked up */
    struct trace_task *task_is;
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

/* Our task for one of the part. */
static int task_for(struct trace_writer *w, struct trace_task *from, struct trace_task **to) {
    struct many *m = w->many;
    if (from == w->task) return *to = w->task_is, 0;
    struct {
        uint64_t part, id, address;
    } head = {w->part->number, from->id, from->address};
    size_t len = sizeof head + from->name_len;
    char *key = memory_alloc(len);
    if (!key) return -ENOMEM;
    memcpy(key, &head, sizeof head);
    if (from->name_len) memcpy(key + sizeof head, from->name, from->name_len);
    void **slot = text_map_slot(&m->tasks, key, len);
    memory_free(key);
    if (!slot) return -ENOMEM;
    if (!*slot) {
        void **place = id_table_slot(&m->build.info->tasks, m->ntasks + 1);
        struct trace_task *task = place ? memory_calloc(1, sizeof *task) : NULL;
        if (!task) return -ENOMEM;
        task->id = ++m->ntasks;
        task->address = from->address;
        *slot = *place = task;
        if (info_build_text(&task->name, &task->name_len, from->name ? from->name : "", from->name_len)) return -ENOMEM;
    }
    w->task = from;
    *to = w->task_is = *slot;
    return 0;
}

static int call_for(struct trace_writer *w, const struct trace_call *from, struct trace_call *to) {
    *to = *from;
    to->thread = w->part->threads[from->thread->index];
    to->name = w->names[from->name->index];
    to->start_ns += w->part->shift_ns;
    to->end_ns += w->part->shift_ns;
    return from->task ? task_for(w, from->task, &to->task) : 0;
}

static int enter(struct trace_writer *w, const struct trace_call *from) {
    struct trace_call to;
    int rc = call_for(w, from, &to);
    return rc ? rc : w->ops->enter(w->inner, &to);
}

static int call(struct trace_writer *w, const struct trace_call *from) {
    struct trace_call to;
    int rc = call_for(w, from, &to);
    if (w->many->origins) origins_see(w->many->origins, &to);
    return rc ? rc : w->ops->call(w->inner, &to);
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

static int await(struct trace_writer *w, const struct trace_await *from) {
    struct trace_name *chain[TRACE_AWAIT_CHAIN];
    struct trace_await to = *from;
    if (!w->ops->await) return 0;
    for (uint32_t i = 0; i < from->nchain; i++) chain[i] = w->names[from->chain[i]->index];
    to.chain = chain;
    to.in = w->names[from->in->index];
    int rc = call_for(w, &from->call, &to.call);
    if (!rc && from->awaited) rc = task_for(w, from->awaited, &to.awaited);
    return rc ? rc : w->ops->await(w->inner, &to);
}

static const struct trace_writer_ops translate = {
    .begin = begin, .call = call, .gap = gap, .counter = counter, .mark = mark, .await = await, .end = end};
static const struct trace_writer_ops translate_announced = {
    .begin = begin, .enter = enter, .call = call, .gap = gap, .counter = counter, .mark = mark, .await = await, .end = end};

static void add_totals(struct trace_totals *sum, const struct trace_totals *t) {
    sum->calls += t->calls;
    sum->open += t->open;
    sum->short_calls += t->short_calls;
    sum->dropped = t->dropped > UINT64_MAX - sum->dropped ? UINT64_MAX : sum->dropped + t->dropped;
    sum->unmatched += t->unmatched;
    sum->cut += t->cut;
    sum->threads += t->threads;
}

static void progress(void *arg, uint64_t done, uint64_t size) {
    const struct many *m = arg;
    const uint64_t share = 1000;
    m->run->progress(m->run->progress_arg, m->at * share + (size ? (done < size ? done : size) * share / size : 0), m->n * share);
}

/* Our names by the index of the part's. New ones are made: the first time all, later none. */
static int names_for(struct many *m, struct trace_info *from, struct trace_name ***out) {
    struct trace_name **names = memory_calloc(from->nnames, sizeof(struct trace_name *));
    if (!names) return -ENOMEM;
    names[0] = &m->build.info->unknown;
    for (uint32_t p = 0; p < from->names.npages; p++)
        for (uint32_t k = 0; from->names.pages[p] && k < ID_TABLE_PAGE; k++) {
            const struct trace_name *old = from->names.pages[p][k];
            if (!old || (names[old->index] = info_build_name_parts(&m->build, old))) continue;
            memory_free(names);
            return -ENOMEM;
        }
    *out = names;
    return 0;
}

static const char *part_name(const struct many *m, const struct part *part) {
    return m->parts_of.name(m->parts_of.ctx, part->number);
}

static void take_damage(struct many *m, const struct part *part, const struct trace_info *from) {
    struct vt_err *to = &m->build.info->damage;
    if (from->damage.code && !to->code) vt_err_set(to, from->damage.code, "%s: %s", part_name(m, part), from->damage.msg);
}

static int run_part(struct many *m, const struct part *part, const struct run_opts *opts, const struct trace_writer_ops *ops,
                    struct trace_writer *inner, struct trace_totals *totals, struct vt_err *err) {
    struct trace_writer w = {.many = m, .part = part, .ops = ops, .inner = inner};
    struct trace_source *source;
    int rc = m->parts_of.open(m->parts_of.ctx, part->number, &source, err);
    if (rc) return rc;
    struct trace_info *info = trace_source_info(source);
    rc = info->nthreads <= part->nthreads ? names_for(m, info, &w.names) : -ESTALE; /* the file was changed meanwhile */
    if (!rc) rc = trace_source_run(source, opts, ops->enter ? &translate_announced : &translate, &w, totals, err);
    take_damage(m, part, info);
    memory_free(w.names);
    m->parts_of.close(m->parts_of.ctx, source);
    return rc;
}

static int many_run(struct trace_info *info, void *state, const struct run_opts *opts, const struct trace_writer_ops *ops,
                    struct trace_writer *inner, struct trace_totals *totals, struct vt_err *err) {
    struct many *m = state;
    struct run_opts part_opts = *opts;
    int rc = origins_new(info, &m->origins);
    if (!rc) rc = ops->begin(inner);
    *totals = (struct trace_totals){0};
    m->run = opts;
    if (opts->progress) {
        part_opts.progress = progress;
        part_opts.progress_arg = m;
    }
    for (m->at = 0; m->at < m->n && !rc; m->at++) {
        struct trace_totals t = {0};
        rc = run_part(m, &m->parts[m->at], &part_opts, ops, inner, &t, err);
        if (!rc) add_totals(totals, &t);
    }
    /* a thread of two parts is one */
    if (totals->threads > info->nshown || !opts->min_duration_ns) totals->threads = info->nshown;
    if (!rc && m->origins && ops->mark) rc = origins_tell(m->origins, ops, inner);
    origins_free(m->origins);
    m->origins = NULL;
    if (!rc) rc = ops->end(inner, totals);
    if (rc && !err->msg[0]) vt_err_set(err, rc, "converting the traces: %s", strerror(-rc));
    return rc;
}

static void many_close(struct trace_info *info, void *state) {
    struct many *m = state;
    for (size_t i = 0; m->parts && i < m->n; i++) memory_free(m->parts[i].threads);
    if (m->parts_of.free) m->parts_of.free(m->parts_of.ctx);
    memory_free(m->parts);
    memory_free(m->members);
    text_map_free(&m->by_pid);
    text_map_free(&m->tasks);
    info_build_free(&m->build);
    memory_free(m);
    trace_info_free(info);
}

static const struct trace_source_ops source_many = {.run = many_run, .close = many_close};

/* ---- opening ---- */

static void note(const struct many *m, const char *fmt, ...) VT_PRINTF(2, 3);
static void note(const struct many *m, const char *fmt, ...) {
    char text[1024];
    va_list ap;
    if (!m->opts.note) return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    m->opts.note(m->opts.note_arg, text);
}

/* The facts of an open part that are needed to put it in its place. */
static int look_at(struct many *m, struct part *part, struct trace_source *source, struct vt_err *err) {
    struct trace_info *joined = m->build.info;
    const struct trace_info *info = trace_source_info(source);
    const char *name = part_name(m, part);
    char left_out[LEFT_OUT_TEXT];
    int rc = m->opts.one_file ? 0 : trace_source_range(source, err); /* of a file's own parts their order in it counts */
    if (rc) return rc;
    part->real_minus_mono = info->real_minus_mono;
    part->sync_ns = info->sync_ns;
    part->first_ns = m->opts.one_file && info->nprocesses ? info->processes[0]->start_ns : info->first_ns;
    part->last_ns = m->opts.one_file && info->nprocesses ? info->processes[0]->end_ns : info->last_ns;
    if (info->limit[0] && !joined->limit[0]) snprintf(joined->limit, sizeof joined->limit, "%s", info->limit);
    if (info->filters[0] && !joined->filters[0]) snprintf(joined->filters, sizeof joined->filters, "%s", info->filters);
    if (info->damage.code) note(m, "%s: %s; what comes after that place is left out", name, info->damage.msg);
    if (info->left_out.wrong_checksum) note(m, "%s: %s", name, LEFT_OUT_WRONG_CHECKSUM);
    if (left_out_events(&info->left_out, left_out)[0]) note(m, "%s: left out: %s", name, left_out);
    if (left_out_parts(&info->left_out, left_out)[0]) note(m, "%s has what is not carried over: %s", name, left_out);
    return 0;
}

static uint64_t reference(const struct part *part) { return part->sync_ns ? part->sync_ns : part->first_ns; }

/* Moves every part's reference to one time, the earliest at which no part begins before 0. The wall clock is that of the first
 * part that has one: the others' calls get other dates, as wanted. Returns the base time of the output. */
static uint64_t align(struct many *m) {
    uint64_t target = 0, base = 0;
    for (size_t i = 0; i < m->n; i++) {
        const struct part *part = &m->parts[i];
        if (reference(part) > part->first_ns + target) target = reference(part) - part->first_ns;
    }
    for (size_t i = 0; i < m->n; i++) {
        struct part *part = &m->parts[i];
        part->shift_ns = target - reference(part); /* may wrap: sums do not */
        if (!base && part->real_minus_mono) base = part->real_minus_mono - part->shift_ns;
    }
    return base;
}

/* Parts of another clock are placed by the wall clock. Returns the base time of the output. */
static uint64_t put_in_place(struct many *m) {
    uint64_t least = UINT64_MAX, last = 0;
    for (size_t i = 0; i < m->n; i++) {
        uint64_t base = m->parts[i].real_minus_mono;
        if (base && base < least) least = base;
        if (base) last = base;
    }
    bool same = true;
    for (size_t i = 0; i < m->n; i++) {
        uint64_t base = m->parts[i].real_minus_mono;
        if (!base || base - least <= OTHER_CLOCK_NS) continue;
        m->parts[i].shift_ns = base - least;
        same = false;
        note(m, "%s is from another machine or boot: it is put where the wall clock says", part_name(m, &m->parts[i]));
    }
    return same || least == UINT64_MAX ? last : least;
}

static bool overlaps(const struct part *a, const struct part *b) { return a->first_ns < b->last_ns && b->first_ns < a->last_ns; }

static bool same_birth(uint64_t a, uint64_t b) { return !a || !b || (a > b ? a - b : b - a) < SAME_BIRTH_NS; }

/* Is there another process of this number in a part before this one: at the same time, or born at another time? */
static bool clashes(const struct many *m, const struct part *part, const struct trace_process *process) {
    uintptr_t at = (uintptr_t)text_map_get(&m->by_pid, &process->pid, sizeof process->pid);
    while (at) {
        const struct member *other = &m->members[at - 1];
        if (other->part != part && (overlaps(other->part, part) || !same_birth(other->born_ns, process->born_ns))) return true;
        at = other->next;
    }
    return false;
}

static int remember(struct many *m, const struct part *part, const struct trace_process *process) {
    if (m->nmembers == m->members_room) {
        uint32_t room = m->members_room ? m->members_room * 2 : 64;
        struct member *grown = memory_realloc(m->members, room * sizeof *grown);
        if (!grown) return -ENOMEM;
        m->members = grown;
        m->members_room = room;
    }
    void **slot = text_map_slot(&m->by_pid, &process->pid, sizeof process->pid);
    if (!slot) return -ENOMEM;
    m->members[m->nmembers++] = (struct member){part, process->born_ns, (uint32_t)(uintptr_t)*slot};
    *slot = (void *)(uintptr_t)m->nmembers;
    return 0;
}

/* A process that is in several parts was traced from the first beginning to the last end. */
static void add_times(struct trace_process *to, const struct trace_process *from, uint64_t shift_ns) {
    uint64_t start = from->start_ns + shift_ns, end = from->end_ns + shift_ns;
    if (!from->end_ns) return;
    if (!to->end_ns || start < to->start_ns) to->start_ns = start;
    if (end > to->end_ns) to->end_ns = end;
}

/* Our process for one of a part. */
static struct trace_process *process_for(struct many *m, const struct part *part, const struct trace_process *from) {
    char key[64];
    bool clash = clashes(m, part, from);
    size_t number = m->opts.one_file ? part->number : (size_t)(part - m->parts);
    int len = snprintf(key, sizeof key, clash ? "%u of trace %zu" : "%u", from->pid, number + 1);
    if (clash)
        note(m, "%s: process %u is in another of the traces at the same time; it is shown as \"%s\"", part_name(m, part),
             from->pid, key);
    struct trace_process *to = info_build_process(&m->build, key, (size_t)len);
    char *name = NULL;
    if (!to) return NULL;
    add_times(to, from, part->shift_ns);
    to->cut_off |= from->cut_off;
    if (from->parent_pid) to->parent_pid = from->parent_pid;
    if (from->born_ns) to->born_ns = from->born_ns + part->shift_ns;
    if (from->origin_pid && !to->origin_pid) {
        to->origin_pid = from->origin_pid;
        to->origin_ident = from->origin_ident;
        to->origin_ns = from->origin_ns + part->shift_ns;
    }
    if (from->cmdline_len && info_build_text(&to->cmdline, &to->cmdline_len, from->cmdline, from->cmdline_len)) return NULL;
    if (!from->name_len) return to;
    int name_len = clash ? asprintf(&name, "%.*s (%s)", (int)from->name_len, from->name, key) : 0;
    if (name_len < 0) return NULL;
    int rc = info_build_text(&to->name, &to->name_len, clash ? name : from->name, clash ? (size_t)name_len : from->name_len);
    free(name);
    return rc ? NULL : to;
}

static int join_threads(struct many *m, struct part *part, const struct trace_info *from, struct trace_process **processes) {
    part->nthreads = from->nthreads;
    for (uint32_t i = 0; i < from->nthreads; i++) {
        const struct trace_thread *old = from->threads[i];
        char key[64];
        int len = snprintf(key, sizeof key, "%zu/%u", part->number,
                           i); /* threads of two parts are never merged: each nests on its own */
        struct trace_thread *new = info_build_thread(&m->build, processes[old->process->index], key, (size_t)len);
        bool main = !old->name_len && old->tid == old->process->pid; /* its process may get another number */
        const char *name = main ? "MainThread" : old->name_len ? old->name : "";
        if (!new || info_build_text(&new->name, &new->name_len, name, main ? strlen(name) : old->name_len)) return -ENOMEM;
        new->tid = old->tid;
        new->ident = old->ident;
        new->cpu = old->cpu;
        new->cpu_ns = old->cpu_ns;
        new->shown = old->shown;
        m->build.info->nshown += new->shown && !old->greenlet_of;
        part->threads[i] = new;
    }
    for (uint32_t i = 0; i < from->nthreads; i++)
        if (from->threads[i]->greenlet_of) part->threads[i]->greenlet_of = part->threads[from->threads[i]->greenlet_of->index];
    return 0;
}

static int join_texts(struct many *m, const struct trace_info *from) {
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

static void join_facts(struct many *m, const struct part *part, const struct trace_info *from) {
    struct trace_info *to = m->build.info;
    to->overflow |= from->overflow;
    to->cut_off |= from->cut_off;
    to->only_texts &= from->only_texts;
    to->announces &= from->announces;
    to->raised_unknown |= from->raised_unknown;
    to->counted &= from->counted;
    to->end_calls += from->end_calls;
    to->end_short_calls += from->end_short_calls;
    to->end_dropped += from->end_dropped;
    to->events += from->events;
    if (to->uid == (uint32_t)-1) to->uid = from->uid;
    take_damage(m, part, from);
}

static int join(struct many *m, struct part *part, struct trace_info *from) {
    struct trace_process **processes = memory_calloc(from->nprocesses + 1u, sizeof *processes);
    struct trace_name **names = NULL;
    part->threads = memory_calloc(from->nthreads + 1u, sizeof(struct trace_thread *));
    int rc = processes && part->threads ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < from->nprocesses && !rc; i++)
        if (!(processes[i] = process_for(m, part, from->processes[i]))) rc = -ENOMEM;
    for (uint32_t i = 0; i < from->nprocesses && !rc; i++) rc = remember(m, part, from->processes[i]);
    if (!rc) rc = join_threads(m, part, from, processes);
    if (!rc) rc = names_for(m, from, &names);
    if (!rc) rc = join_texts(m, from);
    memory_free(names);
    memory_free(processes);
    if (!rc) join_facts(m, part, from);
    return rc;
}

/* Earlier parts come first. */
static int compare_parts(const void *a, const void *b) {
    const struct part *x = a, *y = b;
    return x->first_ns < y->first_ns ? -1 : x->first_ns > y->first_ns;
}

/* One part of a file that cannot be read damages the file; the others are still good. */
static int is_damage(const struct many *m, int rc) { return m->opts.one_file && (rc == -EBADMSG || rc == -EPROTO); }

/* Looks at a part, joins it, or both. */
static int visit(struct many *m, struct part *part, bool look, bool joins, struct vt_err *err) {
    struct trace_source *source;
    struct vt_err why = {0};
    int rc = m->parts_of.open(m->parts_of.ctx, part->number, &source, &why);
    if (is_damage(m, rc)) {
        if (!m->build.info->damage.code) vt_err_set(&m->build.info->damage, rc, "%s: %s", part_name(m, part), why.msg);
        return 1;
    }
    if (rc) return vt_err_set(err, rc, "%s", why.msg);
    if (look) rc = look_at(m, part, source, err);
    if (!rc && joins && (rc = join(m, part, trace_source_info(source)))) vt_err_set(err, rc, "out of memory");
    m->parts_of.close(m->parts_of.ctx, source);
    return rc;
}

/* Parts of one file: each is opened once. */
static int join_one_file(struct many *m, struct vt_err *err) {
    for (size_t i = 0; i < m->parts_of.n; i++) {
        struct part *part = &m->parts[m->n++];
        *part = (struct part){.number = i};
        int rc = visit(m, part, true, true, err);
        if (rc < 0) return rc;
        m->n -= rc > 0;
        if (part->real_minus_mono) m->build.info->real_minus_mono = part->real_minus_mono;
    }
    return m->n ? 0
                : vt_err_set(err, -EBADMSG, "%s", m->build.info->damage.code ? m->build.info->damage.msg : "no process is in it");
}

static int join_files(struct many *m, struct vt_err *err) {
    struct trace_info *info = m->build.info;
    int rc = 0;
    for (size_t i = 0; i < m->parts_of.n && !rc; i++) {
        m->parts[m->n++] = (struct part){.number = i};
        rc = visit(m, &m->parts[i], true, false, err);
    }
    if (rc) return rc;
    info->real_minus_mono = m->opts.align ? align(m) : put_in_place(m);
    info->range_known = true;
    for (size_t i = 0; i < m->n; i++) {
        struct part *part = &m->parts[i];
        part->first_ns += part->shift_ns;
        part->last_ns += part->shift_ns;
        if (!i || part->first_ns < info->first_ns) info->first_ns = part->first_ns;
        if (part->last_ns > info->last_ns) info->last_ns = part->last_ns;
    }
    qsort(m->parts, m->n, sizeof *m->parts, compare_parts);
    for (size_t i = 0; i < m->n && !rc; i++) rc = visit(m, &m->parts[i], false, true, err);
    return rc;
}

int join_open(const struct join_parts *parts, const struct join_opts *opts, struct trace_source **out, struct vt_err *err) {
    struct many *m = memory_calloc(1, sizeof *m);
    struct trace_info *info = trace_info_new();
    if (m) m->parts = memory_calloc(parts->n + 1, sizeof *m->parts);
    if (!m || !info || !m->parts) {
        if (m) memory_free(m->parts);
        memory_free(m);
        trace_info_free(info);
        if (parts->free) parts->free(parts->ctx);
        return vt_err_set(err, -ENOMEM, "out of memory");
    }
    m->parts_of = *parts;
    m->opts = *opts;
    m->build.info = info;
    info->only_texts = info->counted = info->announces = true;
    info->native = opts->one_file;
    int rc = opts->one_file ? join_one_file(m, err) : join_files(m, err);
    if (!rc) return trace_source_new("many", &source_many, info, m, out, err);
    many_close(info, m);
    return rc;
}
