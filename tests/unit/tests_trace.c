/* Checks the checker of traces: it accepts valid traces and names the faults of others. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "tests/lib/tool.h"
#include "tests/lib/trace.h"

#define HEAD                                                                                                                     \
    "{\"traceEvents\":[{\"ph\":\"M\",\"pid\":5,\"tid\":5,\"name\":\"process_name\",\"args\":{\"name\":\"MainProcess\"}},"        \
    "{\"ph\":\"M\",\"pid\":5,\"tid\":5,\"name\":\"thread_name\",\"args\":{\"name\":\"MainThread\"}}"
#define TAIL                                                                                                                     \
    "],\"viztracer_metadata\":{\"version\":\"1\",\"overflow\":false,\"baseTimeNanoseconds\":1795167637314728947},"               \
    "\"file_info\":{\"files\":{\"a.py\":[\"x = 1\\n\",1]},\"functions\":{\"f (a.py:1)\":[\"a.py\",1]}}}"
#define X(name, ts, dur) ",{\"pid\":5,\"tid\":5,\"ts\":" ts ",\"ph\":\"X\",\"dur\":" dur ",\"name\":\"" name "\",\"cat\":\"FEE\"}"
#define OPEN(name, ts, dur)                                                                                                      \
    ",{\"pid\":5,\"tid\":5,\"ts\":" ts ",\"ph\":\"X\",\"dur\":" dur ",\"name\":\"" name                                          \
    "\",\"args\":{\"unfinished\":true},\"cat\":\"FEE\"}"
#define B(name, ts) ",{\"pid\":5,\"tid\":5,\"ts\":" ts ",\"ph\":\"B\",\"name\":\"" name "\",\"cat\":\"FEE\"}"

static int load(struct trace *t, const char *json) {
    const char *path = temp_path(".json");
    FILE *f = fopen(path, "w");
    ck_assert(f && fputs(json, f) >= 0 && !fclose(f));
    int rc = trace_load(t, path);
    unlink(path);
    return rc;
}

START_TEST(test_trace_right_one_passes) {
    struct trace t;
    ck_assert_int_eq(
        load(&t, HEAD X("c (a.py:3)", "12.001", "1.5") X("b (a.py:2)", "11", "3.0") X("a (a.py:1)", "10.000", "10") TAIL), 0);
    ck_assert_ptr_null(trace_check_shape(&t));
    ck_assert_ptr_null(trace_check_nesting(&t));
    ck_assert_uint_eq(trace_count(&t, "b", 5), 1);
    ck_assert_uint_eq(trace_count(&t, "b", 6), 0);
    const struct trace_event *a = trace_find(&t, "a", NULL), *child;
    ck_assert_int_eq(a->ts, 10000);
    ck_assert_uint_eq(trace_children(&t, a, &child, 1), 1);
    ck_assert_str_eq(child->name, "b (a.py:2)");
    ck_assert_str_eq(trace_thread_name(&t, 5), "MainThread");
    ck_assert(t.base_ns == 1795167637314728947ull && t.functions == 1 && t.files == 1 && t.sources == 6);
    trace_free(&t);
}
END_TEST

static const struct {
    const char *json, *says;
} wrong[] = {
    {HEAD X("a", "10", "10") X("b", "15", "10") TAIL, "overlaps"},
    {HEAD X("a", "10", "10") B("b", "15") TAIL, "does not say until when"},
    {HEAD X("a", "10", "-1") TAIL, "negative"},
    {HEAD ",{\"pid\":5,\"tid\":5,\"ts\":1,\"ph\":\"X\",\"name\":\"a\",\"cat\":\"FEE\"}" TAIL, "no dur"},
    {HEAD ",{\"pid\":5,\"tid\":5,\"ts\":1,\"ph\":\"X\",\"dur\":1,\"name\":\"a\",\"cat\":\"fee\"}" TAIL, "FEE"},
    {HEAD ",{\"pid\":5,\"tid\":5,\"ph\":\"X\",\"dur\":1,\"name\":\"a\",\"cat\":\"FEE\"}" TAIL, "no ts"},
    {"{\"traceEvents\":[", NULL},
    {HEAD X("a", "10", "10"), NULL},
    {HEAD ",{\"pid\":5,\"tid\":\"5\",\"ts\":1,\"ph\":\"X\",\"dur\":1,\"name\":\"a\",\"cat\":\"FEE\"}" TAIL, NULL},
};

START_TEST(test_trace_wrong_one_is_named) {
    struct trace t;
    int rc = load(&t, wrong[_i].json);
    if (!wrong[_i].says) {
        ck_assert_int_ne(rc, 0);
    } else {
        ck_assert_int_eq(rc, 0);
        const char *shape = trace_check_shape(&t), *nesting = shape ? NULL : trace_check_nesting(&t);
        ck_assert_msg((shape && strstr(shape, wrong[_i].says)) || (nesting && strstr(nesting, wrong[_i].says)), "says %s",
                      shape     ? shape
                      : nesting ? nesting
                                : "nothing");
    }
    trace_free(&t);
}
END_TEST

START_TEST(test_trace_unfinished_calls_say_so) {
    struct trace t;
    ck_assert_int_eq(load(&t, HEAD X("c", "12", "100") OPEN("d", "112", "3") OPEN("b", "11", "104") TAIL), 0);
    ck_assert_ptr_null(trace_check_shape(&t));
    ck_assert_ptr_null(trace_check_nesting(&t));
    ck_assert(!trace_find(&t, "c", NULL)->unfinished && trace_find(&t, "d", NULL)->unfinished);
    trace_free(&t);
}
END_TEST

START_TEST(test_trace_zipped_is_read) {
    struct trace t;
    const char *path = temp_path(".json.gz");
    gzFile f = gzopen(path, "wb");
    gzputs(f, HEAD X("a", "10", "10") TAIL);
    gzclose(f);
    ck_assert_int_eq(trace_load(&t, path), 0);
    ck_assert_uint_eq(trace_count(&t, "a", 0), 1);
    trace_free(&t);
    unlink(path);
}
END_TEST

int main(void) {
    Suite *s = suite_create("tests_trace");
    TCase *tc = tcase_create("trace");
    tcase_add_test(tc, test_trace_right_one_passes);
    tcase_add_loop_test(tc, test_trace_wrong_one_is_named, 0, (int)(sizeof wrong / sizeof *wrong));
    tcase_add_test(tc, test_trace_unfinished_calls_say_so);
    tcase_add_test(tc, test_trace_zipped_is_read);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
