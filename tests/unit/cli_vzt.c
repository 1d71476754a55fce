/* .vzt as an output of convert: what it says is what the source said, whole or in part; what it has no place for is counted or
 * refused. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/convert/convert.h"
#include "proto/abi/arena.h"
#include "tests/lib/case.h"
#include "tests/lib/record.h"
#include "tests/lib/trace_build.h"
#include "tests/lib/trace_random.h"

static struct trace_build trace;
static char json[96], native[96], again[96];
static struct record one, two;
static struct convert_opts opts;
static struct convert_result result;
static struct vt_err err;

static void set_up(void) {
    memset(&one, 0, sizeof one);
    memset(&two, 0, sizeof two);
    memset(&trace, 0, sizeof trace);
    memset(&err, 0, sizeof err);
    trace.fd = -1;
    opts = (struct convert_opts){.no_file_info = true};
    snprintf(json, sizeof json, "/tmp/vzt-%d.json", (int)getpid());
    snprintf(native, sizeof native, "/tmp/vzt-%d.vzt", (int)getpid());
    snprintf(again, sizeof again, "/tmp/vzt-%d.again.json", (int)getpid());
}
static void tear_down(void) {
    record_free(&one);
    record_free(&two);
    unlink(json);
    unlink(native);
    unlink(again);
    if (trace.path[0]) trace_build_remove(&trace);
}

static void convert(const char *from, const char *to) {
    opts.input = from;
    opts.output = to;
    int rc = convert_trace(&opts, &result, &err);
    ck_assert_msg(rc == 0, "%s to %s: %s", from, to, err.msg);
}
static void read_both(const char *a, const char *b) {
    record_free(&one);
    record_free(&two);
    ck_assert_int_eq(record_file(&one, a, NULL, NULL), 0);
    ck_assert_int_eq(record_file(&two, b, NULL, NULL), 0);
    ck_assert_msg(one.text[0] != 0, "%s is empty", a);
    record_same(&two, &one);
}
static void write_json(const char *events) {
    FILE *f = fopen(json, "wb");
    fprintf(f, "{\"traceEvents\":[%s]}", events);
    ck_assert_int_eq(fclose(f), 0);
}

/* The same lines, in any order. */
static char *sorted(const char *path) {
    char command[256];
    snprintf(command, sizeof command, "sed 's/[],]*$//' %s | sort > %s.sorted", path, path);
    ck_assert_int_eq(system(command), 0);
    snprintf(command, sizeof command, "%s.sorted", path);
    char *text = trace_build_slurp(command, NULL);
    unlink(command);
    return text;
}
static void same_json(const char *a, const char *b) {
    char *x = sorted(a), *y = sorted(b);
    ck_assert_str_eq(x, y);
    free(x);
    free(y);
}

/* .vzt -> .json -> .vzt -> .json: every step says the same. */
static void round_trip(uint32_t seed, bool gaps) {
    trace_random_build(&trace, seed, gaps);
    convert(trace.path, json);
    convert(json, native);
    ck_assert_uint_eq(result.unheld.marks + result.unheld.args + result.unheld.texts, 0);
    read_both(trace.path, native);
    ck_assert_str_eq(trace_source_kind(two.source), "vzt");
    ck_assert_uint_gt(two.totals.calls, 2000);
    ck_assert(!trace_source_info(two.source)->cut_off);
    convert(native, again);
    read_both(json, again);
}
START_TEST(test_vzt_round_trip_is_exact) { round_trip(7, false); }
END_TEST
START_TEST(test_vzt_round_trip_with_gaps_is_exact) { round_trip(8, true); }
END_TEST

/* A part of a .vzt as .json is what the part as .vzt becomes. */
static void part(void) {
    convert(trace.path, json);
    convert(trace.path, native);
    struct convert_result first = result;
    struct convert_opts kept = opts;
    opts = (struct convert_opts){.no_file_info = true};
    convert(native, again);
    same_json(json, again);
    result = first;
    opts = kept;
    record_free(&two);
    ck_assert_int_eq(record_file(&two, native, NULL, NULL), 0);
    ck_assert_msg(two.text[0] != 0, "nothing in the part");
}
START_TEST(test_vzt_keeps_a_slice) {
    static const char *const slices[] = {"..200us", "100us..300us", "50us.."};
    for (uint32_t i = 0; i < 2 * VT_ARRAY_LEN(slices); i++) {
        trace_random_build(&trace, 20 + i, i % 2);
        memset(&opts.select, 0, sizeof opts.select);
        ck_assert_int_eq(select_parse_slice(slices[i / 2], &opts.select), 0);
        part();
        trace_build_remove(&trace);
    }
}
END_TEST
START_TEST(test_vzt_keeps_matches) {
    trace_random_build(&trace, 31, false);
    ck_assert_int_eq(select_add_match(&opts.select, "f7"), 0);
    part();
    ck_assert_uint_gt(result.totals.unselected, 0);
}
END_TEST
/* Calls are announced here: the way without waiting. */
START_TEST(test_vzt_keeps_to_min_duration) {
    for (uint32_t i = 0; i < 6; i++) {
        trace_random_build(&trace, 40 + i, i % 2);
        opts.min_duration_ns = i < 4 ? 300 : 1;
        part();
        ck_assert(i >= 4 || result.totals.short_calls > 0);
        if (i % 2 == 0) ck_assert_uint_eq(two.totals.short_calls, result.totals.short_calls); /* model.h: ends lost in gaps */
        ck_assert_uint_eq(trace_source_info(two.source)->header->min_duration_ns, opts.min_duration_ns);
        trace_build_remove(&trace);
    }
}
END_TEST

/* The daemon kept a call that is just below the limit: readers leave it out, and so does the count of a copy. */
START_TEST(test_vzt_copy_counts_what_readers_see) {
    Vt__TraceHeader header = VT__TRACE_HEADER__INIT;
    Vt__Clock clock = VT__CLOCK__INIT;
    Vt__End end = VT__END__INIT;
    struct vt_event ev[] = {{.ticks = 1000, .type = VT_REC_CALL, .id = 1},
                            {.ticks = 1299, .type = VT_REC_RETURN, .id = 1},
                            {.ticks = 2000, .type = VT_REC_CALL, .id = 1},
                            {.ticks = 2300, .type = VT_REC_RETURN, .id = 1}};
    trace_build_open_bare(&trace);
    header.format = VT_TRACE_FORMAT;
    header.pid = 100;
    header.clock = VT_CLOCK_MONOTONIC_NS;
    header.min_duration_ns = 300;
    trace_build_frame(&trace, VT_FRAME_HEADER, &header.base);
    clock.real_ns = 5000000000ull;
    clock.hz = 1000000000;
    trace_build_frame(&trace, VT_FRAME_CLOCK, &clock.base);
    trace_build_letters(&trace);
    trace_build_block(&trace, 0, 9, 7, ev, VT_ARRAY_LEN(ev));
    end.events = 4;
    end.calls = 12;
    end.short_calls = 10;
    end.hooks_on_ticks = 900;
    end.hooks_off_ticks = 3000;
    trace_build_frame(&trace, VT_FRAME_END, &end.base);
    convert(trace.path, native);
    ck_assert_uint_eq(convert_calls(&result), 1);
    ck_assert_uint_eq(result.totals.short_calls, 11);
}
END_TEST

/* Byte for byte when nothing is asked. */
START_TEST(test_vzt_copy_is_exact) {
    char command[256];
    trace_random_build(&trace, 50, true);
    convert(trace.path, native);
    snprintf(command, sizeof command, "cmp %s %s", trace.path, native);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

/* Two threads of one ident, stacks open at attach, arguments, a counter in a call that has no call in it, raised ones, tasks. */
static void build_details(void) {
    static const uint8_t args[] = "\1\0\2\0x12\3\0\0\0abc";
    static const struct vt_pl_counter gc = {1, 13, 2};
    struct vt_event first[] = {
        {.ticks = 1000, .type = VT_REC_PAYLOAD, .id = VT_PL_ARGS, .payload = args, .payload_len = sizeof args - 1},
        {.ticks = 1000, .type = VT_REC_CALL, .id = 1},
        {.ticks = 1001, .type = VT_REC_TASK, .id = 5},
        {.ticks = 1002, .type = VT_REC_C_CALL, .id = 3},
        {.ticks = 1002, .type = VT_REC_PAYLOAD, .id = VT_PL_COUNTER, .payload = (const void *)&gc, .payload_len = sizeof gc},
        {.ticks = 1030, .type = VT_REC_C_RAISE, .id = 3},
        {.ticks = 1031, .type = VT_REC_TASK, .id = 0},
        {.ticks = 1040, .type = VT_REC_PAYLOAD, .id = VT_PL_RETVAL, .payload = (const uint8_t *)"-7", .payload_len = 2},
        {.ticks = 30000001040, .type = VT_REC_RETURN, .id = 1},
        {.ticks = 30000001041, .type = VT_REC_CALL, .id = 2},
    };
    struct vt_event second[] = {{.ticks = 5000, .type = VT_REC_CALL, .id = 2}, {.ticks = 5900, .type = VT_REC_RETURN, .id = 2}};
    Vt__Task task = VT__TASK__INIT;
    trace_build_open(&trace);
    trace_build_name(&trace, 1, 0, "f", "a.py", 1);
    trace_build_name(&trace, 2, 0, "g", "a.py", 5);
    trace_build_name(&trace, 3, 1, "read", "io", 0);
    task.id = 5;
    task.address = 0x77;
    task.name = (ProtobufCBinaryData){3, (uint8_t *)(uintptr_t) "job"};
    trace_build_frame(&trace, VT_FRAME_TASK, &task.base);
    trace_build_thread(&trace, 9, 100, 1, "MainThread");
    trace_build_thread(&trace, 9, 101, 2, "later");
    trace_build_thread(&trace, 8, 102, 0, "idle");
    trace_build_stack(&trace, 9, 900, 3, (uint32_t[]){2, 1, 2});
    trace_build_stack(&trace, 8, 900, 1, (uint32_t[]){1});
    trace_build_block(&trace, 0, 9, 100, first, VT_ARRAY_LEN(first));
    trace_build_block(&trace, 1, 9, 101, second, VT_ARRAY_LEN(second));
    trace_build_end(&trace, 880, 4);
}

/* Through .vzt the JSON is the same to the byte, but for the order of lines. */
START_TEST(test_vzt_keeps_details) {
    build_details();
    opts.log_async = true;
    opts.min_duration_ns = 1; /* else it is a copy; nothing is that short */
    convert(trace.path, native);
    opts.min_duration_ns = 0;
    convert(trace.path, json);
    convert(native, again);
    same_json(json, again);
    read_both(trace.path, native);
    ck_assert_uint_eq(two.totals.open, 5);
    const struct trace_info *info = trace_source_info(two.source);
    ck_assert_uint_eq(info->end->calls, 8);
    ck_assert_uint_eq(info->end->dropped, 4);
    ck_assert_uint_eq(info->real_minus_mono, 5000000000u);
    ck_assert_uint_eq(vt_clock_to_ns(&info->clock, info->hooks_on_ticks), 880);
    ck_assert_uint_eq(info->threads[0]->nstack, 3);
    char *text = trace_build_slurp(again, NULL);
    ck_assert(strstr(text, "\"func_args\":{\"x\":\"12\",\"abc\":\"\"}") && strstr(text, "\"return_value\":\"-7\""));
    ck_assert(strstr(text, "\"collected\":13") && strstr(text, "\"job\""));
    free(text);
    opts.log_async = false; /* tasks are threads in JSON */
    trace_build_remove(&trace);
    build_details();
    convert(trace.path, json);
    convert(json, native);
    ck_assert_uint_eq(result.unheld.marks + result.unheld.args, 0);
    convert(native, again);
    same_json(json, again);
}
END_TEST

#define X(pid, ts, dur, name, more)                                                                                              \
    "{\"ph\":\"X\",\"pid\":" #pid ",\"tid\":" #pid ",\"ts\":" #ts ",\"dur\":" #dur ",\"name\":\"" name "\"" more "}"

/* What has no place is counted; what is there besides it stays. */
START_TEST(test_vzt_counts_what_it_cannot_hold) {
    write_json(X(5, 10, 4, "a", ",\"args\":{\"func_args\":{\"x\":\"1\"},\"mine\":[\"no\",{\"func_args\":{\"y\":\"2\"}}]}") "," X(
        5, 20, 4, "b",
        ",\"args\":{\"return_value\":7,\"mine\":\"text\"}") "," X(5, 30, 4, "c",
                                                                  ",\"args\":{\"return_value\":\"7\"}") ",{\"ph\":\"i\",\"pid\":"
                                                                                                        "5,\"tid\":5,\"ts\":"
                                                                                                        "31,\"name\":\"note\","
                                                                                                        "\"cat\":\"mine\"}"
                                                                                                        ",{\"ph\":\"C\",\"pid\":"
                                                                                                        "5,\"tid\":5,\"ts\":"
                                                                                                        "32,\"name\":\"garbage "
                                                                                                        "collection\",\"args\":{"
                                                                                                        "\"other\":1}}");
    convert(json, native);
    ck_assert_uint_eq(result.unheld.marks, 1); /* its category */
    ck_assert_uint_eq(result.unheld.args, 2);
    convert(native, again);
    ck_assert_int_eq(record_file(&two, again, NULL, NULL), 0);
    ck_assert_str_eq(two.text, "call 5/5 a 10000..14000 args={\"func_args\":{\"x\":\"1\"}}\ncall 5/5 b 20000..24000\n"
                               "mark 5/5 i note 31000 cat=INSTANT s=t\nmark 5/5 C garbage collection 32000 args={\"other\":1}\n"
                               "call 5/5 c 30000..34000 args={\"return_value\":\"7\"}\n");
}
END_TEST

START_TEST(test_vzt_has_a_section_for_each_process) {
    write_json("{\"ph\":\"M\",\"pid\":5,\"name\":\"process_name\",\"args\":{\"name\":\"parent\"}}," X(5, 10, 4, "a", "") "," X(
        6, 11, 4, "b", "") "," X(5, 20, 4, "b", ""));
    convert(json, native);
    ck_assert_int_eq(record_file(&two, native, NULL, NULL), 0);
    ck_assert_str_eq(two.text, "call 5/5 a 10000..14000\ncall 5/5 b 20000..24000\ncall 6/6 b 11000..15000\n");
    ck_assert_uint_eq(two.info->nprocesses, 2);
    ck_assert_int_eq(memcmp(two.info->processes[0]->name, "parent", 6), 0);
    ck_assert(!two.info->cut_off);
    size_t len;
    char *bytes = trace_build_slurp(native, &len);
    ck_assert_ptr_nonnull(memmem(bytes + 8, 16, "\x08\x02", 2)); /* the format's number, which older programs refuse */
    free(bytes);
    ck_assert_int_eq(select_add_pid(&opts.select, "6"), 0);
    convert(json, native);
    record_free(&two);
    ck_assert_int_eq(record_file(&two, native, NULL, NULL), 0);
    ck_assert_str_eq(two.text, "call 6/6 b 11000..15000\n");
}
END_TEST

/* Two parts of one process. */
START_TEST(test_vzt_combines_parts) {
    write_json(X(100, 5000, 4, "late", ""));
    trace_random_build(&trace, 60, false);
    opts.inputs = (const char *const[]){json, trace.path};
    opts.ninputs = 2;
    convert(NULL, native);
    convert(NULL, again);
    ck_assert_int_eq(record_file(&one, again, NULL, NULL), 0);
    ck_assert_int_eq(record_file(&two, native, NULL, NULL), 0);
    record_sort(&one); /* between threads the order of the file counts */
    record_sort(&two);
    record_same(&two, &one);
    ck_assert_ptr_nonnull(strstr(two.text, "late"));
    ck_assert_ptr_nonnull(strstr(two.text, " open\n"));
}
END_TEST

/* What a trace without an end says is not said to be whole. */
START_TEST(test_vzt_cut_off_stays_cut_off) {
    trace_build_open(&trace);
    trace_build_letters(&trace);
    trace_build_calls(&trace, 0, 9, 1000, 100, "(a (b b) (c c) a) (d");
    opts.min_duration_ns = 1;
    convert(trace.path, native);
    ck_assert(result.cut_off);
    read_both(trace.path, native);
    ck_assert(trace_source_info(two.source)->cut_off);
}
END_TEST

START_TEST(test_vzt_refuses_what_it_cannot_hold) {
    trace_random_build(&trace, 70, false);
    opts.input = trace.path;
    opts.output = native;
    opts.newest_calls = 10;
    ck_assert_int_eq(convert_trace(&opts, &result, &err), -EINVAL);
    ck_assert_msg(strstr(err.msg, "--tracer_entries is for"), "%s", err.msg);
    ck_assert_int_lt(access(native, F_OK), 0);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_vzt_round_trip_is_exact,
                                  test_vzt_round_trip_with_gaps_is_exact,
                                  test_vzt_keeps_a_slice,
                                  test_vzt_keeps_matches,
                                  test_vzt_keeps_to_min_duration,
                                  test_vzt_copy_counts_what_readers_see,
                                  test_vzt_copy_is_exact,
                                  test_vzt_keeps_details,
                                  test_vzt_counts_what_it_cannot_hold,
                                  test_vzt_has_a_section_for_each_process,
                                  test_vzt_combines_parts,
                                  test_vzt_cut_off_stays_cut_off,
                                  test_vzt_refuses_what_it_cannot_hold};
    return case_main("cli/vzt", tests, VT_ARRAY_LEN(tests), set_up, tear_down);
}
