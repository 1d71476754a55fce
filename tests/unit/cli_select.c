/* --slice, --pid, --tid, --match: what reaches the writer, on a native trace and on JSON. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/convert/convert.h"
#include "cli/convert/newest.h"
#include "cli/format/format.h"
#include "tests/lib/case.h"
#include "tests/lib/record.h"
#include "tests/lib/trace_build.h"

static struct trace_build trace;
static struct record rec;
static struct trace_select want;

/* main 1000.. open at attach; in it a 1100..1900 with b 1200..1300, len 1400..1500, b 1600..1800 with a 1650..1700;
 * on another thread a 1250..1260. */
static void set_up(void) {
    static const struct vt_pl_counter gc = {1, 2, 3};
    struct vt_event one[] = {
        {.ticks = 1100, .type = VT_REC_CALL, .id = 2},
        {.ticks = 1200, .type = VT_REC_CALL, .id = 3},
        {.ticks = 1300, .type = VT_REC_RETURN, .id = 3},
        {.ticks = 1400, .type = VT_REC_C_CALL, .id = 4},
        {.ticks = 1500, .type = VT_REC_C_RETURN, .id = 4},
        {.type = VT_REC_PAYLOAD, .id = VT_PL_COUNTER, .payload = (const void *)&gc, .payload_len = sizeof gc},
        {.ticks = 1600, .type = VT_REC_CALL, .id = 3},
        {.ticks = 1650, .type = VT_REC_CALL, .id = 2},
        {.ticks = 1700, .type = VT_REC_RETURN, .id = 2},
        {.ticks = 1800, .type = VT_REC_RETURN, .id = 3},
        {.ticks = 1900, .type = VT_REC_RETURN, .id = 2},
        {.type = VT_REC_GAP, .count = 9},
    };
    struct vt_event two[] = {{.ticks = 1250, .type = VT_REC_CALL, .id = 2}, {.ticks = 1260, .type = VT_REC_RETURN, .id = 2}};
    trace_build_open(&trace);
    trace_build_name(&trace, 1, 0, "main", "m.py", 1);
    trace_build_name(&trace, 2, 0, "A.a", "m.py", 2);
    trace_build_name(&trace, 3, 0, "b", "x/b.py", 3);
    trace_build_name(&trace, 4, 1, "len", "builtins", 0);
    trace_build_thread(&trace, 9, 100, 1, "MainThread");
    trace_build_thread(&trace, 10, 101, 2, "other");
    trace_build_stack(&trace, 9, 1000, 1, (uint32_t[]){1});
    trace_build_block(&trace, 0, 9, 100, one, VT_ARRAY_LEN(one));
    trace_build_block(&trace, 1, 10, 101, two, VT_ARRAY_LEN(two));
    trace_build_end(&trace, 1000, 0);
    memset(&want, 0, sizeof want);
}
static void tear_down(void) {
    record_free(&rec);
    trace_build_remove(&trace);
}

static void check(const char *text) {
    int rc = record_file(&rec, trace.path, NULL, &want);
    ck_assert_msg(rc == 0, "%s", rec.err.msg);
    ck_assert_str_eq(rec.text, text);
    ck_assert_int_eq(record_run(&rec, rec.source, NULL), 0); /* twice the same */
    ck_assert_str_eq(rec.text, text);
}

START_TEST(test_select_all_changes_nothing) {
    ck_assert(select_is_all(&want));
    check("call 100/100 b (x/b.py:3) 1200..1300\ncall 100/100 builtins.len 1400..1500\ncounter 100/100 1500 1/2/3\n"
          "call 100/100 A.a (m.py:2) 1650..1700\ncall 100/100 b (x/b.py:3) 1600..1800\ncall 100/100 A.a (m.py:2) 1100..1900\n"
          "gap 100/100 1900 9\ncall 100/101 A.a (m.py:2) 1250..1260\ncall 100/100 main (m.py:1) 1000..1900 open\n");
    ck_assert_uint_eq(rec.totals.unselected, 0);
}
END_TEST

/* The window counts from the first event, 1000. */
START_TEST(test_select_slice_cuts_calls) {
    ck_assert_int_eq(select_parse_slice("250ns..0.66us", &want), 0);
    check("call 100/100 b (x/b.py:3) 1250..1300\ncall 100/100 builtins.len 1400..1500\ncounter 100/100 1500 1/2/3\n"
          "call 100/100 A.a (m.py:2) 1650..1660\ncall 100/100 b (x/b.py:3) 1600..1660\ncall 100/100 A.a (m.py:2) 1249..1660\n"
          "call 100/101 A.a (m.py:2) 1250..1260\ncall 100/100 main (m.py:1) 1248..1660 open\n");
    ck_assert_uint_eq(rec.totals.unselected, 0);
    ck_assert_uint_eq(rec.totals.threads, 2);
    record_free(&rec);
    ck_assert_int_eq(select_parse_slice("550ns..", &want), 0);
    check("call 100/100 A.a (m.py:2) 1650..1700\ncall 100/100 b (x/b.py:3) 1600..1800\ncall 100/100 A.a (m.py:2) 1550..1900\n"
          "gap 100/100 1900 9\ncall 100/100 main (m.py:1) 1549..1900 open\n");
    ck_assert_uint_eq(rec.totals.unselected, 3);
    ck_assert_uint_eq(rec.totals.threads, 1); /* the other one has nothing in the window */
    record_free(&rec);
    ck_assert_int_eq(select_parse_slice("..0.15us", &want), 0);
    check("call 100/100 A.a (m.py:2) 1100..1150\ncall 100/100 main (m.py:1) 1000..1150 open\n");
}
END_TEST

/* The trace is 900 ns long. */
START_TEST(test_select_slice_behind_the_end_is_refused) {
    ck_assert_int_eq(select_parse_slice("99..100", &want), 0);
    ck_assert_int_eq(record_file(&rec, trace.path, NULL, &want), -EINVAL);
    ck_assert_str_eq(rec.err.msg, "--slice: nothing is there: it begins at 99.00 s, and the trace is 900 ns long");
}
END_TEST

START_TEST(test_select_slice_text_is_parsed) {
    static const char *const bad[] = {"",     "..",   "1",     "1...2",  "-1..2", "2..1",
                                      "1..1", "a..b", "1..2x", "..1e99", "nan..", "0..0"};
    for (size_t i = 0; i < VT_ARRAY_LEN(bad); i++) ck_assert_msg(select_parse_slice(bad[i], &want) == -EINVAL, "%s", bad[i]);
    ck_assert(select_is_all(&want));
    ck_assert_int_eq(select_parse_slice("1.5..2s", &want), 0);
    ck_assert_uint_eq(want.from_ns, 1500000000);
    ck_assert_uint_eq(want.to_ns, 2000000000);
    ck_assert_int_eq(select_parse_slice("20ms..1000000us", &want), 0);
    ck_assert_uint_eq(want.from_ns, 20000000);
    ck_assert_uint_eq(want.to_ns, 1000000000);
}
END_TEST

START_TEST(test_select_chooses_threads) {
    ck_assert_int_eq(select_add_tid(&want, "101"), 0);
    ck_assert_int_eq(select_add_tid(&want, "1x"), -EINVAL);
    check("call 100/101 A.a (m.py:2) 1250..1260\n");
    ck_assert_uint_eq(rec.totals.threads, 1);
    ck_assert_uint_eq(rec.totals.unselected, 6);
    ck_assert(!rec.info->threads[0]->shown);
    record_free(&rec);
    ck_assert_int_eq(select_add_tid(&want, "77"), 0);
    ck_assert_int_eq(record_file(&rec, trace.path, NULL, &want), -EINVAL);
    ck_assert_msg(strstr(rec.err.msg, "--tid 77"), "%s", rec.err.msg);
    record_free(&rec);
    memset(&want, 0, sizeof want);
    ck_assert_int_eq(select_add_pid(&want, "99"), 0);
    ck_assert_int_eq(record_file(&rec, trace.path, NULL, &want), -EINVAL);
    ck_assert_msg(strstr(rec.err.msg, "--pid 99"), "%s", rec.err.msg);
}
END_TEST

/* A thread comes with its greenlets, which are no threads; one of them can be chosen alone. */
START_TEST(test_select_thread_brings_its_greenlets) {
    Vt__Thread greenlet = VT__THREAD__INIT;
    struct vt_event ev[] = {{.ticks = 1300, .type = VT_REC_CALL, .id = 3}, {.ticks = 1700, .type = VT_REC_RETURN, .id = 3}};
    trace_build_remove(&trace);
    trace_build_open(&trace);
    trace_build_name(&trace, 3, 0, "b", "x/b.py", 3);
    trace_build_thread(&trace, 9, 101, 1, "");
    greenlet.ident = 77;
    for (greenlet.serial = 3; greenlet.serial < 5; greenlet.serial++) {
        greenlet.ident++;
        greenlet.greenlet_of = 1;
        trace_build_frame(&trace, VT_FRAME_THREAD, &greenlet.base);
    }
    trace_build_thread(&trace, 9, 101, 1, "worker"); /* its name may come late */
    trace_build_block(&trace, 0, 9, 101, ev, VT_ARRAY_LEN(ev));
    trace_build_block(&trace, 2, 78, 0, ev, VT_ARRAY_LEN(ev));
    trace_build_block(&trace, 3, 79, 0, ev, VT_ARRAY_LEN(ev));
    trace_build_end(&trace, 1000, 0);
    ck_assert_int_eq(select_add_tid(&want, "101"), 0);
    check("call 100/101 b (x/b.py:3) 1300..1700\ncall 100/1073741826 b (x/b.py:3) 1300..1700\n"
          "call 100/1073741827 b (x/b.py:3) 1300..1700\n");
    ck_assert_uint_eq(rec.totals.threads, 1);
    ck_assert_uint_eq(rec.info->nshown, 1);
    ck_assert_uint_eq(rec.info->threads[2]->name_len, 17);
    ck_assert_int_eq(memcmp(rec.info->threads[2]->name, "worker greenlet 2", 17), 0);
    record_free(&rec);
    memset(&want, 0, sizeof want);
    ck_assert_int_eq(select_add_tid(&want, "1073741827"), 0);
    check("call 100/1073741827 b (x/b.py:3) 1300..1700\n");
}
END_TEST

/* With a function comes what it calls; what calls it does not. */
START_TEST(test_select_match_keeps_subtrees) {
    ck_assert_int_eq(select_add_match(&want, "b"), 0);
    check("call 100/100 b (x/b.py:3) 1200..1300\ncall 100/100 A.a (m.py:2) 1650..1700\ncall 100/100 b (x/b.py:3) 1600..1800\n"
          "gap 100/100 1900 9\n");
    ck_assert_uint_eq(rec.totals.unselected, 4);
    ck_assert_uint_eq(rec.totals.threads, 1);
    record_free(&rec);
    want.nglobs = 0;
    ck_assert_int_eq(select_add_match(&want, "*(m.py:2)"), 0); /* a: the inner one is in the outer one */
    check("call 100/100 b (x/b.py:3) 1200..1300\ncall 100/100 builtins.len 1400..1500\ncounter 100/100 1500 1/2/3\n"
          "call 100/100 A.a (m.py:2) 1650..1700\ncall 100/100 b (x/b.py:3) 1600..1800\ncall 100/100 A.a (m.py:2) 1100..1900\n"
          "gap 100/100 1900 9\ncall 100/101 A.a (m.py:2) 1250..1260\n");
    record_free(&rec);
    want.nglobs = 0;
    ck_assert_int_eq(select_add_match(&want, "builtins.*"), 0);
    ck_assert_int_eq(select_parse_slice("0.45us..", &want), 0);
    check("call 100/100 builtins.len 1450..1500\ncounter 100/100 1500 1/2/3\ngap 100/100 1900 9\n");
    record_free(&rec);
    want.nglobs = 0;
    want.from_ns = 0;
    ck_assert_int_eq(select_add_match(&want, "ma[i]n"), 0); /* open: all below it */
    int rc = record_file(&rec, trace.path, NULL, &want);
    ck_assert_int_eq(rc, 0);
    ck_assert_uint_eq(rec.totals.unselected, 1);
    record_free(&rec);
    want.nglobs = 0;
    ck_assert_int_eq(select_add_match(&want, "nobody*"), 0);
    ck_assert_int_eq(record_file(&rec, trace.path, NULL, &want), -EINVAL);
    ck_assert_msg(strstr(rec.err.msg, "--match nobody*"), "%s", rec.err.msg);
}
END_TEST

/* A frame whose end was lost in a gap is told after calls that came later. */
START_TEST(test_select_match_with_late_ends) {
    struct vt_event ev[] = {
        {.ticks = 5000, .type = VT_REC_CALL, .id = 1},
        {.ticks = 5100, .type = VT_REC_CALL, .id = 3},
        {.type = VT_REC_GAP, .count = 3},
        {.ticks = 5200, .type = VT_REC_CALL, .id = 3},
        {.ticks = 5300, .type = VT_REC_RETURN, .id = 3},
        {.ticks = 5400, .type = VT_REC_CALL, .id = 4},
        {.ticks = 5410, .type = VT_REC_RETURN, .id = 4},
        {.ticks = 5500, .type = VT_REC_RETURN, .id = 1},
    };
    trace_build_block(&trace, 5, 55, 105, ev, VT_ARRAY_LEN(ev));
    ck_assert_int_eq(select_add_match(&want, "b"), 0);
    ck_assert_int_eq(select_add_tid(&want, "105"), 0);
    check("gap 100/105 5100 3\ncall 100/105 b (x/b.py:3) 5200..5300\ncall 100/105 b (x/b.py:3) 5100..5100\n");
}
END_TEST

/* A caller that has the very times of its callee is told behind it. */
START_TEST(test_select_match_with_equal_times) {
    static const char text[] = "[{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":0,\"dur\":1,\"name\":\"before\"},"
                               "{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":1,\"dur\":1,\"name\":\"in it\"},"
                               "{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":1,\"dur\":1,\"name\":\"wanted\"},"
                               "{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":1,\"dur\":1,\"name\":\"caller\"}]";
    FILE *f = fopen(trace.path, "wb");
    fputs(text, f);
    fclose(f);
    ck_assert_int_eq(select_add_match(&want, "wanted"), 0);
    check("call 1/1 in it 1000..2000\ncall 1/1 wanted 1000..2000\n");
}
END_TEST

static int count_call(struct trace_writer *w, const struct trace_call *call) {
    (void)call;
    ++*(uint64_t *)(void *)w;
    return 0;
}
static int nothing(struct trace_writer *w) {
    (void)w;
    return 0;
}
static int no_gap(struct trace_writer *w, const struct trace_gap *gap) { return (void)w, (void)gap, 0; }
static int no_counter(struct trace_writer *w, const struct trace_counter *c) { return (void)w, (void)c, 0; }
static int no_end(struct trace_writer *w, const struct trace_totals *t) { return (void)w, (void)t, 0; }

/* What stands behind the selection sees the part only. */
START_TEST(test_newest_counts_in_a_part) {
    static const struct trace_writer_ops ops = {
        .begin = nothing, .call = count_call, .gap = no_gap, .counter = no_counter, .end = no_end};
    struct trace_source *source;
    struct trace_totals totals;
    struct run_opts opts = {0};
    struct vt_err err = {0};
    uint64_t calls = 0;
    ck_assert_int_eq(select_add_tid(&want, "100"), 0);
    ck_assert_int_eq(trace_source_open(trace.path, &source, &err), 0);
    ck_assert_int_eq(trace_source_select(source, &want, &err), 0);
    ck_assert_int_eq(newest_run(source, &opts, &ops, (struct trace_writer *)(void *)&calls, 2, &totals, &err), 0);
    ck_assert_uint_eq(calls, 2);
    ck_assert_uint_eq(totals.left_out, 4);
    ck_assert_uint_eq(totals.unselected, 1);
    trace_source_close(source);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_select_all_changes_nothing,    test_select_slice_cuts_calls,
                                  test_select_slice_text_is_parsed,   test_select_slice_behind_the_end_is_refused,
                                  test_select_chooses_threads,        test_select_thread_brings_its_greenlets,
                                  test_select_match_keeps_subtrees,   test_select_match_with_late_ends,
                                  test_select_match_with_equal_times, test_newest_counts_in_a_part};
    return case_main("cli/select", tests, VT_ARRAY_LEN(tests), set_up, tear_down);
}
