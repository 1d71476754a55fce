/* Short calls are left out with everything that belongs to them, and nothing else is: random call trees against a reference. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/drain/min_duration.h"

#define EVENTS_MAX 20000

struct event {
    uint64_t rec, full; /* rec 0: a payload */
    uint32_t kind, value;
    uint32_t partner; /* index of the other end of the call; 0 = none */
};
struct list {
    size_t n;
    struct event e[EVENTS_MAX];
};

static struct list in, out, want;
static uint64_t seed, now;

static uint32_t rnd(uint32_t n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

static void add(struct list *l, struct event e) {
    ck_assert_uint_lt(l->n, EVENTS_MAX);
    l->e[l->n++] = e;
}

static int take_events(void *ctx, void *stream, const uint64_t *rec, size_t n, uint64_t upper) {
    uint64_t full = 0;
    (void)ctx, (void)stream;
    for (size_t i = 0; i < n; i++) {
        uint64_t low = vt_rec_ts(rec[i]), at = upper | low;
        if (i && at < full) upper += 1ull << VT_REC_TS_BITS, at = upper | low;
        full = at;
        add(&out, (struct event){.rec = rec[i], .full = full});
    }
    return 0;
}
static int take_payload(void *ctx, void *stream, uint32_t kind, const uint8_t *p, uint32_t len) {
    uint32_t value;
    (void)ctx, (void)stream;
    ck_assert_uint_eq(len, sizeof value);
    memcpy(&value, p, len);
    add(&out, (struct event){.kind = kind, .value = value});
    return 0;
}
static const struct min_duration_sink sink = {take_events, take_payload, NULL, NULL};

static struct min_duration_shared shared;
static struct memory memory;
static struct min_duration_shared *shared_new(void) {
    memory = (struct memory){.most = 64u << 20};
    shared = (struct min_duration_shared){.memory = &memory};
    return &shared;
}

static void event(uint32_t id, uint32_t type, uint32_t partner) {
    now += 1 + rnd(20);
    add(&in, (struct event){.rec = vt_rec_make(now, id, type), .full = now, .partner = partner});
}

/* rare: also what makes everything held go. */
static void call(uint32_t depth, bool rare, uint64_t step) {
    static const uint32_t enters[] = {VT_REC_CALL, VT_REC_RESUME, VT_REC_THROW, VT_REC_C_CALL};
    uint32_t type = enters[rnd(4)], id = 1 + rnd(5);
    bool loses_leave = rare && !rnd(10);
    if (loses_leave) id += 50; /* else the next leave of that function would be taken for it, as readers do */
    if (type != VT_REC_C_CALL && !rnd(4)) add(&in, (struct event){.kind = VT_PL_ARGS, .value = rnd(1000000)});
    uint32_t at = (uint32_t)in.n;
    event(id, type, 0);
    for (uint32_t kids = depth ? rnd(4) : 0; kids; kids--) call(depth - 1, rare, step);
    if (!rnd(5)) now += rnd((uint32_t)step);
    if (rare && !rnd(10)) event(1 + rnd(3), VT_REC_TASK, 0);
    if (rare && !rnd(10)) event(90, VT_REC_RETURN, 0); /* of nothing that is open */
    if (loses_leave) return;
    uint32_t leave = type == VT_REC_C_CALL ? (rnd(2) ? VT_REC_C_RETURN : VT_REC_C_RAISE) : rnd(2) ? VT_REC_RETURN : VT_REC_YIELD;
    if (type != VT_REC_C_CALL && !rnd(4)) add(&in, (struct event){.kind = VT_PL_RETVAL, .value = rnd(1000000)});
    in.e[at].partner = (uint32_t)in.n;
    event(id, leave, at + 1);
}

static void make_input(uint64_t s, bool rare, uint64_t step) {
    seed = s * 77777 + 1;
    in.n = out.n = want.n = 0;
    now = (5ull << VT_REC_TS_BITS) - 3000;
    while (in.n < 2000) call(6, rare, step);
}

static void make_reference(uint64_t min) {
    for (size_t i = 0; i < in.n; i++) {
        const struct event *e = &in.e[i], *of = e->rec ? e : &in.e[i + 1];
        bool enter = VT_REC_IS_ENTER(vt_rec_type(of->rec));
        uint64_t other = of->partner ? in.e[enter ? of->partner : of->partner - 1].full : 0;
        if (of->partner && (enter ? other - of->full : of->full - other) < min) continue;
        add(&want, *e);
    }
}

static struct min_duration *m;

static void run(uint64_t min) {
    ck_assert_int_eq(min_duration_new(min, sink, shared_new(), &m), 0);
    for (size_t i = 0; i < in.n; i++) {
        const struct event *e = &in.e[i];
        if (e->rec)
            ck_assert_int_eq(min_duration_event(m, e->rec, e->full), 0);
        else
            ck_assert_int_eq(min_duration_payload(m, e->kind, (const uint8_t *)&e->value, sizeof e->value), 0);
        if (!rnd(50)) ck_assert_int_eq(min_duration_hand_on(m), 0);
        if (!rnd(70)) ck_assert_int_eq(min_duration_age(m, now > e->full && e->rec ? e->full : 0), 0);
    }
    ck_assert_int_eq(min_duration_flush(m), 0);
}

static bool same(const struct event *a, const struct event *b) {
    return a->rec == b->rec && a->full == b->full && a->kind == b->kind && a->value == b->value;
}

static bool begins_call(const struct event *e) {
    return e->rec && (vt_rec_type(e->rec) == VT_REC_CALL || vt_rec_type(e->rec) == VT_REC_C_CALL);
}

START_TEST(test_min_duration_of_calls_that_nest) {
    static const uint64_t mins[] = {1, 15, 100, 700, 1u << 20, 1ull << 40};
    uint64_t min = mins[_i % 6];
    make_input((uint64_t)_i, false, min < 1000 ? 200 : 1u << 21);
    make_reference(min);
    run(min);
    for (size_t i = 0; i < want.n && i < out.n; i++) ck_assert_msg(same(&out.e[i], &want.e[i]), "seed %d: item %zu", _i, i);
    ck_assert_uint_eq(out.n, want.n);
    size_t plain = 0; /* calls that begin: resumed pieces are left out and not counted */
    for (size_t i = 0; i < in.n; i++) plain += in.e[i].partner && begins_call(&in.e[i]);
    for (size_t i = 0; i < out.n; i++) plain -= begins_call(&out.e[i]);
    ck_assert_uint_eq(shared.short_calls, plain);
    min_duration_free(m);
}
END_TEST

/* More may be kept, in order, but never less, and a call never loses one of its ends only. */
START_TEST(test_min_duration_of_calls_that_do_not_nest) {
    uint64_t min = 100;
    make_input((uint64_t)_i + 1000, true, 200);
    make_reference(min);
    run(min);
    size_t at = 0, kept = 0;
    for (size_t i = 0; i < in.n; i++) {
        bool is_out = at < out.n && same(&out.e[at], &in.e[i]), is_wanted = kept < want.n && same(&want.e[kept], &in.e[i]);
        ck_assert_msg(is_out || !is_wanted, "seed %d: item %zu of the input is lost", _i, i);
        at += is_out;
        kept += is_wanted;
        in.e[i].value = is_out;
    }
    ck_assert_uint_eq(at, out.n);
    for (size_t i = 0; i < in.n; i++)
        if (in.e[i].rec && VT_REC_IS_ENTER(vt_rec_type(in.e[i].rec)) && in.e[i].partner)
            ck_assert_msg(in.e[i].value == in.e[in.e[i].partner].value, "seed %d: one end of the call at %zu is lost", _i, i);
    min_duration_free(m);
}
END_TEST

START_TEST(test_min_duration_deep_and_large_is_bounded) {
    static uint8_t big[VT_PAYLOAD_MAX];
    in.n = out.n = 0;
    ck_assert_int_eq(min_duration_new(1ull << 30, sink, shared_new(), &m), 0);
    for (uint64_t i = 0; i < 17000; i++) ck_assert_int_eq(min_duration_event(m, vt_rec_make(i + 1, 3, VT_REC_CALL), i + 1), 0);
    ck_assert_int_eq(min_duration_hand_on(m), 0);
    ck_assert_uint_gt(out.n, 600);
    ck_assert_int_eq(min_duration_payload(m, VT_PL_ARGS, big, VT_PAYLOAD_MAX + 1), -EPROTO);
    ck_assert_int_eq(min_duration_flush(m), 0);
    ck_assert_uint_eq(out.n, 17000);
    min_duration_free(m);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("daemon_min_duration");
    TCase *tc = tcase_create("all");
    tcase_add_loop_test(tc, test_min_duration_of_calls_that_nest, 0, 48);
    tcase_add_loop_test(tc, test_min_duration_of_calls_that_do_not_nest, 0, 30);
    tcase_add_test(tc, test_min_duration_deep_and_large_is_bounded);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
