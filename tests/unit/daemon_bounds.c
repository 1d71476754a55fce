/* The limits of what a target, or a hostile writer of its arena, can make the daemon remember: ended threads are forgotten
 * without losing their events, and a session has a memory limit. */
#include <check.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/drain/arena_map.h"
#include "daemon/drain/drain.h"
#include "proto/block.h"

#define CHUNKS 1024u
#define DEAD_TID 0x3ffffff0u /* above the highest pid of Linux */
#define MS 1000000ull
#define LIMIT (16u << 20)

static struct arena arena;
static struct drain *drain;
static uint64_t now_ns, ticks;
static struct { uint64_t events, gaps, drops, threads, stack_ids, blocks; } got;
static struct vt_block_dec *dec;

static int count_frame(void *ctx, uint32_t type, const ProtobufCMessage *msg) {
    const struct vt_event *ev;
    size_t n;
    (void)ctx;
    if (type == VT_FRAME_BLOCK) {
        const Vt__Block *b = (const Vt__Block *)msg;
        got.blocks++;
        ck_assert_int_eq(vt_block_decode(dec, b->base_ticks, b->data.data, b->data.len, b->raw_len, b->events, &ev, &n), 0);
        for (size_t i = 0; i < n; i++) {
            if (ev[i].type == VT_REC_GAP) got.gaps += ev[i].count;
            got.events += ev[i].type < VT_REC_PAYLOAD;
        }
    }
    if (type == VT_FRAME_DROPS) got.drops += ((const Vt__Drops *)msg)->count;
    if (type == VT_FRAME_THREAD) got.threads++;
    if (type == VT_FRAME_STACK) got.stack_ids += ((const Vt__Stack *)msg)->n_ids;
    return 0;
}

static void start(uint64_t min_ticks) {
    struct vt_err err = {0};
    int fd = memfd_create("bounds", MFD_CLOEXEC);
    ck_assert_int_eq(ftruncate(fd, (off_t)vt_arena_bytes(CHUNKS)), 0);
    ck_assert_int_eq(arena_open(&arena, fd, CHUNKS, &err), 0);
    arena.ctl->enabled = 1;
    for (uint32_t i = 0; i < CHUNKS / 64; i++) arena.ctl->free[i] = ~0ul;
    memset(&got, 0, sizeof got);
    dec = vt_block_dec_new();
    now_ns = 1000 * MS;
    ticks = 1u << 20;
    ck_assert_int_eq(drain_new(&arena, getpid(), getpid(), min_ticks, (struct drain_sink){count_frame, NULL}, &drain), 0);
}

static void stop(void) {
    drain_free(drain);
    arena_close(&arena);
    vt_block_dec_free(dec);
}

/* A chunk as a thread would write it: n calls with their returns, `steps` ticks long, then one payload. */
struct chunk {
    uint32_t serial, tid, seq, calls, step;
    uint64_t dropped;
    const void *payload;
    uint32_t kind, len;
    bool left_open, calls_stay_open;
};

static void put_chunk(const struct chunk *w) {
    uint32_t i = 0, k = 0;
    while (i < CHUNKS && !(arena.ctl->free[i / 64] >> (i & 63) & 1)) i++;
    ck_assert_uint_lt(i, CHUNKS);
    struct vt_chunk *c = vt_chunk_at(arena.ctl, i);
    c->owner = (uint64_t)w->tid << 32 | 1;
    c->base = ticks;
    c->seq = w->seq;
    c->thread = w->serial;
    c->ident = w->serial + 1;
    c->dropped = w->dropped;
    for (uint32_t n = 0; n < w->calls; n++) {
        c->rec[k++] = vt_rec_make(ticks += w->step, 7, VT_REC_CALL);
        if (!w->calls_stay_open) c->rec[k++] = vt_rec_make(ticks += w->step, 7, VT_REC_RETURN);
    }
    if (w->payload) {
        c->rec[k++] = vt_rec_make(ticks, vt_rec_payload_id(w->kind, w->len), VT_REC_PAYLOAD);
        memcpy(&c->rec[k], w->payload, w->len);
    }
    c->state = w->left_open ? VT_CHUNK_OWNED : VT_CHUNK_CLOSED;
    arena.ctl->free[i / 64] &= ~(1ul << (i & 63));
}

static int pass(uint64_t ms) {
    uint64_t words;
    int rc = drain_pass(drain, now_ns += ms * MS, &words);
    return rc ? rc : drain_reap(drain, now_ns);
}

/* Until all chunks were given back, without any time passing. */
static int read_all(void) {
    uint64_t words = 1;
    int rc = 0;
    while (!rc && words) rc = drain_pass(drain, now_ns, &words);
    return rc;
}

static size_t memory(void) { return mallinfo2().uordblks; } /* 0 under a sanitizer: no check then */

/* ---- threads that end ---- */

static const struct churn {
    const char *name;
    uint64_t min_ticks;
    bool same_tid, left_open;
} churns[] = {
    {"each with a tid of its own", 0, false, false}, {"all with one tid that lives", 0, true, false},
    {"short calls left out", 50, false, false},      {"short calls left out, one tid", 50, true, false},
    {"chunks not closed", 0, false, true},
};

START_TEST(test_bounds_ended_threads_are_forgotten_and_nothing_of_them_is_lost) {
    const struct churn *c = &churns[_i];
    uint32_t serial = 0, rounds = 300, each = 400;
    struct drain_totals t;
    size_t before = 0, after = 0;
    start(c->min_ticks);
    for (uint32_t round = 0; round < rounds; round++) {
        for (uint32_t n = 0; n < each; n++, serial++) {
            struct chunk w = {.serial = serial, .calls = 3, .step = 100, .left_open = c->left_open};
            w.tid = c->same_tid ? (uint32_t)syscall(SYS_gettid) : DEAD_TID + n % 8;
            w.dropped = serial % 3; /* before its chunk: no gap record tells of them */
            arena.ctl->dropped += w.dropped;
            put_chunk(&w);
        }
        ck_assert_int_eq(pass(c->left_open ? 1100 : 600), 0);
        if (round == 20) before = memory();
    }
    for (int i = 0; i < 4; i++) ck_assert_int_eq(pass(1100), 0);
    after = memory();
    ck_assert_msg(after < before + (2u << 20), "%s: %zu MB after 8,400 threads, %zu MB after 120,000", c->name, before >> 20,
                  after >> 20);
    ck_assert_int_eq(drain_finish(drain, ticks), 0);
    drain_totals(drain, &t);
    ck_assert_uint_eq(t.threads, serial);
    ck_assert_uint_eq(t.violations, 0);
    ck_assert_uint_eq(got.events, 6 * serial);
    ck_assert_uint_eq(got.drops, arena.ctl->dropped);
    ck_assert_uint_eq(t.dropped, arena.ctl->dropped);
    stop();
}
END_TEST

/* A thread that was taken for ended goes on: its chunks are read in their order, and no drop is counted twice. */
START_TEST(test_bounds_thread_that_comes_back_goes_on) {
    struct drain_totals t;
    start(0);
    for (uint32_t seq = 0; seq < 50; seq++) {
        put_chunk(&(struct chunk){.serial = 3, .tid = DEAD_TID, .seq = seq, .calls = 10, .step = 5, .dropped = seq * 4});
        arena.ctl->drops[3].thread = 3;
        arena.ctl->drops[3].dropped = arena.ctl->dropped = seq * 4;
        for (int i = 0; i < 6; i++) ck_assert_int_eq(pass(1100), 0);
        ck_assert_uint_eq(got.events, 20 * (seq + 1));
    }
    ck_assert_int_eq(drain_finish(drain, ticks), 0);
    drain_totals(drain, &t);
    ck_assert_uint_eq(t.threads, 1);
    ck_assert_uint_eq(got.threads, 50);
    ck_assert_uint_eq(got.drops, 49 * 4);
    ck_assert_uint_eq(t.dropped, 49 * 4);
    stop();
}
END_TEST

START_TEST(test_bounds_calls_open_at_the_end_of_a_thread_are_kept) {
    start(1u << 20);
    put_chunk(&(struct chunk){.serial = 0, .tid = DEAD_TID, .calls = 40, .step = 5, .calls_stay_open = true});
    for (int i = 0; i < 6; i++) ck_assert_int_eq(pass(1100), 0);
    ck_assert_uint_eq(got.events, 40);
    stop();
}
END_TEST

/* ---- threads that live ---- */

START_TEST(test_bounds_blocks_of_many_threads_have_a_limit) {
    start(0);
    for (uint32_t seq = 0; seq < 4; seq++)
        for (uint32_t serial = 0; serial < 3000; serial++) {
            put_chunk(&(struct chunk){.serial = serial, .tid = DEAD_TID - 4096 + serial, .seq = seq, .calls = 5, .step = 10});
            if (serial % 1000 == 999) {
                ck_assert_int_eq(read_all(), 0);
                ck_assert_msg(memory() < (64u << 20), "%zu MB", memory() >> 20);
            }
        }
    ck_assert_int_eq(drain_finish(drain, ticks), 0);
    ck_assert_uint_eq(got.events, 3000 * 4 * 10);
    stop();
}
END_TEST

START_TEST(test_bounds_payloads_of_many_threads_have_a_limit) {
    static char text[VT_PAYLOAD_MAX];
    start(0);
    for (uint32_t seq = 0; seq < 20; seq++)
        for (uint32_t serial = 0; serial < 500; serial++) {
            put_chunk(&(struct chunk){.serial = serial,
                                      .tid = DEAD_TID - 4096 + serial,
                                      .seq = seq,
                                      .calls = 1,
                                      .step = 10,
                                      .payload = text,
                                      .kind = VT_PL_ARGS,
                                      .len = sizeof text});
            if (serial % 250 == 249) {
                ck_assert_int_eq(read_all(), 0);
                ck_assert_msg(memory() < (160u << 20), "%zu MB", memory() >> 20);
            }
        }
    ck_assert_int_eq(drain_finish(drain, ticks), 0);
    ck_assert_uint_eq(got.events, 500 * 20 * 2);
    stop();
}
END_TEST

/* Long calls of many threads, held back: with no more memory for them they are kept, whatever their length. */
START_TEST(test_bounds_held_calls_have_a_limit) {
    start(1ull << 33);
    drain_limit_memory(drain, LIMIT);
    for (uint32_t seq = 0; seq < 2; seq++)
        for (uint32_t serial = 0; serial < 200; serial++) {
            put_chunk(&(struct chunk){.serial = serial,
                                      .tid = DEAD_TID - 4096 + serial,
                                      .seq = seq,
                                      .calls = 8000,
                                      .step = 1,
                                      .calls_stay_open = true});
            ck_assert_int_eq(read_all(), 0);
            ck_assert_msg(memory() < LIMIT + (64u << 20), "%zu MB", memory() >> 20);
        }
    ck_assert_int_eq(drain_finish(drain, ticks), 0);
    ck_assert_uint_eq(got.events, 200 * 2 * 8000);
    stop();
}
END_TEST

/* ---- hostile writers ---- */

static const struct flood {
    const char *name;
    bool stacks;
    uint64_t min_ticks;
} floods[] = {
    {"ever new serials", false, 0}, {"ever new serials, short calls left out", false, 50}, {"stacks without end", true, 0}};

START_TEST(test_session_flood_ends_in_bounded_memory) {
    static union {
        struct vt_pl_stack head;
        char bytes[VT_PAYLOAD_MAX];
    } stack;
    const struct flood *f = &floods[_i];
    int rc = 0;
    stack.head.nframes = (VT_PAYLOAD_MAX - sizeof stack.head) / 4;
    start(f->min_ticks);
    drain_limit_memory(drain, LIMIT);
    for (uint32_t serial = 0; !rc && serial < 1000000;) {
        for (uint32_t n = 0; n < 60; n++, serial++) {
            struct chunk w = {.serial = serial * 7919, .tid = serial + 1, .calls = 1, .step = 100};
            if (f->stacks) {
                stack.head.ident = serial;
                w.calls = 0;
                w.payload = &stack;
                w.kind = VT_PL_STACK;
                w.len = sizeof stack;
            }
            put_chunk(&w);
        }
        now_ns += MS;
        rc = read_all();
        ck_assert_msg(memory() < LIMIT + (64u << 20), "%s: %zu MB", f->name, memory() >> 20);
    }
    ck_assert_msg(rc == -ENOBUFS, "%s: %d", f->name, rc);
    ck_assert_int_eq(drain_flush(drain), 0); /* what was read is kept */
    if (f->stacks)
        ck_assert_uint_gt(got.stack_ids, 1000000);
    else
        ck_assert_uint_gt(got.events, 20000);
    stop();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("daemon_bounds");
    TCase *tc = tcase_create("bounds");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, test_bounds_ended_threads_are_forgotten_and_nothing_of_them_is_lost, 0, (int)VT_ARRAY_LEN(churns));
    tcase_add_test(tc, test_bounds_thread_that_comes_back_goes_on);
    tcase_add_test(tc, test_bounds_calls_open_at_the_end_of_a_thread_are_kept);
    tcase_add_test(tc, test_bounds_blocks_of_many_threads_have_a_limit);
    tcase_add_test(tc, test_bounds_payloads_of_many_threads_have_a_limit);
    tcase_add_test(tc, test_bounds_held_calls_have_a_limit);
    tcase_add_loop_test(tc, test_session_flood_ends_in_bounded_memory, 0, (int)VT_ARRAY_LEN(floods));
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
