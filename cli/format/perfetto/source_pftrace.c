/* Owns our own .pftrace files as sources of calls (source.h). Files of other programs are refused: they hold more than calls
 * of functions. The file is read twice and takes the memory that source_json.c states.
 *
 * A BEGIN with an interned name is a call, and the END on its track ends it. INSTANTs are marks or gaps, COUNTERs are
 * counters. BEGIN and END with a name of their own are asynchronous events.
 *
 * Three things do not survive the format: an instant's scope g becomes p, a flow's t becomes s, null in arguments becomes
 * "null". */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/input.h"
#include "cli/base/interrupt.h"
#include "cli/base/memory.h"
#include "cli/base/pb_put.h"
#include "cli/format/perfetto/perfetto.h"
#include "cli/format/perfetto/perfetto_fields.h"
#include "cli/format/perfetto/perfetto_json.h"
#include "cli/format/perfetto/pftrace_read.h"
#include "cli/trace/filters.h"
#include "cli/trace/info_build.h"
#include "cli/trace/lane.h"
#include "cli/trace/limit.h"

#define CMDLINE_MAX (32u << 10)
#define TIME_MAX_NS (1ull << 62)
#define OPEN_SEARCH 4096u /* open calls that an END is compared with, at most */
#define GC "garbage collection "

struct track {
    uint64_t uuid;
    struct trace_process *process; /* the process of the track */
    struct trace_thread *thread;   /* the thread, when it is a thread's own track; else NULL */
    bool is_process;
    struct trace_task *task; /* calls on a track of an asyncio task; else NULL */
    char *name;
    uint32_t name_len;
};

struct open_call {
    const struct track *track;
    struct trace_name *name;
    uint64_t start_ns;
    bool from_attach, resumed;
    struct buf args; /* an object without its closing brace */
};

struct sequence {
    struct sequence *next;       /* in the order of the file */
    struct trace_thread *thread; /* NULL: that of the descriptors */
    bool absolute;               /* no clock of its own: times are whole */
    uint64_t last_ns, gc_ns;
    struct vt_pl_counter gc;     /* the values that have come so far, out of three */
    struct text_map names;       /* struct trace_name by number */
    struct perfetto_texts texts; /* of arguments */
    struct open_call *open;
    size_t nopen, open_room;
};

struct pftrace_source {
    char *path;
    struct info_build build;
    struct lanes lanes;
    struct text_map tracks, sequences; /* struct track, struct sequence by number */
    struct sequence *first, *last;     /* the same sequences */
    struct buf args;
    uint64_t dropped;
    uint32_t nnames, nthreads, nprocesses; /* after the first reading */
};

struct pass {
    struct pftrace_source *s;
    struct trace_info *info;
    struct lanes *lanes;
};

static void **by_number(struct text_map *map, uint64_t number) { return text_map_slot(map, &number, sizeof number); }
static void *get_number(const struct text_map *map, uint64_t number) { return text_map_get(map, &number, sizeof number); }

/* In the second reading nothing may be new: then the file has changed. */
static int check_stale(const struct pass *p) {
    const struct pftrace_source *s = p->s;
    if (p->lanes->learns) return 0;
    return s->nnames == p->info->nnames && s->nthreads == p->info->nthreads && s->nprocesses == p->info->nprocesses ? 0 : -ESTALE;
}

/* ---- tracks ---- */

/* Arguments of a command line, with spaces between them. */
static int add_cmdline(struct trace_process *to, const Pf__Track__Process *from) {
    struct buf text = {0};
    int rc = 0;
    for (size_t i = 0; i < from->n_cmdline && text.len < CMDLINE_MAX && !rc; i++) {
        if (i) rc = buf_put(&text, " ", 1);
        if (!rc) rc = buf_put(&text, from->cmdline[i].data, from->cmdline[i].len);
    }
    if (!rc && text.len)
        rc = info_build_text(&to->cmdline, &to->cmdline_len, (const char *)text.data,
                             text.len < CMDLINE_MAX ? text.len : CMDLINE_MAX);
    buf_free(&text);
    return rc;
}

static int add_process(struct pass *p, const Pf__Track *d, struct track *t) {
    char pid[24];
    int len = snprintf(pid, sizeof pid, "%llu", (unsigned long long)d->process->pid);
    t->is_process = true;
    t->process = info_build_process(&p->s->build, pid, (size_t)len);
    if (!t->process) return -ENOMEM;
    if (add_cmdline(t->process, d->process)) return -ENOMEM;
    const ProtobufCBinaryData *name = d->process->name.len ? &d->process->name : &d->name;
    return name->len ? info_build_text(&t->process->name, &t->process->name_len, (const char *)name->data, name->len) : 0;
}

static int add_thread(struct pass *p, const Pf__Track *d, struct track *t) {
    char tid[24];
    int len = snprintf(tid, sizeof tid, "%llu", (unsigned long long)d->thread->tid);
    uint32_t before = p->info->nthreads;
    t->thread = info_build_thread(&p->s->build, t->process, tid, (size_t)len);
    if (t->thread && p->lanes->learns && before == p->info->nthreads) { /* two threads with one tid, one after the other */
        len = snprintf(tid, sizeof tid, "track %llu", (unsigned long long)d->uuid);
        t->thread = info_build_thread(&p->s->build, t->process, tid, (size_t)len);
        if (t->thread) t->thread->tid = (uint32_t)d->thread->tid;
    }
    if (!t->thread || lanes_thread(p->lanes, t->thread)) return -ENOMEM;
    const ProtobufCBinaryData *name = d->thread->name.len ? &d->thread->name : &d->name;
    return name->len ? info_build_text(&t->thread->name, &t->thread->name_len, (const char *)name->data, name->len) : 0;
}

static int take_track(struct pass *p, const Pf__Track *d) {
    void **slot = by_number(&p->s->tracks, d->uuid);
    if (!slot) return -ENOMEM;
    if (*slot) return 0; /* the first one counts */
    const struct track *parent = get_number(&p->s->tracks, d->parent_uuid);
    if (!d->process && !parent) return -EBADMSG;
    struct track *t = memory_calloc(1, sizeof *t);
    if (!t) return -ENOMEM;
    *slot = t;
    t->uuid = d->uuid;
    if (parent) t->process = parent->process;
    if (d->process) return add_process(p, d, t);
    if (d->thread) return add_thread(p, d, t);
    return info_build_text(&t->name, &t->name_len, (const char *)d->name.data, d->name.len);
}

/* Calls on a track that is not a thread's ran in a task. */
static int task_of(struct track *t, struct trace_info *info, struct trace_task **out) {
    *out = NULL;
    if (!t || t->thread) return 0; /* the thread's own track */
    if (!t->task) {
        void **slot = id_table_slot(&info->tasks, (uint32_t)t->uuid);
        struct trace_task *task = slot && !*slot ? memory_calloc(1, sizeof *task) : NULL;
        if (!task || info_build_text(&task->name, &task->name_len, t->name ? t->name : "", t->name_len)) {
            memory_free(task);
            return slot && *slot ? -EBADMSG : -ENOMEM;
        }
        task->address = t->uuid;
        *slot = t->task = task;
    }
    *out = t->task;
    return 0;
}

/* ---- sequences ---- */

static int get_sequence(struct pass *p, uint64_t id, struct sequence **out) {
    void **slot = by_number(&p->s->sequences, id);
    *out = slot ? *slot : NULL;
    if (*out) return 0;
    *out = slot ? memory_calloc(1, sizeof **out) : NULL;
    if (!*out) return -ENOMEM;
    if (p->s->last)
        p->s->last->next = *out;
    else
        p->s->first = *out;
    *slot = p->s->last = *out;
    return 0;
}

static int clear(struct pass *p, struct sequence *seq, const Pf__Packet *packet) {
    const Pf__Defaults *defaults = packet->defaults;
    uint64_t own_ns = pftrace_clock_ns(packet, PFTRACE_CLOCK_OWN), mono_ns = pftrace_clock_ns(packet, PFTRACE_CLOCK_MONO),
             real_ns = pftrace_clock_ns(packet, PFTRACE_CLOCK_REAL);
    if (!defaults || own_ns > TIME_MAX_NS) return -EBADMSG;
    if (defaults->timestamp_clock_id && defaults->timestamp_clock_id != PFTRACE_CLOCK_OWN) return -EBADMSG;
    seq->absolute = !defaults->timestamp_clock_id;
    const struct track *track = get_number(&p->s->tracks, defaults->event ? defaults->event->track_uuid : 0);
    if (packet->sequence_id != 1 && (!track || !track->thread)) return -EBADMSG;
    if (packet->sequence_id != 1) seq->thread = track->thread;
    seq->last_ns = own_ns;
    if (real_ns >= mono_ns && real_ns && p->lanes->learns) p->info->real_minus_mono = real_ns - mono_ns;
    text_map_free(&seq->names);
    perfetto_texts_free(&seq->texts);
    return 0;
}

static int take_texts(struct text_map *map, Pf__Interned__Name *const *list, size_t n) {
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) rc = perfetto_texts_add(map, list[i]->iid, list[i]->name);
    return rc;
}

/* Takes an interned function name, with its source location if it is a Python function, or texts of arguments. */
static int take_interned(struct pass *p, struct sequence *seq, const Pf__Interned *in) {
    int rc = take_texts(&seq->texts.names, in->args, in->n_args);
    if (!rc) rc = take_texts(&seq->texts.strings, in->strings, in->n_strings);
    if (rc || (!in->n_names && !in->n_sources)) return rc;
    const Pf__Interned__Source *source = in->n_sources ? in->sources[in->n_sources - 1] : NULL;
    const Pf__Interned__Name *plain = in->n_names ? in->names[in->n_names - 1] : NULL;
    const ProtobufCBinaryData *name = source ? &source->function : &plain->name;
    struct trace_name like = {.kind = !source, .name = (const char *)name->data, .name_len = (uint32_t)name->len};
    if (source) {
        like.line = source->line;
        like.file = (const char *)source->file.data;
        like.file_len = (uint32_t)source->file.len;
    }
    void **slot = by_number(&seq->names, source ? source->iid : plain->iid);
    struct trace_name *known = slot ? info_build_name_parts(&p->s->build, &like) : NULL;
    if (!known) return -ENOMEM;
    *slot = known;
    return check_stale(p);
}

/* ---- events ---- */

static int take_args(struct buf *args, const struct perfetto_texts *texts, const Pf__Event *e, bool is_call,
                     struct perfetto_notes *notes) {
    int rc = 0;
    for (size_t i = 0; i < e->n_args && !rc; i++) rc = perfetto_json_member(args, texts, e->args[i], is_call, notes);
    return rc ? rc : args->failed ? -ENOMEM : 0;
}

static void end_object(struct buf *args) {
    if (args->len) buf_literal(args, "}");
}

static int begin_call(struct pass *p, struct sequence *seq, const struct track *track, uint64_t ns, const Pf__Event *e) {
    struct perfetto_notes notes = {0};
    struct trace_name *name = get_number(&seq->names, e->name_iid);
    if (!name) return -EBADMSG;
    if (seq->nopen == seq->open_room) {
        size_t room = seq->open_room ? seq->open_room * 2 : 16;
        struct open_call *grown = memory_realloc(seq->open, room * sizeof *grown);
        if (!grown) return -ENOMEM;
        seq->open = grown;
        seq->open_room = room;
    }
    struct open_call *open = &seq->open[seq->nopen++];
    *open = (struct open_call){.track = track, .name = name, .start_ns = ns};
    int rc = p->lanes->learns ? 0 : take_args(&open->args, &seq->texts, e, true, &notes);
    open->from_attach = notes.from_attach;
    open->resumed = notes.resumed;
    lanes_seen(p->lanes, seq->thread, ns, ns);
    if (rc) buf_free(&seq->open[--seq->nopen].args); /* an incomplete text */
    return rc;
}

static int fill_call(struct pass *p, const struct sequence *seq, struct open_call *open, struct trace_call *call) {
    end_object(&open->args);
    *call = (struct trace_call){.thread = seq->thread,
                                .name = open->name,
                                .start_ns = open->start_ns,
                                .from_attach = open->from_attach,
                                .resumed = open->resumed,
                                .args_json = open->args.len ? open->args.data : NULL,
                                .args_json_len = open->args.len};
    if (open->args.failed) return -ENOMEM;
    return task_of((struct track *)open->track, p->info, &call->task);
}

/* -ENOENT: no call is open on this track. */
static int end_call(struct pass *p, struct sequence *seq, const struct track *track, uint64_t ns, const Pf__Event *e) {
    struct perfetto_notes notes = {0};
    struct trace_call call;
    size_t at = seq->nopen, least = at > OPEN_SEARCH ? at - OPEN_SEARCH : 0;
    while (at > least && seq->open[at - 1].track != track) at--;
    if (at == least) return -ENOENT;
    struct open_call open = seq->open[--at];
    memmove(seq->open + at, seq->open + at + 1, (--seq->nopen - at) * sizeof *seq->open);
    int rc = p->lanes->learns ? 0 : take_args(&open.args, &seq->texts, e, true, &notes);
    if (!rc) rc = fill_call(p, seq, &open, &call);
    if (!rc) {
        call.end_ns = ns > call.start_ns ? ns : call.start_ns;
        call.raised = notes.raised;
        call.suspended = notes.suspended;
        call.open = notes.unfinished;
        rc = lanes_call(p->lanes, &call);
    }
    buf_free(&open.args);
    return rc;
}

static bool text_is(ProtobufCBinaryData text, const char *what) {
    return text.len == strlen(what) && !memcmp(text.data, what, text.len);
}

static int give_mark(struct pass *p, const struct sequence *seq, const struct trace_mark *mark) {
    lanes_seen(p->lanes, seq->thread, mark->ns, mark->ns);
    return p->lanes->learns || !p->lanes->ops->mark ? 0 : p->lanes->ops->mark(p->lanes->w, mark);
}

/* An instant of a thread or process, or a moment of an event that has a track of its own. */
static int take_mark(struct pass *p, const struct sequence *seq, const struct track *track, uint64_t ns, const Pf__Event *e) {
    struct buf *args = &p->s->args;
    struct perfetto_notes notes = {0};
    char id[24];
    args->len = 0;
    int rc = take_args(args, &seq->texts, e, false, &notes);
    end_object(args);
    if (rc || args->failed) return rc ? rc : -ENOMEM;
    if (e->type == PFTRACE_INSTANT && notes.has_count && text_is(e->name, "events dropped")) {
        struct trace_gap gap = {.thread = seq->thread, .ns = ns, .count = notes.count};
        lanes_seen(p->lanes, seq->thread, ns, ns);
        if (p->lanes->learns) return 0;
        p->lanes->totals->dropped =
            gap.count > UINT64_MAX - p->lanes->totals->dropped ? UINT64_MAX : p->lanes->totals->dropped + gap.count;
        return p->lanes->ops->gap(p->lanes->w, &gap);
    }
    struct trace_mark mark = {.thread = seq->thread,
                              .ns = ns,
                              .ph = 'i',
                              .scope = track->is_process ? 'p' : 't',
                              .name = (const char *)e->name.data,
                              .name_len = e->name.len,
                              .cat = e->n_categories ? (const char *)e->categories[e->n_categories - 1].data : NULL,
                              .cat_len = e->n_categories ? e->categories[e->n_categories - 1].len : 0,
                              .id = (const char *)notes.id.data,
                              .id_len = notes.id.len,
                              .args_json = args->len ? args->data : NULL,
                              .args_json_len = args->len};
    if (!track->thread && !track->is_process) {
        mark.ph = e->type == PFTRACE_BEGIN ? 'b' : e->type == PFTRACE_END ? 'e' : 'n';
        mark.id = id;
        mark.id_len = (size_t)snprintf(id, sizeof id, "%llu", (unsigned long long)track->uuid);
        if (!mark.name) mark.name_len = track->name_len, mark.name = track->name;
    } else if (text_is(notes.object, "created") || text_is(notes.object, "snapshot") || text_is(notes.object, "deleted")) {
        mark.ph = notes.object.data[0] == 'c' ? 'N' : notes.object.data[0] == 's' ? 'O' : 'D';
    } else if (e->n_flow_ids || e->n_terminating_flow_ids) {
        mark.ph = e->n_terminating_flow_ids ? 'f' : 's';
    }
    if (mark.ph != 'i') mark.scope = 0;
    if (!mark.name) mark.name = "";
    return give_mark(p, seq, &mark);
}

/* 1: it is one of the three values that a garbage collection has. */
static int take_gc(struct pass *p, struct sequence *seq, const struct track *track, uint64_t ns, int64_t value) {
    static const char *const values[] = {GC "collecting", GC "collected", GC "uncollectable"};
    ProtobufCBinaryData name = {.data = (uint8_t *)track->name, .len = track->name_len};
    int which = 0;
    while (which < 3 && !text_is(name, values[which])) which++;
    if (which == 3) return 0;
    if (which == 0) seq->gc.collecting = (uint64_t)value;
    if (which == 1) seq->gc.collected = (uint64_t)value;
    if (which == 2) seq->gc.uncollectable = (uint64_t)value;
    lanes_seen(p->lanes, seq->thread, ns, ns);
    bool whole = which == 2 && seq->gc_ns == ns;
    seq->gc_ns = ns;
    struct trace_counter counter = {.thread = seq->thread, .ns = ns, .value = seq->gc};
    int rc = whole && !p->lanes->learns ? p->lanes->ops->counter(p->lanes->w, &counter) : 0;
    return rc ? rc : 1;
}

static int take_counter(struct pass *p, struct sequence *seq, const struct track *track, uint64_t ns, const Pf__Event *e) {
    char number[40];
    struct buf *args = &p->s->args;
    int rc = e->has_counter_value ? take_gc(p, seq, track, ns, e->counter_value) : 0;
    if (rc) return rc < 0 ? rc : 0;
    if (!track->name || (!e->has_counter_value && !(e->double_counter_value - e->double_counter_value == 0))) return 0;
    if (e->has_counter_value)
        snprintf(number, sizeof number, "%lld", (long long)e->counter_value);
    else
        snprintf(number, sizeof number, "%.17g", e->double_counter_value);
    args->len = 0;
    buf_literal(args, "{");
    buf_json_string(args, track->name, track->name_len);
    buf_literal(args, ":");
    buf_literal(args, number);
    buf_literal(args, "}");
    if (args->failed) return -ENOMEM;
    struct trace_mark mark = {.thread = seq->thread,
                              .ns = ns,
                              .ph = 'C',
                              .name = track->name,
                              .name_len = track->name_len,
                              .args_json = args->data,
                              .args_json_len = args->len};
    return give_mark(p, seq, &mark);
}

/* When tracing of a process ended, and began. */
static int take_tracing(struct buf *args, struct trace_process *process, uint64_t ns) {
    buf_put(args, "", 1);
    if (args->failed) return -ENOMEM;
    const char *began = strstr(args->data, "\"began_ns\":");
    uint64_t start = began ? strtoull(began + 11, NULL, 10) : ns;
    if (!process->end_ns || start < process->start_ns) process->start_ns = start;
    if (ns > process->end_ns) process->end_ns = ns;
    return 0;
}

/* The notes that our writer puts at the end of the trace. */
static int take_note(struct pass *p, const struct sequence *seq, const struct track *track, uint64_t ns, const Pf__Event *e) {
    struct buf *args = &p->s->args;
    struct perfetto_notes notes = {0};
    const char *dropped, *limit, *filters;
    args->len = 0;
    int rc = take_args(args, &seq->texts, e, false, &notes);
    bool limited = text_is(e->name, "limit on the overhead");
    if (!rc && p->lanes->learns && track && track->is_process && text_is(e->name, "tracing ended"))
        return take_tracing(args, track->process, ns);
    if (rc || !p->lanes->learns || !args->len || (!limited && !text_is(e->name, "not everything is shown"))) return rc;
    buf_put(args, "", 1);
    if (args->failed) return -ENOMEM;
    if (limited) {
        if ((limit = strstr(args->data, "\"limit\":\""))) limit_take(p->info, limit + 9, strcspn(limit + 9, "\""));
        return 0;
    }
    if ((filters = strstr(args->data, "\"filters\":\""))) filters_take(p->info, filters + 11, strcspn(filters + 11, "\""));
    if (strstr(args->data, "\"cut_off\"")) p->info->cut_off = true;
    if (strstr(args->data, "\"older_calls_left_out\"")) p->info->overflow = true;
    if ((dropped = strstr(args->data, "\"dropped_events\":"))) p->s->dropped = strtoull(dropped + 17, NULL, 10);
    return 0;
}

static int take_event(struct pass *p, struct sequence *seq, const Pf__Packet *packet) {
    const Pf__Event *e = packet->event;
    uint32_t clock = packet->timestamp_clock_id;
    if (!packet->has_timestamp || packet->timestamp > TIME_MAX_NS) return -EBADMSG;
    if (clock && clock != PFTRACE_CLOCK_MONO) return -EBADMSG;
    if (!clock) seq->last_ns = (seq->absolute ? 0 : seq->last_ns) + packet->timestamp;
    if (seq->last_ns > TIME_MAX_NS) return -EBADMSG;
    uint64_t ns = clock ? packet->timestamp : seq->last_ns;
    const struct track *track = e->track_uuid ? get_number(&p->s->tracks, e->track_uuid) : NULL;
    if (e->track_uuid && !track) return -EBADMSG;
    if (!seq->thread) return packet->sequence_id == 1 ? take_note(p, seq, track, ns, e) : -EBADMSG;
    const struct track own = {.thread = seq->thread, .process = (struct trace_process *)seq->thread->process};
    if (e->type == PFTRACE_BEGIN && e->name_iid) return begin_call(p, seq, track, ns, e);
    if (e->type == PFTRACE_END) {
        int rc = end_call(p, seq, track, ns, e);
        if (rc != -ENOENT) return rc;
        if (!track || track->thread || track->is_process) return 0; /* the trace does not have its begin */
    }
    if (e->type == PFTRACE_COUNTER) return track ? take_counter(p, seq, track, ns, e) : -EBADMSG;
    if (e->type < PFTRACE_BEGIN || e->type > PFTRACE_INSTANT) return 0;
    return take_mark(p, seq, track ? track : &own, ns, e);
}

static int on_packet(void *ctx, const Pf__Packet *packet) {
    struct pass *p = ctx;
    struct sequence *seq;
    int rc = get_sequence(p, packet->sequence_id, &seq);
    if (!rc && (packet->flags & PFTRACE_FLAG_CLEARED)) rc = clear(p, seq, packet);
    if (!rc && packet->track) rc = take_track(p, packet->track);
    if (!rc && packet->interned) rc = take_interned(p, seq, packet->interned);
    if (!rc && packet->event) rc = take_event(p, seq, packet);
    return rc ? rc : check_stale(p);
}

/* ---- source ---- */

static int compare_open(const void *a, const void *b) {
    const struct open_call *x = a, *y = b;
    return x->start_ns < y->start_ns ? -1 : x->start_ns > y->start_ns;
}

/* Hands over the calls that never ended, and those that lanes held back. */
static int give_rest(struct pass *p) {
    int rc = 0;
    for (struct sequence *seq = p->s->first; seq && !rc; seq = seq->next) {
        if (!seq->thread) continue;
        if (seq->nopen) qsort(seq->open, seq->nopen, sizeof *seq->open, compare_open);
        for (size_t k = 0; k < seq->nopen && !rc; k++) {
            struct trace_call call;
            rc = fill_call(p, seq, &seq->open[seq->nopen - 1 - k], &call);
            if (!rc) rc = lanes_open(p->lanes, &call);
        }
        if (!rc) rc = lanes_end(p->lanes, seq->thread);
    }
    return rc;
}

static void end_pass(struct pftrace_source *s) {
    while (s->first) {
        struct sequence *seq = s->first;
        s->first = seq->next;
        while (seq->nopen) buf_free(&seq->open[--seq->nopen].args);
        memory_free(seq->open);
        text_map_free(&seq->names);
        perfetto_texts_free(&seq->texts);
        memory_free(seq);
    }
    s->last = NULL;
    text_map_free(&s->sequences);
    lanes_clear(&s->lanes);
}

static void pftrace_close(struct trace_info *info, void *state) {
    struct pftrace_source *s = state;
    end_pass(s);
    for (size_t i = 0; i < s->tracks.slots; i++) {
        struct track *t = s->tracks.entries[i].key ? s->tracks.entries[i].value : NULL;
        if (t) memory_free(t->name);
        memory_free(t);
    }
    text_map_free(&s->tracks);
    lanes_free(&s->lanes);
    buf_free(&s->args);
    info_build_free(&s->build);
    memory_free(s->path);
    memory_free(s);
    trace_info_free(info);
}

static int learn(struct pftrace_source *s, struct trace_info *info, struct vt_err *err) {
    struct pass p = {.s = s, .info = info, .lanes = &s->lanes};
    struct pftrace_handler handler = {.packet = on_packet, .left_out = &info->left_out, .stop = &interrupts_seen};
    int rc = pftrace_packets(s->path, &handler, &p, &info->damage, err);
    if (!rc) rc = give_rest(&p);
    if (!rc && !info->nprocesses && !info_build_process(&s->build, "0", 1)) rc = -ENOMEM; /* writers need a process */
    if (rc == -EINTR) return vt_err_set(err, rc, "interrupted");
    if (rc) return input_cannot(s->path, rc, err);
    if (p.lanes->any) trace_info_put_ends(info);
    for (uint32_t i = 0; i < info->nthreads; i++) info->nshown += info->threads[i]->shown;
    s->nnames = info->nnames;
    s->nthreads = info->nthreads;
    s->nprocesses = info->nprocesses;
    info->range_known = true;
    if (info->damage.code) info->cut_off = true;
    return 0;
}

static int pftrace_open(const char *path, struct trace_info **info, void **state, struct vt_err *err) {
    struct pftrace_source *s = memory_calloc(1, sizeof *s);
    struct trace_info *made = trace_info_new();
    if (!s || !made || !(s->path = memory_strdup(path))) {
        memory_free(s);
        trace_info_free(made);
        return vt_err_set(err, -ENOMEM, "out of memory");
    }
    s->build.info = made;
    s->lanes = (struct lanes){.info = made, .learns = true};
    int rc = learn(s, made, err);
    if (rc) {
        pftrace_close(made, s);
        return rc;
    }
    end_pass(s);
    *info = made;
    *state = s;
    return 0;
}

struct reading {
    struct pass pass;
    struct pftrace_handler handler;
};

static int read_file(void *ctx, struct vt_err *err) {
    struct reading *r = ctx;
    struct vt_err damage = {0};
    return pftrace_packets(r->pass.s->path, &r->handler, &r->pass, &damage, err);
}

static int read_rest(void *ctx) { return give_rest(&((struct reading *)ctx)->pass); }

static int pftrace_run(struct trace_info *info, void *state, const struct run_opts *opts, const struct trace_writer_ops *ops,
                       struct trace_writer *w, struct trace_totals *totals, struct vt_err *err) {
    struct pftrace_source *s = state;
    struct reading r = {
        .pass = {.s = s, .info = info, .lanes = &s->lanes},
        .handler = {.packet = on_packet, .progress = opts->progress, .progress_arg = opts->progress_arg, .stop = opts->stop}};
    int rc =
        lanes_run(&s->lanes, &(struct lanes_reading){s->path, read_file, read_rest, &r, &s->dropped}, opts, ops, w, totals, err);
    end_pass(s);
    return rc;
}

static const struct trace_source_ops source_pftrace = {.open = pftrace_open, .run = pftrace_run, .close = pftrace_close};

static bool pftrace_is(const uint8_t *head, size_t len) { return len >= 2 && head[0] == PB_TAG(TRACE_PACKET, PB_BYTES); }

const struct trace_format format_pftrace = {
    .name = "pftrace",
    .help = "Perfetto's protobuf: a quarter of the JSON's size; asyncio tasks with flows, typed arguments",
    .suffixes = {{.text = ".pftrace", .bytes_per_call = 28}, {.text = ".pftrace.gz", .bytes_per_call = 4, .gzip = true}},
    .is = pftrace_is,
    .is_needs_suffix = true,
    .source = &source_pftrace,
    .read_note = "files of viztracer",
    .writer = &out_perfetto,
    .view = FORMAT_VIEW_AS_TRACE,
    .part = FORMAT_TRACE_PART,
    .next_step = "Open it with: vizviewer ",
};
