/* The table of functions that wait: exact matches only, on every spelling that a trace has. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/trace/waits.h"

static unsigned bits(uint8_t kind, const char *file, const char *name) {
    struct trace_name n = {
        .kind = kind, .name = name, .name_len = (uint32_t)strlen(name), .file = file, .file_len = (uint32_t)strlen(file)};
    return waits_of(&n);
}

static const struct {
    uint8_t kind;
    const char *file, *name;
    unsigned bits;
} cases[] = {
    {1, "time", "sleep", WAITS | WAITS_IDLE},
    {1, "", "time.sleep", WAITS | WAITS_IDLE}, /* as JSON has it */
    {1, "select.epoll", "poll", WAITS | WAITS_IDLE},
    {1, "_thread.lock", "acquire", WAITS},
    {1, "", "[in C: time.sleep]", WAITS | WAITS_IDLE},
    {1, "", "[in C: recvfrom(5: tcp 127.0.0.1:1 -> 127.0.0.1:2)]", WAITS},
    {0, "", "[in C: futex]", WAITS},
    {1, "", "[in C: zlib.compress]", 0},
    {1, "", "[in C: ]", 0},
    {1, "", "[in C: futexes", 0},
    {1, "", "recvfrom", 0}, /* a system call's name alone is no C function */
    {1, "time", "sleeps", 0},
    {1, "time", "slee", 0},
    {1, "mytime", "sleep", 0},
    {1, "my.time", "sleep", 0},
    {1, "", "sleep", 0},
    {1, "", "", 0},
    {0, "time", "sleep", 0},
    {0, "/usr/lib/python3.12/threading.py", "Condition.wait", WAITS | WAITS_IDLE | WAITS_BELOW},
    {0, "/usr/lib/python3.8/threading.py", "wait", WAITS | WAITS_IDLE | WAITS_BELOW}, /* bare, below 3.11 */
    {0, "/opt/lib/python3.13t/queue.py", "Queue.get", WAITS | WAITS_IDLE | WAITS_BELOW},
    {0, "/src/cpython/Lib/queue.py", "Queue.get", WAITS | WAITS_IDLE | WAITS_BELOW},
    {0, "/usr/lib/python3.12/asyncio/events.py", "Handle._run", WAITS_IN_LOOP},
    {0, "/usr/lib/python3.9/concurrent/futures/thread.py", "run", WAITS_OFF_CPU},
    {0, "/usr/lib/python3.12/threading.py", "MyCondition.wait", 0},
    {0, "/usr/lib/python3.12/threading.py", "Condition.wait_for", 0},
    {0, "/usr/lib/python3.12/mythreading.py", "Condition.wait", 0},
    {0, "/usr/lib/python3.12/x/threading.py", "Condition.wait", 0},
    {0, "/srv/app/threading.py", "Condition.wait", 0},
    {0, "/srv/python3/threading.py", "Condition.wait", 0},
    {0, "/srv/python3.12x/threading.py", "Condition.wait", 0},
    {0, "threading.py", "Condition.wait", 0},
    {0, "", "Condition.wait", 0},
};

START_TEST(test_waits_names_match_exactly) {
    unsigned got = bits(cases[_i].kind, cases[_i].file, cases[_i].name);
    ck_assert_msg(got == cases[_i].bits, "%s %s: %u, not %u", cases[_i].file, cases[_i].name, got, cases[_i].bits);
}
END_TEST

START_TEST(test_waits_every_row_is_found_and_none_twice) {
    const struct waits_row *row;
    for (size_t i = 0; (row = waits_row(i)); i++) {
        char file[256], name[256];
        snprintf(file, sizeof file, row->kind == WAITS_PYTHON ? "/usr/lib/python3.14/%s.py" : "%s", row->module);
        snprintf(name, sizeof name, row->kind == WAITS_SYSCALL ? "[in C: %s]" : "%s", row->name);
        ck_assert_uint_eq(bits(row->kind != WAITS_PYTHON, file, name), row->bits);
        for (size_t k = 0; k < i; k++)
            ck_assert_msg(waits_row(k)->kind != row->kind || strcmp(waits_row(k)->module, row->module) ||
                              strcmp(waits_row(k)->name, row->name),
                          "%s %s is there twice", row->module, row->name);
    }
    ck_assert_uint_gt(bits(1, "posix", "read"), 0);
}
END_TEST

START_TEST(test_waits_knows_the_library) {
    static const struct {
        const char *file;
        bool is;
    } files[] = {
        {"/usr/lib/python3.12/json/decoder.py", true},     {"<frozen os>", true},  {"/usr/lib/python3/dist-packages/x.py", false},
        {"/usr/lib/python3.12/site-packages/x.py", false}, {"/srv/app.py", false}, {"", false}};
    for (size_t i = 0; i < VT_ARRAY_LEN(files); i++) {
        struct trace_name n = {.name = "f", .name_len = 1, .file = files[i].file, .file_len = (uint32_t)strlen(files[i].file)};
        ck_assert_msg(waits_in_library(&n) == files[i].is, "%s", files[i].file);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("cli_waits");
    TCase *tests = tcase_create("waits");
    tcase_add_loop_test(tests, test_waits_names_match_exactly, 0, (int)VT_ARRAY_LEN(cases));
    tcase_add_test(tests, test_waits_every_row_is_found_and_none_twice);
    tcase_add_test(tests, test_waits_knows_the_library);
    suite_add_tcase(s, tests);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
