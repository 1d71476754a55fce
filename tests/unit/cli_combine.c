/* Several traces as one: times, processes, names, source texts, files that are none. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/convert/convert.h"
#include "cli/convert/source_many.h"
#include "tests/lib/case.h"
#include "tests/lib/record.h"
#include "tests/lib/trace_build.h"

#define FILES 3
static char paths[FILES][40];
static const char *path_list[FILES];
static struct record rec;
static char notes[2048];

static void set_up(void) {
    for (size_t i = 0; i < FILES; i++) {
        strcpy(paths[i], "/tmp/combine-XXXXXX");
        close(mkstemp(paths[i]));
        path_list[i] = paths[i];
    }
    memset(&rec, 0, sizeof rec);
    notes[0] = 0;
}
static void tear_down(void) {
    record_free(&rec);
    for (size_t i = 0; i < FILES; i++) unlink(paths[i]);
}

static void write_file(size_t i, const char *text) {
    FILE *f = fopen(paths[i], "wb");
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

static void take_note(void *arg, const char *text) {
    (void)arg;
    strncat(notes, text, sizeof notes - strlen(notes) - 2);
    strcat(notes, "\n");
}

static int run(size_t n, bool align) {
    struct join_opts opts = {.align = align, .note = take_note};
    int rc = source_many_open(path_list, n, &opts, &rec.source, &rec.err);
    return rc ? rc : record_run(&rec, rec.source, NULL);
}
static void check(size_t n, bool align, const char *want) {
    int rc = run(n, align);
    ck_assert_msg(rc == 0, "%s", rec.err.msg);
    ck_assert_str_eq(rec.text, want);
    ck_assert_int_eq(record_run(&rec, rec.source, NULL), 0);
    ck_assert_str_eq(rec.text, want);
}

#define X(pid, ts, name) "{\"ph\":\"X\",\"pid\":" #pid ",\"tid\":" #pid ",\"ts\":" #ts ",\"dur\":3,\"name\":\"" name "\"}"
#define TRACE(events, meta) "{\"traceEvents\":[" events "],\"viztracer_metadata\":{" meta "}}"

/* As VizTracer's --combine: times stay, overflow counts for all. */
START_TEST(test_combine_joins_two) {
    write_file(0, TRACE(X(5, 20, "f (a.py:1)") "," X(5, 30, "g (a.py:2)"), "\"baseTimeNanoseconds\":1000000"));
    write_file(1, TRACE(X(6, 10, "f (a.py:1)"), "\"overflow\":true,\"baseTimeNanoseconds\":2000000"));
    check(2, false, "call 6/6 f (a.py:1) 10000..13000\ncall 5/5 f (a.py:1) 20000..23000\ncall 5/5 g (a.py:2) 30000..33000\n");
    ck_assert_uint_eq(rec.info->nnames, 3); /* with that of unknown ones: f is one name */
    ck_assert_uint_eq(rec.info->nprocesses, 2);
    ck_assert_uint_eq(rec.info->real_minus_mono, 2000000);
    ck_assert_uint_eq(rec.info->first_ns, 10000);
    ck_assert_uint_eq(rec.info->last_ns, 33000);
    ck_assert(rec.info->overflow);
    ck_assert_uint_eq(rec.totals.calls, 3);
    ck_assert_uint_eq(rec.totals.threads, 2);
    ck_assert_str_eq(notes, "");
}
END_TEST

/* Sync markers at one time, else first events; nothing before 0. */
START_TEST(test_combine_aligns_starts) {
    write_file(0, TRACE(X(5, 10, "f"), "\"baseTimeNanoseconds\":9000000000"));
    write_file(1, TRACE(X(6, 1010, "f") "," X(6, 1020, "g"), "\"sync_marker\":1012.5"));
    write_file(2, TRACE(X(7, 500, "f"), "\"sync_marker\":400,\"baseTimeNanoseconds\":1000000"));
    check(3, true, "call 6/6 f 0..3000\ncall 6/6 g 10000..13000\ncall 5/5 f 2500..5500\ncall 7/7 f 102500..105500\n");
    ck_assert_uint_eq(rec.info->real_minus_mono + 2500, 9000000000u + 10000); /* the first one keeps its date */
}
END_TEST

START_TEST(test_combine_places_other_machines_by_wall_clock) {
    write_file(0, TRACE(X(5, 10, "f"), "\"baseTimeNanoseconds\":1000000000000000000"));
    write_file(1, TRACE(X(6, 900, "f"), "\"baseTimeNanoseconds\":1000000005000000000"));
    write_file(2, TRACE(X(7, 20, "no base"), ""));
    check(3, false, "call 5/5 f 10000..13000\ncall 7/7 no base 20000..23000\ncall 6/6 f 5000900000..5000903000\n");
    ck_assert_msg(strstr(notes, paths[1]) && strstr(notes, "wall clock"), "%s", notes);
    ck_assert_uint_eq(rec.info->real_minus_mono, 1000000000000000000u);
}
END_TEST

/* One pid in two traces: one process when they follow each other, two when they overlap. */
START_TEST(test_combine_parts_of_one_pid) {
    write_file(0, TRACE("{\"ph\":\"B\",\"pid\":5,\"tid\":5,\"ts\":9,\"name\":\"open\"}," X(5, 10, "f"), ""));
    write_file(1, TRACE(X(5, 40, "f"), ""));
    write_file(
        2, TRACE("{\"ph\":\"M\",\"pid\":5,\"tid\":5,\"name\":\"process_name\",\"args\":{\"name\":\"P\"}}," X(5, 41, "f"), ""));
    check(2, false, "call 5/5 f 10000..13000\ncall 5/5 open 9000..13000 open\ncall 5/5 f 40000..43000\n");
    ck_assert_uint_eq(rec.info->nprocesses, 1);
    ck_assert_str_eq(notes, "");
    record_free(&rec);
    check(3, false,
          "call 5/5 f 10000..13000\ncall 5/5 open 9000..13000 open\ncall 5/5 f 40000..43000\ncall 1073741825/5 f 41000..44000\n");
    ck_assert_uint_eq(rec.info->processes[1]->name_len, strlen("P (5 of trace 3)"));
    ck_assert_int_eq(memcmp(rec.info->processes[1]->name, "P (5 of trace 3)", 16), 0);
    ck_assert_int_eq(memcmp(rec.info->threads[2]->name, "MainThread", 10), 0);
    ck_assert_msg(strstr(notes, "process 5"), "%s", notes);
}
END_TEST

START_TEST(test_combine_leaves_out_what_is_no_trace) {
    write_file(0, TRACE(X(5, 10, "f"), ""));
    write_file(1, "hello");
    write_file(2, "{\"traceEvents\":[" X(6, 20, "f") ",{");
    check(3, false, "call 5/5 f 10000..13000\ncall 6/6 f 20000..23000\n");
    ck_assert_msg(strstr(notes, paths[1]) && strstr(notes, "left out"), "%s", notes);
    ck_assert_msg(strstr(notes, paths[2]) && strstr(notes, "in the middle"), "%s", notes);
    ck_assert(rec.info->cut_off);
    record_free(&rec);
    write_file(0, "{\"traceEvents\":[");
    path_list[1] = "/nowhere/x.json";
    ck_assert_int_eq(run(1, false), -EBADMSG);
    rec.err = (struct vt_err){0};
    ck_assert_int_eq(run(2, false), -ENOENT);
    ck_assert_msg(strstr(rec.err.msg, "/nowhere/x.json"), "%s", rec.err.msg);
}
END_TEST

/* A native trace and a JSON one, into a file; and a part of it. */
START_TEST(test_combine_mixes_formats) {
    struct trace_build b;
    struct vt_event ev[] = {{.ticks = 20000, .type = VT_REC_CALL, .id = 1}, {.ticks = 21000, .type = VT_REC_RETURN, .id = 1}};
    trace_build_open(&b);
    trace_build_name(&b, 1, 0, "f", "a.py", 1);
    trace_build_block(&b, 0, 9, 100, ev, 2);
    trace_build_end(&b, 0, 0);
    write_file(0, "{\"traceEvents\":[" X(5, 10, "f (a.py:1)") "],\"file_info\":{\"files\":{\"a.py\":[\"old\",1]}}}");
    write_file(1, "{\"traceEvents\":[" X(6, 30, "f (a.py:1)") "],\"file_info\":{\"files\":{\"a.py\":[\"new\",1]}}}");
    path_list[2] = b.path;
    char out[96];
    snprintf(out, sizeof out, "%s.json", b.path);
    struct convert_result result;
    struct vt_err err = {0};
    struct convert_opts opts = {.inputs = path_list, .ninputs = 3, .output = out};
    ck_assert_msg(convert_trace(&opts, &result, &err) == 0, "%s", err.msg);
    ck_assert_uint_eq(result.totals.calls, 3);
    ck_assert_int_eq(record_file(&rec, out, NULL, NULL), 0);
    ck_assert_str_eq(
        rec.text, "call 5/5 f (a.py:1) 10000..13000\ncall 100/100 f (a.py:1) 20000..21000\ncall 6/6 f (a.py:1) 30000..33000\n");
    const struct trace_text *text = text_map_get(&rec.info->texts, "a.py", 4);
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(memcmp(text->json, "\"new\"", text->len), 0);
    record_free(&rec);
    ck_assert_int_eq(select_add_pid(&opts.select, "100"), 0);
    ck_assert_int_eq(convert_trace(&opts, &result, &err), 0);
    ck_assert_uint_eq(result.totals.unselected, 2);
    opts.output = paths[0];
    ck_assert_int_eq(convert_trace(&opts, &result, &err), -EINVAL); /* over an input */
    trace_build_remove(&b);
    unlink(out);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_combine_joins_two,
                                  test_combine_aligns_starts,
                                  test_combine_places_other_machines_by_wall_clock,
                                  test_combine_parts_of_one_pid,
                                  test_combine_leaves_out_what_is_no_trace,
                                  test_combine_mixes_formats};
    return case_main("cli/combine", tests, VT_ARRAY_LEN(tests), set_up, tear_down);
}
