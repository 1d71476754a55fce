/* Our own .pftrace as a source: it says what the trace said that it was made of; others are refused; damage is named. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/base/pb_put.h"
#include "cli/convert/convert.h"
#include "cli/format/perfetto/perfetto_fields.h"
#include "cli/format/perfetto/pftrace_read.h"
#include "tests/lib/case.h"
#include "tests/lib/record.h"
#include "tests/lib/trace_build.h"
#include "tests/lib/trace_random.h"

static struct trace_build trace;
static char json[96], pftrace[96];
static struct record one, two;

static void set_up(void) {
    memset(&one, 0, sizeof one);
    memset(&two, 0, sizeof two);
}
static void names(const char *suffix) {
    snprintf(json, sizeof json, "%s.json", trace.path);
    snprintf(pftrace, sizeof pftrace, "%s.pftrace%s", trace.path, suffix);
}
static void tear_down(void) {
    record_free(&one);
    record_free(&two);
    unlink(json);
    unlink(pftrace);
    trace_build_remove(&trace);
}

/* .vzt, and JSON of it, to .pftrace: the same calls as in the .vzt. */
static void round_trip(uint32_t seed, bool gaps, const char *suffix) {
    trace_random_build(&trace, seed, gaps);
    names(suffix);
    ck_assert_int_eq(record_file(&one, trace.path, NULL, NULL), 0);
    trace_random_convert(trace.path, pftrace);
    ck_assert_int_eq(record_file(&two, pftrace, NULL, NULL), 0);
    ck_assert_str_eq(trace_source_kind(two.source), "pftrace");
    ck_assert_uint_gt(two.totals.calls, 2500);
    record_same(&two, &one);
    ck_assert_int_eq(record_run(&two, two.source, NULL), 0); /* twice the same */
    record_same(&two, &one);
    record_free(&two);
    trace_random_convert(trace.path, json);
    trace_random_convert(json, pftrace);
    ck_assert_int_eq(record_file(&two, pftrace, NULL, NULL), 0);
    record_same(&two, &one);
    trace_random_convert(pftrace, json);
    record_free(&two);
    ck_assert_int_eq(record_file(&two, json, NULL, NULL), 0);
    record_same(&two, &one);
}
START_TEST(test_source_pftrace_round_trip_is_exact) { round_trip(7, false, ""); }
END_TEST
START_TEST(test_source_pftrace_round_trip_gzip_is_exact) { round_trip(8, false, ".gz"); }
END_TEST
START_TEST(test_source_pftrace_round_trip_with_gaps_is_exact) { round_trip(7, true, ""); }
END_TEST

/* Arguments, return values, tasks, counters, what was open at attach, what was raised: as the JSON of the same trace has it. */
START_TEST(test_source_pftrace_keeps_details) {
    static const uint8_t args[] = "\1\0\2\0x12\1\0\6\0y'1.50'\1\0\3\0z1.5\1\0\4\0bTrue"; /* x=12 y='1.50' z=1.5 b=True */
    static const struct vt_pl_counter gc = {1, 13, 2};
    struct vt_event ev[] = {
        {.ticks = 1000, .type = VT_REC_PAYLOAD, .id = VT_PL_ARGS, .payload = args, .payload_len = sizeof args - 1},
        {.ticks = 1000, .type = VT_REC_CALL, .id = 1},
        {.ticks = 1001, .type = VT_REC_TASK, .id = 5},
        {.ticks = 1002, .type = VT_REC_CALL, .id = 1},
        {.ticks = 1002, .type = VT_REC_PAYLOAD, .id = VT_PL_COUNTER, .payload = (const void *)&gc, .payload_len = sizeof gc},
        {.ticks = 1003, .type = VT_REC_UNWIND, .id = 1},
        {.ticks = 1003, .type = VT_REC_TASK, .id = 0},
        {.type = VT_REC_PAYLOAD, .id = VT_PL_RETVAL, .payload = (const uint8_t *)"-7", .payload_len = 2},
        {.ticks = 1009, .type = VT_REC_RETURN, .id = 1},
    };
    Vt__Task task = VT__TASK__INIT;
    task.id = 5;
    task.address = 0x7fff12345678;
    task.name = (ProtobufCBinaryData){3, (uint8_t *)"myT"};
    trace_build_open(&trace);
    names("");
    trace_build_name(&trace, 1, 0, "f", "a.py", 1);
    trace_build_name(&trace, 2, 1, "len", "builtins", 0);
    trace_build_thread(&trace, 9, 200, 1, "worker");
    trace_build_stack(&trace, 9, 900, 1, (uint32_t[]){2});
    trace_build_frame(&trace, VT_FRAME_TASK, &task.base);
    trace_build_block(&trace, 0, 9, 200, ev, VT_ARRAY_LEN(ev));
    trace_build_end(&trace, 0, 0);
    struct convert_result result;
    struct vt_err err = {0};
    struct convert_opts opts = {.input = trace.path, .output = pftrace, .log_async = true};
    ck_assert_int_eq(convert_trace(&opts, &result, &err), 0);
    ck_assert_int_eq(record_file(&two, pftrace, NULL, NULL), 0);
    ck_assert_str_eq(two.text,
                     "counter 100/200 1002 1/13/2\ncall 100/200 f (a.py:1) 1002..1003\n"
                     "call 100/200 f (a.py:1) 1000..1009 args={\"func_args\":{\"x\":\"12\",\"y\":\"'1.50'\",\"z\":\"1.5\","
                     "\"b\":\"True\"},\"return_value\":\"-7\"}\ncall 100/200 builtins.len 900..1009 open\n");
    ck_assert_int_eq(memcmp(two.info->threads[0]->name, "worker", 6), 0);
    ck_assert_uint_eq(two.info->real_minus_mono, 5000000000u);
    opts.input = pftrace;
    opts.output = json;
    ck_assert_int_eq(convert_trace(&opts, &result, &err), 0);
    char *text = trace_build_slurp(json, NULL);
    ck_assert_msg(strstr(text, "\"args\":{\"name\":\"myT\"}") != NULL, "%s", text);
    free(text);
}
END_TEST

/* What --budget folded is said with interned texts: as many calls, folds and functions as in the JSON. */
START_TEST(test_source_pftrace_keeps_folds) {
    struct convert_result result;
    struct vt_err err = {0};
    trace_random_build(&trace, 11, false);
    names("");
    struct convert_opts opts = {.input = trace.path, .output = pftrace, .budget = 200};
    ck_assert_int_eq(convert_trace(&opts, &result, &err), 0);
    opts.output = json;
    ck_assert_int_eq(convert_trace(&opts, &result, &err), 0);
    ck_assert_int_eq(record_file(&one, json, NULL, NULL), 0);
    ck_assert_int_eq(record_file(&two, pftrace, NULL, NULL), 0);
    static const char *const words[] = {"\ncall ", "\"folded\":{\"calls\":", "\"functions\":[{\"name\":\"",
                                        "\"name\":\"f2 (a.py:2)\"", "\"name\":\"mod.f3\""};
    for (size_t i = 0; i < VT_ARRAY_LEN(words); i++) {
        size_t a = 0, b = 0;
        for (const char *at = one.text; (at = strstr(at, words[i])); at++) a++;
        for (const char *at = two.text; (at = strstr(at, words[i])); at++) b++;
        ck_assert_msg(a > 0 && a == b, "%s: %zu and %zu", words[i], a, b);
    }
}
END_TEST

/* Marks of a JSON trace, as far as the format has them. */
START_TEST(test_source_pftrace_keeps_marks) {
    static const char text[] =
        "[{\"ph\":\"i\",\"pid\":1,\"tid\":2,\"ts\":1,\"name\":\"a\",\"cat\":\"c\",\"s\":\"t\",\"args\":{\"k\":[1,2.5,true,{\"x\":"
        "\"y\"}]}},"
        "{\"ph\":\"i\",\"pid\":1,\"tid\":2,\"ts\":2,\"name\":\"p\",\"s\":\"p\"},{\"ph\":\"C\",\"pid\":1,\"tid\":2,\"ts\":3,"
        "\"name\":\"n\",\"args\":{\"n\":-4}},"
        "{\"ph\":\"C\",\"pid\":1,\"tid\":2,\"ts\":4,\"name\":\"n\",\"args\":{\"d\":0.25}},{\"ph\":\"O\",\"pid\":1,\"tid\":2,"
        "\"ts\":5,\"name\":\"o\",\"id\":\"7\",\"args\":{\"snapshot\":{\"v\":1}}},"
        "{\"ph\":\"i\",\"pid\":1,\"tid\":2,\"ts\":6,\"name\":\"events dropped\",\"args\":{\"count\":5},\"s\":\"t\"},"
        "{\"ph\":\"b\",\"pid\":1,\"tid\":2,\"ts\":7,\"name\":\"as\",\"cat\":\"c\",\"id\":\"9\"},{\"ph\":\"e\",\"pid\":1,\"tid\":"
        "2,\"ts\":8,\"name\":\"as\",\"cat\":\"c\",\"id\":\"9\"},"
        "{\"ph\":\"f\",\"pid\":1,\"tid\":2,\"ts\":9,\"name\":\"fl\",\"cat\":\"c\",\"id\":\"3\"}]";
    trace_build_open(&trace);
    names("");
    FILE *f = fopen(json, "wb");
    fputs(text, f);
    fclose(f);
    trace_random_convert(json, pftrace);
    ck_assert_int_eq(record_file(&two, pftrace, NULL, NULL), 0);
    char *id = strstr(two.text, "mark 1/2 b as 7000 id=");
    ck_assert_ptr_nonnull(id);
    char want[1024];
    int track = atoi(id + 22);
    snprintf(want, sizeof want,
             "mark 1/2 i a 1000 cat=c s=t args={\"k\":[1,2.5,true,{\"x\":\"y\"}]}\nmark 1/2 i p 2000 s=p\nmark 1/2 C n 3000 "
             "args={\"n\":-4}\n"
             "mark 1/2 C n d 4000 args={\"n d\":0.25}\nmark 1/2 O o 5000 id=7 args={\"snapshot\":{\"v\":1}}\ngap 1/2 6000 5\n"
             "mark 1/2 b as 7000 id=%d cat=c\nmark 1/2 e as 8000 id=%d cat=c\nmark 1/2 f fl 9000 id=3 cat=c\n",
             track, track);
    ck_assert_str_eq(two.text, want);
}
END_TEST

/* Cut off anywhere, or with any byte changed: refused with a cause, or read as far as it makes sense. */
START_TEST(test_source_pftrace_hostile_bytes_are_safe) {
    trace_random_build(&trace, 9, true);
    names("");
    trace_random_convert(trace.path, pftrace);
    size_t len, whole = 0, part = 0, refused = 0;
    char *bytes = trace_build_slurp(pftrace, &len);
    for (size_t i = 0; i < 600; i++) {
        size_t at = i < 300 ? i : (i * 7919) % len;
        FILE *f = fopen(pftrace, "wb");
        bytes[at] = (char)(bytes[at] ^ (1 << i % 8));
        fwrite(bytes, 1, i % 5 ? len : at, f);
        fclose(f);
        bytes[at] = (char)(bytes[at] ^ (1 << i % 8));
        memset(&two, 0, sizeof two);
        int rc = record_file(&two, pftrace, NULL, NULL);
        if (rc) {
            ck_assert_msg(strstr(two.err.msg, pftrace) != NULL, "%zu: %d %s", at, rc, two.err.msg);
            refused++;
        } else if (two.info->damage.code) {
            ck_assert(two.info->cut_off);
            part++;
        } else {
            whole++;
        }
        record_free(&two);
    }
    ck_assert_uint_gt(whole, 20);
    ck_assert_uint_gt(part, 20);
    ck_assert_uint_gt(refused, 5);
    free(bytes);
}
END_TEST

/* A trace of ours, followed by a packet whose event has one argument: `depth` arrays in one another, or one array with `width`
 * empty members. */
static void write_argument(unsigned depth, size_t width) {
    struct buf b = {0};
    trace_random_convert(trace.path, pftrace);
    size_t packet = pb_open(&b, TRACE_PACKET), starts[600];
    pb_u64(&b, PACKET_SEQUENCE, 1);
    size_t event = pb_open(&b, PACKET_EVENT);
    starts[0] = pb_open(&b, EVENT_ARGS);
    for (unsigned i = 1; i < depth; i++) starts[i] = pb_open(&b, ARG_ARRAY);
    for (size_t i = 0; i < width; i++) pb_close(&b, pb_open(&b, ARG_ARRAY));
    for (unsigned i = depth; i-- > 1;) pb_close(&b, starts[i]);
    pb_close(&b, starts[0]);
    pb_u64(&b, EVENT_TYPE, PFTRACE_INSTANT);
    pb_close(&b, event);
    pb_u64(&b, PACKET_TIME, 1);
    pb_close(&b, packet);
    ck_assert(!b.failed);
    FILE *f = fopen(pftrace, "ab");
    ck_assert_uint_eq(fwrite(b.data, 1, b.len, f), b.len);
    fclose(f);
    buf_free(&b);
}

START_TEST(test_source_pftrace_depth_and_memory_are_bounded) {
    static const struct {
        unsigned depth;
        size_t width;
        bool damaged;
    } rows[] = {{64, 1, false}, {190, 1, false}, {210, 1, true}, {599, 1, true}, {1, 1000, false}, {1, 6000000, true}};
    trace_random_build(&trace, 9, false);
    names("");
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        write_argument(rows[i].depth, rows[i].width);
        memset(&two, 0, sizeof two);
        ck_assert_msg(record_file(&two, pftrace, NULL, NULL) == 0, "%s", two.err.msg);
        ck_assert_msg((two.info->damage.code != 0) == rows[i].damaged, "row %zu: %s", i, two.info->damage.msg);
        record_free(&two);
        memset(&two, 0, sizeof two);
    }
}
END_TEST

START_TEST(test_source_pftrace_refuses_other_programs) {
    struct buf b = {0};
    trace_build_open(&trace);
    names("");
    size_t packet = pb_open(&b, TRACE_PACKET); /* a clock snapshot, as traced writes it first */
    pb_u64(&b, PACKET_SEQUENCE, 1);
    pb_close(&b, pb_open(&b, PACKET_CLOCKS));
    pb_close(&b, packet);
    FILE *f = fopen(pftrace, "wb");
    fwrite(b.data, 1, b.len, f);
    fclose(f);
    buf_free(&b);
    ck_assert_int_eq(record_file(&two, pftrace, NULL, NULL), -EPROTO);
    ck_assert_msg(strstr(two.err.msg, pftrace) && strstr(two.err.msg, "written by another program: open it in Perfetto"), "%s",
                  two.err.msg);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_source_pftrace_round_trip_is_exact,
                                  test_source_pftrace_round_trip_gzip_is_exact,
                                  test_source_pftrace_round_trip_with_gaps_is_exact,
                                  test_source_pftrace_keeps_details,
                                  test_source_pftrace_keeps_folds,
                                  test_source_pftrace_keeps_marks,
                                  test_source_pftrace_hostile_bytes_are_safe,
                                  test_source_pftrace_depth_and_memory_are_bounded,
                                  test_source_pftrace_refuses_other_programs};
    return case_main("cli/source_pftrace", tests, VT_ARRAY_LEN(tests), set_up, tear_down);
}
