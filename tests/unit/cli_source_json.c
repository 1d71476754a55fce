/* Chrome JSON as a source: what each kind of event becomes, order and nesting, source text, and files that mean harm. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "cli/base/buf.h"
#include "cli/convert/convert.h"
#include "cli/format/json/json_words.h"
#include "tests/lib/case.h"
#include "tests/lib/record.h"
#include "tests/lib/trace_build.h"
#include "tests/lib/trace_random.h"

static char path[] = "/tmp/source-json-XXXXXX";
static struct record rec;

static void set_up(void) {
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    memset(&rec, 0, sizeof rec);
}
static void tear_down(void) {
    record_free(&rec);
    unlink(path);
}

static void write_file(const char *text, size_t len) {
    FILE *f = fopen(path, "wb");
    ck_assert_uint_eq(fwrite(text, 1, len, f), len);
    ck_assert_int_eq(fclose(f), 0);
}
static int run_text(const char *text) {
    write_file(text, strlen(text));
    return record_file(&rec, path, NULL, NULL);
}
static void check(const char *text, const char *want) {
    int rc = run_text(text);
    ck_assert_msg(rc == 0, "%s", rec.err.msg);
    ck_assert_str_eq(rec.text, want);
}

#define X(tid, ts, dur, name) "{\"ph\":\"X\",\"pid\":5,\"tid\":" #tid ",\"ts\":" #ts ",\"dur\":" #dur ",\"name\":\"" name "\"}"

START_TEST(test_source_json_reads_calls_names_and_metadata) {
    check("{\"traceEvents\":["
          "{\"ph\":\"M\",\"pid\":5,\"tid\":5,\"name\":\"process_name\",\"args\":{\"name\":\"Pr\\u00e9\"}},"
          "{\"ph\":\"M\",\"pid\":5,\"tid\":6,\"name\":\"thread_name\",\"args\":{\"name\":\"T6\"}},"
          "{\"pid\":5,\"tid\":6,\"ts\":11.5,\"ph\":\"X\",\"dur\":0.7043484304938497,\"name\":\"list.append\",\"cat\":\"FEE\"},"
          "{\"pid\":5,\"tid\":6,\"ts\":11,\"ph\":\"X\",\"dur\":2,\"name\":\"A.f.<locals>.g (a (1).py:12)\","
          "\"args\":{\"func_args\":{\"x\":\"\\ud800\"} , \"n\":[1,{}]},\"cat\":\"FEE\"},"
          "{\"pid\":5,\"tid\":5,\"ts\":12e0,\"ph\":\"B\",\"name\":\"main (m.py:1)\",\"args\":null}"
          "],\"viztracer_metadata\":{\"overflow\":true,\"baseTimeNanoseconds\":1795167637314728947,\"sync_marker\":11.25}}",
          "call 5/6 list.append 11500..12204\n"
          "call 5/6 A.f.<locals>.g (a (1).py:12) 11000..13000 args={\"func_args\":{\"x\":\"\\ud800\"} , \"n\":[1,{}]}\n"
          "call 5/5 main (m.py:1) 12000..13000 open args=null\n");
    ck_assert_uint_eq(rec.totals.calls, 2);
    ck_assert_uint_eq(rec.totals.open, 1);
    ck_assert_uint_eq(rec.totals.threads, 2);
    ck_assert_str_eq(rec.info->processes[0]->name + 0, rec.info->processes[0]->name);
    ck_assert_int_eq(memcmp(rec.info->processes[0]->name, "Pr\xc3\xa9", 4), 0);
    ck_assert_int_eq(memcmp(rec.info->threads[0]->name, "T6", 2), 0);
    ck_assert(rec.info->overflow);
    ck_assert_uint_eq(rec.info->real_minus_mono, 1795167637314728947u);
    ck_assert_uint_eq(rec.info->sync_ns, 11250);
    ck_assert_uint_eq(rec.info->first_ns, 11000);
    ck_assert_uint_eq(rec.info->last_ns, 13000);
    const struct trace_name *g = id_table_get(&rec.info->names, 2);
    ck_assert_uint_eq(g->line, 12);
    ck_assert_int_eq(memcmp(g->file, "a (1).py", g->file_len), 0);
    ck_assert_uint_eq(g->kind, 0);
}
END_TEST

START_TEST(test_source_json_names_are_written_as_they_were) {
    static const char *const names[] = {"f (a.py:1)",        "f (a.py:01)",     "f (a.py:)", "f (a.py:99999999999)",
                                        "(a.py:1)",          "my (x) (a.py:3)", "x:1)",      " (:0)",
                                        "builtins.len",      "f (a.py:0)",      "a ( (b:1)", "a ) (b:1)",
                                        "f (<frozen x>:12)", "f (a)b.py:4)",    ""};
    for (size_t i = 0; i < VT_ARRAY_LEN(names); i++) {
        char text[256], want[256];
        snprintf(text, sizeof text, "[{\"ph\":\"X\",\"ts\":1,\"dur\":1,\"pid\":1,\"tid\":1,\"name\":\"%s\"}]", names[i]);
        snprintf(want, sizeof want, "call 1/1 %s 1000..2000\n", names[i]);
        check(text, want);
        record_free(&rec);
    }
}
END_TEST

/* As our writer has them, as other programs write them again, and what only looks like it. */
START_TEST(test_source_json_unfinished_calls) {
    check("[{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":2,\"dur\":3,\"name\":\"a\",\"args\":{\"unfinished\":true}},"
          "{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":1,\"dur\":4,\"name\":\"b\",\"args\":{\"x\": {\"unfinished\":[\"}\\\"\"]}, "
          "\"unfinished\": true , \"y\":1}},"
          "{\"ph\":\"X\",\"pid\":1,\"tid\":2,\"ts\":2,\"dur\":3,\"name\":\"c\",\"args\":{\"unfinished\":false}},"
          "{\"ph\":\"X\",\"pid\":1,\"tid\":2,\"ts\":1,\"dur\":4,\"name\":\"d\",\"args\":{\"func_args\":{\"unfinished\":true}}},"
          "{\"ph\":\"M\",\"pid\":1,\"tid\":1,\"ts\":0.5,\"dur\":9,\"name\":\"tracing\",\"args\":{}},"
          "{\"ph\":\"B\",\"pid\":1,\"tid\":3,\"ts\":4,\"name\":\"e\"}]",
          "call 1/1 a 2000..5000 open\ncall 1/1 b 1000..5000 open args={\"x\": {\"unfinished\":[\"}\\\"\"]},\"y\":1}\n"
          "call 1/2 c 2000..5000 args={\"unfinished\":false}\n"
          "call 1/2 d 1000..5000 args={\"func_args\":{\"unfinished\":true}}\ncall 1/3 e 4000..9500 open\n");
    ck_assert_uint_eq(rec.totals.calls, 2);
    ck_assert_uint_eq(rec.totals.open, 3);
    ck_assert_uint_eq(rec.info->last_ns, 9500);
}
END_TEST

START_TEST(test_source_json_pairs_begin_and_end) {
    check(
        "[{\"ph\":\"B\",\"pid\":1,\"tid\":1,\"ts\":1,\"name\":\"a\"},{\"ph\":\"B\",\"pid\":1,\"tid\":1,\"ts\":2,\"name\":\"b\"},"
        "{\"ph\":\"E\",\"pid\":1,\"tid\":1,\"ts\":3,\"args\":{\"r\":1}},{\"ph\":\"B\",\"pid\":1,\"tid\":1,\"ts\":4,\"name\":"
        "\"lost\"},"
        "{\"ph\":\"E\",\"pid\":1,\"tid\":1,\"ts\":5,\"name\":\"a\"},{\"ph\":\"E\",\"pid\":1,\"tid\":1,\"ts\":6},"
        "{\"ph\":\"B\",\"pid\":1,\"tid\":1,\"ts\":7,\"name\":\"o1\"},{\"ph\":\"B\",\"pid\":1,\"tid\":1,\"ts\":8,\"name\":\"o2\"}"
        "]",
        "call 1/1 b 2000..3000 args={\"r\":1}\ncall 1/1 lost 4000..5000\ncall 1/1 a 1000..5000\n"
        "call 1/1 o2 8000..8000 open\ncall 1/1 o1 7000..8000 open\n");
    ck_assert_uint_eq(rec.totals.unmatched, 1);
}
END_TEST

START_TEST(test_source_json_reads_marks_gaps_and_texts_as_numbers) {
    check("{\"displayTimeUnit\":\"ns\",\"traceEvents\":["
          "{\"ph\":\"i\",\"pid\":1,\"tid\":2,\"ts\":1.0004,\"name\":\"inst\",\"cat\":\"INSTANT\",\"args\":null,\"s\":\"t\"},"
          "{\"ph\":\"I\",\"pid\":1,\"tid\":2,\"ts\":1.0006,\"name\":\"old\"},"
          "{\"ph\":\"C\",\"pid\":1,\"ts\":2,\"name\":\"cnt\",\"args\":{\"a\":1.5}},"
          "{\"ph\":\"O\",\"pid\":1,\"tid\":2,\"ts\":3,\"name\":\"ob\",\"id\":140325,\"args\":{\"snapshot\":{}}},"
          "{\"ph\":\"i\",\"pid\":1,\"tid\":2,\"ts\":4,\"name\":\"events dropped\",\"args\":{\"count\":77},\"s\":\"t\"},"
          "{\"ph\":\"v\",\"pid\":1,\"tid\":2,\"ts\":4,\"name\":\"unknown kind\"},"
          "{\"ph\":\"X\",\"pid\":\"Spans\",\"tid\":\"stream 7\",\"ts\":9,\"dur\":1,\"name\":\"k\"}],"
          "\"viztracer_metadata\":{\"dropped_events\":80}}",
          "mark 1/2 i inst 1000 cat=INSTANT s=t args=null\nmark 1/2 i old 1001\nmark 1/1 C cnt 2000 args={\"a\":1.5}\n"
          "mark 1/2 O ob 3000 id=140325 args={\"snapshot\":{}}\ngap 1/2 4000 77\n"
          "call 1073741825/1073741826 k 9000..10000\n");
    ck_assert_uint_eq(rec.totals.dropped, 80);
    ck_assert_int_eq(memcmp(rec.info->processes[1]->name, "Spans", 5), 0);
    ck_assert_int_eq(memcmp(rec.info->threads[2]->name, "stream 7", 8), 0);
}
END_TEST

/* Start and length are rounded each on its own: a nanosecond too much must not break the nesting. */
START_TEST(test_source_json_rounding_is_mended) {
    check("[" X(1, 10, 1.9996, "first") "," X(1, 11.999, 1, "second") "," X(1, 10, 2.9985, "parent") "," X(1, 9, 3.9999,
                                                                                                           "above") "]",
          "call 5/1 first 10000..12000\ncall 5/1 second 12000..12999\ncall 5/1 parent 9999..12999\ncall 5/1 above 9000..13000\n");
    ck_assert_uint_eq(rec.totals.cut, 0);
}
END_TEST

/* Calls of no length, one in another: each is moved into the one around it, and none ends before it begins. */
START_TEST(test_source_json_calls_moved_inside_never_end_early) {
    check("[" X(1, 20, 1, "late") "," X(1, 10, 0.001, "c") "," X(1, 10, 0.001, "b") "," X(1, 10, 0.001, "a") "]",
          "call 5/1 c 10001..10001\ncall 5/1 b 10001..10001\ncall 5/1 a 10000..10001\ncall 5/1 late 20000..21000\n");
}
END_TEST

/* Any order is put right, thread by thread; what reaches out of the call around it ends with it. */
START_TEST(test_source_json_order_is_made) {
    check("[" X(1, 1, 100, "outer") "," X(1, 2, 10, "in1") "," X(1, 5, 2, "in2") "," X(2, 1, 1, "other") "," X(
              1, 50, 100, "reaches out") ","
                                         "{\"ph\":\"B\",\"pid\":5,\"tid\":1,\"ts\":0.5,\"name\":\"open\"}," X(
                                             1, 200, 1, "late") "," X(1, 200, 1, "its caller") "]",
          "call 5/2 other 1000..2000\n"
          "call 5/1 in2 5000..7000\ncall 5/1 in1 2000..12000\ncall 5/1 reaches out 50000..101000\ncall 5/1 outer 1000..101000\n"
          "call 5/1 late 200001..201000\ncall 5/1 its caller 200000..201000\ncall 5/1 open 500..201000 open\n");
    ck_assert_uint_eq(rec.totals.cut, 1);
    struct run_opts opts = {.min_duration_ns = 2000};
    ck_assert_int_eq(record_run(&rec, rec.source, &opts), 0);
    ck_assert_uint_eq(rec.totals.short_calls, 3);
    ck_assert_ptr_null(strstr(rec.text, "late"));
}
END_TEST

/* What came before a damaged place is kept, and the place is named. */
START_TEST(test_source_json_damage_keeps_what_is_before) {
    static const struct {
        const char *text, *why;
    } files[] = {
        {"{\"traceEvents\":[" X(1, 1, 1, "f") ",{\"ph\":\"X\",\"ts\"", "ends in the middle"},
        {"{\"traceEvents\":[" X(1, 1, 1, "f") ",{\"ph\":\"X\",\"ts\":Nan}]}", "damaged at byte"},
        {"{\"traceEvents\":[" X(1, 1, 1, "f") ",{\"ph\":\"X\",\"name\":\"\xff\"}]}", "invalid bytes in UTF8"},
        {"{\"traceEvents\":[" X(1, 1, 1, "f") "],\"x\":01}", "damaged at byte"},
        {"[" X(1, 1, 1, "f"), "ends in the middle"},
    };
    for (size_t i = 0; i < VT_ARRAY_LEN(files); i++) {
        check(files[i].text, "call 5/1 f 1000..2000\n");
        ck_assert_msg(strstr(rec.info->damage.msg, files[i].why), "%zu: %s", i, rec.info->damage.msg);
        ck_assert(rec.info->cut_off);
        record_free(&rec);
    }
    ck_assert_int_eq(run_text("{\"name\":\"x\",\"version\":[1]}"), -EBADMSG);
    ck_assert_msg(strstr(rec.err.msg, path) && strstr(rec.err.msg, "without traceEvents"), "%s", rec.err.msg);
    record_free(&rec);
    ck_assert_int_eq(run_text("[1,2,3]"), -EBADMSG);
    record_free(&rec);
    check("{\"traceEvents\":[]}", "");
    ck_assert_int_eq(rec.info->damage.code, 0);
}
END_TEST

/* Wrong types, keys twice, numbers out of this world: such events count for nothing, the others stay. */
START_TEST(test_source_json_strange_events_are_safe) {
    check("{\"traceEvents\":[1,null,[{\"ph\":\"X\",\"ts\":1}],{},{\"ph\":5,\"ts\":1},{\"ph\":\"X\",\"ts\":\"1x\"},{\"ph\":\"X\","
          "\"ts\":1e300},"
          "{\"ph\":\"X\",\"ts\":99999999999999999999},{\"ph\":\"XY\",\"ts\":1},{\"ph\":\"\",\"ts\":1},{\"ph\":\"X\"},"
          "{\"ph\":\"X\",\"ph\":\"X\",\"pid\":{},\"tid\":[1],\"ts\":5,\"ts\":-3.5,\"dur\":1e-3,\"name\":\"a\",\"name\":\"b\","
          "\"args\":[[],{\"name\":1}]}"
          "],\"traceEvents\":[" X(1, 9, 1, "again") "],\"file_info\":[],\"viztracer_metadata\":null}",
          "call 0/0 b 0..1 args=[[],{\"name\":1}]\ncall 5/1 again 9000..10000\n");
}
END_TEST

static size_t put_nested(char *text, size_t depth) {
    size_t n = (size_t)sprintf(text, "[{\"ph\":\"X\",\"ts\":1,\"name\":\"f\"},{\"ph\":\"X\",\"ts\":1,\"dur\":1,\"args\":{\"a\":");
    memset(text + n, '[', depth);
    memset(text + n + depth, ']', depth);
    return n + 2 * depth;
}

/* 10 MB of a name, 50,000 arrays in one another: passed on. 70 MB of a name, a million arrays: damage. */
START_TEST(test_source_json_reads_large_and_deep_values) {
    size_t len = 10u << 20;
    char *text = malloc(8 * len), out[64];
    struct convert_result result;
    struct vt_err err = {0};
    struct convert_opts opts = {.input = path, .output = out};
    ck_assert_ptr_nonnull(text);
    snprintf(out, sizeof out, "%s.json", path);
    size_t n = put_nested(text, 50000);
    n += (size_t)sprintf(text + n, "},\"name\":\"");
    memset(text + n, 'n', len);
    n += len;
    n += (size_t)sprintf(text + n, " (a.py:3)\"}]");
    write_file(text, n);
    ck_assert_msg(convert_trace(&opts, &result, &err) == 0, "%s", err.msg);
    ck_assert_str_eq(result.damage, "");
    ck_assert_uint_eq(result.totals.calls, 2);
    ck_assert_uint_gt(result.bytes, n);
    write_file(text, put_nested(text, 1000000));
    ck_assert_int_eq(convert_trace(&opts, &result, &err), 0);
    ck_assert_msg(strstr(result.damage, "too deep"), "%s", result.damage);
    ck_assert_uint_eq(result.totals.calls, 1);
    n = put_nested(text, 0);
    memset(text + n - 4, '"', 1);
    memset(text + n - 3, 'x', 7 * len);
    write_file(text, n + 7 * len - 3);
    ck_assert_int_eq(convert_trace(&opts, &result, &err), 0);
    ck_assert_msg(strstr(result.damage, "more than 64 MiB"), "%s", result.damage);
    unlink(out);
    free(text);
}
END_TEST

START_TEST(test_source_json_reads_gzip_whole_and_cut) {
    gzFile f = gzopen(path, "wb");
    gzputs(f, "[");
    for (int i = 0; i < 20000; i++)
        gzprintf(f, "%s{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":%d,\"dur\":0.%03d,\"name\":\"f\"}", i ? "," : "", i,
                 i * 7 % 1000);
    gzputs(f, "]");
    gzclose(f);
    ck_assert_int_eq(record_file(&rec, path, NULL, NULL), 0);
    ck_assert_uint_eq(rec.totals.calls, 20000);
    ck_assert_int_eq(rec.info->damage.code, 0);
    record_free(&rec);
    size_t len;
    char *bytes = trace_build_slurp(path, &len);
    ck_assert_int_eq(truncate(path, (off_t)len / 2), 0);
    ck_assert_int_eq(record_file(&rec, path, NULL, NULL), 0);
    ck_assert_msg(strstr(rec.info->damage.msg, "gzip data ends early"), "%s", rec.info->damage.msg);
    ck_assert_uint_gt(rec.totals.calls, 5000);
    ck_assert_uint_lt(rec.totals.calls, 15000);
    free(bytes);
}
END_TEST

/* Source text of the file comes along; the machine's own files are never looked at. */
START_TEST(test_source_json_file_info_comes_along) {
    static const char text[] = "{\"traceEvents\":[" X(1, 1, 1, "f (/etc/passwd:1)") "," X(1, 3, 1, "g (b.py:2)") "," X(
        1, 5, 1, "h (c.py:2)") "],"
                               "\"file_info\":{\"files\":{\"b.py\":[\"\\u0041 = "
                               "\\\"1\\\"\\n\",1],\"unused.py\":[\"x\",0],\"c.py\":[7,1]},\"functions\":{}}}";
    struct convert_result result;
    struct vt_err err = {0};
    char out[64];
    write_file(text, sizeof text - 1);
    snprintf(out, sizeof out, "%s.json", path);
    struct convert_opts opts = {.input = path, .output = out};
    ck_assert_msg(convert_trace(&opts, &result, &err) == 0, "%s", err.msg);
    char *json = trace_build_slurp(out, NULL), *info = strstr(json, "\"file_info\":");
    ck_assert_ptr_nonnull(info);
    ck_assert_str_eq(info, "\"file_info\":{\"files\":{\"b.py\":[\"\\u0041 = \\\"1\\\"\\n\",1]},\n"
                           "\"functions\":{\"g (b.py:2)\":[\"b.py\",2]}}}\n");
    free(json);
    unlink(out);
}
END_TEST

/* .vzt to JSON and JSON to JSON say the same thing. */
static void round_trip(bool gaps) {
    struct trace_build b;
    struct record one, two;
    char first[96], second[96];
    trace_random_build(&b, 7, gaps);
    snprintf(first, sizeof first, "%s.json", b.path);
    snprintf(second, sizeof second, "%s.2.json.gz", b.path);
    trace_random_convert(b.path, first);
    trace_random_convert(first, second);
    ck_assert_int_eq(record_file(&one, b.path, NULL, NULL), 0);
    ck_assert_int_eq(record_file(&rec, first, NULL, NULL), 0);
    ck_assert_int_eq(record_file(&two, second, NULL, NULL), 0);
    ck_assert_uint_gt(one.totals.calls, 2500);
    record_same(&rec, &one);
    record_same(&two, &one);
    record_free(&one);
    record_free(&two);
    unlink(first);
    unlink(second);
    trace_build_remove(&b);
}
START_TEST(test_source_json_round_trip_is_exact) { round_trip(false); }
END_TEST
START_TEST(test_source_json_round_trip_with_gaps_is_exact) { round_trip(true); }
END_TEST

/* ---- files of other programs ---- */

START_TEST(test_source_json_times_may_be_strings) {
    check("[{\"ph\":\"X\",\"pid\":7,\"tid\":8,\"ts\":\"1747100000123456.750\",\"dur\":\"5.25\",\"name\":\"aten::add\"}]",
          "call 7/8 aten::add 1747100000123456750..1747100000123462000\n");
}
END_TEST

/* Python's json writes these words. In strings they are text. */
START_TEST(test_source_json_nan_and_infinity_are_read) {
    check("[{\"ph\":\"C\",\"pid\":1,\"tid\":1,\"ts\":1,\"name\":\"NaN \\\" Infinity\",\"args\":{\"x\":NaN,\"y\":-Infinity,"
          "\"z\":[Infinity,-1,1e-5,\"-Infinity \\\\\"]}},{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":NaN,\"name\":\"no time\"},"
          "{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":2,\"dur\":NaN,\"name\":\"f\"}]",
          "mark 1/1 C NaN \" Infinity 1000 args={\"x\":\"NaN\",\"y\":\"-Infinity\",\"z\":[\"Infinity\",-1,1e-5,\"-Infinity "
          "\\\\\"]}\ncall 1/1 f 2000..2000\n");
    ck_assert_int_eq(rec.info->damage.code, 0);
    static const char *const bad[] = {"[" X(1, 1, 1, "f") ",Nan]", "[" X(1, 1, 1, "f") ",-Infinit]", "[" X(1, 1, 1, "f") ",1NaN]",
                                      "[" X(1, 1, 1, "f") ",NaNa]", "[" X(1, 1, 1, "f") ",N"};
    for (size_t i = 0; i < VT_ARRAY_LEN(bad); i++) {
        record_free(&rec);
        ck_assert_int_eq(run_text(bad[i]), 0);
        ck_assert_int_eq(rec.info->damage.code, -EBADMSG);
        ck_assert_uint_eq(rec.totals.calls, 1);
    }
}
END_TEST

/* What the search makes of a text that comes in pieces of these lengths, and then whole. */
static void pieces_of(const char *text, size_t first, size_t second, struct buf *to) {
    struct json_words w = {0};
    size_t len = strlen(text), at = 0, ends[] = {first, first + second, len};
    for (size_t i = 0; i < VT_ARRAY_LEN(ends); i++)
        while (at < ends[i]) {
            const char *word;
            size_t n, plain = json_words_next(&w, text + at, ends[i] - at, ends[i] == len, &word, &n);
            buf_put(to, text + at, plain);
            if (word) buf_literal(to, word);
            at += plain + n;
            if (!plain && !word) break; /* the rest has to come with what follows */
        }
    ck_assert_uint_eq(at, len);
    buf_put(to, "", 1);
}

START_TEST(test_source_json_words_are_found_across_pieces) {
    static const char text[] = "[NaN,\"NaN\\\\\",-Infinity,{\"\\\"Infinity\":Infinity},\"-Infinity\",-1,NaN]",
                      want[] = "[\"NaN\",\"NaN\\\\\",\"-Infinity\",{\"\\\"Infinity\":\"Infinity\"},\"-Infinity\",-1,\"NaN\"]";
    for (size_t a = 0; a < sizeof text; a++)
        for (size_t b = 0; a + b < sizeof text; b++) {
            struct buf got = {0};
            pieces_of(text, a, b, &got);
            ck_assert_str_eq(got.data, want);
            buf_free(&got);
        }
}
END_TEST

START_TEST(test_source_json_what_is_left_out_is_counted_by_cause) {
    char text[LEFT_OUT_TEXT];
    run_text("{\"displayTimeUnit\":\"ns\",\"stackFrames\":{},\"traceEvents\":[7,null,[1]," X(
        1, 1, 1, "f") ",{\"ph\":\"X\",\"name\":\"a\"},"
                      "{\"ph\":\"i\",\"ts\":\"x\"},{\"ph\":\"X\",\"ts\":null},{\"ph\":\"E\",\"ts\":9},{\"ph\":\"v\",\"ts\":1},{"
                      "\"ph\":\"P\"},{\"ph\":\"v\"},"
                      "{\"ts\":3},{\"ph\":\"XX\",\"ts\":3},{\"ph\":\"M\",\"name\":\"num_cpus\",\"args\":{\"number\":3}},"
                      "{\"ph\":\"X\",\"ts\":50,\"pid\":5,\"tid\":1,\"name\":\"g\",\"cname\":\"red\",\"tts\":1}]}");
    ck_assert_uint_eq(rec.totals.calls, 2);
    ck_assert_str_eq(
        left_out_events(&rec.info->left_out, text),
        "3 elements that are no events, 2 events without a kind (ph), 3 events of kinds that are not read (ph: v, P), "
        "3 events without a time (ts), 1 end (E) without a begin (B)");
    ck_assert_str_eq(left_out_parts(&rec.info->left_out, text),
                     "1 event of metadata (num_cpus), 2 fields of events (cname, tts), 2 members of the file (displayTimeUnit, "
                     "stackFrames)");
    record_free(&rec);
    run_text("{\"\":1,\"traceEvents\":[" X(1, 1, 1, "f") "]}"); /* an empty first name; UBSan watches the arithmetic */
    ck_assert_uint_eq(rec.totals.calls, 1);
    ck_assert_str_eq(left_out_parts(&rec.info->left_out, text), "1 member of the file");
    record_free(&rec);
    run_text("[{\"ph\":\"X\",\"name\":\"\",\"pid\":\"\",\"tid\":\"\",\"id\":\"\",\"ts\":1,\"dur\":1}]");
    record_free(&rec);
    run_text("[" X(1, 1, 1, "f") "]");
    ck_assert_str_eq(left_out_events(&rec.info->left_out, text), "");
    ck_assert_str_eq(left_out_parts(&rec.info->left_out, text), "");
}
END_TEST

/* From JSON to JSON: where a flow ends, and the categories of calls, also when they are put in order. */
START_TEST(test_source_json_flow_ends_and_categories_are_kept) {
    static const char text[] =
        "[{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":5,\"dur\":1,\"name\":\"late\",\"cat\":\"a\\\"b\"},"
        "{\"ph\":\"B\",\"pid\":1,\"tid\":1,\"ts\":1,\"name\":\"early\",\"cat\":\"second\"},{\"ph\":\"E\",\"pid\":1,\"tid\":1,"
        "\"ts\":2},"
        "{\"ph\":\"f\",\"bp\":\"e\",\"cat\":\"ac2g\",\"name\":\"flow\",\"id\":77,\"pid\":1,\"tid\":1,\"ts\":3}]";
    static const char *const kept[] = {"\"name\":\"late\",\"cat\":\"a\\\"b\"}", "\"name\":\"early\",\"cat\":\"second\"}",
                                       "\"name\":\"flow\",\"bp\":\"e\"}"};
    struct convert_result result;
    struct vt_err err = {0};
    char out[64];
    write_file(text, sizeof text - 1);
    snprintf(out, sizeof out, "%s.json", path);
    struct convert_opts opts = {.input = path, .output = out};
    ck_assert_msg(convert_trace(&opts, &result, &err) == 0, "%s", err.msg);
    char *json = trace_build_slurp(out, NULL);
    for (size_t i = 0; i < VT_ARRAY_LEN(kept); i++) ck_assert_msg(strstr(json, kept[i]), "%s is not in %s", kept[i], json);
    free(json);
    unlink(out);
}
END_TEST

/* ---- gzip ---- */

#define MANY 30000
static void write_gzip(const char *mode) {
    gzFile f = gzopen(path, mode);
    gzputs(f, mode[0] == 'a' ? "" : "[");
    for (int i = mode[0] == 'a' ? MANY / 2 : 0; i < (mode[0] == 'a' ? MANY : MANY / 2); i++)
        gzprintf(f, "%s{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":%d,\"dur\":0.%03d,\"name\":\"f%d\"}", i ? "," : "", i,
                 i * 7 % 1000, i);
    if (mode[0] == 'a') gzputs(f, "]");
    ck_assert_int_eq(gzclose(f), Z_OK);
}

/* A wrong checksum does not take the data away: in each of two members, the checksum or the length. */
START_TEST(test_source_json_a_wrong_checksum_is_said_and_all_is_read) {
    static const int flip[] = {-1, 0, 7};
    for (int member = 0; member < 2; member++)
        for (size_t i = 0; i < VT_ARRAY_LEN(flip); i++) {
            size_t len, first;
            write_gzip("wb");
            free(trace_build_slurp(path, &first));
            write_gzip("ab");
            char *bytes = trace_build_slurp(path, &len);
            size_t trailer = (member ? len : first) - 8;
            if (flip[i] >= 0) bytes[trailer + (size_t)flip[i]] ^= 1;
            write_file(bytes, len);
            free(bytes);
            ck_assert_int_eq(record_file(&rec, path, NULL, NULL), 0);
            ck_assert_uint_eq(rec.totals.calls, MANY);
            ck_assert_int_eq(rec.info->damage.code, 0);
            ck_assert_int_eq(rec.info->left_out.wrong_checksum, flip[i] >= 0);
            record_free(&rec);
        }
}
END_TEST

START_TEST(test_source_json_bytes_behind_gzip_data_are_no_data) {
    write_gzip("wb");
    write_gzip("ab");
    FILE *f = fopen(path, "ab");
    fputs("anything", f);
    fclose(f);
    ck_assert_int_eq(record_file(&rec, path, NULL, NULL), 0);
    ck_assert_uint_eq(rec.totals.calls, MANY);
    ck_assert_int_eq(rec.info->damage.code, 0);
}
END_TEST

/* ---- streams ---- */

/* A child writes the file's bytes into fd. */
static pid_t write_later(const char *fifo, int fd) {
    size_t len;
    char *bytes = trace_build_slurp(path, &len);
    pid_t pid = fork();
    if (!pid) {
        if (fifo) fd = open(fifo, O_WRONLY);
        _exit(vt_write_full(fd, bytes, len) != 0);
    }
    free(bytes);
    return pid;
}

/* A pipe and a FIFO, plain and gzipped: two passes are needed, and the bytes come once. */
START_TEST(test_source_json_streams_are_read) {
    char fifo[64], name[64];
    snprintf(fifo, sizeof fifo, "%s.fifo", path);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    for (int i = 0; i < 4; i++) {
        int fds[2], status;
        if (i % 2) {
            write_gzip("wb");
            write_gzip("ab");
        } else {
            write_file("[" X(1, 1, 1, "f") "," X(1, 3, 1, "f") "]", strlen("[" X(1, 1, 1, "f") "," X(1, 3, 1, "f") "]"));
        }
        ck_assert_int_eq(pipe(fds), 0);
        snprintf(name, sizeof name, "/proc/self/fd/%d", fds[0]);
        pid_t pid = write_later(i < 2 ? NULL : fifo, fds[1]);
        close(fds[1]);
        int rc = record_file(&rec, i < 2 ? name : fifo, NULL, NULL);
        close(fds[0]);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(rc == 0, "%s", rec.err.msg);
        ck_assert_int_eq(status, 0);
        ck_assert_uint_eq(rec.totals.calls, i % 2 ? MANY : 2);
        record_free(&rec);
    }
    unlink(fifo);
}
END_TEST

/* What is no trace is refused at its first bytes, however long it goes on, and the user's name for it is said. */
START_TEST(test_source_json_an_endless_stream_is_refused_at_its_start) {
    ck_assert_int_eq(record_file(&rec, "/dev/zero", NULL, NULL), -EBADMSG);
    ck_assert_str_eq(
        rec.err.msg,
        "/dev/zero: no trace that viztracer can read; it reads .json, .json.gz, .pftrace, .pftrace.gz, .vzt and .cvf");
    rec.err = (struct vt_err){0};
    ck_assert_int_eq(record_file(&rec, "/tmp", NULL, NULL), -EISDIR);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_source_json_reads_calls_names_and_metadata,
                                  test_source_json_names_are_written_as_they_were,
                                  test_source_json_unfinished_calls,
                                  test_source_json_pairs_begin_and_end,
                                  test_source_json_reads_marks_gaps_and_texts_as_numbers,
                                  test_source_json_rounding_is_mended,
                                  test_source_json_calls_moved_inside_never_end_early,
                                  test_source_json_order_is_made,
                                  test_source_json_damage_keeps_what_is_before,
                                  test_source_json_strange_events_are_safe,
                                  test_source_json_reads_large_and_deep_values,
                                  test_source_json_reads_gzip_whole_and_cut,
                                  test_source_json_file_info_comes_along,
                                  test_source_json_round_trip_is_exact,
                                  test_source_json_round_trip_with_gaps_is_exact,
                                  test_source_json_times_may_be_strings,
                                  test_source_json_nan_and_infinity_are_read,
                                  test_source_json_words_are_found_across_pieces,
                                  test_source_json_what_is_left_out_is_counted_by_cause,
                                  test_source_json_flow_ends_and_categories_are_kept,
                                  test_source_json_a_wrong_checksum_is_said_and_all_is_read,
                                  test_source_json_bytes_behind_gzip_data_are_no_data,
                                  test_source_json_streams_are_read,
                                  test_source_json_an_endless_stream_is_refused_at_its_start};
    return case_main("cli/source_json", tests, VT_ARRAY_LEN(tests), set_up, tear_down);
}
