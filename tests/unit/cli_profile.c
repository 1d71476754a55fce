/* What a trace adds up to: small call trees with known sums, the rules of profile.h and walk.h one by one. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/convert/convert.h"
#include "cli/format/format.h"
#include "cli/profile/profile.h"
#include "cli/report/compare.h"
#include "tests/lib/trace_build.h"

static struct trace_build trace;
static struct trace_source *source;
static struct profile *p;
static struct profile_opts opts;
static struct vt_err err;

static void set_up(void) {
    trace_build_open(&trace);
    trace_build_letters(&trace);
    opts = (struct profile_opts){.slowest = 10, .tree = true};
    memset(&err, 0, sizeof err);
}
static void done(void) {
    profile_free(p);
    trace_source_close(source);
    p = NULL;
    source = NULL;
}
static void tear_down(void) {
    done();
    trace_build_remove(&trace);
}

static int make(void) {
    done();
    ck_assert_msg(trace_source_open(trace.path, &source, &err) == 0, "%s", err.msg);
    return profile_make(source, &opts, &p, &err);
}
static void must_make(void) { ck_assert_msg(make() == 0, "%s", err.msg); }

static const struct profile_function *fn(const char *name) {
    for (uint32_t i = 0; i < p->nfunctions; i++)
        if (p->functions[i].name->name_len == strlen(name) && !memcmp(p->functions[i].name->name, name, strlen(name)))
            return &p->functions[i];
    ck_abort_msg("no function %s", name);
}

/* name: calls, total, self */
static void expect(const char *name, uint64_t calls, uint64_t total_ns, uint64_t self_ns) {
    const struct profile_function *f = fn(name);
    ck_assert_msg(f->calls == calls && f->total_ns == total_ns && f->self_ns == self_ns,
                  "%s: %llu calls, total %llu, self %llu; wanted %llu, %llu, %llu", name, (unsigned long long)f->calls,
                  (unsigned long long)f->total_ns, (unsigned long long)f->self_ns, (unsigned long long)calls,
                  (unsigned long long)total_ns, (unsigned long long)self_ns);
}

static uint64_t sum_of_selfs(void) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < p->nfunctions; i++) sum += p->functions[i].self_ns;
    return sum;
}

START_TEST(test_profile_adds_own_time_and_total) {
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a (b b) [c c] (b [c c] b) a)");
    must_make();
    expect("a", 1, 90, 40);
    expect("b", 2, 40, 30);
    expect("c", 2, 20, 20);
    ck_assert_uint_eq(p->calls, 5);
    ck_assert_uint_eq(p->total_ns, 90);
    ck_assert_uint_eq(p->nthreads, 1);
    ck_assert_uint_eq(p->threads[0].calls, 5);
    ck_assert_uint_eq(fn("b")->pieces.min_ns, 10);
    ck_assert_uint_eq(fn("b")->pieces.max_ns, 30);
    ck_assert_uint_eq(profile_mean(fn("b")), 20);
}
END_TEST

START_TEST(test_profile_resumed_pieces_count_as_one_call) {
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a (b b} {b b} <b b! (c c} a) {c c) {a");
    must_make();
    expect("a", 1, 90, 50);
    expect("b", 1, 30, 30);
    expect("c", 1, 20, 20);
    ck_assert_uint_eq(fn("b")->pieces.n, 3);
    ck_assert_uint_eq(fn("c")->pieces.n, 2);
    ck_assert_uint_eq(fn("a")->open, 0); /* what is open is a piece */
    ck_assert_uint_eq(profile_mean(fn("b")), 10);
    ck_assert_uint_eq(p->calls, 3);
    ck_assert_uint_eq(p->pieces, 7);
    ck_assert_uint_eq(p->threads[0].calls, 3);
}
END_TEST

START_TEST(test_profile_function_that_is_only_resumed_is_shown) {
    trace_build_calls(&trace, 0, 1, 1000, 10, "{b b} {b b)");
    must_make();
    expect("b", 0, 20, 20);
    ck_assert_uint_eq(p->nfunctions, 1);
    ck_assert_uint_eq(p->nthreads, 1);
    ck_assert_uint_eq(profile_mean(fn("b")), 10);
}
END_TEST

START_TEST(test_profile_recursion_counts_once_in_totals) {
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a (a (b b) a) a)");
    must_make();
    expect("a", 2, 50, 40);
    expect("b", 1, 10, 10);
    ck_assert_uint_eq(profile_mean(fn("a")), 40); /* per call: 50 and 30 */
    ck_assert_uint_eq(fn("a")->pieces.min_ns, 30);
    ck_assert_uint_eq(fn("a")->pieces.max_ns, 50);
}
END_TEST

START_TEST(test_profile_mutual_recursion_counts_once) {
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a (b (a (b b) a) b) a) (b b)");
    must_make();
    expect("a", 2, 70, 40);
    expect("b", 3, 60, 40); /* 50 below the outer a, and 10 by itself */
    ck_assert_uint_eq(p->total_ns, 80);
}
END_TEST

START_TEST(test_profile_recursion_of_one_thread_is_not_that_of_another) {
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a");
    trace_build_calls(&trace, 1, 2, 1005, 10, "(a a)");
    trace_build_calls(&trace, 0, 1, 1040, 10, "a)");
    must_make();
    expect("a", 2, 50, 50);
    ck_assert_uint_eq(p->nthreads, 2);
    ck_assert_uint_eq(p->threads[0].total_ns, 40);
    ck_assert_uint_eq(p->threads[1].total_ns, 10);
    ck_assert_uint_eq(p->total_ns, 50);
}
END_TEST

START_TEST(test_profile_counts_generators_and_exceptions) {
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a {b b} {b b! [c c# <b b) a!");
    must_make();
    expect("a", 1, 90, 50);
    expect("b", 0, 30, 30); /* none of the three pieces is the first of its call */
    ck_assert_uint_eq(fn("b")->raised, 1);
    ck_assert_uint_eq(fn("c")->raised, 1);
    ck_assert_uint_eq(fn("a")->raised, 1);
}
END_TEST

START_TEST(test_profile_open_calls_count_up_to_the_end) {
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a (b (c c)");
    trace_build_calls(&trace, 1, 2, 1000, 50, "(d d)"); /* the trace goes on to 1050 */
    must_make();
    expect("a", 1, 50, 10);
    expect("b", 1, 40, 30);
    expect("c", 1, 10, 10);
    ck_assert_uint_eq(fn("a")->open, 1);
    ck_assert_uint_eq(fn("c")->open, 0);
    ck_assert_uint_eq(p->open, 2);
    ck_assert_uint_eq(p->threads[0].nopen, 2);
    ck_assert_int_eq(p->threads[0].open[0]->name[0], 'a');
    ck_assert_int_eq(p->threads[0].open[1]->name[0], 'b');
    ck_assert_uint_eq(p->threads[1].nopen, 0);
}
END_TEST

START_TEST(test_profile_calls_open_at_attach_count_from_there) {
    uint32_t ids[] = {1, 2};
    trace_build_stack(&trace, 42, 900, 2, ids);
    trace_build_stack(&trace, 43, 900, 1, ids); /* a thread that never runs */
    trace_build_calls(&trace, 0, 42, 1000, 10, "(c c) b) (c c)");
    must_make();
    expect("c", 2, 20, 20);
    expect("b", 1, 120, 110);                        /* 900 .. 1020 */
    expect("a", 2, 141 + 140, 141 - 120 - 10 + 140); /* 899 and 900 .. 1040 */
    ck_assert_uint_eq(fn("a")->open, 2);
    ck_assert_uint_eq(p->from_attach, 3);
}
END_TEST

START_TEST(test_profile_counts_calls_that_take_no_time) {
    trace_build_calls(&trace, 0, 1, 1000, 0, "(a (b b) (b (c c) b) (b b) a)");
    trace_build_calls(&trace, 0, 1, 2000, 10, "(d d)");
    must_make();
    expect("a", 1, 2, 1);
    expect("b", 3, 1, 1);
    expect("c", 1, 0, 0);
    expect("d", 1, 10, 10);
    ck_assert_uint_eq(sum_of_selfs(), p->total_ns);
}
END_TEST

START_TEST(test_profile_lost_leaves_end_at_the_gap) {
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a (b (c ~ (d d) (e a)");
    must_make();
    expect("a", 1, 60, 30);
    expect("b", 1, 10, 10);
    expect("c", 1, 0, 0);
    expect("d", 1, 10, 10);
    expect("e", 1, 10, 10);
    ck_assert_uint_eq(p->ngaps, 1);
    ck_assert_uint_eq(p->gaps[0].count, 3);
    ck_assert_uint_eq(p->gaps[0].from_ns, 1020);
    ck_assert_uint_eq(p->threads[0].dropped, 3);
    ck_assert_uint_eq(p->totals.dropped, 3);
}
END_TEST

START_TEST(test_profile_gap_between_blocks_has_both_sides) {
    Vt__Drops drops = VT__DROPS__INIT;
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a a)");
    drops.count = 5;
    drops.ticks = 2000;
    trace_build_frame(&trace, VT_FRAME_DROPS, &drops.base);
    trace_build_calls(&trace, 0, 1, 3000, 10, "(a a)");
    must_make();
    ck_assert_uint_eq(p->ngaps, 1);
    ck_assert_uint_eq(p->gaps[0].from_ns, 1010);
    ck_assert_uint_eq(p->gaps[0].to_ns, 2000);
    ck_assert_uint_eq(p->gaps[0].count, 5);
}
END_TEST

START_TEST(test_profile_names_with_one_text_are_one_function) {
    trace_build_name(&trace, 20, 0, "same", "s.py", 3);
    trace_build_name(&trace, 21, 0, "same", "s.py", 3);
    trace_build_name(&trace, 22, 0, "same", "s.py", 4);
    struct vt_event ev[] = {{.ticks = 1000, .type = VT_REC_CALL, .id = 20},   {.ticks = 1010, .type = VT_REC_CALL, .id = 21},
                            {.ticks = 1020, .type = VT_REC_RETURN, .id = 21}, {.ticks = 1030, .type = VT_REC_RETURN, .id = 20},
                            {.ticks = 1040, .type = VT_REC_CALL, .id = 22},   {.ticks = 1041, .type = VT_REC_RETURN, .id = 22}};
    trace_build_block(&trace, 0, 1, 7, ev, VT_ARRAY_LEN(ev));
    must_make();
    ck_assert_uint_eq(p->nfunctions, 2);
    ck_assert_uint_eq(p->calls, 3);
    uint32_t at = p->functions[0].name->line == 3 ? 0 : 1;
    ck_assert_uint_eq(p->functions[at].calls, 2);
    ck_assert_uint_eq(p->functions[at].total_ns, 30); /* the second is the first's recursion */
}
END_TEST

START_TEST(test_profile_threads_can_be_chosen) {
    trace_build_thread(&trace, 1, 7, 1, "worker-1");
    trace_build_thread(&trace, 2, 8, 2, "main");
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a a)");
    trace_build_calls(&trace, 1, 2, 1000, 10, "(b b)");
    opts.thread = "work*";
    must_make();
    ck_assert_uint_eq(p->nfunctions, 1);
    expect("a", 1, 10, 10);
    opts.thread = NULL;
    opts.tid = 8;
    must_make();
    expect("b", 1, 10, 10);
    opts.tid = 9;
    ck_assert_int_eq(make(), -ESRCH);
    ck_assert_ptr_nonnull(strstr(err.msg, "thread 9"));
}
END_TEST

START_TEST(test_profile_lists_slow_calls) {
    /* b spends all but 2 in c: c stands for it. d is slower than each, a is open. */
    struct vt_event ev[] = {
        {.ticks = 1000, .type = VT_REC_CALL, .id = 1},   {.ticks = 1100, .type = VT_REC_CALL, .id = 2},
        {.ticks = 1101, .type = VT_REC_CALL, .id = 3},   {.ticks = 1200, .type = VT_REC_UNWIND, .id = 3},
        {.ticks = 1201, .type = VT_REC_RETURN, .id = 2}, {.ticks = 1300, .type = VT_REC_CALL, .id = 4},
        {.ticks = 1500, .type = VT_REC_RETURN, .id = 4},
    };
    trace_build_block(&trace, 0, 1, 7, ev, VT_ARRAY_LEN(ev));
    must_make();
    ck_assert_uint_eq(p->nslow, 2);
    ck_assert_int_eq(p->slow[0].name->name[0], 'd');
    ck_assert_uint_eq(p->slow[0].start_ns, 1300);
    ck_assert_uint_eq(p->slow[0].end_ns, 1500);
    ck_assert_int_eq(p->slow[1].name->name[0], 'c');
    ck_assert(p->slow[1].raised);
    ck_assert_uint_eq(p->slow[1].self_ns, 99);
    ck_assert_uint_eq(p->slow[1].nstack, 2);
    ck_assert_int_eq(p->slow[1].stack[0]->name[0], 'a');
    ck_assert_int_eq(p->slow[1].stack[1]->name[0], 'b');
    opts.match = "[x]*";
    must_make();
    ck_assert_uint_eq(p->nslow, 2); /* the file matches */
    opts.match = "c*";
    must_make();
    ck_assert_uint_eq(p->nslow, 1);
}
END_TEST

START_TEST(test_profile_slow_calls_are_few_of_one_function) {
    struct vt_event ev[200];
    uint64_t ticks = 1000;
    size_t n = 0;
    for (unsigned i = 0; i < 90; i++) { /* a takes 10, 11, ... 98; b once 5 */
        uint32_t id = i == 40 ? 2 : 1;
        ev[n++] = (struct vt_event){.ticks = ticks, .type = VT_REC_CALL, .id = id};
        ev[n++] = (struct vt_event){.ticks = ticks += id == 2 ? 5 : 10 + i, .type = VT_REC_RETURN, .id = id};
    }
    trace_build_block(&trace, 0, 1, 7, ev, n);
    opts.slowest = 5;
    must_make();
    ck_assert_uint_eq(p->nslow, 4);
    for (unsigned i = 0; i < 3; i++) ck_assert_uint_eq(p->slow[i].end_ns - p->slow[i].start_ns, 99 - i);
    ck_assert_int_eq(p->slow[3].name->name[0], 'b');
    opts.slowest = 2;
    must_make();
    ck_assert_uint_eq(p->nslow, 2);
    ck_assert_uint_eq(p->slow[1].end_ns - p->slow[1].start_ns, 98);
}
END_TEST

/* ---- percentiles ---- */

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    return *state;
}
static int by_value(const void *x, const void *y) {
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return (a > b) - (a < b);
}

START_TEST(test_profile_percentiles_of_few_are_exact) {
    struct durations d = {0};
    ck_assert_uint_eq(durations_percentile(&d, 50), 0);
    for (uint64_t i = DURATIONS_EXACT; i > 0; i--) ck_assert_int_eq(durations_add(&d, i * 1000003), 0);
    ck_assert_uint_eq(durations_percentile(&d, 0), 1000003);
    ck_assert_uint_eq(durations_percentile(&d, 50), 32 * 1000003ull);
    ck_assert_uint_eq(durations_percentile(&d, 99), 64 * 1000003ull);
    ck_assert_uint_eq(d.sum_ns, 1000003ull * 64 * 65 / 2);
    durations_free(&d);
}
END_TEST

START_TEST(test_profile_percentiles_of_many_are_within_a_percent) {
    static const double percents[] = {0.1, 1, 10, 50, 90, 99, 99.9, 100};
    enum { N = 20000 };
    uint64_t *all = calloc(N, sizeof *all), state = 88172645463325252ull;
    for (int round = 0; round < 4; round++) {
        struct durations d = {0};
        for (size_t i = 0; i < N; i++) {
            uint64_t r = next_random(&state);
            all[i] = round == 0   ? r % 300
                     : round == 1 ? 1000 + r % 1000000
                                  : r >> (r >> 32 & 63) >> (round == 3); /* small, usual, all sizes */
            ck_assert_int_eq(durations_add(&d, all[i]), 0);
        }
        qsort(all, N, sizeof *all, by_value);
        for (size_t i = 0; i < VT_ARRAY_LEN(percents); i++) {
            size_t rank = (size_t)(percents[i] / 100 * N + 0.999999);
            double want = (double)all[rank - 1], got = (double)durations_percentile(&d, percents[i]);
            ck_assert_msg(got >= want * 0.99 - 0.5 && got <= want * 1.01 + 0.5, "p%g: %g, wanted %g", percents[i], got, want);
        }
        ck_assert_uint_eq(d.min_ns, all[0]);
        ck_assert_uint_eq(d.max_ns, all[N - 1]);
        durations_free(&d);
    }
    free(all);
}
END_TEST

/* ---- any sequence of events: own times add up to the time on the stack ---- */

struct span {
    uint64_t start, end;
};
static struct span spans[4000];
static size_t nspans;

/* A walk that never walks. */
static int span_none(struct trace_writer *w) {
    (void)w;
    return 0;
}
static int span_call(struct trace_writer *w, const struct trace_call *c) {
    ck_assert_uint_lt(nspans, VT_ARRAY_LEN(spans));
    (void)w;
    spans[nspans++] = (struct span){c->start_ns, c->end_ns};
    return 0;
}
static int span_gap(struct trace_writer *w, const struct trace_gap *g) {
    (void)w, (void)g;
    return 0;
}
static int span_end(struct trace_writer *w, const struct trace_totals *t) {
    (void)w, (void)t;
    return 0;
}
static const struct trace_writer_ops span_ops = {.begin = span_none, .call = span_call, .gap = span_gap, .end = span_end};

static int span_order(const void *x, const void *y) {
    const struct span *a = x, *b = y;
    return (a->start > b->start) - (a->start < b->start);
}

/* How long any call of the (one) thread was there. */
static uint64_t covered(void) {
    struct trace_writer w = {0};
    struct run_opts run_opts = {0};
    struct trace_totals totals;
    nspans = 0;
    ck_assert_int_eq(trace_source_run(source, &run_opts, &span_ops, &w, &totals, &err), 0);
    uint64_t sum = 0, until = 0;
    qsort(spans, nspans, sizeof *spans, span_order);
    for (size_t i = 0; i < nspans; i++) {
        uint64_t end = spans[i].end, start = spans[i].start > until ? spans[i].start : until;
        if (end <= start) continue;
        sum += end - start;
        until = end;
    }
    return sum;
}

/* gaps: with lost events. */
static void random_trace(uint64_t *state, int round, bool gaps) {
    struct vt_event ev[300];
    uint64_t ticks = 1000;
    trace_build_remove(&trace);
    set_up();
    if (round % 2) trace_build_stack(&trace, 1, 900, 4, (uint32_t[]){1, 2, 3, 1});
    for (size_t i = 0; i < VT_ARRAY_LEN(ev); i++) {
        uint64_t r = next_random(state);
        ticks += r >> 32 & 3;
        ev[i] = (struct vt_event){.ticks = ticks, .type = 1 + (uint32_t)(r % 9), .id = 1 + (uint32_t)(r >> 20 & 3)};
        if (gaps && (r >> 40 & 31) == 0) ev[i] = (struct vt_event){.type = VT_REC_GAP, .count = 1};
    }
    ev[0] = (struct vt_event){.ticks = 1000, .type = VT_REC_CALL, .id = 1};
    trace_build_block(&trace, 0, 1, 7, ev, VT_ARRAY_LEN(ev));
}

START_TEST(test_profile_own_times_add_up) {
    uint64_t state = 88172645463325252ull;
    for (int round = 0; round < 200; round++) {
        random_trace(&state, round, true);
        must_make();
        uint64_t want = covered();
        ck_assert_msg(sum_of_selfs() == want, "round %d: %llu, wanted %llu", round, (unsigned long long)sum_of_selfs(),
                      (unsigned long long)want);
        ck_assert_uint_eq(p->threads[0].total_ns, want);
        ck_assert_uint_eq(p->stacks.nodes[0].total_ns, want);
        for (uint32_t i = 0; i < p->nfunctions; i++) ck_assert_uint_ge(p->functions[i].total_ns, p->functions[i].self_ns);
    }
    ck_assert_uint_gt(p->calls, 20);
}
END_TEST

/* Sources that do not tell when calls begin are played back: --tracer_entries is one. */
static char *converted(const char *suffix, uint64_t newest, size_t *len) {
    char path[96];
    struct convert_result result;
    snprintf(path, sizeof path, "%s%s", trace.path, suffix);
    struct convert_opts convert = {.input = trace.path, .output = path, .newest_calls = newest};
    ck_assert_msg(convert_trace(&convert, &result, &err) == 0, "%s", err.msg);
    char *text = trace_build_slurp(path, len);
    unlink(path);
    return text;
}

/* Times in one, numbers of calls in the other. */
static void must_be_the_same_played_back(void) {
    static const char *const suffixes[] = {".folded", ".pprof"};
    for (size_t i = 0; i < VT_ARRAY_LEN(suffixes); i++) {
        size_t len[2];
        char *told = converted(suffixes[i], 0, &len[0]), *played = converted(suffixes[i], 1000000, &len[1]);
        ck_assert_uint_gt(len[0], 20);
        ck_assert_uint_eq(len[0], len[1]);
        ck_assert_msg(!memcmp(told, played, len[0]), "%s", suffixes[i]);
        free(told);
        free(played);
    }
}

START_TEST(test_profile_playback_is_the_same) {
    uint64_t state = 1234567;
    struct vt_event ev[] = {{.ticks = 1000, .type = VT_REC_CALL, .id = 1},   {.ticks = 1001, .type = VT_REC_CALL, .id = 2},
                            {.ticks = 1001, .type = VT_REC_RETURN, .id = 2}, {.ticks = 1001, .type = VT_REC_CALL, .id = 3},
                            {.ticks = 1005, .type = VT_REC_RETURN, .id = 3}, {.ticks = 1009, .type = VT_REC_RETURN, .id = 1}};
    trace_build_block(&trace, 0, 1, 7, ev, VT_ARRAY_LEN(ev)); /* b takes no time and ends where c begins */
    must_be_the_same_played_back();
    for (int round = 0; round < 100; round++) {
        random_trace(&state, round, false);
        must_be_the_same_played_back();
    }
}
END_TEST

/* ---- two traces ---- */

START_TEST(test_compare_joins_two_profiles) {
    struct compare_row *rows;
    struct compare_opts compare = {0};
    size_t n;
    trace_build_name(&trace, 20, 0, "moved", "m.py", 3);
    trace_build_name(&trace, 21, 1, "moved", "m.py", 0); /* a C function is another one */
    trace_build_name(&trace, 22, 1, "recv", "_socket.socket", 0);
    struct vt_event ev[] = {{.ticks = 0, .type = VT_REC_CALL, .id = 20},
                            {.ticks = 100000000, .type = VT_REC_RETURN, .id = 20},
                            {.ticks = 1000000000, .type = VT_REC_C_CALL, .id = 21},
                            {.ticks = 1000000000, .type = VT_REC_C_RETURN, .id = 21},
                            {.ticks = 1000000000, .type = VT_REC_C_CALL, .id = 22},
                            {.ticks = 1000000000, .type = VT_REC_C_RETURN, .id = 22}};
    trace_build_block(&trace, 0, 1, 7, ev, VT_ARRAY_LEN(ev));
    must_make();
    struct profile *before = p;
    struct trace_source *before_source = source;
    p = NULL;
    source = NULL;
    trace_build_remove(&trace);
    trace_build_open(&trace);
    trace_build_name(&trace, 5, 0, "moved", "m.py", 4);
    trace_build_name(&trace, 6, 0, "fresh", "m.py", 9);
    trace_build_name(&trace, 7, 1, "_socket.socket.recv", "", 0); /* as JSON has it */
    struct vt_event ev2[] = {{.ticks = 0, .type = VT_REC_CALL, .id = 5},
                             {.ticks = 400000000, .type = VT_REC_RETURN, .id = 5},
                             {.ticks = 1000000000, .type = VT_REC_CALL, .id = 5},
                             {.ticks = 1400000000, .type = VT_REC_RETURN, .id = 5},
                             {.ticks = 1500000000, .type = VT_REC_CALL, .id = 6},
                             {.ticks = 2000000000, .type = VT_REC_RETURN, .id = 6},
                             {.ticks = 2000000000, .type = VT_REC_C_CALL, .id = 7},
                             {.ticks = 2000000000, .type = VT_REC_C_RETURN, .id = 7}};
    trace_build_block(&trace, 0, 1, 7, ev2, VT_ARRAY_LEN(ev2));
    must_make();
    ck_assert_int_eq(compare_make(before, p, &compare, &rows, &n), 0);
    ck_assert_uint_eq(n, 4);
    ck_assert_int_eq(rows[0].side[1].name->name[0], 'm'); /* 100 ms -> 400 ms a second */
    ck_assert_double_eq_tol(rows[0].change, 3e8, 1);
    ck_assert_uint_eq(rows[0].side[0].mean_ns, 100000000);
    ck_assert_uint_eq(rows[0].side[1].mean_ns, 400000000);
    ck_assert_double_eq_tol(rows[0].side[1].calls_per_s, 1, 1e-9);
    ck_assert_int_eq(rows[1].side[1].name->name[0], 'f');
    ck_assert_ptr_null(rows[1].side[0].name);
    ck_assert_double_eq_tol(rows[1].change, 2.5e8, 1);
    ck_assert_ptr_nonnull(rows[2].side[0].name); /* recv, with and without its owner apart */
    ck_assert_ptr_nonnull(rows[2].side[1].name);
    ck_assert_ptr_null(rows[3].side[1].name);
    ck_assert_uint_eq(rows[3].side[0].name->kind, 1);
    free(rows);
    profile_free(before);
    trace_source_close(before_source);
}
END_TEST

/* ---- the tree ---- */

static uint32_t node_at(const char *path) {
    uint32_t n = 0;
    for (; *path; path++) {
        uint32_t c = p->stacks.nodes[n].first_child;
        while (c && p->names[p->stacks.nodes[c].fn]->name[0] != *path) c = p->stacks.nodes[c].next;
        ck_assert_msg(c != 0, "no node at %s", path);
        n = c;
    }
    return n;
}

START_TEST(test_profile_tree_folds_recursion) {
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a (b (a (b (c c) b) a) b) (c c) a) (c c)");
    must_make();
    const struct stacks_node *nodes = p->stacks.nodes, *a = &nodes[node_at("a")], *b = &nodes[node_at("ab")];
    ck_assert_uint_eq(p->stacks.nnodes, 6); /* all, a, ab, abc, ac, c */
    ck_assert_uint_eq(a->calls, 2);
    ck_assert_uint_eq(a->total_ns, 110);
    ck_assert_uint_eq(a->self_ns, 50);
    ck_assert_uint_eq(b->calls, 2);
    ck_assert_uint_eq(b->self_ns, 40);
    ck_assert_uint_eq(nodes[node_at("abc")].self_ns, 10);
    ck_assert_uint_eq(nodes[0].total_ns, 120);
    ck_assert_uint_eq(nodes[0].first_child, node_at("a")); /* the heaviest first */
}
END_TEST

START_TEST(test_profile_tree_counts_no_resumed_pieces) {
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a (b b} {b b} a)");
    must_make();
    const struct stacks_node *b = &p->stacks.nodes[node_at("ab")];
    ck_assert_uint_eq(b->calls, 1);
    ck_assert_uint_eq(b->pieces, 2);
    ck_assert_uint_eq(b->self_ns, 20);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli/profile");
    TCase *tests = tcase_create("profile");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_profile_adds_own_time_and_total);
    tcase_add_test(tests, test_profile_resumed_pieces_count_as_one_call);
    tcase_add_test(tests, test_profile_function_that_is_only_resumed_is_shown);
    tcase_add_test(tests, test_profile_recursion_counts_once_in_totals);
    tcase_add_test(tests, test_profile_mutual_recursion_counts_once);
    tcase_add_test(tests, test_profile_recursion_of_one_thread_is_not_that_of_another);
    tcase_add_test(tests, test_profile_counts_generators_and_exceptions);
    tcase_add_test(tests, test_profile_open_calls_count_up_to_the_end);
    tcase_add_test(tests, test_profile_calls_open_at_attach_count_from_there);
    tcase_add_test(tests, test_profile_counts_calls_that_take_no_time);
    tcase_add_test(tests, test_profile_lost_leaves_end_at_the_gap);
    tcase_add_test(tests, test_profile_gap_between_blocks_has_both_sides);
    tcase_add_test(tests, test_profile_names_with_one_text_are_one_function);
    tcase_add_test(tests, test_profile_threads_can_be_chosen);
    tcase_add_test(tests, test_profile_lists_slow_calls);
    tcase_add_test(tests, test_profile_slow_calls_are_few_of_one_function);
    tcase_add_test(tests, test_profile_percentiles_of_few_are_exact);
    tcase_add_test(tests, test_profile_percentiles_of_many_are_within_a_percent);
    tcase_add_test(tests, test_profile_own_times_add_up);
    tcase_add_test(tests, test_profile_playback_is_the_same);
    tcase_add_test(tests, test_compare_joins_two_profiles);
    tcase_add_test(tests, test_profile_tree_folds_recursion);
    tcase_add_test(tests, test_profile_tree_counts_no_resumed_pieces);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
