/* Owns Perfetto's protobuf format (.pftrace). One sequence per thread, with a clock that counts from event to event; names
 * are interned per sequence; tracks for processes, threads, asyncio tasks and counters.
 *
 * Packets of a sequence stand in the order of their times where calls are announced (writer.h). What has to go back (calls
 * that were not announced, ends that were lost in a gap) carries an absolute time: readers sort by time, and packets of
 * the same time keep the order of the file, which the 1 ns between nested calls makes the right one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/names.h"
#include "cli/pb_put.h"
#include "cli/perfetto_args.h"

/* Field numbers, as far as they are written. */
enum { TRACE_PACKET = 1 };
enum {
    PACKET_CLOCKS = 6,
    PACKET_TIME = 8,
    PACKET_SEQUENCE = 10,
    PACKET_EVENT = 11,
    PACKET_INTERNED = 12,
    PACKET_FLAGS = 13,
    PACKET_PREVIOUS_DROPPED = 42,
    PACKET_TIME_CLOCK = 58,
    PACKET_DEFAULTS = 59,
    PACKET_TRACK = 60,
    PACKET_FIRST = 87
};
enum { FLAG_CLEARED = 1, FLAG_NEEDS_STATE = 2 };
enum { CLOCKS_CLOCK = 1, CLOCKS_PRIMARY = 2, CLOCK_ID = 1, CLOCK_TIME = 2, CLOCK_INCREMENTAL = 3 };
enum { CLOCK_REALTIME_ID = 1, CLOCK_MONOTONIC_ID = 3, CLOCK_OWN_ID = 64 };
enum { DEFAULTS_EVENT = 11, DEFAULTS_CLOCK = 58 };
enum { TRACK_UUID = 1, TRACK_NAME = 2, TRACK_PROCESS = 3, TRACK_THREAD = 4, TRACK_PARENT = 5, TRACK_COUNTER = 8 };
enum { PROCESS_PID = 1, PROCESS_NAME = 6, THREAD_PID = 1, THREAD_TID = 2, THREAD_NAME = 5 };
enum {
    EVENT_TYPE = 9,
    EVENT_NAME_ID = 10,
    EVENT_TRACK = 11,
    EVENT_CATEGORY = 22,
    EVENT_NAME = 23,
    EVENT_COUNTER = 30,
    EVENT_SOURCE_ID = 34,
    EVENT_DOUBLE_COUNTER = 44,
    EVENT_FLOW = 47,
    EVENT_FLOW_END = 48
};
enum { TYPE_BEGIN = 1, TYPE_END = 2, TYPE_INSTANT = 3, TYPE_COUNTER = 4 };
enum { INTERNED_NAME = 2, INTERNED_SOURCE = 4, NAME_ID = 1, NAME_TEXT = 2 };
enum { SOURCE_ID = 1, SOURCE_FILE = 2, SOURCE_FUNCTION = 3, SOURCE_LINE = 4 };

#define FAST_MAX 64u /* bytes of a packet without arguments, its name interned */

/* What the begin of a function holds: PACKET_EVENT, its length, type, name, source. Whole blocks are copied. */
#define PART_MAX 16u
struct begin_bytes {
    uint8_t len, bytes[PART_MAX + 7];
};
/* What every packet of a sequence ends with. */
struct tail_bytes {
    uint8_t len, bytes[PART_MAX - 1];
};

/* A track that is made when first needed: of a task, a counter, an async id. */
struct track {
    struct track *next; /* of the same hash */
    uint64_t hash, uuid, depth;
    size_t key_len;
    uint8_t key[];
};

struct sequence {
    bool started, described;
    uint64_t id, uuid; /* of the thread's track */
    uint64_t last_ns;
    struct tail_bytes tail;
    uint8_t *interned; /* a bit per name */
    uint32_t ninterned;
    const struct trace_task *task; /* the last one, and its track */
    struct track *task_track;
};

#define TRACK_SLOTS (1u << 14)
struct trace_writer {
    struct output *out;
    struct trace_info *info;
    struct begin_bytes *begins; /* by index of the name; len 0 = not made */
    struct sequence *control;   /* descriptors, and what belongs to no thread */
    struct sequence *sequences; /* by index of the thread */
    uint64_t *process_uuids;    /* by index */
    struct track *tracks[TRACK_SLOTS];
    uint64_t last_uuid;
    struct pb packet;
};

static void perfetto_free(struct trace_writer *w) {
    if (!w) return;
    for (uint32_t i = 0; w->sequences && i < w->info->nthreads; i++) free(w->sequences[i].interned);
    for (size_t i = 0; i < TRACK_SLOTS; i++)
        for (struct track *t = w->tracks[i], *next; t; t = next) {
            next = t->next;
            free(t);
        }
    free(w->begins);
    free(w->control);
    free(w->process_uuids);
    pb_free(&w->packet);
    free(w);
}

static void make_sequence(struct trace_writer *w, struct sequence *seq, uint64_t id) {
    seq->id = id;
    seq->uuid = ++w->last_uuid;
    uint8_t *p = pb_put_varint(seq->tail.bytes, PB_TAG(PACKET_SEQUENCE, PB_VARINT));
    p = pb_put_varint(p, id);
    p = pb_put_varint(p, PB_TAG(PACKET_FLAGS, PB_VARINT));
    p = pb_put_varint(p, FLAG_NEEDS_STATE);
    seq->tail.len = (uint8_t)(p - seq->tail.bytes);
}

static struct trace_writer *perfetto_open(struct output *out, struct trace_info *info, const struct writer_opts *opts) {
    (void)opts;
    struct trace_writer *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    w->out = out;
    w->info = info;
    w->begins = calloc(info->nnames + 1u, sizeof *w->begins);
    w->control = calloc(info->nthreads + 1u, sizeof *w->control);
    w->process_uuids = calloc(info->nprocesses + 1u, sizeof *w->process_uuids);
    if (!w->begins || !w->control || !w->process_uuids) {
        perfetto_free(w);
        return NULL;
    }
    w->sequences = w->control + 1;
    for (uint32_t i = 0; i < info->nprocesses; i++) w->process_uuids[i] = ++w->last_uuid;
    for (uint32_t i = 0; i <= info->nthreads; i++) make_sequence(w, &w->control[i], 1u + i);
    if (info->nprocesses) w->control->uuid = w->process_uuids[0];
    return w;
}

/* ---- packets ---- */

static struct pb *new_packet(struct trace_writer *w) {
    w->packet.len = 0;
    return &w->packet;
}

static int put_packet(struct trace_writer *w) {
    uint8_t head[2 * PB_VARINT_MAX];
    if (w->packet.failed) return -ENOMEM;
    uint8_t *p = pb_put_varint(head, PB_TAG(TRACE_PACKET, PB_BYTES));
    p = pb_put_varint(p, w->packet.len);
    output_write(w->out, head, (size_t)(p - head));
    output_write(w->out, w->packet.data, w->packet.len);
    return output_error(w->out);
}

/* With what a packet of this sequence ends. */
static int end_packet(struct trace_writer *w, const struct sequence *seq) {
    uint8_t *p = pb_room(&w->packet, seq->tail.len);
    if (!p) return -ENOMEM;
    memcpy(p, seq->tail.bytes, seq->tail.len);
    w->packet.len += seq->tail.len;
    return put_packet(w);
}

static void put_clock(struct pb *b, uint64_t id, uint64_t ns) {
    size_t start = pb_open(b, CLOCKS_CLOCK);
    pb_u64(b, CLOCK_ID, id);
    pb_u64(b, CLOCK_TIME, ns);
    if (id == CLOCK_OWN_ID) pb_u64(b, CLOCK_INCREMENTAL, 1);
    pb_close(b, start);
}

/* The packet with which a sequence begins, and begins anew after a gap: nothing said before counts any more. */
static int put_cleared(struct trace_writer *w, struct sequence *seq, uint64_t ns, bool dropped) {
    struct pb *b = new_packet(w);
    if (ns > seq->last_ns) seq->last_ns = ns;
    size_t start = pb_open(b, PACKET_CLOCKS);
    if (seq == w->control && w->info->real_minus_mono) put_clock(b, CLOCK_REALTIME_ID, seq->last_ns + w->info->real_minus_mono);
    put_clock(b, CLOCK_MONOTONIC_ID, seq->last_ns);
    put_clock(b, CLOCK_OWN_ID, seq->last_ns);
    pb_u64(b, CLOCKS_PRIMARY, CLOCK_MONOTONIC_ID);
    pb_close(b, start);
    pb_u64(b, PACKET_SEQUENCE, seq->id);
    pb_u64(b, PACKET_FLAGS, FLAG_CLEARED);
    if (dropped) pb_u64(b, PACKET_PREVIOUS_DROPPED, 1);
    if (!seq->started) pb_u64(b, PACKET_FIRST, 1);
    start = pb_open(b, PACKET_DEFAULTS);
    size_t event = pb_open(b, DEFAULTS_EVENT);
    pb_u64(b, EVENT_TRACK, seq->uuid);
    pb_close(b, event);
    pb_u64(b, DEFAULTS_CLOCK, CLOCK_OWN_ID);
    pb_close(b, start);
    seq->started = true;
    if (seq->ninterned) memset(seq->interned, 0, seq->ninterned / 8);
    return put_packet(w);
}

/* ---- tracks ---- */

static uint64_t process_uuid(const struct trace_writer *w, const struct trace_thread *thread) {
    return w->process_uuids[thread->process->index];
}

static int put_process(struct trace_writer *w, const struct trace_process *process) {
    struct pb *b = new_packet(w);
    size_t len, track = pb_open(b, PACKET_TRACK);
    const char *name = name_of_process(process, &len);
    pb_u64(b, TRACK_UUID, w->process_uuids[process->index]);
    size_t start = pb_open(b, TRACK_PROCESS);
    pb_u64(b, PROCESS_PID, process->pid);
    pb_text(b, PROCESS_NAME, name, len);
    pb_close(b, start);
    pb_close(b, track);
    return end_packet(w, w->control);
}

static int put_thread(struct trace_writer *w, struct sequence *seq, const struct trace_thread *thread) {
    char made_up[NAME_MADE_UP];
    struct pb *b = new_packet(w);
    size_t len, track = pb_open(b, PACKET_TRACK);
    const char *name = name_of_thread(thread, made_up, &len);
    pb_u64(b, TRACK_UUID, seq->uuid);
    size_t start = pb_open(b, TRACK_THREAD);
    pb_u64(b, THREAD_PID, thread->process->pid);
    pb_u64(b, THREAD_TID, thread->tid);
    pb_text(b, THREAD_NAME, name, len);
    pb_close(b, start);
    pb_u64(b, TRACK_PARENT, process_uuid(w, thread));
    pb_close(b, track);
    seq->described = true;
    return end_packet(w, w->control);
}

/* A track below a process. */
static int put_track(struct trace_writer *w, uint64_t uuid, uint64_t parent, const char *name, size_t len, bool counter) {
    struct pb *b = new_packet(w);
    size_t start = pb_open(b, PACKET_TRACK);
    pb_u64(b, TRACK_UUID, uuid);
    pb_text(b, TRACK_NAME, name, len);
    pb_u64(b, TRACK_PARENT, parent);
    if (counter) pb_close(b, pb_open(b, TRACK_COUNTER));
    pb_close(b, start);
    return end_packet(w, w->control);
}

static uint64_t hash_of(const void *data, size_t len) { /* FNV-1a */
    const uint8_t *p = data;
    uint64_t hash = 0xcbf29ce484222325ull;
    for (size_t i = 0; i < len; i++) hash = (hash ^ p[i]) * 0x100000001b3ull;
    return hash;
}

/* The track of a key; *made = it is new and has to be described. NULL = out of memory. */
static struct track *get_track(struct trace_writer *w, const void *key, size_t len, bool *made) {
    uint64_t hash = hash_of(key, len);
    struct track **slot = &w->tracks[hash % TRACK_SLOTS];
    for (struct track *t = *slot; t; t = t->next)
        if (t->hash == hash && t->key_len == len && !memcmp(t->key, key, len)) return t;
    struct track *t = calloc(1, sizeof *t + len);
    if (!t) return NULL;
    *t = (struct track){.next = *slot, .hash = hash, .uuid = ++w->last_uuid, .key_len = len};
    memcpy(t->key, key, len);
    *made = true;
    return *slot = t;
}

/* Of a task as far as it runs on this thread: slices of one thread nest. */
static int task_track(struct trace_writer *w, struct sequence *seq, const struct trace_call *call, struct track **out) {
    if (seq->task != call->task) {
        struct {
            const void *task;
            uintptr_t thread;
        } key = {call->task, call->thread->index};
        bool made = false;
        struct track *t = get_track(w, &key, sizeof key, &made);
        if (!t) return -ENOMEM;
        seq->task = call->task;
        seq->task_track = t;
        size_t len;
        const char *name = name_of_task(call->task, &len);
        int rc = made ? put_track(w, t->uuid, process_uuid(w, call->thread), name, len, false) : 0;
        if (rc) return rc;
    }
    *out = seq->task_track;
    return 0;
}

static int perfetto_begin(struct trace_writer *w) {
    const struct trace_info *info = w->info;
    int rc = put_cleared(w, w->control, info->hooks_on_ticks ? vt_clock_to_ns(&info->clock, info->hooks_on_ticks) : 0, false);
    for (uint32_t i = 0; i < info->nprocesses && !rc; i++)
        if (!info->processes[i]->hidden) rc = put_process(w, info->processes[i]);
    for (uint32_t i = 0; i < info->nthreads && !rc; i++)
        if (info->threads[i]->shown) rc = put_thread(w, &w->sequences[i], info->threads[i]);
    return rc;
}

/* Makes the thread's sequence ready for an event at ns. */
static int ready(struct trace_writer *w, const struct trace_thread *thread, uint64_t ns, struct sequence **out) {
    struct sequence *seq = *out = &w->sequences[thread->index];
    if (seq->started) return 0;
    int rc = seq->described ? 0 : put_thread(w, seq, thread);
    return rc ? rc : put_cleared(w, seq, ns, false);
}

/* ---- events ---- */

/* track 0: the thread's own. */
static size_t open_event(struct trace_writer *w, struct sequence *seq, uint64_t ns, unsigned type, uint64_t track) {
    struct pb *b = new_packet(w);
    if (ns < seq->last_ns) {
        pb_u64(b, PACKET_TIME, ns);
        pb_u64(b, PACKET_TIME_CLOCK, CLOCK_MONOTONIC_ID);
    } else {
        pb_u64(b, PACKET_TIME, ns - seq->last_ns);
        seq->last_ns = ns;
    }
    size_t start = pb_open(b, PACKET_EVENT);
    pb_u64(b, EVENT_TYPE, type);
    if (track) pb_u64(b, EVENT_TRACK, track);
    return start;
}

static int close_event(struct trace_writer *w, struct sequence *seq, size_t start) {
    pb_close(&w->packet, start);
    return end_packet(w, seq);
}

static int put_name(struct trace_writer *w, const struct sequence *seq, const struct trace_name *name) {
    uint64_t id = name->index + 1u;
    char *text = malloc(name_text_max(name));
    if (!text) return -ENOMEM;
    size_t len = (size_t)(name_put_text(text, name) - text);
    struct pb *b = new_packet(w);
    size_t interned = pb_open(b, PACKET_INTERNED), start = pb_open(b, INTERNED_NAME);
    pb_u64(b, NAME_ID, id);
    pb_text(b, NAME_TEXT, text, len);
    pb_close(b, start);
    if (name->kind == 0) {
        start = pb_open(b, INTERNED_SOURCE);
        pb_u64(b, SOURCE_ID, id);
        pb_text(b, SOURCE_FILE, name->file, name->file_len);
        pb_text(b, SOURCE_FUNCTION, name->name, name->name_len);
        pb_u64(b, SOURCE_LINE, name->line);
        pb_close(b, start);
    }
    pb_close(b, interned);
    free(text);
    return end_packet(w, seq);
}

static void make_begin(struct begin_bytes *begin, const struct trace_name *name) {
    uint8_t *p = begin->bytes + 2;
    p = pb_put_varint(p, PB_TAG(EVENT_TYPE, PB_VARINT));
    p = pb_put_varint(p, TYPE_BEGIN);
    p = pb_put_varint(p, PB_TAG(EVENT_NAME_ID, PB_VARINT));
    p = pb_put_varint(p, name->index + 1u);
    if (name->kind == 0) {
        p = pb_put_varint(p, PB_TAG(EVENT_SOURCE_ID, PB_VARINT));
        p = pb_put_varint(p, name->index + 1u);
    }
    begin->bytes[0] = PB_TAG(PACKET_EVENT, PB_BYTES);
    begin->len = (uint8_t)(p - begin->bytes);
    begin->bytes[1] = (uint8_t)(begin->len - 2);
}

/* Says the name on this sequence. */
static int intern(struct trace_writer *w, struct sequence *seq, struct trace_name *name) {
    if (name->index >= seq->ninterned) {
        uint32_t room = (name->index / 64 + 1) * 128; /* bits */
        uint8_t *grown = realloc(seq->interned, room / 8);
        if (!grown) return -ENOMEM;
        memset(grown + seq->ninterned / 8, 0, (room - seq->ninterned) / 8);
        seq->interned = grown;
        seq->ninterned = room;
    }
    if (!w->begins[name->index].len) make_begin(&w->begins[name->index], name);
    seq->interned[name->index / 8] |= (uint8_t)(1u << name->index % 8);
    return put_name(w, seq, name);
}

static bool is_interned(const struct sequence *seq, const struct trace_name *name) {
    return name->index < seq->ninterned && (seq->interned[name->index / 8] >> name->index % 8 & 1);
}

/* A packet with a time that does not go back, what the event holds, and no arguments. */
static int put_fast(struct trace_writer *w, struct sequence *seq, uint64_t ns, const uint8_t *event, size_t len) {
    uint8_t *start = (uint8_t *)output_room(w->out, FAST_MAX), *p = start + 2;
    *p++ = PB_TAG(PACKET_TIME, PB_VARINT);
    p = pb_put_varint(p, ns - seq->last_ns);
    seq->last_ns = ns;
    memcpy(p, event, PART_MAX);
    p += len;
    memcpy(p, seq->tail.bytes, sizeof seq->tail.bytes);
    p += seq->tail.len;
    start[0] = PB_TAG(TRACE_PACKET, PB_BYTES);
    start[1] = (uint8_t)(p - start - 2);
    output_put(w->out, (char *)p);
    return output_error(w->out);
}

static int put_begin(struct trace_writer *w, struct sequence *seq, const struct trace_call *call, bool in_order, bool entered) {
    struct track *task = NULL;
    int rc = is_interned(seq, call->name) ? 0 : intern(w, seq, call->name);
    if (rc) return rc;
    const struct begin_bytes *begin = &w->begins[call->name->index];
    if (call->start_ns >= seq->last_ns && !call->task && !call->args && !call->args_json && !call->from_attach)
        return put_fast(w, seq, call->start_ns, begin->bytes, begin->len);
    if (call->task && (rc = task_track(w, seq, call, &task))) return rc;
    size_t start = open_event(w, seq, call->start_ns, TYPE_BEGIN, task ? task->uuid : 0);
    struct pb *b = &w->packet;
    pb_u64(b, EVENT_NAME_ID, call->name->index + 1u);
    if (call->name->kind == 0) pb_u64(b, EVENT_SOURCE_ID, call->name->index + 1u);
    if (task && in_order && task->depth == 0) pb_fixed64(b, EVENT_FLOW, task->uuid);
    if (task && entered) task->depth++;
    if (call->from_attach) perfetto_arg_true(b, "from_attach");
    if (call->args) perfetto_arg_func_args(b, call->args, call->args_len);
    if (call->args_json) perfetto_args_json(b, call->args_json, call->args_json_len);
    return close_event(w, seq, start);
}

static int put_end(struct trace_writer *w, struct sequence *seq, const struct trace_call *call) {
    static const uint8_t plain[PART_MAX] = {PB_TAG(PACKET_EVENT, PB_BYTES), 2, PB_TAG(EVENT_TYPE, PB_VARINT), TYPE_END};
    struct track *task = NULL;
    if (call->end_ns >= seq->last_ns && !call->task && !call->retval && !call->raised && !call->folded)
        return put_fast(w, seq, call->end_ns, plain, 4);
    int rc = call->task ? task_track(w, seq, call, &task) : 0;
    if (rc) return rc;
    if (task && call->announced) task->depth--;
    size_t start = open_event(w, seq, call->end_ns, TYPE_END, task ? task->uuid : 0);
    struct pb *b = &w->packet;
    size_t len = call->retval_len < VT_PAYLOAD_MAX ? call->retval_len : VT_PAYLOAD_MAX;
    if (call->retval) perfetto_arg_repr(b, "return_value", call->retval, len);
    if (call->raised) perfetto_arg_true(b, "raised");
    if (call->folded) perfetto_arg_fold(b, call->folded);
    return close_event(w, seq, start);
}

static int perfetto_enter(struct trace_writer *w, const struct trace_call *call) {
    struct sequence *seq;
    int rc = ready(w, call->thread, call->start_ns, &seq);
    return rc ? rc : put_begin(w, seq, call, true, true);
}

/* What was folded below a call that has no end. */
static int put_open_fold(struct trace_writer *w, struct sequence *seq, const struct trace_call *call) {
    size_t start = open_event(w, seq, seq->last_ns, TYPE_INSTANT, 0);
    pb_text(&w->packet, EVENT_NAME, "folded in an open call", 22);
    perfetto_arg_fold(&w->packet, call->folded);
    return close_event(w, seq, start);
}

static int perfetto_call(struct trace_writer *w, const struct trace_call *call) {
    struct sequence *seq;
    int rc = ready(w, call->thread, call->start_ns, &seq);
    if (!rc && !call->announced) rc = put_begin(w, seq, call, call->in_order, false);
    if (rc) return rc;
    if (!call->open) return put_end(w, seq, call);
    return call->folded ? put_open_fold(w, seq, call) : 0;
}

static int perfetto_gap(struct trace_writer *w, const struct trace_gap *gap) {
    struct sequence *seq;
    int rc = ready(w, gap->thread, gap->ns, &seq);
    if (!rc) rc = put_cleared(w, seq, gap->ns, true);
    if (rc) return rc;
    size_t start = open_event(w, seq, gap->ns, TYPE_INSTANT, 0);
    pb_text(&w->packet, EVENT_NAME, "events dropped", 14);
    perfetto_arg_u64(&w->packet, "count", gap->count);
    return close_event(w, seq, start);
}

/* ---- counters and marks ---- */

/* The track of something named by some texts, below the process. */
static int named_track(struct trace_writer *w, const struct trace_thread *thread, bool counter, const char *const text[2],
                       const size_t len[2], const char *title, size_t title_len, struct track **out) {
    struct pb key = {0};
    bool made = false;
    pb_u64(&key, 1, thread->process->index);
    pb_u64(&key, 2, counter);
    for (int i = 0; i < 2; i++) pb_text(&key, 3, text[i], len[i]);
    *out = key.failed ? NULL : get_track(w, key.data, key.len, &made);
    pb_free(&key);
    if (!*out) return -ENOMEM;
    return made ? put_track(w, (*out)->uuid, process_uuid(w, thread), title, title_len, counter) : 0;
}

struct counting {
    struct trace_writer *w;
    const struct trace_thread *thread;
    uint64_t ns;
    const char *name;
    size_t name_len;
    int rc;
};

/* One value of a counter: a track "name key", or "name" where both are the same. */
static void put_count(void *arg, const char *key, size_t key_len, double value) {
    struct counting *c = arg;
    struct sequence *seq;
    struct track *track;
    if (c->rc) return;
    bool same = key_len == c->name_len && !memcmp(key, c->name, key_len);
    size_t title_len = c->name_len + (same ? 0 : key_len + 1);
    char *title = malloc(c->name_len + key_len + 1);
    if (title) {
        memcpy(title, c->name, c->name_len);
        if (!same) {
            title[c->name_len] = ' ';
            memcpy(title + c->name_len + 1, key, key_len);
        }
        c->rc = named_track(c->w, c->thread, true, (const char *const[]){c->name, key}, (const size_t[]){c->name_len, key_len},
                            title, title_len, &track);
    } else {
        c->rc = -ENOMEM;
    }
    free(title);
    if (!c->rc) c->rc = ready(c->w, c->thread, c->ns, &seq);
    if (c->rc) return;
    size_t start = open_event(c->w, seq, c->ns, TYPE_COUNTER, track->uuid);
    if (value >= -9e15 && value <= 9e15 && (double)(int64_t)value == value)
        pb_u64(&c->w->packet, EVENT_COUNTER, (uint64_t)(int64_t)value);
    else
        pb_double(&c->w->packet, EVENT_DOUBLE_COUNTER, value);
    c->rc = close_event(c->w, seq, start);
}

static int perfetto_counter(struct trace_writer *w, const struct trace_counter *counter) {
    struct counting c = {.w = w, .thread = counter->thread, .ns = counter->ns, .name = "garbage collection", .name_len = 18};
    put_count(&c, "collecting", 10, (double)counter->value.collecting);
    put_count(&c, "collected", 9, (double)counter->value.collected);
    put_count(&c, "uncollectable", 13, (double)counter->value.uncollectable);
    return c.rc;
}

/* The begin, a moment or the end of something that has an id of its own: a track per id. */
static int put_async(struct trace_writer *w, struct sequence *seq, const struct trace_mark *mark) {
    struct track *track;
    int rc = named_track(w, mark->thread, false, (const char *const[]){mark->cat, mark->id},
                         (const size_t[]){mark->cat_len, mark->id_len}, mark->name, mark->name_len, &track);
    if (rc) return rc;
    if (mark->ph == 'e' && !track->depth) return 0; /* its begin is not in the trace */
    if (mark->ph == 'b') track->depth++;
    if (mark->ph == 'e') track->depth--;
    size_t start = open_event(w, seq, mark->ns,
                              mark->ph == 'b'   ? TYPE_BEGIN
                              : mark->ph == 'e' ? TYPE_END
                                                : TYPE_INSTANT,
                              track->uuid);
    if (mark->cat_len) pb_text(&w->packet, EVENT_CATEGORY, mark->cat, mark->cat_len);
    if (mark->ph != 'e') pb_text(&w->packet, EVENT_NAME, mark->name, mark->name_len);
    if (mark->args_json) perfetto_args_json(&w->packet, mark->args_json, mark->args_json_len);
    return close_event(w, seq, start);
}

static int perfetto_mark(struct trace_writer *w, const struct trace_mark *mark) {
    struct sequence *seq;
    int rc = ready(w, mark->thread, mark->ns, &seq);
    if (rc) return rc;
    if (mark->ph == 'C' && mark->args_json) {
        struct counting c = {.w = w, .thread = mark->thread, .ns = mark->ns, .name = mark->name, .name_len = mark->name_len};
        perfetto_json_numbers(mark->args_json, mark->args_json_len, put_count, &c);
        return c.rc;
    }
    if (mark->ph == 'b' || mark->ph == 'n' || mark->ph == 'e') return put_async(w, seq, mark);
    bool wide = mark->scope == 'g' || mark->scope == 'p';
    size_t start = open_event(w, seq, mark->ns, TYPE_INSTANT, wide ? process_uuid(w, mark->thread) : 0);
    struct pb *b = &w->packet;
    if (mark->cat_len) pb_text(b, EVENT_CATEGORY, mark->cat, mark->cat_len);
    pb_text(b, EVENT_NAME, mark->name, mark->name_len);
    if (mark->id) {
        uint64_t flow = hash_of(mark->id, mark->id_len) ^ hash_of(mark->cat, mark->cat_len);
        if (mark->ph == 's' || mark->ph == 't') pb_fixed64(b, EVENT_FLOW, flow);
        if (mark->ph == 'f') pb_fixed64(b, EVENT_FLOW_END, flow);
        perfetto_arg_text(b, "id", mark->id, mark->id_len);
    }
    if (mark->ph == 'N') perfetto_arg_text(b, "object", "created", 7);
    if (mark->ph == 'O') perfetto_arg_text(b, "object", "snapshot", 8);
    if (mark->ph == 'D') perfetto_arg_text(b, "object", "deleted", 7);
    if (mark->args_json) perfetto_args_json(b, mark->args_json, mark->args_json_len);
    return close_event(w, seq, start);
}

/* One instant at the end of the process's track when something is not in the picture. */
static int perfetto_end(struct trace_writer *w, const struct trace_totals *totals) {
    bool cut_off = w->info->cut_off || w->info->damage.code;
    if (!totals->folded && !totals->left_out && !totals->short_calls && !totals->dropped && !cut_off) return output_error(w->out);
    uint64_t last_ns = 0;
    for (uint32_t i = 0; i <= w->info->nthreads; i++)
        if (w->control[i].last_ns > last_ns) last_ns = w->control[i].last_ns;
    size_t start = open_event(w, w->control, last_ns, TYPE_INSTANT, 0);
    struct pb *b = &w->packet;
    pb_text(b, EVENT_NAME, "not everything is shown", 23);
    if (totals->folded) perfetto_arg_u64(b, "folded_calls", totals->folded);
    if (totals->left_out) perfetto_arg_u64(b, "older_calls_left_out", totals->left_out);
    if (totals->short_calls) perfetto_arg_u64(b, "short_calls_left_out", totals->short_calls);
    if (totals->dropped) perfetto_arg_u64(b, "dropped_events", totals->dropped);
    if (cut_off) perfetto_arg_true(b, "cut_off");
    return close_event(w, w->control, start);
}

const struct trace_writer_ops out_perfetto = {
    .suffix = ".pftrace",
    .open = perfetto_open,
    .begin = perfetto_begin,
    .enter = perfetto_enter,
    .call = perfetto_call,
    .gap = perfetto_gap,
    .counter = perfetto_counter,
    .mark = perfetto_mark,
    .end = perfetto_end,
    .free = perfetto_free,
};

const struct trace_writer_ops out_perfetto_gz = {
    .suffix = ".pftrace.gz",
    .gzip = true,
    .open = perfetto_open,
    .begin = perfetto_begin,
    .enter = perfetto_enter,
    .call = perfetto_call,
    .gap = perfetto_gap,
    .counter = perfetto_counter,
    .mark = perfetto_mark,
    .end = perfetto_end,
    .free = perfetto_free,
};
