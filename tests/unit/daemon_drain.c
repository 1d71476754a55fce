/* A writer with the claim protocol of proto/abi/arena.h, and the daemon's real drain that reads its records. Most useful under
 * SAN=thread. Each event's id and stamp is known in advance. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/drain/arena_map.h"
#include "daemon/drain/drain.h"
#include "proto/block.h"

#define THREADS_MAX 64

/* ---- writer: what the agent does ---- */

struct writer {
    struct vt_ctl *ctl;
    struct vt_chunk *chunk;
    uint32_t k, seq, serial, tid;
    uint64_t ident, upper, clock;
    uint64_t emitted, dropped, gap;
    bool left;
};

static void writer_init(struct writer *w, struct vt_ctl *ctl) {
    memset(w, 0, sizeof(*w));
    w->ctl = ctl;
    w->serial = vt_fetch_add(&ctl->next_thread, 1u);
    w->tid = (uint32_t)syscall(SYS_gettid);
    w->ident = 0x7f0000000000ull + w->serial;
    w->clock = 12345;
}

static bool writer_take(struct writer *w) {
    for (uint32_t word = 0; word * 64 < w->ctl->nchunks; word++)
        for (uint64_t bits = vt_load_acquire(&w->ctl->free[word]); bits; bits &= bits - 1) {
            uint32_t i = word * 64 + (uint32_t)__builtin_ctzll(bits);
            if (i >= w->ctl->nchunks) break;
            struct vt_chunk *c = vt_chunk_at(w->ctl, i);
            uint64_t nobody = 0;
            if (!vt_cas_acqrel(&c->owner, &nobody, (uint64_t)getpid() | (uint64_t)w->tid << 32)) continue;
            vt_fetch_and_acqrel(&w->ctl->free[i / 64], ~(1ul << (i & 63)));
            c->base = w->clock;
            c->seq = w->seq++;
            c->thread = w->serial;
            c->ident = w->ident;
            c->dropped = w->dropped;
            w->upper = w->clock >> VT_REC_TS_BITS;
            w->chunk = c;
            w->k = 0;
            vt_store_release(&c->limit, UINT64_MAX);
            vt_full_fence();
            if (!vt_load_acquire(&w->ctl->enabled)) vt_store_release(&c->limit, 0ul);
            vt_store_release(&c->state, (uint32_t)VT_CHUNK_OWNED);
            return true;
        }
    return false;
}

static void writer_close(struct writer *w) {
    if (w->chunk) vt_store_release(&w->chunk->state, (uint32_t)VT_CHUNK_CLOSED);
    w->chunk = NULL;
}

static void writer_word(struct writer *w, uint64_t v) { vt_store_release(&w->chunk->rec[w->k++], v); }

/* Room for n words; epoch and gap records where they are due. */
static bool writer_room(struct writer *w, uint32_t n) {
    if (w->left) return false;
    if (w->chunk && !vt_load_relaxed(&w->chunk->limit) && !vt_load_acquire(&w->ctl->enabled)) {
        writer_close(w);
        w->left = true;
        return false;
    }
    if (w->chunk && w->k + n + 2 > VT_CHUNK_RECORDS) {
        if (w->k < VT_CHUNK_RECORDS) writer_word(w, VT_REC_PAD);
        w->chunk = NULL;
    }
    if (!w->chunk && !writer_take(w)) {
        w->dropped++;
        w->gap++;
        vt_fetch_add(&w->ctl->dropped, 1ul);
        vt_store_relaxed(&w->ctl->drops[w->serial % VT_DROP_SLOTS].thread, w->serial);
        vt_store_relaxed(&w->ctl->drops[w->serial % VT_DROP_SLOTS].dropped, w->dropped);
        return false;
    }
    if (w->upper != w->clock >> VT_REC_TS_BITS) {
        w->upper = w->clock >> VT_REC_TS_BITS;
        writer_word(w, w->upper << VT_REC_TYPE_BITS | VT_REC_EPOCH);
    }
    if (w->gap) {
        writer_word(w, w->gap << VT_REC_TYPE_BITS | VT_REC_GAP);
        w->gap = 0;
    }
    return true;
}

static void writer_event(struct writer *w, uint32_t id, uint32_t type) {
    if (!writer_room(w, 1)) {
        if (!w->left) w->emitted++;
        return;
    }
    w->emitted++;
    writer_word(w, vt_rec_make(w->clock, id, type));
}

static void writer_payload(struct writer *w, uint32_t kind, const void *p, uint32_t len) {
    uint32_t words = (len + 7) / 8;
    ck_assert(writer_room(w, 1 + words));
    for (uint32_t i = 0; i < words; i++) {
        uint64_t v = 0;
        memcpy(&v, (const char *)p + 8 * i, len - 8 * i < 8 ? len - 8 * i : 8);
        vt_store_relaxed(&w->chunk->rec[w->k + 1 + i], v);
    }
    vt_store_release(&w->chunk->rec[w->k], vt_rec_make(w->clock, vt_rec_payload_id(kind, len), VT_REC_PAYLOAD));
    w->k += 1 + words;
}

/* The n-th event of every thread: a walk over ids that repeats like a program does, with breaks. */
static uint32_t nth_id(uint64_t n) { return (uint32_t)(n % 5 ? n % 7 + 1 : n & VT_ID_MAX) | 1; }
static uint64_t nth_step(uint64_t n) {
    if (n % 50021 == 50020) return 3ull << (VT_REC_TS_BITS - 2); /* a pause of three quarters of a wrap */
    if (n % 70001 == 70000) return 5ull << VT_REC_TS_BITS;       /* several wraps */
    return n % 97 == 0 ? 70000 : n % 13 + 1;
}

/* ---- reader: checks what the drain hands out ---- */

struct check_thread {
    uint64_t next; /* number of the next event expected, gaps included */
    uint64_t clock;
    uint64_t gaps, drops;
};
struct reader {
    struct check_thread threads[THREADS_MAX];
    struct vt_block_dec *dec;
    uint64_t events, blocks, wrong, names, stacks, tasks, thread_frames, in_block, greenlets;
    char lanes[256]; /* with note_lanes: "serial:events " of each block; a letter = a call, . = its end, g = a gap */
    char text[256];
    uint32_t stack_ids;
    bool no_check, note_lanes;
};

static void expect_events(struct reader *r, const Vt__Block *b) {
    const struct vt_event *ev;
    size_t n;
    ck_assert_uint_lt(b->serial, THREADS_MAX);
    struct check_thread *t = &r->threads[b->serial];
    ck_assert_int_eq(vt_block_decode(r->dec, b->base_ticks, b->data.data, b->data.len, b->raw_len, b->events, &ev, &n), 0);
    ck_assert_uint_eq(n, b->events);
    for (size_t i = 0; i < n; i++) {
        if (ev[i].type == VT_REC_PAYLOAD) {
            r->in_block++;
            continue;
        }
        uint64_t skip = ev[i].type == VT_REC_GAP ? ev[i].count : 1;
        if (ev[i].type == VT_REC_GAP) t->gaps += ev[i].count;
        for (uint64_t j = 0; j < skip; j++) t->clock += nth_step(t->next++);
        if (ev[i].type == VT_REC_GAP) continue;
        r->events++;
        if (ev[i].id != nth_id(t->next - 1) || ev[i].ticks != t->clock) {
            if (!r->wrong++)
                fprintf(stderr, "thread %u event %lu: id %u (want %u) ticks %lu (want %lu)\n", b->serial, t->next - 1, ev[i].id,
                        nth_id(t->next - 1), ev[i].ticks, t->clock);
        }
    }
}

static void note_block(struct reader *r, const Vt__Block *b) {
    const struct vt_event *ev;
    size_t n, len = strlen(r->lanes);
    ck_assert_int_eq(vt_block_decode(r->dec, b->base_ticks, b->data.data, b->data.len, b->raw_len, b->events, &ev, &n), 0);
    len += (size_t)snprintf(r->lanes + len, sizeof(r->lanes) - len, "%u:", b->serial);
    for (size_t i = 0; i < n && len + 3 < sizeof(r->lanes); i++)
        r->lanes[len++] = ev[i].type == VT_REC_GAP ? 'g' : VT_REC_IS_ENTER(ev[i].type) ? (char)('a' + ev[i].id) : '.';
    r->lanes[len] = ' ';
    r->lanes[len + 1] = 0;
}

static int reader_put(void *ctx, uint32_t type, const ProtobufCMessage *msg) {
    struct reader *r = ctx;
    if (type == VT_FRAME_BLOCK) {
        r->blocks++;
        if (!r->no_check) expect_events(r, (const Vt__Block *)msg);
        if (r->note_lanes) note_block(r, (const Vt__Block *)msg);
    } else if (type == VT_FRAME_NAMES) {
        const Vt__Names *m = (const Vt__Names *)msg;
        r->names += m->n_names;
        if (m->n_names && !r->no_check)
            snprintf(r->text, sizeof(r->text), "%.*s %.*s:%u", (int)m->names[0]->name.len, m->names[0]->name.data,
                     (int)m->names[0]->file.len, m->names[0]->file.data, m->names[0]->line);
    } else if (type == VT_FRAME_STACK) {
        const Vt__Stack *m = (const Vt__Stack *)msg;
        r->stacks++;
        r->stack_ids += (uint32_t)m->n_ids;
        ck_assert_uint_eq(m->n_lines, m->n_ids);
        for (size_t i = 0; i < m->n_ids && !r->no_check; i++) {
            ck_assert_uint_eq(m->ids[i], i + 1);
            ck_assert_uint_eq(m->lines[i], i < 8000 ? 0 : i + 1 + 100000);
        }
    } else if (type == VT_FRAME_THREAD) {
        r->thread_frames++;
        r->greenlets += ((const Vt__Thread *)msg)->greenlet_of != 0;
    } else if (type == VT_FRAME_TASK) {
        r->tasks++;
    } else if (type == VT_FRAME_DROPS) {
        const Vt__Drops *m = (const Vt__Drops *)msg;
        if (m->serial < THREADS_MAX) r->threads[m->serial].drops += m->count;
    }
    return 0;
}

/* ---- fixture ---- */

static struct arena arena;
static struct drain *drain;
static struct reader reader;
static uint64_t fake_ns;

static void start_fd(int fd, uint32_t nchunks) {
    struct vt_err err = {0};
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)vt_arena_bytes(nchunks)), 0);
    ck_assert_msg(arena_open(&arena, fd, nchunks, &err) == 0, "%s", err.msg);
    arena.ctl->magic = VT_ARENA_MAGIC;
    arena.ctl->nchunks = nchunks;
    arena.ctl->enabled = 1;
    for (uint32_t i = 0; i < nchunks; i++) arena.ctl->free[i / 64] |= 1ul << (i & 63);
    memset(&reader, 0, sizeof(reader));
    reader.dec = vt_block_dec_new();
    for (int i = 0; i < THREADS_MAX; i++) reader.threads[i].clock = 12345;
    ck_assert_int_eq(drain_new(&arena, getpid(), getpid(), 0, (struct drain_sink){reader_put, &reader}, &drain), 0);
    fake_ns = 1000000000ull;
}
static void start(uint32_t nchunks) { start_fd(memfd_create("drain-test", 0), nchunks); }

static void finish(void) {
    drain_free(drain);
    arena_close(&arena);
    vt_block_dec_free(reader.dec);
}

static uint64_t pass(void) {
    uint64_t got;
    fake_ns += 1000000;
    ck_assert_int_eq(drain_pass(drain, fake_ns, &got), 0);
    return got;
}

struct job {
    pthread_t thread;
    struct writer w;
    uint64_t events;
    volatile bool *go;
    bool close;
    uint32_t done; /* atomic */
};

static void *job_main(void *arg) {
    struct job *j = arg;
    writer_init(&j->w, arena.ctl);
    for (uint64_t n = 0; n < j->events && !j->w.left; n++) {
        j->w.clock += nth_step(n);
        writer_event(&j->w, nth_id(n), VT_REC_CALL + (uint32_t)(n & 1));
    }
    if (j->close) writer_close(&j->w);
    vt_store_release(&j->done, 1u);
    return NULL;
}

static void run_jobs(struct job *jobs, int n, bool stop_early) {
    for (int i = 0; i < n; i++) ck_assert_int_eq(pthread_create(&jobs[i].thread, NULL, job_main, &jobs[i]), 0);
    int done = 0;
    for (int rounds = 0; done < n; rounds++) {
        pass();
        if (stop_early && rounds == 20) arena_stop_writers(&arena);
        done = 0;
        for (int i = 0; i < n; i++) done += (int)vt_load_acquire(&jobs[i].done);
        usleep(200);
    }
    for (int i = 0; i < n; i++) pthread_join(jobs[i].thread, NULL);
    ck_assert_int_eq(drain_finish(drain, 1), 0);
}

/* emitted = in blocks + in gap records + reported at the end, thread by thread */
static void check_sums(struct job *jobs, int n, uint64_t *dropped) {
    struct drain_totals t;
    uint64_t emitted = 0;
    uint32_t streams = 0;
    drain_totals(drain, &t);
    *dropped = 0;
    ck_assert_uint_eq(reader.wrong, 0);
    ck_assert_uint_eq(t.violations, 0);
    for (int i = 0; i < n; i++) {
        struct check_thread *c = &reader.threads[jobs[i].w.serial];
        ck_assert_uint_eq(c->gaps + c->drops, jobs[i].w.dropped);
        ck_assert_uint_eq(c->next + c->drops, jobs[i].w.emitted);
        emitted += jobs[i].w.emitted;
        streams += jobs[i].w.emitted > jobs[i].w.dropped; /* the others never got a chunk */
        *dropped += jobs[i].w.dropped;
    }
    ck_assert_uint_eq(reader.events + *dropped, emitted);
    ck_assert_uint_eq(t.events, reader.events);
    ck_assert_uint_eq(t.dropped, *dropped);
    ck_assert_uint_eq(t.threads, streams);
}

#if defined(__SANITIZE_THREAD__)
#define LESS 8
#else
#define LESS 1
#endif

START_TEST(test_drain_of_one_thread_is_exact) {
    struct job j = {.events = 1000000 / LESS, .close = true};
    uint64_t dropped;
    start(VT_CHUNKS_DEFAULT);
    run_jobs(&j, 1, false);
    check_sums(&j, 1, &dropped);
    ck_assert_uint_eq(dropped, 0);
    ck_assert_uint_eq(reader.events, j.events);
    for (uint32_t i = 0; i < 64; i++) ck_assert_uint_eq(arena.ctl->free[i], ~0ul); /* all given back */
    finish();
}
END_TEST

START_TEST(test_drain_of_many_threads_is_exact) {
    struct job j[8];
    uint64_t dropped;
    memset(j, 0, sizeof(j));
    start(VT_CHUNKS_DEFAULT);
    for (int i = 0; i < 8; i++) j[i].events = 300000 / LESS, j[i].close = i & 1;
    run_jobs(j, 8, false);
    check_sums(j, 8, &dropped);
    ck_assert_uint_eq(dropped, 0);
    finish();
}
END_TEST

START_TEST(test_drain_starved_arena_counts_every_drop) {
    struct job j[8];
    uint64_t dropped;
    memset(j, 0, sizeof(j));
    start(VT_CHUNKS_MIN);
    for (int i = 0; i < 8; i++) j[i].events = 600000 / LESS, j[i].close = true;
    run_jobs(j, 8, false);
    check_sums(j, 8, &dropped);
    ck_assert_uint_gt(dropped, 0);
    finish();
}
END_TEST

START_TEST(test_drain_stop_reaches_every_thread) {
    struct job j[4];
    uint64_t dropped;
    memset(j, 0, sizeof(j));
    start(VT_CHUNKS_DEFAULT);
    for (int i = 0; i < 4; i++) j[i].events = 1ull << 40;
    run_jobs(j, 4, true);
    for (int i = 0; i < 4; i++) ck_assert(j[i].w.left);
    check_sums(j, 4, &dropped);
    finish();
}
END_TEST

START_TEST(test_drain_payloads_become_frames) {
    struct writer w;
    uint8_t buf[VT_PAYLOAD_MAX];
    start(VT_CHUNKS_MIN);
    writer_init(&w, arena.ctl);
    struct vt_pl_name name = {.id = 7, .line = 42, .namelen = 5, .filelen = 6};
    memcpy(buf, &name, sizeof(name));
    memcpy(buf + sizeof(name), "Cls.fapp.py", 11);
    memcpy(buf + sizeof(name), "Cls.f", 5);
    memcpy(buf + sizeof(name) + 5, "app.py", 6);
    writer_payload(&w, VT_PL_NAME, buf, sizeof(name) + 11);
    uint32_t id = 1;
    for (uint16_t part = 0; part < 5; part++) { /* 24000 frames in five parts, the first one without lines: spans chunks */
        struct vt_pl_stack st = {.ident = w.ident,
                                 .tid = w.tid,
                                 .nframes = part ? 4000 : 8000,
                                 .part = part,
                                 .namelen = part ? 0 : 4,
                                 .flags = part ? VT_STACK_HAS_LINES : 0};
        uint32_t len = sizeof(st);
        memcpy(buf, &st, sizeof(st));
        if (!part) memcpy(buf + len, "Main", 4), len += 4;
        for (uint32_t i = 0; i < st.nframes; i++, len += 4, id++) memcpy(buf + len, &id, 4);
        for (uint32_t i = 0, line = id - st.nframes + 100000; part && i < st.nframes; i++, len += 4, line++)
            memcpy(buf + len, &line, 4);
        writer_payload(&w, VT_PL_STACK, buf, len);
    }
    memset(buf, 0, sizeof(buf)); /* zero words inside a payload */
    writer_payload(&w, VT_PL_ARGS, buf, 4000);
    struct vt_pl_task task = {.address = 0x1234, .id = 3, .namelen = 2};
    memcpy(buf, &task, sizeof(task));
    memcpy(buf + sizeof(task), "t1", 2);
    writer_payload(&w, VT_PL_TASK, buf, sizeof(task) + 2);
    writer_payload(&w, VT_PL_NAME, buf, 3); /* too short: skipped, counted */
    w.clock += nth_step(0);
    writer_event(&w, nth_id(0), VT_REC_CALL);
    pass();
    writer_close(&w);
    ck_assert_int_eq(drain_finish(drain, 1), 0);
    struct drain_totals t;
    drain_totals(drain, &t);
    ck_assert_str_eq(reader.text, "Cls.f app.py:42");
    ck_assert_uint_eq(reader.names, 1);
    ck_assert_uint_eq(reader.stacks, 1);
    ck_assert_uint_eq(reader.stack_ids, 24000);
    ck_assert_uint_eq(reader.tasks, 1);
    ck_assert_uint_eq(reader.in_block, 1);
    ck_assert_uint_eq(reader.thread_frames, 2); /* new stream, and the stack's name */
    ck_assert_uint_eq(reader.events, 1);
    ck_assert_uint_eq(reader.wrong, 0);
    ck_assert_uint_eq(t.violations, 1);
    finish();
}
END_TEST

/* A generator that is resumed is not a new call. */
START_TEST(test_drain_counts_no_resumed_pieces) {
    static const uint8_t types[] = {VT_REC_CALL,  VT_REC_CALL,  VT_REC_YIELD,  VT_REC_RESUME, VT_REC_YIELD,    VT_REC_THROW,
                                    VT_REC_YIELD, VT_REC_THROW, VT_REC_UNWIND, VT_REC_C_CALL, VT_REC_C_RETURN, VT_REC_RETURN};
    struct writer w;
    struct drain_totals t;
    uint64_t got;
    start(64);
    reader.no_check = true;
    writer_init(&w, arena.ctl);
    for (int round = 0; round < 100; round++)
        for (size_t i = 0; i < VT_ARRAY_LEN(types); i++) {
            w.clock += 5;
            writer_event(&w, i && i < 9 ? 2 : i < 11 && i ? 3 : 1, types[i]);
        }
    writer_close(&w);
    ck_assert_int_eq(drain_pass(drain, fake_ns, &got), 0);
    ck_assert_int_eq(drain_finish(drain, w.clock), 0);
    drain_totals(drain, &t);
    ck_assert_uint_eq(t.events, 1200);
    ck_assert_uint_eq(t.calls, 300);
    finish();
}
END_TEST

static void writer_runs(struct writer *w, uint64_t stack) {
    ck_assert(writer_room(w, 1));
    writer_word(w, stack << VT_REC_TYPE_BITS | VT_REC_STACK);
}
static void writer_one(struct writer *w, uint32_t id, uint32_t type) {
    w->clock += 5;
    writer_event(w, id, type);
}

/* A thread that runs one greenlet after the other has a stream for each. */
START_TEST(test_drain_greenlets_are_streams) {
    struct writer w, other;
    struct drain_totals t;
    start(VT_CHUNKS_MIN);
    reader.no_check = reader.note_lanes = true;
    writer_init(&w, arena.ctl);
    writer_init(&other, arena.ctl);
    uint32_t first = vt_fetch_add(&arena.ctl->next_thread, 1u), second = vt_fetch_add(&arena.ctl->next_thread, 1u);
    writer_one(&other, 9, VT_REC_CALL);
    writer_one(&w, 1, VT_REC_CALL);
    writer_runs(&w, first + 1);
    writer_one(&w, 2, VT_REC_CALL);
    writer_runs(&w, second + 1);
    writer_one(&w, 3, VT_REC_CALL);
    writer_runs(&w, 0);
    writer_one(&w, 1, VT_REC_RETURN);
    pass();
    writer_close(&w); /* the head of the next chunk says which stack runs, then events were dropped */
    ck_assert(writer_take(&w));
    w.chunk->stack = second + 1;
    w.gap = w.dropped = 1;
    arena.ctl->dropped = 1;
    w.chunk->dropped = 1;
    writer_one(&w, 3, VT_REC_RETURN);
    writer_runs(&w, first + 1);
    writer_one(&w, 2, VT_REC_RETURN);
    writer_runs(&w, other.serial + 1); /* another thread's: not followed, counted */
    writer_one(&w, 4, VT_REC_CALL);
    pass();
    ck_assert_int_eq(drain_finish(drain, w.clock), 0);
    drain_totals(drain, &t);
    ck_assert_str_eq(reader.lanes, "0:b. 2:cg.e 3:dg. 1:j ");
    ck_assert_uint_eq(reader.greenlets, 2);
    ck_assert_uint_eq(t.threads, 2);
    ck_assert_uint_eq(t.calls, 5);
    ck_assert_uint_eq(t.dropped, 1);
    ck_assert_uint_eq(t.violations, 1);
    finish();
}
END_TEST

/* The stream of a greenlet that is not heard of any more is freed, and comes back with its number. */
START_TEST(test_drain_idle_greenlets_leave) {
    struct writer w;
    start(VT_CHUNKS_MIN);
    reader.no_check = reader.note_lanes = true;
    writer_init(&w, arena.ctl);
    uint32_t first = vt_fetch_add(&arena.ctl->next_thread, 1u);
    for (int round = 0; round < 2; round++) {
        writer_runs(&w, first + 1);
        writer_one(&w, 2, round ? VT_REC_RETURN : VT_REC_CALL);
        writer_runs(&w, 0);
        writer_one(&w, 1, VT_REC_CALL);
        pass();
        fake_ns += 11000000000ull;
        ck_assert_int_eq(drain_reap(drain, fake_ns), 0);
        ck_assert_uint_eq(reader.greenlets, (uint64_t)round + 1);
    }
    ck_assert_int_eq(drain_finish(drain, w.clock), 0);
    ck_assert_str_eq(reader.lanes, "1:c 0:bb 1:. ");
    finish();
}
END_TEST

START_TEST(test_drain_dead_thread_is_reaped) {
    struct job j = {.events = 10, .close = false};
    start(VT_CHUNKS_MIN);
    ck_assert_int_eq(pthread_create(&j.thread, NULL, job_main, &j), 0);
    pthread_join(j.thread, NULL);
    while (access("/proc/self/task", F_OK) == 0) { /* the kernel may be a little behind pthread_join */
        char path[64];
        snprintf(path, sizeof(path), "/proc/self/task/%u", j.w.tid);
        if (access(path, F_OK)) break;
        usleep(1000);
    }
    struct writer claimed; /* died between claim and header */
    writer_init(&claimed, arena.ctl);
    uint64_t owner = (uint64_t)getpid() | (uint64_t)j.w.tid << 32;
    vt_store_release(&vt_chunk_at(arena.ctl, 1)->owner, owner);
    vt_fetch_and_acqrel(&arena.ctl->free[0], ~2ul);
    pass();
    ck_assert_uint_eq(arena.ctl->free[0] & 3, 0);
    ck_assert_int_eq(drain_reap(drain, fake_ns), 0);
    ck_assert_uint_eq(arena.ctl->free[0] & 3, 0); /* not yet: it may only be slow */
    fake_ns += 2000000000ull;
    ck_assert_int_eq(drain_reap(drain, fake_ns), 0);
    ck_assert_uint_eq(arena.ctl->free[0] & 3, 3);
    ck_assert_int_eq(drain_finish(drain, 1), 0);
    ck_assert_uint_eq(reader.events, 10);
    ck_assert_uint_eq(reader.wrong, 0);
    finish();
}
END_TEST

START_TEST(test_drain_hostile_arena_is_survived) {
    unsigned seed = 1;
    uint64_t got;
    for (int round = 0; round < 60; round++) {
        start(VT_CHUNKS_MIN);
        reader.no_check = true;
        for (uint32_t i = 0; i < VT_CHUNKS_MIN; i++) {
            struct vt_chunk *c = vt_chunk_at(arena.ctl, i);
            for (uint32_t k = 0; k < VT_CHUNK_RECORDS; k++) {
                uint64_t v = (uint64_t)rand_r(&seed) << 33 ^ (uint64_t)rand_r(&seed) << 12 ^ (uint64_t)rand_r(&seed);
                if (round % 3 == 0 && rand_r(&seed) % 4 == 0)
                    v = vt_rec_make(v, vt_rec_payload_id((uint32_t)v % 9, (uint32_t)v % 400), VT_REC_PAYLOAD);
                c->rec[k] = v;
            }
            c->base = (uint64_t)rand_r(&seed) << 32 | (uint64_t)rand_r(&seed);
            c->owner = (uint64_t)rand_r(&seed) << 32 | 1;
            c->seq = round % 2 ? (uint32_t)rand_r(&seed) % 4 : i;
            c->thread = round % 5 == 4 ? (uint32_t)rand_r(&seed) : (uint32_t)rand_r(&seed) % 3;
            c->dropped = (uint64_t)rand_r(&seed);
            c->state = (uint32_t)rand_r(&seed) % 5;
        }
        memset(arena.ctl->free, round % 7 ? 0 : 0x5a, sizeof(arena.ctl->free));
        int rc = 0;
        for (int i = 0; i < 40 && !rc; i++) rc = drain_pass(drain, fake_ns += 1000000, &got);
        ck_assert(rc == 0 || rc == -EPROTO);
        rc = drain_finish(drain, 1);
        ck_assert(rc == 0 || rc == -EPROTO);
        finish();
    }
}
END_TEST

START_TEST(test_drain_vanished_pages_end_the_pass) {
    char path[] = "/tmp/drain-test-XXXXXX";
    uint64_t got;
    int fd = mkstemp(path);
    start_fd(fd, VT_CHUNKS_MIN);
    unlink(path);
    struct writer w;
    writer_init(&w, arena.ctl);
    writer_event(&w, 1, VT_REC_CALL);
    pass();
    ck_assert_int_eq(ftruncate(fd, VT_CTL_SIZE), 0);
    ck_assert_int_eq(drain_pass(drain, fake_ns, &got), -EFAULT);
    finish();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("daemon_drain");
    TCase *tc = tcase_create("drain");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_drain_of_one_thread_is_exact);
    tcase_add_test(tc, test_drain_of_many_threads_is_exact);
    tcase_add_test(tc, test_drain_starved_arena_counts_every_drop);
    tcase_add_test(tc, test_drain_stop_reaches_every_thread);
    tcase_add_test(tc, test_drain_payloads_become_frames);
    tcase_add_test(tc, test_drain_counts_no_resumed_pieces);
    tcase_add_test(tc, test_drain_greenlets_are_streams);
    tcase_add_test(tc, test_drain_idle_greenlets_leave);
    tcase_add_test(tc, test_drain_dead_thread_is_reaped);
    tcase_add_test(tc, test_drain_hostile_arena_is_survived);
    tcase_add_test(tc, test_drain_vanished_pages_end_the_pass);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
