/* `report` and `diff` as commands: the JSON against its description, text that fits and harms no terminal, refusals. */
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
#include "tests/lib/trace_build.h"

static struct trace_build trace;
static char *out, *err_text;

static void set_up(void) {
    trace_build_open(&trace);
    trace_build_letters(&trace);
    unsetenv("COLUMNS");
    setenv("TZ", "UTC", 1);
}
static void forget(void) {
    free(out);
    free(err_text);
    out = err_text = NULL;
}
static void tear_down(void) {
    forget();
    trace_build_remove(&trace);
}

/* words: of the command line, NULL-terminated; TRACE stands for the trace. */
static const char TRACE[] = "";
static int run(const char *const *words) {
    char *argv[20];
    int argc = 0;
    for (; words[argc]; argc++) argv[argc] = (char *)(uintptr_t)(words[argc] == TRACE ? trace.path : words[argc]);
    argv[argc] = NULL;
    struct capture c;
    forget();
    capture_begin(&c);
    const struct cli_cmd *cmd = !strcmp(argv[0], "diff") ? &cli_diff : !strcmp(argv[0], "convert") ? &cli_convert : &cli_report;
    int rc = cmd->run(argc, argv);
    capture_end(&c, &out, &err_text);
    return rc;
}
#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

static yajl_val parse(void) {
    char why[512] = "";
    yajl_val root = yajl_tree_parse(out, why, sizeof why);
    ck_assert_msg(root != NULL, "not strict JSON: %s\n%s", why, out);
    return root;
}
static yajl_val get(yajl_val v, const char *key) {
    yajl_val found = yajl_tree_get(v, (const char *[]){key, NULL}, yajl_t_any);
    ck_assert_msg(found != NULL, "no %s", key);
    return found;
}
static yajl_val at(yajl_val v, const char *key, size_t i) {
    yajl_val list = get(v, key);
    ck_assert_msg(YAJL_IS_ARRAY(list) && i < list->u.array.len, "%s has no element %zu", key, i);
    return list->u.array.values[i];
}
static size_t length(yajl_val v, const char *key) { return YAJL_GET_ARRAY(get(v, key))->len; }
static long long number(yajl_val v, const char *key) {
    yajl_val found = get(v, key);
    ck_assert_msg(YAJL_IS_INTEGER(found), "%s is no integer", key);
    return YAJL_GET_INTEGER(found);
}
static const char *text(yajl_val v, const char *key) {
    yajl_val found = get(v, key);
    ck_assert_msg(YAJL_IS_STRING(found), "%s is no text", key);
    return YAJL_GET_STRING(found);
}
/* The keys in order: the description promises them all. */
static void must_have(yajl_val v, const char *want) {
    char all[512] = "";
    for (size_t i = 0; i < v->u.object.len; i++) {
        strcat(all, i ? " " : "");
        strcat(all, v->u.object.keys[i]);
    }
    ck_assert_str_eq(all, want);
}
#define NAME_KEYS "name file module line kind"

START_TEST(test_report_json_has_every_field) {
    trace_build_thread(&trace, 1, 7, 1, "worker");
    trace_build_name(&trace, 20, 1, "append", "list", 0);
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a (b b) (b b!");
    struct vt_event c_call[] = {{.ticks = 1100, .type = VT_REC_C_CALL, .id = 20},
                                {.ticks = 1170, .type = VT_REC_C_RETURN, .id = 20},
                                {.type = VT_REC_GAP, .count = 5}};
    trace_build_block(&trace, 0, 1, 7, c_call, VT_ARRAY_LEN(c_call));
    trace_build_end(&trace, 500, 6);
    ck_assert_int_eq(RUN("report", TRACE, "--json", "--tree"), CLI_OK);
    ck_assert_str_eq(err_text, "");
    yajl_val root = parse(), v = get(root, "trace");
    must_have(root, "version trace functions processes threads calls drops throttled tree");
    ck_assert_int_eq(number(root, "version"), 1);
    must_have(v, "kind file pid start_ns duration_ns calls pieces open functions threads total_ns wait_ns dropped unseen "
                 "unseen_ns folded limit filters "
                 "cut_off damage "
                 "wrong_checksum left_out");
    ck_assert_str_eq(text(v, "kind"), "vzt");
    ck_assert_str_eq(text(v, "file"), trace.path);
    ck_assert_int_eq(number(v, "pid"), 100);
    ck_assert_int_eq(number(v, "start_ns"), 5000001000);
    ck_assert_int_eq(number(v, "duration_ns"), 170); /* 1000 .. 1170 */
    ck_assert_int_eq(number(v, "calls"), 4);
    ck_assert_int_eq(number(v, "open"), 1);
    ck_assert_int_eq(number(v, "total_ns"), 170);
    ck_assert_int_eq(number(v, "dropped"), 6);
    ck_assert(YAJL_IS_FALSE(get(v, "cut_off")));
    ck_assert(YAJL_IS_NULL(get(v, "damage")));

    ck_assert_uint_eq(length(root, "functions"), 3);
    v = at(root, "functions", 0);
    must_have(v, NAME_KEYS
              " calls pieces open raised self_ns wait_ns total_ns mean_ns min_ns p50_ns p99_ns max_ns waits waiter loop_waiter");
    ck_assert_str_eq(text(v, "name"), "a");
    ck_assert_str_eq(text(v, "file"), "x.py");
    ck_assert(YAJL_IS_NULL(get(v, "module")));
    ck_assert_int_eq(number(v, "line"), 1);
    ck_assert_str_eq(text(v, "kind"), "python");
    ck_assert_int_eq(number(v, "open"), 1);
    ck_assert_int_eq(number(v, "self_ns"), 80);
    ck_assert_int_eq(number(v, "total_ns"), 170);
    v = at(root, "functions", 1);
    ck_assert_str_eq(text(v, "name"), "append");
    ck_assert_str_eq(text(v, "file"), "list");
    ck_assert_str_eq(text(v, "module"), "list");
    ck_assert_str_eq(text(v, "kind"), "c");
    ck_assert_int_eq(number(v, "p50_ns"), 70);
    v = at(root, "functions", 2);
    ck_assert_int_eq(number(v, "raised"), 1);
    ck_assert_int_eq(number(v, "calls"), 2);
    ck_assert_int_eq(number(v, "mean_ns"), 10);

    v = at(root, "processes", 0);
    must_have(v, "pid name calls total_ns");
    ck_assert_int_eq(number(v, "total_ns"), 170);
    v = at(root, "threads", 0);
    must_have(v, "pid tid name calls total_ns wait_ns cpu_ns cpu_exact dropped stack stack_at_start");
    ck_assert(YAJL_IS_NULL(get(v, "cpu_ns")) && YAJL_IS_FALSE(get(v, "cpu_exact")));
    ck_assert_str_eq(text(v, "name"), "worker");
    ck_assert_int_eq(number(v, "dropped"), 5);
    ck_assert_str_eq(YAJL_GET_STRING(at(v, "stack", 0)), "a");
    ck_assert_uint_eq(length(root, "calls"), 3);
    v = at(root, "calls", 0);
    must_have(v, NAME_KEYS " pid tid start_ns duration_ns self_ns raised from_attach resumed stack");
    ck_assert_str_eq(text(v, "name"), "append");
    ck_assert_int_eq(number(v, "start_ns"), 100);
    ck_assert_int_eq(number(v, "duration_ns"), 70);
    ck_assert_str_eq(YAJL_GET_STRING(at(v, "stack", 0)), "a");
    v = at(root, "drops", 0);
    must_have(v, "pid tid from_ns to_ns count");
    ck_assert_int_eq(number(v, "count"), 5);
    ck_assert_int_eq(number(v, "to_ns"), 170);
    v = at(root, "tree", 0);
    must_have(v, NAME_KEYS " calls total_ns self_ns children");
    ck_assert_uint_eq(length(v, "children"), 2);
    yajl_tree_free(root);
}
END_TEST

START_TEST(test_report_json_of_no_calls_is_valid) {
    ck_assert_int_eq(RUN("report", TRACE, "--json", "--tree"), CLI_OK);
    yajl_val root = parse();
    ck_assert_uint_eq(length(root, "functions") + length(root, "threads") + length(root, "calls") + length(root, "tree"), 0);
    ck_assert(YAJL_IS_TRUE(get(get(root, "trace"), "cut_off")));
    yajl_tree_free(root);
    ck_assert_int_eq(RUN("report", TRACE), CLI_OK);
    ck_assert_int_eq(RUN("report", TRACE, "--tree", "--threads", "--gaps"), CLI_OK);
}
END_TEST

/* The hooks were in from 1901 s after the boot on. */
START_TEST(test_report_empty_trace) {
    trace_build_end_at(&trace, 1901000000000, 1906110000000, 0);
    ck_assert_int_eq(RUN("report", TRACE), CLI_OK);
    ck_assert_ptr_nonnull(strstr(out, ": process 100, 5.110 s from 1970-01-01 00:31:46.000\n"
                                      "0 calls of 0 functions on 0 threads, 0 ns of thread time\n"));
    ck_assert_ptr_nonnull(strstr(out, "no calls\n"));
}
END_TEST

START_TEST(test_report_sorts_limits_and_matches) {
    static const char *const keys[] = {"self", "total", "calls", "mean", "p50", "p99", "max", "name"};
    static const char first[] = "bbcaaaaa"; /* of each key */
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a (b (c c) (c c) (c c) b) a)");
    trace_build_calls(&trace, 0, 1, 2000, 25, "(b b)");
    for (size_t i = 0; i < VT_ARRAY_LEN(keys); i++) {
        ck_assert_int_eq(RUN("report", TRACE, "--json", "--sort", keys[i], "--limit", "1"), CLI_OK);
        yajl_val root = parse();
        ck_assert_uint_eq(length(root, "functions"), 1);
        ck_assert_msg(text(at(root, "functions", 0), "name")[0] == first[i], "by %s: %s", keys[i],
                      text(at(root, "functions", 0), "name"));
        yajl_tree_free(root);
    }
    ck_assert_int_eq(RUN("report", TRACE, "--json", "--match", "[bc]*"), CLI_OK);
    yajl_val root = parse();
    ck_assert_uint_eq(length(root, "functions"), 2);
    yajl_tree_free(root);
    ck_assert_int_eq(RUN("report", TRACE, "--match", "nothing"), CLI_OK);
    ck_assert_ptr_nonnull(strstr(out, "no function matches"));
    ck_assert_int_eq(RUN("report", TRACE, "--tree", "--match", "c"), CLI_OK);
    ck_assert_ptr_nonnull(strstr(out, "c (x.py:3)"));
    ck_assert_ptr_nonnull(strstr(out, "a (x.py:1)"));
}
END_TEST

START_TEST(test_report_text_has_every_part) {
    trace_build_thread(&trace, 1, 7, 1, "worker");
    trace_build_calls(&trace, 0, 1, 1000000, 1000, "(a (b b) ~ (b b) a)");
    trace_build_end(&trace, 1000000, 3);
    ck_assert_int_eq(RUN("report", TRACE), CLI_OK);
    ck_assert_ptr_nonnull(strstr(out, "process 100, 5.000 us from 1970-01-01 00:00:05.001"));
    ck_assert_ptr_nonnull(strstr(out, "3 calls of 2 functions on 1 thread, 5.000 us of thread time"));
    ck_assert_ptr_nonnull(strstr(out, "3 events dropped in the target"));
    ck_assert_ptr_nonnull(
        strstr(out, " 3.000 us  60.0  5.000 us           1  5.000 us  5.000 us  5.000 us  5.000 us  a (x.py:1)\n"));
    ck_assert_ptr_nonnull(strstr(out, " --slice 0.001ms..0.002ms -o slow.json"));
    ck_assert_ptr_nonnull(strstr(out, "           in a\n"));
    ck_assert_ptr_null(strchr(out, '\033')); /* no terminal */
    ck_assert_int_eq(RUN("report", TRACE, "--gaps"), CLI_OK);
    ck_assert_ptr_nonnull(strstr(out, "           3       0.002ms       0.002ms  7 worker\n"));
    ck_assert_int_eq(RUN("report", TRACE, "--threads"), CLI_OK);
    ck_assert_ptr_nonnull(strstr(out, " 5.000 us      0 ns           3         3  7 worker\n"));
    ck_assert_int_eq(RUN("report", TRACE, "--tree"), CLI_OK);
    ck_assert_ptr_nonnull(strstr(out, "  40.0  2.000 us  2.000 us           2   b (x.py:2)\n"));
}
END_TEST

/* One thread: work, a sleep in it, a wait for something to do, and a callback of an event loop that sleeps. */
enum { SLEEP = 20, ACQUIRE, CONDITION, HANDLE };
static void build_waits(void) {
    trace_build_thread(&trace, 1, 7, 1, "worker");
    trace_build_name(&trace, SLEEP, 1, "sleep", "time", 0);
    trace_build_name(&trace, ACQUIRE, 1, "acquire", "_thread.lock", 0);
    trace_build_name(&trace, CONDITION, 0, "Condition.wait", "/usr/lib/python3.12/threading.py", 300);
    trace_build_name(&trace, HANDLE, 0, "Handle._run", "/usr/lib/python3.12/asyncio/events.py", 70);
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
    trace_build_block(&trace, 0, 1, 7, ev, VT_ARRAY_LEN(ev));
    trace_build_end(&trace, 1000, 0);
}

START_TEST(test_report_waiting_is_apart_from_working) {
    build_waits();
    ck_assert_int_eq(RUN("report", TRACE, "--json"), CLI_OK);
    yajl_val root = parse(), v = get(root, "trace");
    ck_assert_int_eq(number(v, "total_ns"), 62040);
    ck_assert_int_eq(number(v, "wait_ns"), 1000 + 10 + 60000 + 600);
    v = at(root, "functions", 0); /* what held up the loop counts as work */
    ck_assert_str_eq(text(v, "name"), "sleep");
    ck_assert_int_eq(number(v, "self_ns"), 1300);
    ck_assert_int_eq(number(v, "wait_ns"), 1000);
    ck_assert(YAJL_IS_TRUE(get(v, "waits")));
    ck_assert_str_eq(text(v, "waiter"), "a");
    ck_assert_str_eq(text(v, "loop_waiter"), "c");
    ck_assert_str_eq(text(at(root, "functions", 1), "name"), "a");
    for (size_t i = 0; i < length(root, "functions"); i++) {
        v = at(root, "functions", i);
        if (strcmp(text(v, "name"), "acquire")) continue;
        ck_assert_int_eq(number(v, "wait_ns"), 60600);
        ck_assert_str_eq(text(v, "waiter"), "a");
        ck_assert(YAJL_IS_NULL(get(v, "loop_waiter")));
    }
    ck_assert_int_eq(number(at(root, "threads", 0), "wait_ns"), 61610);
    yajl_tree_free(root);
}
END_TEST

START_TEST(test_report_waiting_has_a_table_of_its_own) {
    build_waits();
    ck_assert_int_eq(RUN("report", TRACE), CLI_OK);
    char *work = strstr(out, "Functions by own time, without waiting\n"), *waiting = strstr(out, "\nWaiting\n");
    ck_assert(work && waiting && work < waiting);
    ck_assert_ptr_nonnull(strstr(out, "61.61 us (99.3 %) was waiting\n"));
    char *first = strstr(work, "time.sleep < c [in the event loop]\n"), *second = strstr(work, "  a (x.py:1)\n");
    ck_assert(first && second && first < second && second < waiting);
    ck_assert_ptr_nonnull(strstr(work, "   300 ns  69.8")); /* of 430 ns that were not waited */
    first = strstr(waiting, "_thread.lock.acquire < a\n");
    second = strstr(waiting, "time.sleep < a\n");
    ck_assert(first && second && first < second);
    ck_assert_ptr_nonnull(strstr(waiting, " 60.60 us  98.4"));
    ck_assert_int_eq(RUN("report", TRACE, "--sort", "calls"), CLI_OK);
    ck_assert_ptr_nonnull(strstr(out, "\nWaiting\n"));
    ck_assert_int_eq(RUN("report", TRACE, "--match", "a"), CLI_OK);
    ck_assert_ptr_null(strstr(out, "\nWaiting\n"));
}
END_TEST

START_TEST(test_report_slowest_skips_what_is_idle) {
    build_waits();
    ck_assert_int_eq(RUN("report", TRACE, "--json"), CLI_OK);
    yajl_val root = parse();
    ck_assert_uint_eq(length(root, "calls"), 2); /* b's lock, c's sleep; not a's sleep, not the condition */
    ck_assert_str_eq(text(at(root, "calls", 0), "name"), "acquire");
    ck_assert_int_eq(number(at(root, "calls", 0), "duration_ns"), 600);
    ck_assert_str_eq(text(at(root, "calls", 1), "name"), "sleep");
    ck_assert_int_eq(number(at(root, "calls", 1), "duration_ns"), 300);
    yajl_tree_free(root);
    ck_assert_int_eq(RUN("report", TRACE, "--slowest", "0"), CLI_OK);
    ck_assert_ptr_null(strstr(out, "Slowest"));
    ck_assert_int_eq(RUN("report", TRACE, "--slowest", "0", "--json"), CLI_OK);
    root = parse();
    ck_assert_uint_eq(length(root, "calls"), 0);
    yajl_tree_free(root);
}
END_TEST

START_TEST(test_report_convert_writes_to_stdout) {
    trace_build_thread(&trace, 1, 7, 1, "worker");
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a (b b) a)");
    trace_build_end(&trace, 1000, 0);
    ck_assert_int_eq(run((const char *const[]){"convert", TRACE, "-o", "-.folded", NULL}), CLI_OK);
    ck_assert_str_eq(out, "a (x.py:1) 20\na (x.py:1);b (x.py:2) 10\n");
    ck_assert_str_eq(err_text, "");
    ck_assert_int_eq(run((const char *const[]){"convert", TRACE, "-o", "-", NULL}), CLI_OK);
    yajl_tree_free(parse()); /* nothing but JSON */
    ck_assert_int_eq(run((const char *const[]){"convert", TRACE, "-o", "-.vzt", NULL}), CLI_OK);
    ck_assert_int_eq(memcmp(out, "VZT", 3), 0);
    ck_assert_int_ne(access("-", F_OK), 0);
    ck_assert_int_ne(access("-.vzt", F_OK), 0);
}
END_TEST

START_TEST(test_report_large_json_is_told_before) {
    const char *json = "/tmp/vt-cli-report-large.json";
    Vt__End end = VT__END__INIT;
    trace_build_thread(&trace, 1, 7, 1, "worker");
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a (b b) a)");
    end.calls = 5000001;
    trace_build_frame(&trace, VT_FRAME_END, &end.base);
    ck_assert_int_eq(run((const char *const[]){"convert", TRACE, "-o", json, NULL}), CLI_OK);
    ck_assert_ptr_nonnull(strstr(err_text, "5,000,001 calls take about 625.0 MB and 2 s"));
    ck_assert_int_eq(access(json, F_OK), 0); /* done all the same */
    ck_assert_int_eq(run((const char *const[]){"convert", TRACE, "-o", json, "--quiet", NULL}), CLI_OK);
    ck_assert_str_eq(err_text, "");
    ck_assert_int_eq(run((const char *const[]){"convert", TRACE, "-o", json, "--budget", "500k", NULL}), CLI_OK);
    ck_assert_str_eq(err_text, "");
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
    trace_build_frame(&trace, VT_FRAME_CPU_TIMES, &m.base);
}

/* Threads 11 to 16, which each call a. */
static void build_threads(void) {
    for (uint32_t i = 0; i < 6; i++) {
        struct vt_event ev[] = {{.ticks = 1000, .type = VT_REC_CALL, .id = 1}, {.ticks = 9000, .type = VT_REC_RETURN, .id = 1}};
        trace_build_thread(&trace, 100 + i, i == 5 ? 14 : 11 + i, i + 1, ""); /* the last has the number of the fourth */
        trace_build_block(&trace, i, 100 + i, i == 5 ? 14 : 11 + i, ev, 2);
    }
}

static void must_have_cpu(yajl_val threads, size_t i, long long ns, bool exact) {
    yajl_val t = at(threads, "threads", i);
    if (ns < 0)
        ck_assert_msg(YAJL_IS_NULL(get(t, "cpu_ns")), "thread %zu has a CPU time", i);
    else
        ck_assert_int_eq(number(t, "cpu_ns"), ns);
    ck_assert_msg(exact == YAJL_IS_TRUE(get(t, "cpu_exact")), "thread %zu: exact", i);
}

static void must_have_the_cpu_times(void) {
    yajl_val root = parse();
    ck_assert_uint_eq(length(root, "threads"), 6);
    must_have_cpu(root, 0, 5000, true); /* at begin and end */
    must_have_cpu(root, 1, 300, false); /* ended in between, seen once */
    must_have_cpu(root, 2, 700, true);  /* began later */
    must_have_cpu(root, 3, -1, false);  /* two threads of one number */
    must_have_cpu(root, 4, -1, false);  /* in no frame */
    must_have_cpu(root, 5, -1, false);
    yajl_tree_free(root);
}

START_TEST(test_report_cpu_times) {
    const char *copy = "/tmp/vt-cli-report-cpu.vzt";
    build_threads();
    put_cpu_times(true, false, (uint32_t[]){11, 12, 14}, (uint64_t[]){1000, 2000, 1}, 3);
    put_cpu_times(true, false, (uint32_t[]){11, 12, 13, 14}, (uint64_t[]){1500, 2300, 600, 2}, 4);
    put_cpu_times(true, true, (uint32_t[]){11, 13, 14, 99}, (uint64_t[]){6000, 700, 9, 5}, 4);
    trace_build_end(&trace, 1000, 0);
    ck_assert_int_eq(RUN("report", TRACE, "--json"), CLI_OK);
    must_have_the_cpu_times();
    ck_assert_int_eq(RUN("report", TRACE), CLI_OK);
    ck_assert_ptr_nonnull(strstr(out, "     time   waiting       cpu       calls   dropped  thread\n"));
    ck_assert_ptr_nonnull(strstr(out, " 8.000 us      0 ns   >300 ns           1         -  12"));
    ck_assert_ptr_nonnull(strstr(out, " 8.000 us      0 ns  5.000 us           1         -  11"));
    ck_assert_ptr_nonnull(strstr(out, " 8.000 us      0 ns         -           1         -  15"));
    /* A file made from it has them; a part of it does not, because they are of the whole time. */
    ck_assert_int_eq(
        RUN("convert", TRACE, "--tid", "11", "--tid", "12", "--tid", "13", "--tid", "14", "--tid", "15", "-o", copy, "--quiet"),
        CLI_OK);
    ck_assert_int_eq(RUN("report", copy, "--json"), CLI_OK);
    must_have_the_cpu_times();
    ck_assert_int_eq(RUN("convert", TRACE, "--slice", "1us..2us", "-o", copy, "--quiet"), CLI_OK);
    ck_assert_int_eq(RUN("report", copy, "--json"), CLI_OK);
    yajl_val root = parse();
    must_have_cpu(root, 0, -1, false);
    yajl_tree_free(root);
    unlink(copy);
}
END_TEST

START_TEST(test_report_cpu_time_without_a_begin_is_at_least) {
    build_threads();
    put_cpu_times(false, false, (uint32_t[]){11}, (uint64_t[]){1000}, 1); /* not all threads */
    put_cpu_times(false, true, (uint32_t[]){11, 12, 13}, (uint64_t[]){500, 2000, 3000}, 3);
    trace_build_end(&trace, 1000, 0);
    ck_assert_int_eq(RUN("report", TRACE, "--json"), CLI_OK);
    yajl_val root = parse();
    must_have_cpu(root, 0, 500, true); /* less than before: another thread has the number */
    must_have_cpu(root, 1, 0, false);
    yajl_tree_free(root);
}
END_TEST

/* Every line of out fits, and holds valid UTF-8 without anything that a terminal obeys. */
static void must_be_tame(unsigned width) {
    for (const char *c = out; *c;) {
        size_t len = strcspn(c, "\n");
        char line[CLEAN_TEXT_MAX], clean[CLEAN_TEXT_MAX];
        ck_assert_uint_lt(len, sizeof line - 16);
        memcpy(line, c, len);
        line[len] = 0;
        ck_assert_str_eq(clean_text(clean, line, len), line);
        ck_assert_msg(!width || clean_columns(line) <= width, "%u columns: %s", clean_columns(line), line);
        c += len + (c[len] == '\n');
    }
}

/* The table under a heading. */
static void must_be_tame_from(const char *heading, unsigned width) {
    const char *table = strstr(out, heading);
    ck_assert_ptr_nonnull(table);
    table = strchr(table + 1, '\n') + 1;
    memmove(out, table, strlen(table) + 1);
    must_be_tame(width);
}

START_TEST(test_report_cleans_hostile_names) {
    static const char *const names[] = {
        "\033[31mred\a\b\r",
        "a\nb",
        "\xff\xfe\xed\xa0\x80",
        "\xe2\x80\xae"
        "evil",
        "\xc2\x9b"
        "31m",
        "\xe5\x87\xbd\xe6\x95\xb0\xe5\x87\xbd\xe6\x95\xb0\xe5\x87\xbd\xe6\x95\xb0\xe5\x87\xbd\xe6\x95\xb0"};
    struct vt_event ev[2 * VT_ARRAY_LEN(names) + 2];
    size_t big = 1u << 20, n = 0;
    char *long_name = malloc(big + 4);
    memset(long_name, 'x', big);
    strcpy(long_name + big, "END");
    for (uint32_t i = 0; i < VT_ARRAY_LEN(names); i++) {
        trace_build_name(&trace, 20 + i, i & 1, names[i], "/very/long/path/\033]0;title\a/that/does/not/fit/anywhere.py", i);
        ev[n++] = (struct vt_event){.ticks = 1000 + 200 * i, .type = VT_REC_CALL, .id = 20 + i};
        ev[n++] = (struct vt_event){.ticks = 1100 + 200 * i, .type = VT_REC_RETURN, .id = 20 + i};
    }
    trace_build_name(&trace, 40, 0, long_name, "y.py", 1);
    ev[n++] = (struct vt_event){.ticks = 9000, .type = VT_REC_CALL, .id = 40};
    ev[n++] = (struct vt_event){.ticks = 9500, .type = VT_REC_RETURN, .id = 40};
    trace_build_thread(&trace, 1, 7, 1, "T\033[2J\n");
    trace_build_block(&trace, 0, 1, 7, ev, n);
    for (unsigned width = 60; width <= 200; width += 20) {
        char columns[8];
        snprintf(columns, sizeof columns, "%u", width);
        setenv("COLUMNS", columns, 1);
        ck_assert_int_eq(RUN("report", TRACE), CLI_OK);
        *strstr(out, "\nSlowest") = 0; /* the command to copy stays whole there */
        must_be_tame_from("\nFunctions by", width);
        ck_assert_int_eq(RUN("report", TRACE, "--tree"), CLI_OK);
        must_be_tame_from("\nCall tree", width);
        ck_assert_ptr_nonnull(strstr(out, "END\n")); /* the end of a name is what is kept */
    }
    unsetenv("COLUMNS");
    ck_assert_int_eq(RUN("report", TRACE), CLI_OK);
    ck_assert_ptr_null(strpbrk(out, "\033\a\b\r\x9b\xff"));
    ck_assert_int_eq(RUN("report", TRACE, "--json"), CLI_OK);
    yajl_tree_free(parse());
    free(long_name);
}
END_TEST

START_TEST(test_report_names_are_cut_where_it_hurts_least) {
    static const struct trace_name python = {.name = "Handler.do_GET",
                                             .name_len = 14,
                                             .file = "/srv/app/web/shop.py",
                                             .file_len = 20,
                                             .line = 9},
                                   c = {.name = "recv_into", .name_len = 9, .file = "_socket.socket", .file_len = 14, .kind = 1};
    static const struct {
        const struct trace_name *name;
        unsigned width;
        const char *want;
    } rows[] = {
        {&python, 0, "Handler.do_GET (/srv/app/web/shop.py:9)"},
        {&python, 39, "Handler.do_GET (/srv/app/web/shop.py:9)"},
        {&python, 38, "Handler.do_GET (\xe2\x80\xa6/app/web/shop.py:9)"},
        {&python, 30, "Handler.do_GET (\xe2\x80\xa6/shop.py:9)"},
        {&python, 27, "Handler.do_GET (shop.py:9)"},
        {&python, 25, "Handler.do_GET"},
        {&python, 8,
         "\xe2\x80\xa6"
         ".do_GET"},
        {&c, 0, "_socket.socket.recv_into"},
        {&c, 17,
         "\xe2\x80\xa6"
         "socket.recv_into"},
    };
    struct term term = {0};
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        struct capture capture;
        forget();
        capture_begin(&capture);
        put_name(&term, rows[i].name, rows[i].width);
        capture_end(&capture, &out, &err_text);
        ck_assert_str_eq(out, rows[i].want);
    }
}
END_TEST

START_TEST(test_report_commands_lose_their_folder_and_their_end) {
    static const struct {
        const char *command, *want;
        unsigned columns;
    } rows[] = {{"/usr/bin/python3 /srv/a/app.py", "python3 /srv/a/app.py", 40},
                {"python3 /srv/a/app.py", "python3 /srv/a/app.py", 21},
                {"python3 /srv/a/app.py", "python3 /srv/a/app.p", 20},
                {"/ /", "/ /", 40},
                {"", "", 1}};
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        char buf[CLEAN_TEXT_MAX], want[64];
        const char *command = clean_command(rows[i].command);
        clean_shorten(clean_text(buf, command, strlen(command)), rows[i].columns);
        snprintf(want, sizeof want, "%s", rows[i].want);
        if (strlen(rows[i].want) < strlen(command)) strcpy(want + strlen(want) - 1, CLEAN_CUT);
        ck_assert_str_eq(buf, want);
    }
}
END_TEST

START_TEST(test_report_durations_fit) {
    static const struct {
        uint64_t ns;
        const char *want;
    } rows[] = {{0, "0 ns"},          {999, "999 ns"},         {1000, "1.000 us"},           {9999, "9.999 us"},
                {10000, "10.00 us"},  {99999, "100.0 us"},     {123456, "123.5 us"},         {999949, "999.9 us"},
                {999999, "1.000 ms"}, {1500000000, "1.500 s"}, {123456789012345, "123457 s"}};
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        char buf[16];
        ck_assert_str_eq(format_duration(buf, rows[i].ns), rows[i].want);
    }
}
END_TEST

START_TEST(test_report_refusals_are_one_line) {
    ck_assert_int_eq(RUN("report"), CLI_USAGE);
    ck_assert_int_eq(RUN("report", TRACE, TRACE), CLI_USAGE);
    ck_assert_int_eq(RUN("report", TRACE, "--sort", "colour"), CLI_USAGE);
    ck_assert_int_eq(RUN("report", TRACE, "--limit", "0"), CLI_USAGE);
    ck_assert_int_eq(RUN("report", TRACE, "--limit", "-1"), CLI_USAGE);
    ck_assert_int_eq(RUN("report", TRACE, "--min_share", "nan"), CLI_USAGE);
    ck_assert_int_eq(RUN("report", TRACE, "--wrong"), CLI_USAGE);
    ck_assert_int_eq(RUN("diff", TRACE), CLI_USAGE);
    ck_assert_int_eq(RUN("diff", TRACE, TRACE, "--sort", "p99"), CLI_USAGE);
    ck_assert_int_eq(RUN("report", "/nowhere/x.vzt"), CLI_FAILED);
    ck_assert_str_eq(out, "");
    ck_assert_ptr_nonnull(strstr(err_text, "/nowhere/x.vzt: No such file"));
    ck_assert_ptr_eq(strchr(err_text, '\n'), err_text + strlen(err_text) - 1);
    ck_assert_int_eq(RUN("report", TRACE, "--tid", "55"), CLI_FAILED);
    ck_assert_int_eq(RUN("diff", TRACE, "/dev/null"), CLI_FAILED);
    ck_assert_int_eq(RUN("report", "--help"), CLI_OK);
    ck_assert_int_eq(RUN("diff", "--help"), CLI_OK);
}
END_TEST

START_TEST(test_diff_shows_changes) {
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a (b b) a)");
    ck_assert_int_eq(RUN("diff", TRACE, TRACE, "--json"), CLI_OK);
    yajl_val root = parse(), v = at(root, "functions", 0);
    must_have(root, "version before after functions");
    must_have(get(root, "before"), "duration_ns total_ns calls file wrong_checksum left_out");
    must_have(v, NAME_KEYS " state before after change");
    must_have(get(v, "after"), "calls self_ns total_ns mean_ns calls_per_s self_ns_per_s total_ns_per_s wait_ns wait_ns_per_s");
    ck_assert_str_eq(text(v, "state"), "both");
    ck_assert_str_eq(YAJL_GET_NUMBER(get(v, "change")), "0.000");
    yajl_tree_free(root);
    for (unsigned width = 80; width <= 130; width += 50) {
        char columns[16];
        snprintf(columns, sizeof columns, "%u", width);
        setenv("COLUMNS", columns, 1);
        ck_assert_int_eq(RUN("diff", TRACE, TRACE), CLI_OK);
        ck_assert_ptr_nonnull(strstr(out, "no function has changed"));
        ck_assert_ptr_null(strstr(out, "per second"));
        must_be_tame(width);
        ck_assert_int_eq(RUN("diff", TRACE, TRACE, "--sort", "name"), CLI_OK);
        ck_assert_ptr_nonnull(strstr(out, "+0 ns"));
        ck_assert((strstr(out, "mean per call") != NULL) == (width == 130));
        must_be_tame(width);
    }
}
END_TEST

/* Traces of VizTracer before 1.0 have no base time: a date would be one of 1970. */
START_TEST(test_report_no_date_without_a_base) {
    static const char json[] = "[{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":1,\"dur\":9,\"name\":\"f (a.py:1)\",\"cat\":\"FEE\"}]";
    ck_assert_int_eq(ftruncate(trace.fd, 0), 0);
    ck_assert_int_eq(pwrite(trace.fd, json, sizeof json - 1, 0), sizeof json - 1);
    ck_assert_int_eq(RUN("report", TRACE), CLI_OK);
    ck_assert_ptr_nonnull(strstr(out, ": process 1, 9.000 us\n1 call of 1 function on 1 thread, 9.000 us of thread time\n"));
    ck_assert_ptr_nonnull(strstr(out, " after the start\n"));
    ck_assert_ptr_null(strstr(out, "1970"));
    ck_assert_int_eq(RUN("report", TRACE, "--json"), CLI_OK);
    yajl_val root = parse();
    ck_assert(YAJL_IS_NULL(get(get(root, "trace"), "start_ns")));
    yajl_tree_free(root);
}
END_TEST

/* The number of a thread is what --tid takes: it stays whole when the line is narrow. */
START_TEST(test_report_thread_ids_are_not_cut) {
    trace_build_thread(&trace, 1, 1234567890, 1, "a-thread-with-a-name-that-is-far-longer-than-this-terminal-0_17");
    trace_build_calls(&trace, 0, 1, 1000000, 1000, "(a (b b) ~ (b b) a)");
    trace_build_end(&trace, 1000000, 3);
    setenv("COLUMNS", "60", 1);
    for (int i = 0; i < 3; i++) {
        const char *view = ((const char *const[]){"--gaps", "--threads", "--slowest=3"})[i];
        ck_assert_int_eq(RUN("report", TRACE, view), CLI_OK);
        ck_assert_msg(strstr(out, " 1234567890 \xe2\x80\xa6") && strstr(out, "-0_17\n"), "%s:\n%s", view, out);
    }
}
END_TEST

START_TEST(test_report_match_chooses_throttled_functions) {
    Vt__ThrottledFunction f[] = {VT__THROTTLED_FUNCTION__INIT, VT__THROTTLED_FUNCTION__INIT}, *list[] = {&f[0], &f[1]};
    Vt__Throttled t = VT__THROTTLED__INIT;
    f[0].id = 1;
    f[0].counted = 77;
    f[1].id = 2;
    f[1].counted = 88;
    t.n_functions = 2;
    t.functions = list;
    t.max_overhead = 100;
    trace_build_calls(&trace, 0, 1, 1000000, 1000, "(a (b b) a)");
    trace_build_frame(&trace, VT_FRAME_THROTTLED, &t.base);
    trace_build_end(&trace, 1000000, 0);
    ck_assert_int_eq(RUN("report", TRACE, "--match", "b"), CLI_OK);
    ck_assert_ptr_nonnull(strstr(out, "Throttled by"));
    ck_assert_ptr_nonnull(strstr(out, "            88"));
    ck_assert_ptr_null(strstr(out, "            77"));
    ck_assert_int_eq(RUN("report", TRACE, "--match", "b", "--json"), CLI_OK);
    yajl_val root = parse();
    ck_assert_uint_eq(length(root, "throttled"), 1);
    ck_assert_int_eq(number(at(root, "throttled", 0), "calls_counted"), 88);
    yajl_tree_free(root);
    ck_assert_int_eq(RUN("report", TRACE, "--match", "c"), CLI_OK);
    ck_assert_ptr_null(strstr(out, "Throttled by"));
}
END_TEST

START_TEST(test_report_what_was_left_out_is_told) {
    static const char json[] = "[{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":1,\"dur\":2,\"name\":\"f\"},{\"ph\":\"X\",\"name\":"
                               "\"g\"},{\"ph\":\"E\",\"ts\":1}]",
                      said[] = "1 event without a time (ts), 1 end (E) without a begin (B)";
    char path[] = "/tmp/left-out-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_eq(vt_write_full(fd, json, sizeof json - 1), 0);
    close(fd);
    ck_assert_int_eq(RUN("report", path), 0);
    ck_assert_ptr_nonnull(strstr(out, said));
    ck_assert_int_eq(RUN("report", path, "--json"), 0);
    yajl_val root = parse();
    yajl_val left = get(get(root, "trace"), "left_out");
    ck_assert_int_eq(number(left, "no_time"), 1);
    ck_assert_int_eq(number(left, "no_begin"), 1);
    yajl_tree_free(root);
    ck_assert_int_eq(RUN("diff", TRACE, path), 0);
    ck_assert_ptr_nonnull(strstr(out, said));
    ck_assert_int_eq(RUN("diff", path, TRACE, "--json"), 0);
    root = parse();
    ck_assert_int_eq(number(get(get(root, "before"), "left_out"), "no_time"), 1);
    yajl_tree_free(root);
    unlink(path);
}
END_TEST

/* A wait that grew is no work that grew. */
START_TEST(test_diff_waiting_is_apart_from_working) {
    struct trace_build before = trace;
    trace_build_open(&trace);
    struct trace_build *both[] = {&before, &trace};
    for (uint64_t i = 0; i < 2; i++) {
        struct vt_event ev[] = {{.ticks = 1000, .type = VT_REC_CALL, .id = 21},
                                {.ticks = 1100, .type = VT_REC_C_CALL, .id = 20},
                                {.ticks = 2100 + i * 5000, .type = VT_REC_C_RETURN, .id = 20},
                                {.ticks = 2500 + i * 5500, .type = VT_REC_RETURN, .id = 21},
                                {.ticks = 10000, .type = VT_REC_CALL, .id = 22},
                                {.ticks = 11000, .type = VT_REC_RETURN, .id = 22}};
        trace_build_name(both[i], 20, 1, "sleep", "time", 0);
        trace_build_name(both[i], 21, 0, "caller", "a.py", 1);
        trace_build_name(both[i], 22, 0, "same", "a.py", 9);
        trace_build_block(both[i], 0, 1, 7, ev, VT_ARRAY_LEN(ev));
    }
    ck_assert_int_eq(RUN("diff", before.path, TRACE), CLI_OK);
    const char *own = strstr(out, "own per second"), *waiting = strstr(out, "waiting per second"),
               *caller = strstr(out, "caller (a.py:1)"), *wait = strstr(out, "time.sleep");
    ck_assert_msg(own && waiting && caller && wait && own < caller && caller < waiting && waiting < wait, "%s", out);
    ck_assert_ptr_null(strstr(out, "same (a.py:9)"));
    trace_build_remove(&before);
}
END_TEST

START_TEST(test_report_folded_calls_are_told) {
    static const char json[] =
        "{\"traceEvents\":[{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":1,\"dur\":9,\"name\":\"f (a.py:1)\","
        "\"args\":{\"func_args\":{\"x\":\"\\\"folded\\\":{\\\"calls\\\":5\"},\"folded\":{\"calls\":12,\"total_us\":3,"
        "\"functions\":[]}},\"cat\":\"FEE\"}],\"viztracer_metadata\":{\"version\":\"1\"}}";
    ck_assert_int_eq(ftruncate(trace.fd, 0), 0);
    ck_assert_int_eq(pwrite(trace.fd, json, sizeof json - 1, 0), sizeof json - 1);
    ck_assert_int_eq(RUN("report", TRACE, "--json"), CLI_OK);
    yajl_val root = parse();
    ck_assert_str_eq(text(get(root, "trace"), "kind"), "json");
    ck_assert_int_eq(number(get(root, "trace"), "folded"), 12);
    ck_assert_str_eq(text(at(root, "functions", 0), "name"), "f");
    ck_assert_int_eq(number(at(root, "functions", 0), "total_ns"), 9000);
    yajl_tree_free(root);
    ck_assert_int_eq(RUN("report", TRACE), CLI_OK);
    ck_assert_ptr_nonnull(strstr(out, "12 more calls folded when"));
    ck_assert_ptr_null(strstr(out, "but for"));
    static const char alone[] =
        "{\"traceEvents\":[{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":1,\"dur\":9,\"name\":\"f (a.py:1)\","
        "\"args\":{\"folded\":{\"calls\":12,\"total_us\":3,\"functions\":[]}},\"cat\":\"FEE\"},"
        "{\"ph\":\"i\",\"pid\":1,\"tid\":1,\"ts\":20,\"s\":\"t\",\"name\":\"folded\",\"args\":{\"calls\":30,"
        "\"total_us\":3,\"functions\":[]}}],\"viztracer_metadata\":{\"version\":\"1\"}}";
    ck_assert_int_eq(ftruncate(trace.fd, 0), 0);
    ck_assert_int_eq(pwrite(trace.fd, alone, sizeof alone - 1, 0), sizeof alone - 1);
    ck_assert_int_eq(RUN("report", TRACE), CLI_OK);
    ck_assert_ptr_nonnull(strstr(out, "42 more calls folded when"));
    ck_assert_ptr_nonnull(strstr(out, "but for 30 calls whose callers are not in the file"));
    ck_assert_int_eq(RUN("report", TRACE, "--json"), CLI_OK);
    root = parse();
    ck_assert_int_eq(number(get(root, "trace"), "folded"), 42);
    yajl_tree_free(root);
}
END_TEST

/* a was at line 11, b at 22, and a system call on top of it; b returns "4". The same in every format that can be read back. */
START_TEST(test_report_stack_at_the_start) {
    static const char *const outputs[] = {".vzt", ".json", ".pftrace", ".cvf"};
    static const char want[] = "[a 11][b 22][[in C: read(3: pipe)] 0]";
    struct vt_event ev[] = {{.ticks = 2000, .type = VT_REC_CALL, .id = 3},
                            {.ticks = 3000, .type = VT_REC_RETURN, .id = 3},
                            {.type = VT_REC_PAYLOAD, .id = VT_PL_RETVAL, .payload = (const uint8_t *)"4", .payload_len = 1},
                            {.ticks = 4000, .type = VT_REC_RETURN, .id = 2},
                            {.ticks = 5000, .type = VT_REC_CALL, .id = 3}};
    trace_build_name(&trace, 20, VT_NAME_INSIDE, "[in C: read(3: pipe)]", "", 0);
    trace_build_thread(&trace, 9, 7, 1, "main");
    trace_build_stack_at(&trace, 9, 1000, 3, (uint32_t[]){1, 2, 20}, (uint32_t[]){11, 22, 0});
    trace_build_block(&trace, 0, 9, 7, ev, VT_ARRAY_LEN(ev));
    trace_build_end_at(&trace, 1000, 6000, 0);
    for (size_t k = 0; k <= VT_ARRAY_LEN(outputs); k++) {
        char path[64], got[256] = "";
        snprintf(path, sizeof path, "%s%s", trace.path, k ? outputs[k - 1] : "");
        if (k) ck_assert_int_eq(RUN("convert", TRACE, "-o", path), CLI_OK);
        ck_assert_int_eq(RUN("report", path, "--json"), CLI_OK);
        yajl_val root = parse(), thread = at(root, "threads", 0);
        for (size_t i = 0; i < length(thread, "stack_at_start"); i++) {
            yajl_val f = at(thread, "stack_at_start", i);
            snprintf(got + strlen(got), sizeof got - strlen(got), "[%s %lld]", text(f, "name"), number(f, "at_line"));
        }
        ck_assert_msg(!strcmp(got, want), "%s: %s", path, got);
        yajl_tree_free(root);
        ck_assert_int_eq(RUN("report", path, "--threads"), CLI_OK);
        ck_assert_msg(strstr(out, "at the start in [in C: read(3: pipe)] < b (x.py:22) < a (x.py:11)\n") &&
                          strstr(out, "at the end in c < a\n"),
                      "%s: %s", path, out);
        ck_assert_int_eq(RUN("convert", path, "-o", "-.json"), CLI_OK);
        ck_assert_msg(strstr(out, "{\"at_line\":22,\"return_value\":\"4\"}") ||
                          strstr(out, "{\"return_value\":\"4\",\"at_line\":22}"),
                      "%s: %s", path, out);
        /* the system call ends with the thread's first event in a .vzt of it, too */
        char native[80];
        snprintf(native, sizeof native, "%s.again.vzt", path);
        ck_assert_int_eq(RUN("convert", path, "-o", native), CLI_OK);
        ck_assert_int_eq(RUN("report", native, "--json", "--match", "*in C*"), CLI_OK);
        root = parse();
        ck_assert_int_lt(number(at(root, "functions", 0), "total_ns"), 1001);
        yajl_tree_free(root);
        unlink(native);
        /* a window that begins later has no line: nobody knows where the frames were then */
        ck_assert_int_eq(RUN("convert", path, "--slice", "500ns..", "-o", "-.json"), CLI_OK);
        ck_assert_msg(!strstr(out, "\"at_line\":11"), "%s: %s", path, out);
        if (k) unlink(path);
    }
}
END_TEST

/* The same in every format that can be read back. */
START_TEST(test_report_tells_filters) {
    static const struct {
        const char *options, *told; /* NULL = nothing */
    } rows[] = {
        {"--attach 1 --include_files /srv/app /srv/lib -t 2", "Made with --include_files /srv/app /srv/lib:\n"},
        {"-o x.vzt --exclude-functions=f* 1 --min_duration 5us", "Made with --exclude-functions=f* --min_duration 5us:\n"},
        {"attach --ignore_c_function 77 -t 1", "Made with --ignore_c_function:\n"},
        {"--attach 1 -t 2 --max_size 5M --max_overhead 5%", NULL},
        {"", NULL},
    };
    static const char *const outputs[] = {".vzt", ".json", ".pftrace", ".cvf"};
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        trace_build_remove(&trace);
        trace_build_open_with(&trace, rows[i].options);
        trace_build_letters(&trace);
        trace_build_calls(&trace, 0, 1, 1000, 10, "(a (b b) a)");
        for (size_t k = 0; k < VT_ARRAY_LEN(outputs); k++) {
            char path[64];
            snprintf(path, sizeof path, "%s%s", trace.path, outputs[k]);
            ck_assert_int_eq(RUN("convert", TRACE, "--slice", "0..1", "-o", path), CLI_OK);
            ck_assert_int_eq(RUN("report", path), CLI_OK);
            const char *said = strstr(out, "Made with");
            ck_assert_msg(!rows[i].told == !said && (!said || !strncmp(said, rows[i].told, strlen(rows[i].told))), "%s: %s: %s",
                          rows[i].options, outputs[k], out);
            unlink(path);
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli/report");
    TCase *tests = tcase_create("report");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_report_json_has_every_field);
    tcase_add_test(tests, test_report_json_of_no_calls_is_valid);
    tcase_add_test(tests, test_report_empty_trace);
    tcase_add_test(tests, test_report_sorts_limits_and_matches);
    tcase_add_test(tests, test_report_text_has_every_part);
    tcase_add_test(tests, test_report_waiting_is_apart_from_working);
    tcase_add_test(tests, test_report_waiting_has_a_table_of_its_own);
    tcase_add_test(tests, test_report_slowest_skips_what_is_idle);
    tcase_add_test(tests, test_report_cpu_times);
    tcase_add_test(tests, test_report_cpu_time_without_a_begin_is_at_least);
    tcase_add_test(tests, test_report_convert_writes_to_stdout);
    tcase_add_test(tests, test_report_large_json_is_told_before);
    tcase_add_test(tests, test_report_cleans_hostile_names);
    tcase_add_test(tests, test_report_names_are_cut_where_it_hurts_least);
    tcase_add_test(tests, test_report_commands_lose_their_folder_and_their_end);
    tcase_add_test(tests, test_report_durations_fit);
    tcase_add_test(tests, test_report_refusals_are_one_line);
    tcase_add_test(tests, test_diff_shows_changes);
    tcase_add_test(tests, test_diff_waiting_is_apart_from_working);
    tcase_add_test(tests, test_report_tells_filters);
    tcase_add_test(tests, test_report_stack_at_the_start);
    tcase_add_test(tests, test_report_folded_calls_are_told);
    tcase_add_test(tests, test_report_what_was_left_out_is_told);
    tcase_add_test(tests, test_report_no_date_without_a_base);
    tcase_add_test(tests, test_report_thread_ids_are_not_cut);
    tcase_add_test(tests, test_report_match_chooses_throttled_functions);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
