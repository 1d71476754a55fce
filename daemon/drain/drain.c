/* Owns reading the arena: which chunks are in use, in which order they are read, how far each was read, and giving them back.
 * stream.h turns the words into frames. This file knows no sessions, files or sockets.
 *
 *   find_chunks   bitmap -> new chunks in use, queued at their stream in the order of seq
 *   read_chunk    words of the first chunk of a queue, up to the first word that is not written yet
 *   chunk_done    takes it off the queue, arena_give_back */
#include "daemon/drain/drain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "daemon/drain/stream.h"

#define PASS_WORDS (64u * VT_CHUNK_WORDS) /* words read in one pass, so that the event loop continues */
#define REAP_AGE_NS 1000000000ull
#define ALIVE_AGE_NS 3000000000ull    /* a thread seen alive is not checked again before this time */
#define UNKNOWN_AGE_NS 30000000000ull /* after this time a thread of unknown tid counts as ended; it may come back */
#define GREENLET_AGE_NS                                                                                                          \
    10000000000ull     /* after this time without an event the stream of a greenlet is freed; it may come back                   \
                        */
#define WARM_AHEAD 64u /* chunks whose pages are made before the target takes them */

struct slot {      /* what is known of one chunk */
    uint32_t next; /* queue: index + 1 */
    uint32_t seq;
    uint32_t cursor; /* next word to read in the chunk */
    uint32_t stack;  /* that ran when the chunk was taken, as in a STACK record */
    uint64_t upper;  /* upper bits of the time stamps, which records do not hold */
    uint64_t base;
};

struct drain {
    struct arena *arena;
    struct streams streams;
    LIST_HEAD(, stream) active;
    uint64_t claimed_ns; /* since when a claimed chunk has had no header; 0 = there is none */
    uint32_t most_used;  /* highest chunk in use at the last pass */
    uint64_t known[VT_CHUNKS_MAX / 64];
    struct slot slots[VT_CHUNKS_MAX];
    uint64_t told; /* dropped events that were reported for retired streams */
    struct {
        uint32_t serial_plus_1;
        uint64_t dropped;
    } told_slots[VT_DROP_SLOTS]; /* drop slots of retired streams that `told` includes */
    uint64_t payload[VT_PAYLOAD_MAX / 8];
};

int drain_new(struct arena *a, pid_t pid, pid_t ns_pid, uint64_t min_ticks, struct drain_sink sink, struct drain **out) {
    struct drain *d = calloc(1, sizeof(*d));
    if (!d) return -ENOMEM;
    d->arena = a;
    LIST_INIT(&d->active);
    if (streams_init(&d->streams, pid, ns_pid, min_ticks, sink)) {
        drain_free(d);
        return -ENOMEM;
    }
    arena_warm(a, a->grows ? 1 : WARM_AHEAD / 4);
    *out = d;
    return 0;
}

void drain_free(struct drain *d) {
    if (!d) return;
    streams_free(&d->streams);
    free(d);
}

/* ---- chunks ---- */

/* Reads words of chunk i up to the first one that is not written yet. *done: no more words will come. */
static int read_chunk(struct drain *d, struct stream *s, uint32_t i, bool *done, uint64_t *got) {
    struct vt_chunk *c = vt_chunk_at(d->arena->ctl, i);
    struct slot *slot = &d->slots[i];
    bool closed = vt_load_acquire(&c->state) == VT_CHUNK_CLOSED; /* read before the words: no words are added to a closed chunk */
    uint32_t k = slot->cursor;
    int rc = k ? 0 : stream_runs(&d->streams, s, slot->stack);

    while (k < VT_CHUNK_RECORDS && !rc) {
        uint64_t w = vt_load_acquire(&c->rec[k]);
        uint32_t type = vt_rec_type(w);
        if (!w) break;
        if (VT_REC_IS_PLAIN(type)) {
            size_t took;
            rc = stream_events(&d->streams, s, &c->rec[k], VT_CHUNK_RECORDS - k, slot->upper, &took);
            if (!took && !rc) d->streams.totals.violations++; /* the target has just changed the word */
            k += took ? (uint32_t)took : 1;
            continue;
        }
        k++;
        if (type == VT_REC_PAYLOAD) {
            uint32_t id = vt_rec_id(w), len = vt_payload_len(id), words = (len + 7) / 8;
            if (len > VT_PAYLOAD_MAX || words > VT_CHUNK_RECORDS - k) {
                d->streams.totals.violations++;
                k = VT_CHUNK_RECORDS;
                break;
            }
            for (uint32_t j = 0; j < words; j++) d->payload[j] = vt_load_relaxed(&c->rec[k + j]);
            k += words;
            rc = stream_payload(&d->streams, s, vt_payload_kind(id), (const uint8_t *)d->payload, len,
                                stream_stamp(slot->upper, w));
        } else if (type == VT_REC_EPOCH) {
            slot->upper = w >> VT_REC_TYPE_BITS << VT_REC_TS_BITS;
        } else if (type == VT_REC_STACK) {
            rc = stream_runs(&d->streams, s, w >> VT_REC_TYPE_BITS);
        } else if (type == VT_REC_GAP) {
            rc = stream_gap(&d->streams, s, w >> VT_REC_TYPE_BITS);
        } else if (type == VT_REC_PAD) {
            k = VT_CHUNK_RECORDS;
        } else {
            d->streams.totals.violations++;
        }
    }
    *got += k - slot->cursor;
    if (k != slot->cursor) s->moved_ns = d->streams.now_ns;
    slot->cursor = k;
    *done = k >= VT_CHUNK_RECORDS || closed;
    return rc;
}

static void chunk_done(struct drain *d, struct stream *s, uint32_t i) {
    struct slot *slot = &d->slots[i];
    s->next_seq = slot->seq + 1;
    s->head = slot->next;
    s->moved_ns = d->streams.now_ns;
    if (!s->head) {
        s->tail = 0;
        LIST_REMOVE(s, active);
    }
    memset(slot, 0, sizeof(*slot));
    d->known[i / 64] &= ~(1ul << (i & 63));
    d->streams.totals.chunks++;
    arena_give_back(d->arena, i);
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

/* Puts a new chunk into its stream's queue. *ready is false while the chunk is claimed but has no header yet. */
static int take_chunk(struct drain *d, uint32_t i, bool *ready) {
    struct vt_chunk *c = vt_chunk_at(d->arena->ctl, i);
    struct stream *s;
    uint32_t state = vt_load_acquire(&c->state);
    *ready = state == VT_CHUNK_OWNED || state == VT_CHUNK_CLOSED;
    if (!*ready) return 0;
    uint32_t serial = vt_load_relaxed(&c->thread);
    int rc = streams_get(&d->streams, serial, vt_load_relaxed(&c->owner), vt_load_relaxed(&c->ident), &s);
    if (rc) return rc;
    d->known[i / 64] |= 1ul << (i & 63);
    if (s->thread) { /* greenlets have no chunks */
        d->streams.totals.violations++;
        return 0;
    }
    struct slot *slot = &d->slots[i];
    slot->seq = vt_load_relaxed(&c->seq);
    slot->cursor = 0;
    slot->stack = vt_load_relaxed(&c->stack);
    slot->base = vt_load_relaxed(&c->base);
    slot->upper = slot->base >> VT_REC_TS_BITS << VT_REC_TS_BITS;
    uint64_t dropped = vt_load_relaxed(&c->dropped);
    if (dropped > s->dropped) s->dropped = dropped;
    s->moved_ns = d->streams.now_ns;
    queue_chunk(d, s, i);
    return 0;
}

static int find_chunks(struct drain *d) {
    struct vt_ctl *ctl = d->arena->ctl;
    bool claimed = false, ready;
    uint32_t most = 0;
    int rc = 0;

    for (uint32_t w = 0; w * 64 < d->arena->nchunks && !rc; w++) {
        uint64_t used = ~vt_load_acquire(&ctl->free[w]) & arena_offered(d->arena, w);
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
        d->claimed_ns = d->streams.now_ns;
    return rc;
}

/* Reads the streams' chunks in order, about `words` words. all: unfinished chunks, too. */
static int read_streams(struct drain *d, uint64_t words, bool all, uint64_t *got) {
    struct stream *s, *next;
    uint64_t start = *got;
    int rc = 0;

    for (s = LIST_FIRST(&d->active); s && !rc; s = next) {
        next = LIST_NEXT(s, active);
        while (s->head && !rc && *got - start < words) {
            uint32_t i = s->head - 1;
            bool done = false;
            if (d->slots[i].seq != s->next_seq && !all) break; /* the chunk before it is just being claimed */
            rc = read_chunk(d, s, i, &done, got);
            if (rc || !(done || all)) break;
            chunk_done(d, s, i);
        }
    }
    /* The first stream used up the pass: it moves to the end of the list, so that the others get their turn. */
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

/* For how many chunks more than are in use there are to be pages. */
static uint32_t ahead(const struct drain *d) {
    if (d->arena->pages_first) return ARENA_AHEAD_PAGES_FIRST;
    return d->arena->grows && d->most_used < WARM_AHEAD / 2 ? 2 * d->most_used : WARM_AHEAD;
}

int drain_pass(struct drain *d, uint64_t now_ns, uint64_t *got) {
    d->streams.now_ns = now_ns;
    *got = 0;
    int rc = find_chunks(d);
    if (!rc) arena_warm(d->arena, d->most_used + ahead(d));
    if (!rc) rc = read_streams(d, PASS_WORDS, false, got);
    if (!rc) rc = streams_age(&d->streams);
    d->streams.totals.dropped = vt_load_relaxed(&d->arena->ctl->dropped);
    return rc ? rc : check_broken(d);
}

static int tell_drops(struct drain *d, uint32_t serial, uint64_t count, uint64_t ticks) {
    Vt__Drops m = VT__DROPS__INIT;
    m.serial = serial;
    m.count = count;
    m.ticks = ticks;
    return d->streams.sink.put(d->streams.sink.ctx, VT_FRAME_DROPS, &m.base);
}

/* Frees the streams of the thread's greenlets, or those that have had no event for a while. */
static int retire_greenlets(struct drain *d, struct stream *thread, bool all) {
    struct stream *s, *next;
    int rc = 0;
    for (s = LIST_FIRST(&thread->greenlets); s && !rc; s = next) {
        next = LIST_NEXT(s, same_thread);
        bool idle = thread->running != s && d->streams.now_ns - s->moved_ns >= GREENLET_AGE_NS;
        if (all || idle) rc = streams_retire(&d->streams, s, 0);
    }
    return rc;
}

/* The stream's thread has ended, and all its chunks were read. */
static int retire(struct drain *d, struct stream *s) {
    int greenlets_rc = retire_greenlets(d, s, true);
    if (greenlets_rc) return greenlets_rc;
    uint32_t slot = s->serial % VT_DROP_SLOTS, serial = s->serial;
    bool in_slot = vt_load_relaxed(&d->arena->ctl->drops[slot].thread) == serial;
    uint64_t dropped = in_slot ? vt_load_relaxed(&d->arena->ctl->drops[slot].dropped) : 0;
    if (dropped > s->dropped) s->dropped = dropped;
    uint64_t all = s->dropped > s->gaps ? s->dropped : s->gaps, silent = all - s->gaps, ticks = s->now, before = s->told_before;
    int rc = streams_retire(&d->streams, s, all);
    if (!rc && silent) rc = tell_drops(d, serial, silent, ticks);
    d->told += all - before;
    if (in_slot && dropped) {
        d->told_slots[slot].serial_plus_1 = serial + 1;
        d->told_slots[slot].dropped = dropped;
    }
    return rc;
}

static struct stream *next_thread(struct stream *s) {
    while (s && s->thread) s = LIST_NEXT(s, all);
    return s;
}

/* Retires streams without chunks whose threads have ended. A living thread is checked again only after a while. */
static int retire_ended(struct drain *d, uint64_t now_ns) {
    struct stream *s, *next;
    int rc = 0;
    for (s = next_thread(LIST_FIRST(&d->streams.table.all)); s && !rc; s = next) {
        next = next_thread(LIST_NEXT(s, all)); /* greenlets of `s` go with it */
        rc = retire_greenlets(d, s, false);
        if (rc) break;
        if (s->head || (!s->ended && now_ns - s->moved_ns < REAP_AGE_NS)) continue;
        if (!s->ended && s->tid && now_ns - s->alive_ns < ALIVE_AGE_NS) continue;
        if (!s->ended && !s->tid && now_ns - s->moved_ns < UNKNOWN_AGE_NS) continue;
        if (!s->ended && s->tid && tids_alive(&d->streams.tids, s->tid))
            s->alive_ns = now_ns;
        else
            rc = retire(d, s);
    }
    return rc;
}

int drain_reap(struct drain *d, uint64_t now_ns) {
    struct stream *s, *next;
    uint64_t got = 0;
    int rc = 0;

    d->streams.now_ns = now_ns;
    for (s = LIST_FIRST(&d->active); s && !rc; s = next) {
        next = LIST_NEXT(s, active);
        if (now_ns - s->moved_ns < REAP_AGE_NS) continue;
        s->moved_ns = now_ns;
        if (!s->tid || tids_alive(&d->streams.tids, s->tid)) continue;
        bool done;
        while (s->head && !rc) { /* the thread had ended before this check: the chunk gets no more words */
            uint32_t i = s->head - 1;
            rc = read_chunk(d, s, i, &done, &got);
            if (!rc) chunk_done(d, s, i);
        }
    }
    if (!rc) rc = retire_ended(d, now_ns);
    if (rc || !d->claimed_ns || now_ns - d->claimed_ns < REAP_AGE_NS) return rc;
    d->claimed_ns = 0;
    for (uint32_t w = 0; w * 64 < d->arena->nchunks; w++)
        for (uint64_t used = ~vt_load_acquire(&d->arena->ctl->free[w]) & arena_offered(d->arena, w) & ~d->known[w]; used;
             used &= used - 1) {
            uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(used);
            if (i >= d->arena->nchunks) break;
            struct vt_chunk *c = vt_chunk_at(d->arena->ctl, i);
            uint64_t owner = vt_load_acquire(&c->owner);
            if (vt_load_acquire(&c->state) != VT_CHUNK_FREE) continue;
            uint32_t tid = owner ? tids_outer(&d->streams.tids, (uint32_t)(owner >> 32)) : 0;
            if (owner && tid && tids_alive(&d->streams.tids, tid)) continue;
            if (owner && !tid && !tids_same_ns(&d->streams.tids)) continue; /* we cannot know whether it lives */
            arena_give_back(d->arena, i);
        }
    return 0;
}

/* Reports dropped events that no gap record counts: per thread from chunk headers and drop slots, the others as thread ~0. */
static int report_drops(struct drain *d, uint64_t now_ticks) {
    struct vt_ctl *ctl = d->arena->ctl;
    uint64_t told = d->told;
    struct stream *s;
    int rc = 0;

    for (uint32_t i = 0; i < VT_DROP_SLOTS; i++) {
        uint32_t serial = vt_load_relaxed(&ctl->drops[i].thread);
        uint64_t dropped = vt_load_relaxed(&ctl->drops[i].dropped);
        s = stream_table_find(&d->streams.table, serial);
        if (s && dropped > s->dropped) s->dropped = dropped;
        if (d->told_slots[i].serial_plus_1 == serial + 1)
            dropped -= dropped < d->told_slots[i].dropped ? dropped : d->told_slots[i].dropped;
        if (s || !dropped || rc) continue;
        rc = tell_drops(d, serial, dropped, now_ticks); /* the thread never got a chunk */
        told += dropped;
    }
    LIST_FOREACH(s, &d->streams.table.all, all) {
        told += s->gaps - s->told_before;
        if (s->dropped <= s->gaps || rc) continue;
        told += s->dropped - s->gaps;
        rc = tell_drops(d, s->serial, s->dropped - s->gaps, now_ticks);
    }
    uint64_t all = vt_load_relaxed(&ctl->dropped);
    if (all > told && !rc) rc = tell_drops(d, UINT32_MAX, all - told, now_ticks);
    d->streams.totals.dropped = all > told ? all : told;
    return rc;
}

int drain_finish(struct drain *d, uint64_t now_ticks) {
    uint64_t got = 0;
    /* The bitmap is a hint: the bit of a claimed chunk may still be set. Such chunks are among the lowest free ones. */
    uint32_t upto = d->most_used + (d->arena->grows ? WARM_AHEAD / 2 : 4 * WARM_AHEAD);
    for (uint32_t i = 0; i < upto && i < d->arena->nchunks && (d->arena->grows || i < d->arena->warm); i++)
        if (vt_load_acquire(&vt_chunk_at(d->arena->ctl, i)->owner))
            vt_fetch_and_acqrel(&d->arena->ctl->free[i / 64], ~(1ul << (i & 63)));
    int rc = find_chunks(d);
    if (!rc) rc = read_streams(d, UINT64_MAX, true, &got);
    if (!rc) rc = streams_finish(&d->streams);
    if (!rc) rc = report_drops(d, now_ticks);
    if (!rc) rc = throttled_put(&d->streams.throttled, d->arena->ctl, now_ticks, d->streams.sink.put, d->streams.sink.ctx);
    return rc ? rc : check_broken(d);
}

void drain_inside(struct drain *d, struct inside *in) { d->streams.inside = in; }

void drain_limit_memory(struct drain *d, uint64_t bytes) { streams_limit_memory(&d->streams, bytes); }

int drain_flush(struct drain *d) { return streams_finish(&d->streams); }

void drain_give_up(struct drain *d) { streams_give_up(&d->streams); }

void drain_totals(const struct drain *d, struct drain_totals *t) {
    *t = d->streams.totals;
    t->throttled = d->streams.throttled.n;
    t->short_calls = d->streams.held.short_calls;
}
