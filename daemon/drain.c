/* Owns the way from words in the arena to frames of a trace: streams (one per thread), chunk order,
 * blocks being filled, names waiting to be sent. Sessions, files and sockets are elsewhere.
 *
 *   find_chunks   bitmap -> chunks in use that are new to us, queued at their stream by seq
 *   read_chunk    words of the queue's head, up to the first word not yet written
 *   put_events    plain records -> who holds short calls back (min_duration.h), or at once
 *   put_run       plain records -> block encoder; on_payload, on_gap: the rest
 *   chunk_done    queue's next chunk, arena_give_back */
#include "daemon/drain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "daemon/min_duration.h"
#include "daemon/payload.h"
#include "daemon/throttled.h"
#include "daemon/tids.h"
#include "proto/block.h"

#define STREAMS_MAX (1u << 22)            /* thread serials above are hostile */
#define PASS_WORDS (64u * VT_CHUNK_WORDS) /* then the event loop gets its turn */
#define BLOCK_AGE_NS 50000000ull
#define REAP_AGE_NS 1000000000ull
#define NAMES_BATCH 256u
#define NAMES_BYTES (1u << 20)
#define STACK_IDS_MAX 250000u
#define WARM_AHEAD 64u /* chunks */
#define TICKS_HALF (1ull << (VT_REC_TS_BITS - 1))

struct stack { /* frames open at attach, of one thread, coming in parts */
    uint64_t ident, ticks;
    uint32_t *ids;
    uint32_t n, size;
    uint16_t parts;
};

struct stream {
    LIST_ENTRY(stream) active; /* has chunks queued */
    TAILQ_ENTRY(stream) open;  /* has a block open; oldest first */
    uint32_t serial;
    uint32_t next_seq;
    uint32_t head, tail; /* queue of chunks, index + 1; 0 = empty */
    uint32_t ns_tid, tid;
    uint64_t ident;
    uint64_t now;              /* full stamp of the last event */
    uint64_t base;             /* of the open block */
    uint64_t block_ns;         /* when it was opened */
    uint64_t moved_ns;         /* last progress */
    uint64_t gaps;             /* drops that stand in blocks */
    uint64_t dropped;          /* the most drops that a chunk header of this thread told of */
    struct vt_block_enc *enc;  /* NULL = no block open */
    struct min_duration *held; /* NULL = every call is kept */
    struct stack *stack;       /* parts so far, or NULL */
};

struct slot {      /* one chunk, as we know it */
    uint32_t next; /* queue: index + 1 */
    uint32_t seq;
    uint32_t cursor; /* next word to read */
    uint64_t upper;  /* stamp bits above the record's own */
    uint64_t base;
};

struct drain {
    struct arena *arena;
    struct drain_sink sink;
    struct drain_totals totals;
    struct tids tids;
    LIST_HEAD(, stream) active;
    TAILQ_HEAD(, stream) open;
    struct stream **streams; /* by serial */
    uint32_t nstreams;
    struct vt_block_enc **spare;
    uint32_t nspare, spare_size;
    uint64_t now_ns;
    uint64_t claimed_ns; /* since when some chunk is claimed without state; 0 = none */
    uint32_t most_used;  /* highest chunk in use at the last look */
    struct throttled throttled;
    uint64_t min_ticks; /* shorter calls are left out; 0 = none are */
    uint64_t newest;    /* stamp of any stream */
    uint64_t aged_ns;   /* when what is held back was last looked at */
    Vt__Name names[NAMES_BATCH];
    Vt__Name *name_ptr[NAMES_BATCH];
    uint32_t nnames;
    uint32_t names_len;
    uint8_t names_buf[NAMES_BYTES];
    uint64_t known[VT_CHUNKS_MAX / 64];
    struct slot slots[VT_CHUNKS_MAX];
    uint64_t run[VT_CHUNK_RECORDS];
    uint64_t payload[VT_PAYLOAD_MAX / 8];
};

int drain_new(struct arena *a, pid_t pid, pid_t ns_pid, uint64_t min_ticks, struct drain_sink sink, struct drain **out) {
    struct drain *d = calloc(1, sizeof(*d));
    if (!d) return -ENOMEM;
    d->arena = a;
    d->sink = sink;
    d->min_ticks = min_ticks;
    tids_init(&d->tids, pid, ns_pid);
    LIST_INIT(&d->active);
    TAILQ_INIT(&d->open);
    arena_warm(a, WARM_AHEAD / 4);
    *out = d;
    return 0;
}

static void stack_free(struct stack *st) {
    if (st) free(st->ids);
    free(st);
}

void drain_free(struct drain *d) {
    if (!d) return;
    for (uint32_t i = 0; i < d->nstreams; i++) {
        struct stream *s = d->streams[i];
        if (!s) continue;
        vt_block_enc_free(s->enc);
        min_duration_free(s->held);
        stack_free(s->stack);
        free(s);
    }
    free(d->streams);
    throttled_free(&d->throttled);
    for (uint32_t i = 0; i < d->nspare; i++) vt_block_enc_free(d->spare[i]);
    free(d->spare);
    free(d);
}

/* ---- frames ---- */

static int put(struct drain *d, uint32_t type, const ProtobufCMessage *msg) { return d->sink.put(d->sink.ctx, type, msg); }

static int put_thread(struct drain *d, uint64_t ident, uint32_t ns_tid, uint32_t serial_plus_1, struct text name) {
    Vt__Thread m = VT__THREAD__INIT;
    m.ident = ident;
    m.ns_tid = ns_tid;
    m.tid = tids_outer(&d->tids, ns_tid);
    m.serial = serial_plus_1;
    m.name.data = (uint8_t *)name.p;
    m.name.len = name.len;
    return put(d, VT_FRAME_THREAD, &m.base);
}

static int flush_names(struct drain *d) {
    if (!d->nnames) return 0;
    Vt__Names m = VT__NAMES__INIT;
    m.n_names = d->nnames;
    m.names = d->name_ptr;
    d->nnames = d->names_len = 0;
    return put(d, VT_FRAME_NAMES, &m.base);
}

static int flush_stack(struct drain *d, struct stream *s) {
    struct stack *st = s->stack;
    if (!st) return 0;
    s->stack = NULL;
    Vt__Stack m = VT__STACK__INIT;
    m.ident = st->ident;
    m.ticks = st->ticks;
    m.n_ids = st->n;
    m.ids = st->ids;
    int rc = put(d, VT_FRAME_STACK, &m.base);
    stack_free(st);
    return rc;
}

/* ---- blocks ---- */

static int open_block(struct drain *d, struct stream *s) {
    s->enc = d->nspare ? d->spare[--d->nspare] : vt_block_enc_new();
    if (!s->enc) return -ENOMEM;
    vt_block_begin(s->enc, s->now);
    s->base = s->now;
    s->block_ns = d->now_ns;
    TAILQ_INSERT_TAIL(&d->open, s, open);
    return 0;
}

static void keep_spare(struct drain *d, struct vt_block_enc *enc) {
    if (d->nspare == d->spare_size) {
        uint32_t size = d->spare_size ? d->spare_size * 2 : 16;
        struct vt_block_enc **p = size <= 256 ? realloc(d->spare, size * sizeof(struct vt_block_enc *)) : NULL;
        if (!p) {
            vt_block_enc_free(enc);
            return;
        }
        d->spare = p;
        d->spare_size = size;
    }
    d->spare[d->nspare++] = enc;
}

static int flush_block(struct drain *d, struct stream *s) {
    struct vt_block_enc *enc = s->enc;
    const uint8_t *data;
    size_t len;
    uint32_t raw_len;
    int rc = 0;

    if (!enc) return 0;
    s->enc = NULL;
    TAILQ_REMOVE(&d->open, s, open);
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
            rc = put(d, VT_FRAME_BLOCK, &m.base);
        }
    }
    keep_spare(d, enc);
    return rc;
}

static int flush_old_blocks(struct drain *d) {
    struct stream *s;
    int rc = 0;
    while (!rc && (s = TAILQ_FIRST(&d->open)) && d->now_ns - s->block_ns >= BLOCK_AGE_NS) rc = flush_block(d, s);
    return rc;
}

/* Full stamp of a record that stands in a chunk with these upper bits. */
static uint64_t full_stamp(uint64_t upper, uint64_t rec) { return upper | vt_rec_ts(rec); }

/* Moves the stream's clock so near to `full` that the encoder, which knows 34 bits only, adds up right. */
static void approach(struct stream *s, uint64_t full) {
    if (full > s->now && full - s->now >= TICKS_HALF) s->now = full;
}

static int put_run(struct drain *d, struct stream *s, const uint64_t *rec, size_t n, uint64_t upper) {
    int rc = n && s->stack ? flush_stack(d, s) : 0;
    while (n && !rc) {
        if (!s->enc) rc = open_block(d, s);
        if (rc) break;
        approach(s, full_stamp(upper, rec[0]));
        if (!d->totals.first_ticks) d->totals.first_ticks = full_stamp(upper, rec[0]);
        size_t took = vt_block_put(s->enc, rec, n, &s->now);
        if (!took && !vt_block_count(s->enc)) return -EPROTO;
        rec += took;
        n -= took;
        if (n) rc = flush_block(d, s);
    }
    return rc;
}

/* Events as they were read, to the encoder or to who holds them back. */
static int put_events(struct drain *d, struct stream *s, size_t n, uint64_t upper) {
    if (!s->held) return put_run(d, s, d->run, n, upper);
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) rc = min_duration_event(s->held, d->run[i], full_stamp(upper, d->run[i]));
    if (n && full_stamp(upper, d->run[n - 1]) > d->newest) d->newest = full_stamp(upper, d->run[n - 1]);
    return rc ? rc : min_duration_hand_on(s->held);
}

static int age_held(struct drain *d) {
    int rc = 0;
    if (!d->min_ticks || d->now_ns - d->aged_ns < BLOCK_AGE_NS) return 0;
    d->aged_ns = d->now_ns;
    for (uint32_t i = 0; i < d->nstreams && !rc; i++) {
        struct stream *s = d->streams[i];
        if (s && s->held) rc = min_duration_age(s->held, d->newest);
        if (s && s->held && !rc) rc = min_duration_hand_on(s->held);
    }
    return rc;
}

/* ---- what is not a plain event ---- */

static int on_gap(struct drain *d, struct stream *s, uint64_t count) {
    int held_rc = s->held ? min_duration_flush(s->held) : 0;
    if (held_rc) return held_rc;
    for (int tries = 0; tries < 2; tries++) {
        int rc = s->enc ? 0 : open_block(d, s);
        if (!rc) rc = vt_block_gap(s->enc, count);
        if (!rc) s->gaps += count;
        if (rc != -ENOSPC) return rc;
        rc = flush_block(d, s);
        if (rc) return rc;
    }
    return -EPROTO;
}

static int in_block(struct drain *d, struct stream *s, uint32_t kind, const uint8_t *p, uint32_t len) {
    for (int tries = 0; tries < 2; tries++) {
        int rc = s->enc ? 0 : open_block(d, s);
        if (!rc) rc = vt_block_payload(s->enc, kind, p, len);
        if (rc != -ENOSPC) return rc;
        rc = flush_block(d, s);
        if (rc) return rc;
    }
    return -EPROTO;
}

static int from_held_events(void *ctx, void *stream, const uint64_t *rec, size_t n, uint64_t upper) {
    return put_run(ctx, stream, rec, n, upper);
}
static int from_held_payload(void *ctx, void *stream, uint32_t kind, const uint8_t *p, uint32_t len) {
    return in_block(ctx, stream, kind, p, len);
}

static uint8_t *names_copy(struct drain *d, struct text t) {
    uint8_t *to = d->names_buf + d->names_len;
    if (t.len) memcpy(to, t.p, t.len);
    d->names_len += t.len;
    return to;
}

static int on_name(struct drain *d, const uint8_t *p, uint32_t len) {
    struct vt_pl_name head;
    struct text name, file;
    if (payload_name(p, len, &head, &name, &file)) {
        d->totals.violations++;
        return 0;
    }
    if (d->nnames == NAMES_BATCH || d->names_len + name.len + file.len > NAMES_BYTES) {
        int rc = flush_names(d);
        if (rc) return rc;
    }
    Vt__Name *m = &d->names[d->nnames];
    vt__name__init(m);
    m->id = head.id;
    m->kind = head.kind;
    m->line = head.line;
    m->name.data = names_copy(d, name);
    m->name.len = name.len;
    m->file.data = names_copy(d, file);
    m->file.len = file.len;
    d->name_ptr[d->nnames++] = m;
    return 0;
}

static int on_thread(struct drain *d, struct stream *s, const uint8_t *p, uint32_t len) {
    struct vt_pl_thread head;
    struct text name;
    if (payload_thread(p, len, &head, &name)) {
        d->totals.violations++;
        return 0;
    }
    return put_thread(d, head.ident, head.tid, head.ident == s->ident ? s->serial + 1 : 0, name);
}

static int on_task(struct drain *d, const uint8_t *p, uint32_t len) {
    struct vt_pl_task head;
    struct text name;
    if (payload_task(p, len, &head, &name)) {
        d->totals.violations++;
        return 0;
    }
    Vt__Task m = VT__TASK__INIT;
    m.id = head.id;
    m.address = head.address;
    m.name.data = (uint8_t *)name.p;
    m.name.len = name.len;
    return put(d, VT_FRAME_TASK, &m.base);
}

static int on_stack(struct drain *d, struct stream *s, const uint8_t *p, uint32_t len, uint64_t ticks) {
    struct vt_pl_stack head;
    struct text name;
    const uint8_t *ids;
    int rc = 0;

    if (payload_stack(p, len, &head, &name, &ids)) {
        d->totals.violations++;
        return 0;
    }
    if (s->stack && (head.part == 0 || head.ident != s->stack->ident || head.part != s->stack->parts)) rc = flush_stack(d, s);
    if (!rc && head.part == 0) rc = put_thread(d, head.ident, head.tid, head.ident == s->ident ? s->serial + 1 : 0, name);
    if (rc) return rc;
    if (!s->stack) {
        s->stack = calloc(1, sizeof(*s->stack));
        if (!s->stack) return -ENOMEM;
        s->stack->ident = head.ident;
        s->stack->ticks = ticks;
    }
    struct stack *st = s->stack;
    st->parts = (uint16_t)(head.part + 1);
    uint32_t n = head.nframes <= STACK_IDS_MAX - st->n ? head.nframes : STACK_IDS_MAX - st->n;
    if (st->n + n > st->size) {
        uint32_t size = (st->n + n) * 2;
        uint32_t *grown = realloc(st->ids, size * sizeof(uint32_t));
        if (!grown) return -ENOMEM;
        st->ids = grown;
        st->size = size;
    }
    if (n) memcpy(st->ids + st->n, ids, n * sizeof(uint32_t));
    st->n += n;
    return 0;
}

static int on_payload(struct drain *d, struct stream *s, uint32_t kind, uint32_t len, uint64_t ticks) {
    const uint8_t *p = (const uint8_t *)d->payload;
    int rc = kind != VT_PL_STACK && s->stack ? flush_stack(d, s) : 0;
    if (rc) return rc;
    switch (kind) {
    case VT_PL_NAME: return on_name(d, p, len);
    case VT_PL_STACK: return on_stack(d, s, p, len, ticks);
    case VT_PL_THREAD: return on_thread(d, s, p, len);
    case VT_PL_TASK: return on_task(d, p, len);
    case VT_PL_THROTTLED:
        rc = throttled_take(&d->throttled, p, len);
        d->totals.violations += rc == -EPROTO;
        return rc == -EPROTO ? 0 : rc;
    case VT_PL_ARGS:
    case VT_PL_RETVAL:
    case VT_PL_COUNTER:
    case VT_PL_WINDOW: return s->held ? min_duration_payload(s->held, kind, p, len) : in_block(d, s, kind, p, len);
    }
    d->totals.violations++;
    return 0;
}

/* ---- chunks ---- */

/* Reads words of chunk i until the first one not yet written. *done: nothing more will come. */
static int read_chunk(struct drain *d, struct stream *s, uint32_t i, bool *done, uint64_t *got) {
    struct vt_chunk *c = vt_chunk_at(d->arena->ctl, i);
    struct slot *slot = &d->slots[i];
    bool closed = vt_load_acquire(&c->state) == VT_CHUNK_CLOSED; /* before the words: then these are all */
    uint32_t k = slot->cursor;
    uint64_t calls = 0, before = s->now;
    size_t n = 0;
    int rc = 0;

    while (k < VT_CHUNK_RECORDS && !rc) {
        uint64_t w = vt_load_acquire(&c->rec[k]);
        if (!w) break;
        uint32_t type = vt_rec_type(w);
        if (type >= VT_REC_CALL && type <= VT_REC_TASK) {
            uint64_t full = full_stamp(slot->upper, w);
            if (full > before + TICKS_HALF / 2) { /* long pause: the encoder is told by approach() */
                rc = put_events(d, s, n, slot->upper);
                d->totals.events += n;
                n = 0;
                approach(s, full);
            }
            before = full;
            d->run[n++] = w;
            calls += VT_REC_IS_ENTER(type) ? 1 : 0;
            k++;
            continue;
        }
        rc = put_events(d, s, n, slot->upper);
        d->totals.events += n;
        n = 0;
        k++;
        if (rc) break;
        if (type == VT_REC_PAYLOAD) {
            uint32_t id = vt_rec_id(w), len = vt_payload_len(id), words = (len + 7) / 8;
            if (len > VT_PAYLOAD_MAX || words > VT_CHUNK_RECORDS - k) {
                d->totals.violations++;
                k = VT_CHUNK_RECORDS;
                break;
            }
            for (uint32_t j = 0; j < words; j++) d->payload[j] = vt_load_relaxed(&c->rec[k + j]);
            k += words;
            rc = on_payload(d, s, vt_payload_kind(id), len, full_stamp(slot->upper, w));
        } else if (type == VT_REC_EPOCH) {
            slot->upper = w >> VT_REC_TYPE_BITS << VT_REC_TS_BITS;
        } else if (type == VT_REC_GAP) {
            rc = on_gap(d, s, w >> VT_REC_TYPE_BITS);
        } else if (type == VT_REC_PAD) {
            k = VT_CHUNK_RECORDS;
        } else {
            d->totals.violations++;
        }
    }
    if (!rc && n) {
        rc = put_events(d, s, n, slot->upper);
        d->totals.events += n;
    }
    d->totals.calls += calls;
    *got += k - slot->cursor;
    if (k != slot->cursor) s->moved_ns = d->now_ns;
    slot->cursor = k;
    *done = k >= VT_CHUNK_RECORDS || closed;
    return rc;
}

static void chunk_done(struct drain *d, struct stream *s, uint32_t i) {
    struct slot *slot = &d->slots[i];
    s->next_seq = slot->seq + 1;
    s->head = slot->next;
    s->moved_ns = d->now_ns;
    if (!s->head) {
        s->tail = 0;
        LIST_REMOVE(s, active);
    }
    memset(slot, 0, sizeof(*slot));
    d->known[i / 64] &= ~(1ul << (i & 63));
    d->totals.chunks++;
    arena_give_back(d->arena, i);
}

static int stream_get(struct drain *d, uint32_t serial, uint64_t owner, uint64_t ident, struct stream **out) {
    if (serial >= STREAMS_MAX) return -EPROTO;
    if (serial >= d->nstreams) {
        uint32_t n = serial + 64 + serial / 2;
        struct stream **p = realloc(d->streams, n * sizeof(struct stream *));
        if (!p) return -ENOMEM;
        memset(p + d->nstreams, 0, (n - d->nstreams) * sizeof(struct stream *));
        d->streams = p;
        d->nstreams = n;
    }
    struct stream *s = d->streams[serial];
    if (!s) {
        s = calloc(1, sizeof(*s));
        if (!s) return -ENOMEM;
        s->serial = serial;
        s->ident = ident;
        s->ns_tid = (uint32_t)(owner >> 32);
        s->tid = tids_outer(&d->tids, s->ns_tid);
        d->streams[serial] = s;
        d->totals.threads++;
        struct min_duration_sink sink = {from_held_events, from_held_payload, d, s};
        int rc = d->min_ticks ? min_duration_new(d->min_ticks, sink, &s->held) : 0;
        if (!rc) rc = put_thread(d, ident, s->ns_tid, serial + 1, (struct text){NULL, 0});
        if (rc) return rc;
    }
    *out = s;
    return 0;
}

static void queue_chunk(struct drain *d, struct stream *s, uint32_t i) {
    struct slot *slots = d->slots;
    uint32_t *link = &s->head;
    if (!s->head) LIST_INSERT_HEAD(&d->active, s, active);
    if (s->tail && slots[s->tail - 1].seq < slots[i].seq) link = &slots[s->tail - 1].next;
    while (*link && slots[*link - 1].seq < slots[i].seq) link = &slots[*link - 1].next;
    slots[i].next = *link;
    *link = i + 1;
    if (!slots[i].next) s->tail = i + 1;
}

/* A chunk that is new to us; false: claimed, but its header is not written yet. */
static int take_chunk(struct drain *d, uint32_t i, bool *ready) {
    struct vt_chunk *c = vt_chunk_at(d->arena->ctl, i);
    struct stream *s;
    uint32_t state = vt_load_acquire(&c->state);
    *ready = state == VT_CHUNK_OWNED || state == VT_CHUNK_CLOSED;
    if (!*ready) return 0;
    uint32_t serial = vt_load_relaxed(&c->thread);
    int rc = stream_get(d, serial, vt_load_relaxed(&c->owner), vt_load_relaxed(&c->ident), &s);
    if (rc) return rc;
    struct slot *slot = &d->slots[i];
    slot->seq = vt_load_relaxed(&c->seq);
    slot->cursor = 0;
    slot->base = vt_load_relaxed(&c->base);
    slot->upper = slot->base >> VT_REC_TS_BITS << VT_REC_TS_BITS;
    uint64_t dropped = vt_load_relaxed(&c->dropped);
    if (dropped > s->dropped) s->dropped = dropped;
    s->moved_ns = d->now_ns;
    d->known[i / 64] |= 1ul << (i & 63);
    queue_chunk(d, s, i);
    return 0;
}

static int find_chunks(struct drain *d) {
    struct vt_ctl *ctl = d->arena->ctl;
    bool claimed = false, ready;
    uint32_t most = 0;
    int rc = 0;

    for (uint32_t w = 0; w * 64 < d->arena->nchunks && !rc; w++) {
        uint64_t used = ~vt_load_acquire(&ctl->free[w]);
        if (used) most = w * 64 + 63 - (uint32_t)__builtin_clzll(used);
        for (used &= ~d->known[w]; used && !rc; used &= used - 1) {
            uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(used);
            if (i >= d->arena->nchunks) break;
            rc = take_chunk(d, i, &ready);
            claimed |= !ready;
        }
    }
    if (most >= d->arena->nchunks) most = d->arena->nchunks - 1;
    d->most_used = most;
    if (!claimed)
        d->claimed_ns = 0;
    else if (!d->claimed_ns)
        d->claimed_ns = d->now_ns;
    return rc;
}

/* Reads the streams' chunks in order. `words`: how much at most. all: also chunks that look unfinished. */
static int read_streams(struct drain *d, uint64_t words, bool all, uint64_t *got) {
    struct stream *s, *next;
    uint64_t start = *got;
    int rc = 0;

    for (s = LIST_FIRST(&d->active); s && !rc; s = next) {
        next = LIST_NEXT(s, active);
        while (s->head && !rc && *got - start < words) {
            uint32_t i = s->head - 1;
            bool done = false;
            if (d->slots[i].seq != s->next_seq && !all) break; /* the one before is being claimed */
            rc = read_chunk(d, s, i, &done, got);
            if (rc || !(done || all)) break;
            chunk_done(d, s, i);
        }
    }
    /* Whoever was not reached has waited: a long queue must not starve the others for ever. */
    s = LIST_FIRST(&d->active);
    if (!rc && *got - start >= words && s && LIST_NEXT(s, active)) {
        struct stream *last = s;
        while (LIST_NEXT(last, active)) last = LIST_NEXT(last, active);
        LIST_REMOVE(s, active);
        LIST_INSERT_AFTER(last, s, active);
    }
    return rc;
}

static int check_broken(const struct drain *d) { return d->arena->broken ? -EFAULT : 0; }

int drain_pass(struct drain *d, uint64_t now_ns, uint64_t *got) {
    d->now_ns = now_ns;
    *got = 0;
    int rc = find_chunks(d);
    if (!rc) arena_warm(d->arena, d->most_used + WARM_AHEAD);
    if (!rc) rc = read_streams(d, PASS_WORDS, false, got);
    if (!rc) rc = flush_names(d);
    if (!rc) rc = age_held(d);
    if (!rc) rc = flush_old_blocks(d);
    d->totals.dropped = vt_load_relaxed(&d->arena->ctl->dropped);
    return rc ? rc : check_broken(d);
}

int drain_reap(struct drain *d, uint64_t now_ns) {
    struct stream *s, *next;
    uint64_t got = 0;
    int rc = 0;

    d->now_ns = now_ns;
    for (s = LIST_FIRST(&d->active); s && !rc; s = next) {
        next = LIST_NEXT(s, active);
        if (now_ns - s->moved_ns < REAP_AGE_NS) continue;
        s->moved_ns = now_ns;
        if (!s->tid || tids_alive(&d->tids, s->tid)) continue;
        bool done;
        while (s->head && !rc) { /* dead before we looked: what stands there is all */
            uint32_t i = s->head - 1;
            rc = read_chunk(d, s, i, &done, &got);
            if (!rc) chunk_done(d, s, i);
        }
    }
    if (rc || !d->claimed_ns || now_ns - d->claimed_ns < REAP_AGE_NS) return rc;
    d->claimed_ns = 0;
    for (uint32_t w = 0; w * 64 < d->arena->nchunks; w++)
        for (uint64_t used = ~vt_load_acquire(&d->arena->ctl->free[w]) & ~d->known[w]; used; used &= used - 1) {
            uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(used);
            if (i >= d->arena->nchunks) break;
            struct vt_chunk *c = vt_chunk_at(d->arena->ctl, i);
            uint64_t owner = vt_load_acquire(&c->owner);
            if (vt_load_acquire(&c->state) != VT_CHUNK_FREE) continue;
            uint32_t tid = owner ? tids_outer(&d->tids, (uint32_t)(owner >> 32)) : 0;
            if (owner && tid && tids_alive(&d->tids, tid)) continue;
            if (owner && !tid && !tids_same_ns(&d->tids)) continue; /* cannot tell */
            arena_give_back(d->arena, i);
        }
    return 0;
}

static int tell_drops(struct drain *d, uint32_t serial, uint64_t count, uint64_t ticks) {
    Vt__Drops m = VT__DROPS__INIT;
    m.serial = serial;
    m.count = count;
    m.ticks = ticks;
    return put(d, VT_FRAME_DROPS, &m.base);
}

/* Drops that no gap record tells of: per thread from chunk headers and drop slots, the rest as thread ~0. */
static int report_drops(struct drain *d, uint64_t now_ticks) {
    struct vt_ctl *ctl = d->arena->ctl;
    uint64_t told = 0;
    int rc = 0;

    for (uint32_t i = 0; i < VT_DROP_SLOTS; i++) {
        uint32_t serial = vt_load_relaxed(&ctl->drops[i].thread);
        uint64_t dropped = vt_load_relaxed(&ctl->drops[i].dropped);
        struct stream *s = serial < d->nstreams ? d->streams[serial] : NULL;
        if (s && dropped > s->dropped) s->dropped = dropped;
        if (s || !dropped || rc) continue;
        rc = tell_drops(d, serial, dropped, now_ticks); /* it never got a chunk */
        told += dropped;
    }
    for (uint32_t i = 0; i < d->nstreams && !rc; i++) {
        struct stream *s = d->streams[i];
        if (!s) continue;
        told += s->gaps;
        if (s->dropped <= s->gaps) continue;
        told += s->dropped - s->gaps;
        rc = tell_drops(d, s->serial, s->dropped - s->gaps, now_ticks);
    }
    uint64_t all = vt_load_relaxed(&ctl->dropped);
    if (all > told && !rc) rc = tell_drops(d, UINT32_MAX, all - told, now_ticks);
    d->totals.dropped = all > told ? all : told;
    return rc;
}

int drain_finish(struct drain *d, uint64_t now_ticks) {
    uint64_t got = 0;
    /* A chunk may have been claimed whose bit is not cleared yet: the bit is a hint. Such chunks are
     * among the lowest free ones. */
    uint32_t upto = d->most_used + 4 * WARM_AHEAD;
    for (uint32_t i = 0; i < upto && i < d->arena->nchunks && i < d->arena->warm; i++)
        if (vt_load_acquire(&vt_chunk_at(d->arena->ctl, i)->owner))
            vt_fetch_and_acqrel(&d->arena->ctl->free[i / 64], ~(1ul << (i & 63)));
    int rc = find_chunks(d);
    if (!rc) rc = read_streams(d, UINT64_MAX, true, &got);
    for (uint32_t i = 0; i < d->nstreams && !rc; i++) {
        struct stream *s = d->streams[i];
        if (s) rc = flush_stack(d, s);
        if (s && s->held && !rc) rc = min_duration_flush(s->held);
    }
    if (!rc) rc = flush_names(d);
    while (!rc && !TAILQ_EMPTY(&d->open)) rc = flush_block(d, TAILQ_FIRST(&d->open));
    if (!rc) rc = report_drops(d, now_ticks);
    if (!rc) rc = throttled_put(&d->throttled, d->arena->ctl, now_ticks, d->sink.put, d->sink.ctx);
    return rc ? rc : check_broken(d);
}

void drain_totals(const struct drain *d, struct drain_totals *t) {
    *t = d->totals;
    t->throttled = d->throttled.n;
    for (uint32_t i = 0; i < d->nstreams && d->min_ticks; i++)
        if (d->streams[i] && d->streams[i]->held) t->short_calls += min_duration_short_calls(d->streams[i]->held);
}
