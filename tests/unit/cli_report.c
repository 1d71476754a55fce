/* `report` as a command: the JSON against its description, its tables and figures. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yajl/yajl_tree.h>

#include "cli/base/clean_text.h"
#include "cli/base/figures.h"
#include "cli/base/json.h"
#include "cli/cli.h"
#include "cli/report/put_name.h"
#include "cli/term/term.h"
#include "tests/lib/capture.h"
#include "tests/lib/report_run.h"
#include "tests/lib/tool.h"
#include "tests/lib/trace_build.h"

START_TEST(test_report_json_has_every_field) {
    trace_build_thread(&report_trace, 1, 7, 1, "worker");
    trace_build_name(&report_trace, 20, 1, "append", "list", 0);
    trace_build_calls(&report_trace, 0, 1, 1000, 10, "(a (b b) (b b!");
    struct vt_event c_call[] = {{.ticks = 1100, .type = VT_REC_C_CALL, .id = 20},
                                {.ticks = 1170, .type = VT_REC_C_RETURN, .id = 20},
                                {.type = VT_REC_GAP, .count = 5}};
    trace_build_block(&report_trace, 0, 1, 7, c_call, VT_ARRAY_LEN(c_call));
    trace_build_end(&report_trace, 500, 6);
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--json", "--tree"), CLI_OK);
    ck_assert_str_eq(report_err, "");
    yajl_val root = report_parse(), v = report_get(root, "trace");
    report_must_have(root, "version trace functions processes threads calls drops throttled tree");
    ck_assert_int_eq(report_number(root, "version"), 1);
    report_must_have(v, "kind file pid start_ns duration_ns calls pieces open functions threads total_ns wait_ns dropped unseen "
                        "unseen_ns folded limit filters "
                        "cut_off damage "
                        "wrong_checksum left_out");
    ck_assert_str_eq(report_string(v, "kind"), "vzt");
    ck_assert_str_eq(report_string(v, "file"), report_trace.path);
    ck_assert_int_eq(report_number(v, "pid"), 100);
    ck_assert_int_eq(report_number(v, "start_ns"), 5000001000);
    ck_assert_int_eq(report_number(v, "duration_ns"), 170); /* 1000 .. 1170 */
    ck_assert_int_eq(report_number(v, "calls"), 4);
    ck_assert_int_eq(report_number(v, "open"), 1);
    ck_assert_int_eq(report_number(v, "total_ns"), 170);
    ck_assert_int_eq(report_number(v, "dropped"), 6);
    ck_assert(YAJL_IS_FALSE(report_get(v, "cut_off")));
    ck_assert(YAJL_IS_NULL(report_get(v, "damage")));

    ck_assert_uint_eq(report_length(root, "functions"), 3);
    v = report_at(root, "functions", 0);
    report_must_have(
        v, NAME_KEYS
        " calls pieces open raised self_ns wait_ns total_ns mean_ns min_ns p50_ns p99_ns max_ns waits waiter loop_waiter");
    ck_assert_str_eq(report_string(v, "name"), "a");
    ck_assert_str_eq(report_string(v, "file"), "x.py");
    ck_assert(YAJL_IS_NULL(report_get(v, "module")));
    ck_assert_int_eq(report_number(v, "line"), 1);
    ck_assert_str_eq(report_string(v, "kind"), "python");
    ck_assert_int_eq(report_number(v, "open"), 1);
    ck_assert_int_eq(report_number(v, "self_ns"), 80);
    ck_assert_int_eq(report_number(v, "total_ns"), 170);
    v = report_at(root, "functions", 1);
    ck_assert_str_eq(report_string(v, "name"), "append");
    ck_assert_str_eq(report_string(v, "file"), "list");
    ck_assert_str_eq(report_string(v, "module"), "list");
    ck_assert_str_eq(report_string(v, "kind"), "c");
    ck_assert_int_eq(report_number(v, "p50_ns"), 70);
    v = report_at(root, "functions", 2);
    ck_assert_int_eq(report_number(v, "raised"), 1);
    ck_assert_int_eq(report_number(v, "calls"), 2);
    ck_assert_int_eq(report_number(v, "mean_ns"), 10);

    v = report_at(root, "processes", 0);
    report_must_have(v, "pid parent_pid name calls total_ns");
    ck_assert_int_eq(report_number(v, "total_ns"), 170);
    v = report_at(root, "threads", 0);
    report_must_have(v, "pid tid name calls total_ns wait_ns cpu_ns cpu_exact dropped stack stack_at_start");
    ck_assert(YAJL_IS_NULL(report_get(v, "cpu_ns")) && YAJL_IS_FALSE(report_get(v, "cpu_exact")));
    ck_assert_str_eq(report_string(v, "name"), "worker");
    ck_assert_int_eq(report_number(v, "dropped"), 5);
    ck_assert_str_eq(YAJL_GET_STRING(report_at(v, "stack", 0)), "a");
    ck_assert_uint_eq(report_length(root, "calls"), 3);
    v = report_at(root, "calls", 0);
    report_must_have(v, NAME_KEYS " pid tid start_ns duration_ns self_ns raised from_attach resumed stack");
    ck_assert_str_eq(report_string(v, "name"), "append");
    ck_assert_int_eq(report_number(v, "start_ns"), 100);
    ck_assert_int_eq(report_number(v, "duration_ns"), 70);
    ck_assert_str_eq(YAJL_GET_STRING(report_at(v, "stack", 0)), "a");
    v = report_at(root, "drops", 0);
    report_must_have(v, "pid tid from_ns to_ns count");
    ck_assert_int_eq(report_number(v, "count"), 5);
    ck_assert_int_eq(report_number(v, "to_ns"), 170);
    v = report_at(root, "tree", 0);
    report_must_have(v, NAME_KEYS " calls total_ns self_ns children");
    ck_assert_uint_eq(report_length(v, "children"), 2);
    yajl_tree_free(root);
}
END_TEST

START_TEST(test_report_json_of_no_calls_is_valid) {
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--json", "--tree"), CLI_OK);
    yajl_val root = report_parse();
    ck_assert_uint_eq(report_length(root, "functions") + report_length(root, "threads") + report_length(root, "calls") +
                          report_length(root, "tree"),
                      0);
    ck_assert(YAJL_IS_TRUE(report_get(report_get(root, "trace"), "cut_off")));
    yajl_tree_free(root);
    ck_assert_int_eq(RUN("report", REPORT_TRACE), CLI_OK);
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--tree", "--threads", "--gaps"), CLI_OK);
}
END_TEST

/* The hooks were in from 1901 s after the boot on. */
START_TEST(test_report_empty_trace) {
    trace_build_end_at(&report_trace, 1901000000000, 1906110000000, 0);
    ck_assert_int_eq(RUN("report", REPORT_TRACE), CLI_OK);
    ck_assert_ptr_nonnull(strstr(report_out, ": process 100, 5.110 s from 1970-01-01 00:31:46.000\n"
                                             "0 calls of 0 functions on 0 threads, 0 ns of thread time\n"));
    ck_assert_ptr_nonnull(strstr(report_out, "no calls\n"));
}
END_TEST

START_TEST(test_report_sorts_limits_and_matches) {
    static const char *const keys[] = {"self", "total", "calls", "mean", "p50", "p99", "max", "name"};
    static const char first[] = "bbcaaaaa"; /* of each key */
    trace_build_calls(&report_trace, 0, 1, 1000, 10, "(a (b (c c) (c c) (c c) b) a)");
    trace_build_calls(&report_trace, 0, 1, 2000, 25, "(b b)");
    for (size_t i = 0; i < VT_ARRAY_LEN(keys); i++) {
        ck_assert_int_eq(RUN("report", REPORT_TRACE, "--json", "--sort", keys[i], "--limit", "1"), CLI_OK);
        yajl_val root = report_parse();
        ck_assert_uint_eq(report_length(root, "functions"), 1);
        ck_assert_msg(report_string(report_at(root, "functions", 0), "name")[0] == first[i], "by %s: %s", keys[i],
                      report_string(report_at(root, "functions", 0), "name"));
        yajl_tree_free(root);
    }
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--json", "--match", "[bc]*"), CLI_OK);
    yajl_val root = report_parse();
    ck_assert_uint_eq(report_length(root, "functions"), 2);
    yajl_tree_free(root);
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--match", "nothing"), CLI_FAILED);
    ck_assert_ptr_nonnull(strstr(report_err, "no function or file of the trace matches nothing"));
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--match", "nothing", "--json"), CLI_FAILED);
    ck_assert_str_eq(report_out, "");
    ck_assert_int_eq(RUN("diff", REPORT_TRACE, REPORT_TRACE, "--match", "nothing"), CLI_FAILED);
    ck_assert_ptr_nonnull(strstr(report_err, "no function or file of the two matches nothing"));
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--tree", "--match", "c"), CLI_OK);
    ck_assert_ptr_nonnull(strstr(report_out, "c (x.py:3)"));
    ck_assert_ptr_nonnull(strstr(report_out, "a (x.py:1)"));
}
END_TEST

/* What a file does not hold is null, never 0. */
START_TEST(test_report_does_not_know_what_raised_in_json) {
    static const struct {
        const char *suffix;
        bool known;
    } rows[] = {{".json", false}, {".cvf", false}, {".vzt", true}, {".pftrace", true}};
    trace_build_calls(&report_trace, 0, 1, 1000, 10, "(a (b b) a)");
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        const char *out = temp_path(rows[i].suffix);
        ck_assert_int_eq(RUN("convert", REPORT_TRACE, "-o", out), CLI_OK);
        ck_assert_int_eq(RUN("report", out, "--json"), CLI_OK);
        yajl_val root = report_parse();
        ck_assert_msg(!YAJL_IS_NULL(report_get(report_at(root, "functions", 0), "raised")) == rows[i].known, "%s",
                      rows[i].suffix);
        ck_assert_msg(!YAJL_IS_NULL(report_get(report_at(root, "calls", 0), "raised")) == rows[i].known, "%s", rows[i].suffix);
        yajl_tree_free(root);
        unlink(out);
    }
}
END_TEST

/* Of what is written, not of what was read. */
START_TEST(test_convert_counts_the_threads_of_its_output) {
    static const char *const options[][2] = {{"--tracer_entries", "1"}, {"--budget", "1"}, {"--min_duration", "5us"}};
    const char *json = temp_path(".json"), *out = temp_path(".json");
    trace_build_thread(&report_trace, 1, 7, 1, "worker");
    trace_build_calls(&report_trace, 1, 7, 1000, 10, "(b b)");
    trace_build_calls(&report_trace, 0, 1, 2000, 10000, "(a a)");
    ck_assert_int_eq(RUN("convert", REPORT_TRACE, "-o", json), CLI_OK);
    ck_assert_ptr_nonnull(strstr(report_out, "2 calls on 2 threads"));
    for (size_t i = 0; i < VT_ARRAY_LEN(options) * 2; i++) {
        const char *const *option = options[i / 2];
        ck_assert_int_eq(RUN("convert", i % 2 ? REPORT_TRACE : json, "-o", out, option[0], option[1]), CLI_OK);
        ck_assert_msg(strstr(report_out, "1 call on 1 thread,"), "%s: %s", option[0], report_out);
        ck_assert_int_eq(RUN("report", out), CLI_OK);
        ck_assert_msg(strstr(report_out, "1 call of 1 function on 1 thread,"), "%s: %s", option[0], report_out);
    }
    unlink(json);
    unlink(out);
}
END_TEST

START_TEST(test_report_text_has_every_part) {
    trace_build_thread(&report_trace, 1, 7, 1, "worker");
    trace_build_calls(&report_trace, 0, 1, 1000000, 1000, "(a (b b) ~ (b b) a)");
    trace_build_end(&report_trace, 1000000, 3);
    ck_assert_int_eq(RUN("report", REPORT_TRACE), CLI_OK);
    ck_assert_ptr_nonnull(strstr(report_out, "process 100, 5.000 us from 1970-01-01 00:00:05.001"));
    ck_assert_ptr_nonnull(strstr(report_out, "3 calls of 2 functions on 1 thread, 5.000 us of thread time"));
    ck_assert_ptr_nonnull(strstr(report_out, "3 events dropped in the target"));
    ck_assert_ptr_nonnull(
        strstr(report_out, " 3.000 us  60.0  5.000 us           1  5.000 us  5.000 us  5.000 us  5.000 us  a (x.py:1)\n"));
    ck_assert_ptr_nonnull(strstr(report_out, " --slice 0.001ms..0.002ms -o slow.json"));
    ck_assert_ptr_nonnull(strstr(report_out, "           in a\n"));
    ck_assert_ptr_null(strchr(report_out, '\033')); /* no terminal */
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--gaps"), CLI_OK);
    ck_assert_ptr_nonnull(strstr(report_out, "           3       0.002ms       0.002ms  7 worker\n"));
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--threads"), CLI_OK);
    ck_assert_ptr_nonnull(strstr(report_out, " 5.000 us      0 ns           3         3  7 worker\n"));
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--tree"), CLI_OK);
    ck_assert_ptr_nonnull(strstr(report_out, "  40.0  2.000 us  2.000 us           2   b (x.py:2)\n"));
}
END_TEST

/* One thread: work, a sleep in it, a wait for something to do, and a callback of an event loop that sleeps. */
enum { SLEEP = 20, ACQUIRE, CONDITION, HANDLE };
static void build_waits(void) {
    trace_build_thread(&report_trace, 1, 7, 1, "worker");
    trace_build_name(&report_trace, SLEEP, 1, "sleep", "time", 0);
    trace_build_name(&report_trace, ACQUIRE, 1, "acquire", "_thread.lock", 0);
    trace_build_name(&report_trace, CONDITION, 0, "Condition.wait", "/usr/lib/python3.12/threading.py", 300);
    trace_build_name(&report_trace, HANDLE, 0, "Handle._run", "/usr/lib/python3.12/asyncio/events.py", 70);
    struct vt_event ev[] = {{.ticks = 1000, .type = VT_REC_CALL, .id = 1}, /* a works 100, sleeps 1000 */
                            {.ticks = 1100, .type = VT_REC_C_CALL, .id = SLEEP},
                            {.ticks = 2100, .type = VT_REC_C_RETURN, .id = SLEEP},
                            {.ticks = 2100, .type = VT_REC_CALL, .id = CONDITION}, /* idle for 60000 */
                            {.ticks = 2110, .type = VT_REC_C_CALL, .id = ACQUIRE},
                            {.ticks = 62110, .type = VT_REC_C_RETURN, .id = ACQUIRE},
                            {.ticks = 62110, .type = VT_REC_RETURN, .id = CONDITION},
                            {.ticks = 62110, .type = VT_REC_CALL, .id = 2}, /* b waits for a lock, 600 */
                            {.ticks = 62120, .type = VT_REC_C_CALL, .id = ACQUIRE},
                            {.ticks = 62720, .type = VT_REC_C_RETURN, .id = ACQUIRE},
                            {.ticks = 62720, .type = VT_REC_RETURN, .id = 2},
                            {.ticks = 62720, .type = VT_REC_CALL, .id = HANDLE},
                            {.ticks = 62730, .type = VT_REC_CALL, .id = 3}, /* c sleeps in the loop, 300 */
                            {.ticks = 62740, .type = VT_REC_C_CALL, .id = SLEEP},
                            {.ticks = 63040, .type = VT_REC_C_RETURN, .id = SLEEP},
                            {.ticks = 63040, .type = VT_REC_RETURN, .id = 3},
                            {.ticks = 63040, .type = VT_REC_RETURN, .id = HANDLE},
                            {.ticks = 63040, .type = VT_REC_RETURN, .id = 1}};
    trace_build_block(&report_trace, 0, 1, 7, ev, VT_ARRAY_LEN(ev));
    trace_build_end(&report_trace, 1000, 0);
}

START_TEST(test_report_waiting_is_apart_from_working) {
    build_waits();
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--json"), CLI_OK);
    yajl_val root = report_parse(), v = report_get(root, "trace");
    ck_assert_int_eq(report_number(v, "total_ns"), 62040);
    ck_assert_int_eq(report_number(v, "wait_ns"), 1000 + 10 + 60000 + 600);
    v = report_at(root, "functions", 0); /* what held up the loop counts as work */
    ck_assert_str_eq(report_string(v, "name"), "sleep");
    ck_assert_int_eq(report_number(v, "self_ns"), 1300);
    ck_assert_int_eq(report_number(v, "wait_ns"), 1000);
    ck_assert(YAJL_IS_TRUE(report_get(v, "waits")));
    ck_assert_str_eq(report_string(v, "waiter"), "a");
    ck_assert_str_eq(report_string(v, "loop_waiter"), "c");
    ck_assert_str_eq(report_string(report_at(root, "functions", 1), "name"), "a");
    for (size_t i = 0; i < report_length(root, "functions"); i++) {
        v = report_at(root, "functions", i);
        if (strcmp(report_string(v, "name"), "acquire")) continue;
        ck_assert_int_eq(report_number(v, "wait_ns"), 60600);
        ck_assert_str_eq(report_string(v, "waiter"), "a");
        ck_assert(YAJL_IS_NULL(report_get(v, "loop_waiter")));
    }
    ck_assert_int_eq(report_number(report_at(root, "threads", 0), "wait_ns"), 61610);
    yajl_tree_free(root);
}
END_TEST

START_TEST(test_report_waiting_has_a_table_of_its_own) {
    build_waits();
    ck_assert_int_eq(RUN("report", REPORT_TRACE), CLI_OK);
    char *work = strstr(report_out, "Functions by own time, without waiting\n"), *waiting = strstr(report_out, "\nWaiting\n");
    ck_assert(work && waiting && work < waiting);
    ck_assert_ptr_nonnull(strstr(report_out, "61.61 us (99.3 %) was waiting\n"));
    char *first = strstr(work, "time.sleep < c [in the event loop]\n"), *second = strstr(work, "  a (x.py:1)\n");
    ck_assert(first && second && first < second && second < waiting);
    ck_assert_ptr_nonnull(strstr(work, "   300 ns  69.8")); /* of 430 ns that were not waited */
    first = strstr(waiting, "_thread.lock.acquire < a\n");
    second = strstr(waiting, "time.sleep < a\n");
    ck_assert(first && second && first < second);
    ck_assert_ptr_nonnull(strstr(waiting, " 60.60 us  98.4"));
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--sort", "calls"), CLI_OK);
    ck_assert_ptr_nonnull(strstr(report_out, "\nWaiting\n"));
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--match", "a"), CLI_OK);
    ck_assert_ptr_null(strstr(report_out, "\nWaiting\n"));
}
END_TEST

START_TEST(test_report_slowest_skips_what_is_idle) {
    build_waits();
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--json"), CLI_OK);
    yajl_val root = report_parse();
    ck_assert_uint_eq(report_length(root, "calls"), 2); /* b's lock, c's sleep; not a's sleep, not the condition */
    ck_assert_str_eq(report_string(report_at(root, "calls", 0), "name"), "acquire");
    ck_assert_int_eq(report_number(report_at(root, "calls", 0), "duration_ns"), 600);
    ck_assert_str_eq(report_string(report_at(root, "calls", 1), "name"), "sleep");
    ck_assert_int_eq(report_number(report_at(root, "calls", 1), "duration_ns"), 300);
    yajl_tree_free(root);
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--slowest", "0"), CLI_OK);
    ck_assert_ptr_null(strstr(report_out, "Slowest"));
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--slowest", "0", "--json"), CLI_OK);
    root = report_parse();
    ck_assert_uint_eq(report_length(root, "calls"), 0);
    yajl_tree_free(root);
}
END_TEST

START_TEST(test_report_convert_writes_to_stdout) {
    trace_build_thread(&report_trace, 1, 7, 1, "worker");
    trace_build_calls(&report_trace, 0, 1, 1000, 10, "(a (b b) a)");
    trace_build_end(&report_trace, 1000, 0);
    ck_assert_int_eq(report_run((const char *const[]){"convert", REPORT_TRACE, "-o", "-.folded", NULL}), CLI_OK);
    ck_assert_str_eq(report_out, "a (x.py:1) 20\na (x.py:1);b (x.py:2) 10\n");
    ck_assert_str_eq(report_err, "");
    ck_assert_int_eq(report_run((const char *const[]){"convert", REPORT_TRACE, "-o", "-", NULL}), CLI_OK);
    yajl_tree_free(report_parse()); /* nothing but JSON */
    ck_assert_int_eq(report_run((const char *const[]){"convert", REPORT_TRACE, "-o", "-.vzt", NULL}), CLI_OK);
    ck_assert_int_eq(memcmp(report_out, "VZT", 3), 0);
    ck_assert_int_ne(access("-", F_OK), 0);
    ck_assert_int_ne(access("-.vzt", F_OK), 0);
}
END_TEST

START_TEST(test_report_large_json_is_told_before) {
    const char *json = "/tmp/vt-cli-report-large.json";
    Vt__End end = VT__END__INIT;
    trace_build_thread(&report_trace, 1, 7, 1, "worker");
    trace_build_calls(&report_trace, 0, 1, 1000, 10, "(a (b b) a)");
    end.calls = 5000001;
    trace_build_frame(&report_trace, VT_FRAME_END, &end.base);
    ck_assert_int_eq(report_run((const char *const[]){"convert", REPORT_TRACE, "-o", json, NULL}), CLI_OK);
    ck_assert_ptr_nonnull(strstr(report_err, "5,000,001 calls take about 625.0 MB and 2 s"));
    ck_assert_int_eq(access(json, F_OK), 0); /* done all the same */
    ck_assert_int_eq(report_run((const char *const[]){"convert", REPORT_TRACE, "-o", json, "--quiet", NULL}), CLI_OK);
    ck_assert_str_eq(report_err, "");
    ck_assert_int_eq(report_run((const char *const[]){"convert", REPORT_TRACE, "-o", json, "--budget", "500k", NULL}), CLI_OK);
    ck_assert_str_eq(report_err, "");
    unlink(json);
}
END_TEST

static void put_cpu_times(bool whole, bool last, uint32_t *tids, uint64_t *ns, size_t n) {
    Vt__CpuTimes m = VT__CPU_TIMES__INIT;
    m.whole = whole;
    m.last = last;
    m.tids = tids;
    m.cpu_ns = ns;
    m.n_tids = m.n_cpu_ns = n;
    trace_build_frame(&report_trace, VT_FRAME_CPU_TIMES, &m.base);
}

/* Threads 11 to 16, which each call a. */
static void build_threads(void) {
    for (uint32_t i = 0; i < 6; i++) {
        struct vt_event ev[] = {{.ticks = 1000, .type = VT_REC_CALL, .id = 1}, {.ticks = 9000, .type = VT_REC_RETURN, .id = 1}};
        trace_build_thread(&report_trace, 100 + i, i == 5 ? 14 : 11 + i, i + 1, ""); /* the last has the number of the fourth */
        trace_build_block(&report_trace, i, 100 + i, i == 5 ? 14 : 11 + i, ev, 2);
    }
}

static void must_have_cpu(yajl_val threads, size_t i, long long ns, bool exact) {
    yajl_val t = report_at(threads, "threads", i);
    if (ns < 0)
        ck_assert_msg(YAJL_IS_NULL(report_get(t, "cpu_ns")), "thread %zu has a CPU time", i);
    else
        ck_assert_int_eq(report_number(t, "cpu_ns"), ns);
    ck_assert_msg(exact == YAJL_IS_TRUE(report_get(t, "cpu_exact")), "thread %zu: exact", i);
}

static void must_have_the_cpu_times(void) {
    yajl_val root = report_parse();
    ck_assert_uint_eq(report_length(root, "threads"), 6);
    must_have_cpu(root, 0, 5000, true); /* at begin and end */
    must_have_cpu(root, 1, 300, false); /* ended in between, seen once */
    must_have_cpu(root, 2, 700, true);  /* began later */
    must_have_cpu(root, 3, -1, false);  /* two threads of one number */
    must_have_cpu(root, 4, -1, false);  /* in no frame */
    must_have_cpu(root, 5, -1, false);
    yajl_tree_free(root);
}

/* asyncio.to_thread(time.sleep, 1): the C function is called from C, and its time is own time of what runs it. Where the CPU time
 * of the thread is known, the rest of it was waiting; else it is taken for work. */
START_TEST(test_report_waiting_off_the_cpu) {
    static const long long waits[] = {3000, 0, 7300};
    trace_build_name(&report_trace, 30, 0, "_WorkItem.run", "/usr/lib/python3.12/concurrent/futures/thread.py", 53);
    for (uint32_t i = 0; i < 3; i++) {
        struct vt_event ev[] = {{.ticks = 1000, .type = VT_REC_CALL, .id = 30}, {.ticks = 9000, .type = VT_REC_RETURN, .id = 30}};
        trace_build_thread(&report_trace, 100 + i, 11 + i, i + 1, "");
        trace_build_block(&report_trace, i, 100 + i, 11 + i, ev, 2);
    }
    put_cpu_times(true, false, (uint32_t[]){11, 12}, (uint64_t[]){1000, 2000}, 2);
    put_cpu_times(true, false, (uint32_t[]){11, 12, 13}, (uint64_t[]){1500, 2300, 600}, 3);
    put_cpu_times(true, true, (uint32_t[]){11, 13}, (uint64_t[]){6000, 700}, 2); /* the second has ended: at least so much */
    trace_build_end(&report_trace, 1000, 0);
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--json"), CLI_OK);
    yajl_val root = report_parse();
    for (size_t i = 0; i < 3; i++) {
        yajl_val t = report_at(root, "threads", i);
        ck_assert_int_eq(report_number(t, "wait_ns"), waits[report_number(t, "tid") - 11]);
    }
    ck_assert_int_eq(report_number(report_at(root, "functions", 0), "self_ns"), 24000);
    ck_assert_int_eq(report_number(report_at(root, "functions", 0), "wait_ns"), 10300);
    yajl_tree_free(root);
}
END_TEST

START_TEST(test_report_cpu_times) {
    const char *copy = "/tmp/vt-cli-report-cpu.vzt";
    build_threads();
    put_cpu_times(true, false, (uint32_t[]){11, 12, 14}, (uint64_t[]){1000, 2000, 1}, 3);
    put_cpu_times(true, false, (uint32_t[]){11, 12, 13, 14}, (uint64_t[]){1500, 2300, 600, 2}, 4);
    put_cpu_times(true, true, (uint32_t[]){11, 13, 14, 99}, (uint64_t[]){6000, 700, 9, 5}, 4);
    trace_build_end(&report_trace, 1000, 0);
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--json"), CLI_OK);
    must_have_the_cpu_times();
    ck_assert_int_eq(RUN("report", REPORT_TRACE), CLI_OK);
    ck_assert_ptr_nonnull(strstr(report_out, "     time   waiting       cpu       calls   dropped  thread\n"));
    ck_assert_ptr_nonnull(strstr(report_out, " 8.000 us      0 ns   >300 ns           1         -  12"));
    ck_assert_ptr_nonnull(strstr(report_out, " 8.000 us      0 ns  5.000 us           1         -  11"));
    ck_assert_ptr_nonnull(strstr(report_out, " 8.000 us      0 ns         -           1         -  15"));
    /* A file made from it has them; a part of it does not, because they are of the whole time. */
    ck_assert_int_eq(RUN("convert", REPORT_TRACE, "--tid", "11", "--tid", "12", "--tid", "13", "--tid", "14", "--tid", "15", "-o",
                         copy, "--quiet"),
                     CLI_OK);
    ck_assert_int_eq(RUN("report", copy, "--json"), CLI_OK);
    must_have_the_cpu_times();
    ck_assert_int_eq(RUN("convert", REPORT_TRACE, "--slice", "1us..2us", "-o", copy, "--quiet"), CLI_OK);
    ck_assert_int_eq(RUN("report", copy, "--json"), CLI_OK);
    yajl_val root = report_parse();
    must_have_cpu(root, 0, -1, false);
    yajl_tree_free(root);
    unlink(copy);
}
END_TEST

START_TEST(test_report_cpu_time_without_a_begin_is_at_least) {
    build_threads();
    put_cpu_times(false, false, (uint32_t[]){11}, (uint64_t[]){1000}, 1); /* not all threads */
    put_cpu_times(false, true, (uint32_t[]){11, 12, 13}, (uint64_t[]){500, 2000, 3000}, 3);
    trace_build_end(&report_trace, 1000, 0);
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--json"), CLI_OK);
    yajl_val root = report_parse();
    must_have_cpu(root, 0, 500, true); /* less than before: another thread has the number */
    must_have_cpu(root, 1, 0, false);
    yajl_tree_free(root);
}
END_TEST

/* Every line of out fits, and holds valid UTF-8 without anything that a terminal obeys. */
int main(void) {
    Suite *suite = suite_create("cli/report");
    TCase *tests = tcase_create("report");
    tcase_add_checked_fixture(tests, report_set_up, report_tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_report_json_has_every_field);
    tcase_add_test(tests, test_report_json_of_no_calls_is_valid);
    tcase_add_test(tests, test_report_empty_trace);
    tcase_add_test(tests, test_report_sorts_limits_and_matches);
    tcase_add_test(tests, test_report_does_not_know_what_raised_in_json);
    tcase_add_test(tests, test_convert_counts_the_threads_of_its_output);
    tcase_add_test(tests, test_report_text_has_every_part);
    tcase_add_test(tests, test_report_waiting_is_apart_from_working);
    tcase_add_test(tests, test_report_waiting_has_a_table_of_its_own);
    tcase_add_test(tests, test_report_slowest_skips_what_is_idle);
    tcase_add_test(tests, test_report_cpu_times);
    tcase_add_test(tests, test_report_waiting_off_the_cpu);
    tcase_add_test(tests, test_report_cpu_time_without_a_begin_is_at_least);
    tcase_add_test(tests, test_report_convert_writes_to_stdout);
    tcase_add_test(tests, test_report_large_json_is_told_before);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
