/* Owns the streams (the threads) of a target, and turns their records into frames.
 *
 *   hold_run        plain records -> min_duration.h, which holds short calls back
 *   put_run         plain records -> block encoder
 *   stream_payload  names, threads, tasks, stacks -> frames of their own; arguments and counters -> the block */
#include "daemon/drain/stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/drain/payload.h"

#define BLOCK_AGE_NS 50000000ull
#define STACK_IDS_MAX 250000u
#define OPEN_MAX 256u                 /* blocks open at once; at one more, the oldest is written */
#define PAYLOADS_MAX (32u << 20)      /* bytes of payloads in open blocks; treated in the same way */
#define SPARE_PAYLOAD_MAX (64u << 10) /* an encoder larger than this is not kept for reuse */
#define TICKS_HALF (1ull << (VT_REC_TS_BITS - 1))

struct stack {
    uint64_t ident, ticks;
    uint32_t tid; /* the tid that the target sees; 0 = unknown, or not needed: a filter leaves out the thread's functions */
    uint32_t *ids, *lines; /* lines: 0 = not known */
    uint32_t n, size, lines_size;
    uint16_t parts;
};

static void stack_free(struct streams *all, struct stack *st) {
    if (!st) return;
    memory_give(&all->memory, sizeof(*st) + ((uint64_t)st->size + st->lines_size) * sizeof(uint32_t));
    free(st->ids);
    free(st->lines);
    free(st);
}

/* ---- frames ---- */

static int put(struct streams *all, uint32_t type, const ProtobufCMessage *msg) {
    return all->sink.put(all->sink.ctx, type, msg);
}

static int put_thread(struct streams *all, uint64_t ident, uint32_t ns_tid, uint32_t serial_plus_1, struct text name) {
    Vt__Thread m = VT__THREAD__INIT;
    m.ident = ident;
    m.ns_tid = ns_tid;
    m.tid = tids_outer(&all->tids, ns_tid);
    m.serial = serial_plus_1;
    m.name.data = (uint8_t *)name.p;
    m.name.len = name.len;
    return put(all, VT_FRAME_THREAD, &m.base);
}

static int flush_names(struct streams *all) {
    if (!all->nnames) return 0;
    Vt__Names m = VT__NAMES__INIT;
    m.n_names = all->nnames;
    m.names = all->name_ptr;
    all->nnames = all->names_len = 0;
    return put(all, VT_FRAME_NAMES, &m.base);
}

/* Makes room for n more frames. */
static int more_frames(struct streams *all, struct stack *st, uint32_t n) {
    int rc = memory_grow(&all->memory, &st->ids, &st->size, st->n + n, sizeof(uint32_t), STACK_IDS_MAX);
    return rc ? rc : memory_grow(&all->memory, &st->lines, &st->lines_size, st->n + n, sizeof(uint32_t), STACK_IDS_MAX);
}

/* Puts the system call that the thread was in on top of the stack. */
static int add_inside(struct streams *all, struct stack *st) {
    bool is_new = false;
    const char *text;
    uint32_t tid = all->inside && st->tid ? tids_outer(&all->tids, st->tid) : 0, id = inside_id(all->inside, tid, &is_new, &text);
    if (!id || st->n == STACK_IDS_MAX) return 0;
    if (is_new) {
        char full[INSIDE_TEXT_MAX + 16];
        Vt__Name name = VT__NAME__INIT, *names[] = {&name};
        Vt__Names m = VT__NAMES__INIT;
        int len = snprintf(full, sizeof(full), "[in C: %s]", text);
        name.id = id;
        name.kind = VT_NAME_INSIDE;
        name.name.data = (uint8_t *)full;
        name.name.len = (size_t)len;
        m.n_names = 1;
        m.names = names;
        int rc = put(all, VT_FRAME_NAMES, &m.base);
        if (rc) return rc;
    }
    int rc = more_frames(all, st, 1);
    if (rc) return rc;
    st->lines[st->n] = 0;
    st->ids[st->n++] = id;
    return 0;
}

static int flush_stack(struct streams *all, struct stream *s) {
    struct stack *st = s->stack;
    if (!st) return 0;
    s->stack = NULL;
    int rc = add_inside(all, st);
    if (rc) {
        stack_free(all, st);
        return rc;
    }
    Vt__Stack m = VT__STACK__INIT;
    m.ident = st->ident;
    m.ticks = st->ticks;
    m.n_ids = st->n;
    m.ids = st->ids;
    m.n_lines = st->n;
    m.lines = st->lines;
    rc = put(all, VT_FRAME_STACK, &m.base);
    stack_free(all, st);
    return rc;
}

/* ---- blocks ---- */

static int flush_block(struct streams *all, struct stream *s) {
    struct vt_block_enc *enc = s->enc;
    const uint8_t *data;
    size_t len;
    uint32_t raw_len;
    int rc = 0;

    if (!enc) return 0;
    s->enc = NULL;
    TAILQ_REMOVE(&all->open, s, open);
    all->nopen--;
    all->payload_bytes -= s->payload_bytes;
    if (vt_block_count(enc)) {
        rc = vt_block_finish(enc, &data, &len, &raw_len);
        if (!rc) {
            Vt__Block m = VT__BLOCK__INIT;
            m.serial = s->serial;
            m.ident = s->ident;
            m.tid = s->tid;
            m.base_ticks = s->base;
            m.last_ticks = s->now;
            m.events = vt_block_count(enc);
            m.raw_len = raw_len;
            m.data.data = (uint8_t *)data;
            m.data.len = len;
            rc = put(all, VT_FRAME_BLOCK, &m.base);
        }
        if (rc) all->totals.calls -= s->open_calls; /* no output has them */
    }
    s->open_calls = 0;
    if (all->nspare < STREAMS_SPARE && s->payload_bytes <= SPARE_PAYLOAD_MAX)
        all->spare[all->nspare++] = enc;
    else
        vt_block_enc_free(enc);
    s->payload_bytes = 0;
    return rc;
}

static int open_block(struct streams *all, struct stream *s) {
    int rc = all->nopen >= OPEN_MAX ? flush_block(all, TAILQ_FIRST(&all->open)) : 0;
    if (rc) return rc;
    s->enc = all->nspare ? all->spare[--all->nspare] : vt_block_enc_new_with(all->packer);
    if (!s->enc) return -ENOMEM;
    vt_block_begin(s->enc, s->now);
    s->base = s->now;
    s->block_ns = all->now_ns;
    TAILQ_INSERT_TAIL(&all->open, s, open);
    all->nopen++;
    return 0;
}

static int flush_old_blocks(struct streams *all) {
    struct stream *s;
    int rc = 0;
    while (!rc && (s = TAILQ_FIRST(&all->open)) && all->now_ns - s->block_ns >= BLOCK_AGE_NS) rc = flush_block(all, s);
    return rc;
}

/* Brings the stream's clock close enough to `full` for the encoder, which sees only the low 34 bits. */
static void approach(struct stream *s, uint64_t full) {
    if (full > s->now && full - s->now >= TICKS_HALF) s->now = full;
}

/* Takes records up to the first one that is not plain; *took: how many. The target may change the words at any time. */
static int put_run(struct streams *all, struct stream *s, const uint64_t *rec, size_t n, uint64_t upper, size_t *took) {
    int rc = 0;
    for (*took = 0; *took < n && !rc;) {
        uint64_t first = vt_load_relaxed(&rec[*took]);
        if (!VT_REC_IS_PLAIN(vt_rec_type(first))) break;
        if (!s->enc) rc = open_block(all, s);
        if (rc) break;
        approach(s, stream_stamp(upper, first));
        if (!all->totals.first_ticks) all->totals.first_ticks = stream_stamp(upper, first);
        uint32_t before = vt_block_calls(s->enc);
        size_t step = vt_block_put(s->enc, rec + *took, n - *took, &s->now);
        *took += step;
        if (s->now > all->totals.last_ticks) all->totals.last_ticks = s->now;
        if (!s->held) { /* those were counted when they came */
            all->totals.calls += vt_block_calls(s->enc) - before;
            s->open_calls = vt_block_calls(s->enc);
        }
        if (vt_block_full(s->enc))
            rc = flush_block(all, s);
        else if (!step) /* the target has changed the record since it was checked */
            break;
    }
    return rc;
}

/* The same for streams that hold short calls back. */
static int hold_run(struct streams *all, struct stream *s, const uint64_t *rec, size_t n, uint64_t upper, size_t *took) {
    uint64_t full = 0;
    int rc = 0;
    for (*took = 0; *took < n && !rc; ++*took) {
        uint64_t one = vt_load_relaxed(&rec[*took]);
        if (!VT_REC_IS_PLAIN(vt_rec_type(one))) break;
        full = stream_stamp(upper, one);
        rc = min_duration_event(s->held, one, full);
        all->totals.calls += VT_REC_IS_CALL(vt_rec_type(one));
    }
    if (full > all->newest) all->newest = full;
    if (full > all->totals.last_ticks) all->totals.last_ticks = full;
    return rc ? rc : min_duration_hand_on(s->held);
}

/* What the interpreter runs on its way out is left out. */
static void skip_run(const uint64_t *rec, size_t n, size_t *took) {
    for (*took = 0; *took < n && VT_REC_IS_PLAIN(vt_rec_type(vt_load_relaxed(&rec[*took])));) ++*took;
}

static int put_gap(struct streams *all, struct stream *s, uint64_t count) {
    int held_rc = s->held ? min_duration_flush(s->held) : 0;
    if (held_rc) return held_rc;
    for (int tries = 0; tries < 2; tries++) {
        int rc = s->enc ? 0 : open_block(all, s);
        if (!rc) rc = vt_block_gap(s->enc, count);
        if (rc != -ENOSPC) return rc;
        rc = flush_block(all, s);
        if (rc) return rc;
    }
    return -EPROTO;
}

/* The stream of the stack that the thread runs. */
static struct stream *running(struct stream *s) { return s->running ? s->running : s; }

/* Where events were dropped is marked in each stack of the thread before its next event: any of them may have lost some. */
static int mark_gaps(struct streams *all, struct stream *thread, struct stream *s) {
    if (s->gap_marks == thread->thread_marks) return 0;
    s->gap_marks = thread->thread_marks;
    return put_gap(all, s, 0);
}

int stream_events(struct streams *all, struct stream *thread, const uint64_t *rec, size_t n, uint64_t upper, size_t *took) {
    struct stream *s = running(thread);
    int rc = thread->stack ? flush_stack(all, thread) : 0;
    *took = 0;
    if (!rc && thread->thread_marks) rc = mark_gaps(all, thread, s);
    if (rc) return rc;
    s->moved_ns = all->now_ns;
    if (s->user_ended)
        skip_run(rec, n, took);
    else
        rc = (s->held ? hold_run : put_run)(all, s, rec, n, upper, took);
    all->totals.events += *took;
    return rc;
}

static int age_held(struct streams *all) {
    int rc = 0;
    if (!all->min_ticks || all->now_ns - all->aged_ns < BLOCK_AGE_NS) return 0;
    all->aged_ns = all->now_ns;
    struct stream *s;
    LIST_FOREACH(s, &all->table.all, all) {
        if (!rc) rc = min_duration_age(s->held, all->newest);
        if (!rc) rc = min_duration_hand_on(s->held);
    }
    return rc;
}

/* ---- records that are not plain events ---- */

int stream_gap(struct streams *all, struct stream *thread, uint64_t count) {
    struct stream *s = running(thread);
    int rc = put_gap(all, s, count);
    if (rc) return rc;
    thread->gaps += count;
    s->gap_marks = ++thread->thread_marks;
    return 0;
}

static int in_block(struct streams *all, struct stream *s, uint32_t kind, const uint8_t *p, uint32_t len) {
    for (int tries = 0; tries < 2; tries++) {
        int rc = s->enc ? 0 : open_block(all, s);
        if (!rc) rc = vt_block_payload(s->enc, kind, p, len);
        if (!rc) {
            s->payload_bytes += len;
            all->payload_bytes += len;
            while (!rc && all->payload_bytes > PAYLOADS_MAX) rc = flush_block(all, TAILQ_FIRST(&all->open));
        }
        if (rc != -ENOSPC) return rc;
        rc = flush_block(all, s);
        if (rc) return rc;
    }
    return -EPROTO;
}

static int from_held_events(void *ctx, void *stream, const uint64_t *rec, size_t n, uint64_t upper) {
    size_t took;
    int rc = put_run(ctx, stream, rec, n, upper, &took);
    return rc ? rc : took == n ? 0 : -EPROTO;
}
static int from_held_payload(void *ctx, void *stream, uint32_t kind, const uint8_t *p, uint32_t len) {
    return in_block(ctx, stream, kind, p, len);
}

static uint8_t *names_copy(struct streams *all, struct text t) {
    uint8_t *to = all->names_buf + all->names_len;
    if (t.len) memcpy(to, t.p, t.len);
    all->names_len += t.len;
    return to;
}

static int on_name(struct streams *all, const uint8_t *p, uint32_t len) {
    struct vt_pl_name head;
    struct text name, file;
    if (payload_name(p, len, &head, &name, &file)) {
        all->totals.violations++;
        return 0;
    }
    if (all->nnames == VT_NAMES_BATCH || all->names_len + name.len + file.len > NAMES_BYTES) {
        int rc = flush_names(all);
        if (rc) return rc;
    }
    Vt__Name *m = &all->names[all->nnames];
    vt__name__init(m);
    m->id = head.id;
    m->kind = head.kind;
    m->line = head.line;
    m->name.data = names_copy(all, name);
    m->name.len = name.len;
    m->file.data = names_copy(all, file);
    m->file.len = file.len;
    all->name_ptr[all->nnames++] = m;
    return 0;
}

/* What the interpreter says of a thread is less sure than what the kernel said when the thread took its first chunk. */
static uint32_t tid_of(const struct streams *all, const struct stream *s, uint64_t ident, uint32_t ns_tid) {
    return ident == s->ident && s->ns_tid ? s->ns_tid : tids_of_interpreter(&all->tids, ns_tid);
}

static int on_thread(struct streams *all, struct stream *s, const uint8_t *p, uint32_t len) {
    struct vt_pl_thread head;
    struct text name;
    if (payload_thread(p, len, &head, &name)) {
        all->totals.violations++;
        return 0;
    }
    uint32_t tid = tid_of(all, s, head.ident, head.tid);
    return put_thread(all, head.ident, tid, head.ident == s->ident ? s->serial + 1 : 0, name);
}

static int on_task(struct streams *all, const uint8_t *p, uint32_t len) {
    struct vt_pl_task head;
    struct text name;
    if (payload_task(p, len, &head, &name)) {
        all->totals.violations++;
        return 0;
    }
    Vt__Task m = VT__TASK__INIT;
    m.id = head.id;
    m.address = head.address;
    m.name.data = (uint8_t *)name.p;
    m.name.len = name.len;
    return put(all, VT_FRAME_TASK, &m.base);
}

static int on_process(struct streams *all, const uint8_t *p, uint32_t len) {
    Vt__Process m = VT__PROCESS__INIT;
    m.name.data = (uint8_t *)p;
    m.name.len = len;
    return put(all, VT_FRAME_PROCESS, &m.base);
}

static int on_stack(struct streams *all, struct stream *s, const uint8_t *p, uint32_t len, uint64_t ticks) {
    struct vt_pl_stack head;
    struct text name;
    const uint8_t *ids, *lines;
    int rc = 0;

    if (payload_stack(p, len, &head, &name, &ids, &lines)) {
        all->totals.violations++;
        return 0;
    }
    if (s->stack && (head.part == 0 || head.ident != s->stack->ident || head.part != s->stack->parts)) rc = flush_stack(all, s);
    head.tid = tid_of(all, s, head.ident, head.tid);
    if (!rc && head.part == 0) rc = put_thread(all, head.ident, head.tid, head.ident == s->ident ? s->serial + 1 : 0, name);
    if (rc) return rc;
    if (!s->stack) {
        rc = memory_take(&all->memory, sizeof(*s->stack));
        s->stack = rc ? NULL : calloc(1, sizeof(*s->stack));
        if (!s->stack) return rc ? rc : -ENOMEM;
        s->stack->ident = head.ident;
        s->stack->tid = head.flags & VT_STACK_TOP_LEFT_OUT ? 0 : head.tid;
        s->stack->ticks = ticks;
    }
    struct stack *st = s->stack;
    st->parts = (uint16_t)(head.part + 1);
    uint32_t n = head.nframes <= STACK_IDS_MAX - st->n ? head.nframes : STACK_IDS_MAX - st->n;
    rc = more_frames(all, st, n);
    if (rc) return rc;
    if (n) memcpy(st->ids + st->n, ids, n * sizeof(uint32_t));
    if (n && lines)
        memcpy(st->lines + st->n, lines, n * sizeof(uint32_t));
    else if (n)
        memset(st->lines + st->n, 0, n * sizeof(uint32_t));
    st->n += n;
    return 0;
}

int stream_payload(struct streams *all, struct stream *s, uint32_t kind, const uint8_t *p, uint32_t len, uint64_t ticks) {
    int rc = kind != VT_PL_STACK && s->stack ? flush_stack(all, s) : 0;
    if (rc) return rc;
    switch (kind) {
    case VT_PL_NAME: return on_name(all, p, len);
    case VT_PL_STACK: return on_stack(all, s, p, len, ticks);
    case VT_PL_THREAD: return on_thread(all, s, p, len);
    case VT_PL_TASK: return on_task(all, p, len);
    case VT_PL_PROCESS: return on_process(all, p, len);
    case VT_PL_THROTTLED:
        rc = throttled_take(&all->throttled, p, len);
        all->totals.violations += rc == -EPROTO;
        return rc == -EPROTO ? 0 : rc;
    case VT_PL_ARGS:
    case VT_PL_RETVAL:
    case VT_PL_COUNTER:
    case VT_PL_MARK:
    case VT_PL_STEP:
    case VT_PL_AWAIT:
    case VT_PL_NOTE:
    case VT_PL_USER_END:
    case VT_PL_WINDOW:
        s = running(s);
        if (s->user_ended) return 0;
        s->user_ended = kind == VT_PL_USER_END;
        return s->held ? min_duration_payload(s->held, kind, p, len) : in_block(all, s, kind, p, len);
    }
    all->totals.violations++;
    return 0;
}

/* ---- all streams ---- */

void streams_limit_memory(struct streams *all, uint64_t bytes) { all->memory.most = all->held_memory.most = bytes / 2; }

int streams_init(struct streams *all, pid_t pid, pid_t ns_pid, uint64_t min_ticks, struct drain_sink sink) {
    all->sink = sink;
    all->min_ticks = min_ticks;
    streams_limit_memory(all, STREAMS_MEMORY);
    all->held.memory = &all->held_memory;
    tids_init(&all->tids, pid, ns_pid);
    TAILQ_INIT(&all->open);
    stream_table_init(&all->table);
    all->packer = vt_block_packer_new();
    return all->packer ? 0 : -ENOMEM;
}

static void stream_free(struct streams *all, struct stream *s) {
    if (s->enc) TAILQ_REMOVE(&all->open, s, open);
    vt_block_enc_free(s->enc);
    min_duration_free(s->held);
    stack_free(all, s->stack);
    free(s);
    memory_give(&all->memory, sizeof(*s));
}

void streams_free(struct streams *all) {
    struct stream *s;
    while ((s = LIST_FIRST(&all->table.all))) {
        stream_table_remove(&all->table, s, 0);
        stream_free(all, s);
    }
    throttled_free(&all->throttled);
    while (all->nspare) vt_block_enc_free(all->spare[--all->nspare]);
    vt_block_packer_free(all->packer);
}

/* `thread`: NULL = for a thread */
static int stream_alloc(struct streams *all, uint32_t serial, struct stream *thread, struct stream **out) {
    int rc = memory_take(&all->memory, sizeof(struct stream));
    struct stream *s = rc ? NULL : calloc(1, sizeof(*s));
    if (!s) return rc ? rc : -ENOMEM;
    s->serial = serial;
    s->thread = thread;
    s->moved_ns = s->alive_ns = all->now_ns;
    LIST_INIT(&s->greenlets);
    struct min_duration_sink sink = {from_held_events, from_held_payload, all, s};
    if (all->min_ticks) rc = min_duration_new(all->min_ticks, sink, &all->held, &s->held);
    if (rc) {
        free(s);
        memory_give(&all->memory, sizeof(*s));
        return rc;
    }
    *out = s;
    return 0;
}

static int stream_new(struct streams *all, uint32_t serial, uint64_t owner, uint64_t ident, struct stream **out) {
    struct stream_gone gone;
    struct stream *s;
    int rc = stream_alloc(all, serial, NULL, &s);
    if (rc) return rc;
    s->ident = ident;
    s->ns_tid = (uint32_t)(owner >> 32);
    s->tid = tids_outer(&all->tids, s->ns_tid);
    stream_table_add(&all->table, s);
    if (stream_table_back(&all->table, serial, &gone)) {
        s->next_seq = gone.next_seq;
        s->gaps = s->dropped = s->told_before = gone.told;
    } else {
        all->totals.threads++;
    }
    *out = s;
    return put_thread(all, ident, s->ns_tid, serial + 1, (struct text){NULL, 0});
}

int streams_get(struct streams *all, uint32_t serial, uint64_t owner, uint64_t ident, struct stream **out) {
    *out = stream_table_find(&all->table, serial);
    return *out ? 0 : stream_new(all, serial, owner, ident, out);
}

/* No thread has such an ident: it is no address of a process. */
#define GREENLET_IDENT (1ull << 63)

static int greenlet_new(struct streams *all, struct stream *thread, uint32_t serial, struct stream **out) {
    Vt__Thread m = VT__THREAD__INIT;
    int rc = stream_alloc(all, serial, thread, out);
    if (rc) return rc;
    (*out)->ident = GREENLET_IDENT | serial;
    stream_table_add(&all->table, *out);
    m.ident = (*out)->ident;
    m.serial = serial + 1;
    m.greenlet_of = thread->serial + 1;
    return put(all, VT_FRAME_THREAD, &m.base);
}

int stream_runs(struct streams *all, struct stream *thread, uint64_t number) {
    struct stream *s = NULL;
    int rc = 0;
    if (number && number <= UINT32_MAX) {
        s = stream_table_find(&all->table, (uint32_t)number - 1);
        if (!s && !thread->thread) rc = greenlet_new(all, thread, (uint32_t)number - 1, &s);
    }
    if (rc) return rc;
    if (number && (!s || s->thread != thread))
        all->totals.violations++;
    else
        thread->running = s;
    return 0;
}

static int flush_stream(struct streams *all, struct stream *s) {
    int rc = flush_stack(all, s);
    return !rc && s->held ? min_duration_flush(s->held) : rc;
}

int streams_retire(struct streams *all, struct stream *s, uint64_t told) {
    int rc = flush_stream(all, s);
    if (!rc) rc = flush_block(all, s);
    if (rc) return rc;
    if (s->thread && s->thread->running == s) s->thread->running = NULL;
    stream_table_remove(&all->table, s, told);
    stream_free(all, s);
    return 0;
}

int streams_age(struct streams *all) {
    int rc = flush_names(all);
    if (!rc) rc = age_held(all);
    return rc ? rc : flush_old_blocks(all);
}

void streams_give_up(struct streams *all) {
    struct stream *s;
    TAILQ_FOREACH(s, &all->open, open) {
        all->totals.calls -= s->open_calls;
        s->open_calls = 0;
    }
}

int streams_finish(struct streams *all) {
    struct stream *s;
    int rc = 0;
    LIST_FOREACH(s, &all->table.all, all)
    if (!rc) rc = flush_stream(all, s);
    if (!rc) rc = flush_names(all);
    while (!rc && !TAILQ_EMPTY(&all->open)) rc = flush_block(all, TAILQ_FIRST(&all->open));
    return rc;
}
