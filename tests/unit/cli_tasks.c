/* Suspended tasks: `report --async` of traces made by hand, what the slices of a task are in JSON, and the table of what
 * coroutines wait for. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/trace/awaits.h"
#include "tests/lib/report_run.h"
#include "tests/lib/tool.h"
#include "tests/lib/trace_build.h"

#define ASYNCIO "/usr/lib/python3.12/asyncio/"

static void name_task(uint32_t id, const char *name) {
    Vt__Task task = VT__TASK__INIT;
    task.id = id;
    task.address = 0x1000 * id;
    task.name.data = (uint8_t *)(uintptr_t)name;
    task.name.len = strlen(name);
    trace_build_frame(&report_trace, VT_FRAME_TASK, &task.base);
}

/* Two tasks: one sleeps in b below a for 100 ns, and again for 50 in c below a, which awaits the other one; the other one is
 * suspended at the end. A generator hands an item to a coroutine in between, which is no wait. */
static void build(void) {
    enum { SLEEP = 20, GET = 21 };
    trace_build_thread(&report_trace, 1, 7, 1, "worker");
    trace_build_name(&report_trace, SLEEP, 0, "sleep", ASYNCIO "tasks.py", 600);
    trace_build_name(&report_trace, GET, 0, "Queue.get", ASYNCIO "queues.py", 150);
    name_task(1, "one");
    name_task(2, "two");
    static const struct vt_pl_await two = {.address = 0x2000, .kind = VT_AWAIT_TASK},
                                    gone = {.address = 0x7000, .kind = VT_AWAIT_TASK};
    const struct vt_event ev[] = {
        {1000, VT_REC_TASK, 1, 0, NULL, 0},
        {1000, VT_REC_CALL, 1, 0, NULL, 0},
        {1010, VT_REC_CALL, 2, 0, NULL, 0},
        {1020, VT_REC_CALL, SLEEP, 0, NULL, 0},
        {1025, VT_REC_PAYLOAD, VT_PL_AWAIT, 0, (const uint8_t *)&two, 3},
        {1030, VT_REC_YIELD, SLEEP, 0, NULL, 0},
        {1031, VT_REC_YIELD, 2, 0, NULL, 0},
        {1032, VT_REC_YIELD, 1, 0, NULL, 0},
        {1033, VT_REC_TASK, 2, 0, NULL, 0},
        {1040, VT_REC_CALL, 4, 0, NULL, 0},
        {1050, VT_REC_CALL, GET, 0, NULL, 0},
        {1060, VT_REC_YIELD, GET, 0, NULL, 0},
        {1061, VT_REC_YIELD, 4, 0, NULL, 0},
        {1062, VT_REC_TASK, 0, 0, NULL, 0},
        {1131, VT_REC_TASK, 1, 0, NULL, 0},
        {1132, VT_REC_RESUME, 1, 0, NULL, 0},
        {1133, VT_REC_RESUME, 2, 0, NULL, 0},
        {1134, VT_REC_RESUME, SLEEP, 0, NULL, 0},
        {1135, VT_REC_RETURN, SLEEP, 0, NULL, 0},
        {1136, VT_REC_RETURN, 2, 0, NULL, 0},
        {1140, VT_REC_CALL, 5, 0, NULL, 0},
        {1141, VT_REC_YIELD, 5, 0, NULL, 0},
        {1150, VT_REC_CALL, 3, 0, NULL, 0},
        {1155, VT_REC_PAYLOAD, VT_PL_AWAIT, 0, (const uint8_t *)&two, sizeof two},
        {1160, VT_REC_YIELD, 3, 0, NULL, 0},
        {1161, VT_REC_YIELD, 1, 0, NULL, 0},
        {1162, VT_REC_TASK, 0, 0, NULL, 0},
        {1210, VT_REC_TASK, 1, 0, NULL, 0},
        {1211, VT_REC_RESUME, 1, 0, NULL, 0},
        {1212, VT_REC_THROW, 3, 0, NULL, 0},
        {1220, VT_REC_UNWIND, 3, 0, NULL, 0},
        {1221, VT_REC_CALL, 5, 0, NULL, 0},
        {1222, VT_REC_YIELD, 5, 0, NULL, 0},
        {1223, VT_REC_CALL, 2, 0, NULL, 0},
        {1224, VT_REC_RETURN, 2, 0, NULL, 0},
        {1225, VT_REC_PAYLOAD, VT_PL_AWAIT, 0, (const uint8_t *)&gone, sizeof gone},
        {1225, VT_REC_YIELD, 1, 0, NULL, 0},
        {1225, VT_REC_TASK, 0, 0, NULL, 0},
        {1228, VT_REC_TASK, 1, 0, NULL, 0},
        {1229, VT_REC_RESUME, 1, 0, NULL, 0},
        {1230, VT_REC_RETURN, 1, 0, NULL, 0},
        {1231, VT_REC_TASK, 0, 0, NULL, 0},
    };
    trace_build_block(&report_trace, 0, 1, 7, ev, sizeof ev / sizeof *ev);
    trace_build_end_at(&report_trace, 1000, 1500, 0);
}

static yajl_val function(yajl_val root, const char *name) {
    for (size_t i = 0; i < report_length(root, "functions"); i++)
        if (!strcmp(report_string(report_at(root, "functions", i), "name"), name)) return report_at(root, "functions", i);
    ck_abort_msg("no %s in %s", name, report_out);
}

static void must_be(yajl_val v, long long calls, long long wall, long long waited) {
    ck_assert_int_eq(report_number(v, "calls"), calls);
    ck_assert_int_eq(report_number(v, "wall_ns"), wall);
    ck_assert_int_eq(report_number(v, "wait_ns"), waited);
    ck_assert_int_eq(report_number(v, "running_ns"), wall - waited);
}

START_TEST(test_tasks_waits_are_the_time_between_pieces) {
    build();
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--async", "--json"), CLI_OK);
    yajl_val root = report_parse();
    report_must_have(root, "version async functions tasks");
    report_must_have(report_get(root, "async"), "tasks awaits dropped");
    ck_assert_int_eq(report_number(report_get(root, "async"), "tasks"), 2);
    ck_assert_int_eq(report_number(report_get(root, "async"), "awaits"), 4);
    ck_assert_uint_eq(report_length(root, "functions"), 6);
    yajl_val v = function(root, "a");
    report_must_have(v, NAME_KEYS " calls wall_ns running_ns wait_ns waits");
    must_be(v, 1, 32 + 100 + 29 + 50 + 14 + 4 + 1, 154);
    ck_assert_uint_eq(report_length(v, "waits"), 3);
    v = report_at(v, "waits", 0);
    report_must_have(v, NAME_KEYS " for task ns times");
    ck_assert_str_eq(report_string(v, "for"), "timer");
    ck_assert_str_eq(report_string(v, "name"), "sleep");
    ck_assert_int_eq(report_number(v, "ns"), 100);
    ck_assert(YAJL_IS_NULL(report_get(v, "task")));
    v = report_at(function(root, "a"), "waits", 1);
    ck_assert_str_eq(report_string(v, "for"), "task");
    ck_assert_str_eq(report_string(v, "name"), "c");
    ck_assert_int_eq(report_number(v, "ns"), 50);
    must_be(function(root, "c"), 1, 10 + 50 + 8, 50);
    must_be(function(root, "Queue.get"), 1, 10 + 439, 439);
    v = report_at(root, "tasks", 0);
    report_must_have(v, "pid tid task function start_ns duration_ns running_ns wait_ns open waits");
    ck_assert_str_eq(report_string(v, "task"), "two");
    ck_assert_str_eq(report_string(v, "function"), "d");
    ck_assert(YAJL_IS_TRUE(report_get(v, "open")));
    v = report_at(root, "tasks", 1);
    ck_assert_str_eq(report_string(v, "task"), "one");
    ck_assert_int_eq(report_number(v, "start_ns"), 0);
    ck_assert_int_eq(report_number(v, "duration_ns"), 230);
    ck_assert_int_eq(report_number(v, "wait_ns"), 154);
    ck_assert(YAJL_IS_FALSE(report_get(v, "open")));
    ck_assert(YAJL_IS_NULL(report_get(report_at(v, "waits", 0), "task")));
    ck_assert_str_eq(report_string(report_at(v, "waits", 1), "task"), "two");
    ck_assert_str_eq(report_string(report_at(v, "waits", 2), "for"), "task");
    ck_assert(YAJL_IS_NULL(report_get(report_at(v, "waits", 2), "task"))); /* nothing has run at that address */
    yajl_tree_free(root);
}
END_TEST

START_TEST(test_tasks_text_names_what_they_wait_for) {
    build();
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--async"), CLI_OK);
    ck_assert_ptr_nonnull(strstr(report_out, "2 tasks of asyncio, suspended 4 times"));
    ck_assert_ptr_nonnull(strstr(report_out, "76 ns running, 100 ns timer, 50 ns task two, 4 ns task"));
    ck_assert_ptr_nonnull(strstr(report_out, "two: d (not over)"));
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--async", "--match", "c"), CLI_OK);
    ck_assert_ptr_null(strstr(report_out, "two: d"));
}
END_TEST

START_TEST(test_tasks_of_a_trace_without_them_are_refused) {
    trace_build_thread(&report_trace, 1, 7, 1, "worker");
    trace_build_calls(&report_trace, 0, 1, 1000, 10, "(a a)");
    trace_build_end(&report_trace, 500, 0);
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--async"), CLI_FAILED);
    ck_assert_ptr_nonnull(strstr(report_err, "tells of no asyncio tasks"));
}
END_TEST

/* A slice between two pieces on the task's track, with its coroutine. */
START_TEST(test_tasks_waits_are_slices_of_their_tracks) {
    const struct {
        const char *output, *text;
    } outputs[] = {{temp_path(".json"), "\"ts\":1.032,\"ph\":\"X\",\"dur\":0.100,\"name\":\"await timer\""},
                   {temp_path(".pftrace"), "await timer"}};
    build();
    for (size_t i = 0; i < VT_ARRAY_LEN(outputs); i++) {
        ck_assert_int_eq(RUN("convert", REPORT_TRACE, "--log_async", "-o", outputs[i].output), CLI_OK);
        size_t len;
        char *text = trace_build_slurp(outputs[i].output, &len);
        ck_assert_msg(memmem(text, len, outputs[i].text, strlen(outputs[i].text)) != NULL, "%s: no %s", outputs[i].output,
                      outputs[i].text);
        free(text);
        ck_assert_int_eq(RUN("convert", REPORT_TRACE, "-o", outputs[i].output), CLI_OK); /* no tracks, no slices */
        text = trace_build_slurp(outputs[i].output, &len);
        ck_assert_msg(memmem(text, len, "await timer", 11) == NULL, "%s has slices", outputs[i].output);
        free(text);
        remove(outputs[i].output);
    }
}
END_TEST

/* A wait takes the place of a call in the budget. */
START_TEST(test_tasks_waits_keep_to_the_budget) {
    const char *output = temp_path(".json");
    build();
    for (int budget = 1; budget < 5; budget++) {
        char number[8];
        size_t len;
        int slices = 0;
        snprintf(number, sizeof number, "%d", budget);
        ck_assert_int_eq(RUN("convert", REPORT_TRACE, "--log_async", "--budget", number, "-o", output), CLI_OK);
        char *text = trace_build_slurp(output, &len), *at = text;
        while ((at = strstr(at, "\"ph\":\"X\"")) != NULL) slices++, at++;
        ck_assert_msg(slices == budget + 1, "%d slices: %s", slices, text); /* and the one that is open at the end */
        free(text);
    }
    remove(output);
}
END_TEST

static const struct {
    const char *file, *name;
    enum await_kind kind;
} cases[] = {
    {ASYNCIO "tasks.py", "sleep", AWAIT_TIMER},
    {ASYNCIO "tasks.py", "__sleep0", AWAIT_TURN},
    {ASYNCIO "queues.py", "Queue.get", AWAIT_QUEUE},
    {ASYNCIO "queues.py", "get", AWAIT_QUEUE}, /* bare, below 3.11 */
    {ASYNCIO "locks.py", "wait", AWAIT_EVENT},
    {ASYNCIO "locks.py", "Condition.wait", AWAIT_CONDITION},
    {ASYNCIO "streams.py", "StreamReader._wait_for_data", AWAIT_SOCKET},
    {ASYNCIO "tasks.py", "sleeps", AWAIT_OTHER},
    {ASYNCIO "mytasks.py", "sleep", AWAIT_OTHER},
    {"/srv/myasyncio/tasks.py", "sleep", AWAIT_OTHER},
    {"asyncio/tasks.py", "sleep", AWAIT_TIMER},
    {"tasks.py", "sleep", AWAIT_OTHER},
    {"", "", AWAIT_OTHER},
};

START_TEST(test_tasks_kinds_match_exactly) {
    struct trace_name future = {.name = "Future.__await__", .name_len = 16, .file = ASYNCIO "futures.py", .file_len = 38};
    struct trace_name name = {.name = cases[_i].name, .file = cases[_i].file}, *in, *chain[] = {&future, &name};
    future.file_len = (uint32_t)strlen(future.file);
    name.name_len = (uint32_t)strlen(name.name);
    name.file_len = (uint32_t)strlen(name.file);
    ck_assert_int_eq(await_kind_of(chain, 2, &in), cases[_i].kind);
    ck_assert_ptr_eq(in, &name);
    ck_assert_int_eq(await_kind_of(chain + 1, 1, &in), cases[_i].kind);
    ck_assert_int_eq(await_kind_of(chain, 1, &in), AWAIT_OTHER);
}
END_TEST

int main(void) {
    Suite *s = suite_create("cli_tasks");
    TCase *tc = tcase_create("report"), *kinds = tcase_create("kinds");
    tcase_add_checked_fixture(tc, report_set_up, report_tear_down);
    tcase_add_test(tc, test_tasks_waits_are_the_time_between_pieces);
    tcase_add_test(tc, test_tasks_text_names_what_they_wait_for);
    tcase_add_test(tc, test_tasks_of_a_trace_without_them_are_refused);
    tcase_add_test(tc, test_tasks_waits_are_slices_of_their_tracks);
    tcase_add_test(tc, test_tasks_waits_keep_to_the_budget);
    tcase_add_loop_test(kinds, test_tasks_kinds_match_exactly, 0, (int)(sizeof cases / sizeof *cases));
    suite_add_tcase(s, tc);
    suite_add_tcase(s, kinds);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
