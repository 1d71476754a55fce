/* VizTracer's .cvf: its files are read, and our files hold the same; where VizTracer can be installed, it reads ours.
 * VizTracer 1.1.1 made tests/golden/viztracer.cvf from viztracer.json; viztracer.cvf.json is the expected result. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yajl/yajl_tree.h>
#include <zlib.h>

#include "cli/convert/convert.h"
#include "cli/format/cvf/cvf.h"
#include "tests/lib/case.h"
#include "tests/lib/record.h"
#include "tests/lib/trace_build.h"

#define GOLDEN "tests/golden/viztracer"

static char dir[] = "/tmp/cvf-XXXXXX";
static char cvf[64], json[64];
static struct cvf_result result;
static struct vt_err err;

static void set_up(void) {
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(cvf, sizeof cvf, "%s/x.cvf", dir);
    snprintf(json, sizeof json, "%s/x.json", dir);
    memset(&err, 0, sizeof err);
}
static void tear_down(void) {
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static int pack(const char *from, const char *to) {
    struct cvf_opts opts = {.input = from, .output = to};
    return cvf_compress(&opts, &result, &err);
}
static int unpack(const char *from, const char *to) {
    struct cvf_opts opts = {.input = from, .output = to};
    return cvf_decompress(&opts, &result, &err);
}
static void write_file(const char *path, const void *data, size_t len) {
    FILE *f = fopen(path, "wb");
    ck_assert_uint_eq(fwrite(data, 1, len, f), len);
    ck_assert_int_eq(fclose(f), 0);
}
static void same_files(const char *a, const char *b) {
    char *x = trace_build_slurp(a, NULL), *y = trace_build_slurp(b, NULL);
    ck_assert_str_eq(x, y);
    free(x);
    free(y);
}

START_TEST(test_cvf_golden_is_read) {
    ck_assert_msg(unpack(GOLDEN ".cvf", json) == 0, "%s", err.msg);
    ck_assert_uint_eq(result.events, 17);
    same_files(json, GOLDEN ".cvf.json");
}
END_TEST

/* Ours becomes the same JSON as theirs, and has the metadata too. */
START_TEST(test_cvf_of_ours_has_the_same_calls) {
    ck_assert_msg(pack(GOLDEN ".json", cvf) == 0, "%s", err.msg);
    ck_assert_uint_eq(result.events, 17);
    ck_assert_msg(unpack(cvf, json) == 0, "%s", err.msg);
    char *got = trace_build_slurp(json, NULL), *want = trace_build_slurp(GOLDEN ".cvf.json", NULL);
    char *meta = strstr(got, ",\n\"viztracer_metadata\":");
    ck_assert_ptr_nonnull(meta);
    char *behind = strstr(meta, ",\n\"file_info\"");
    ck_assert_ptr_nonnull(behind);
    ck_assert_ptr_nonnull(strstr(meta, "\"baseTimeNanoseconds\": 1795167637314728947"));
    memmove(meta, behind, strlen(behind) + 1);
    ck_assert_str_eq(got, want);
    free(got);
    free(want);
}
END_TEST

/* Every call of a nested trace comes back, to 10 ns, and nests. */
START_TEST(test_cvf_round_trip_nests) {
    char *text;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    uint64_t ns = 1000003, start[40];
    uint32_t depth = 0, seed = 3;
    unsigned calls = 0;
    fputs("[", f);
    for (int i = 0; i < 8000; i++) {
        seed = seed * 1664525 + 1013904223;
        ns += 1 + (seed >> 20) % 40;
        if (depth < 40 && (depth == 0 || (seed >> 12) % 2)) {
            start[depth++] = ns;
            continue;
        }
        depth--;
        fprintf(f, "%s{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":%llu.%03u,\"dur\":%llu.%03u,\"name\":\"f%u\"%s}",
                calls++ ? "," : "", (unsigned long long)start[depth] / 1000, (unsigned)(start[depth] % 1000),
                (unsigned long long)(ns - start[depth]) / 1000, (unsigned)((ns - start[depth]) % 1000), depth % 7,
                seed % 3 ? "" : ",\"args\":{\"a\":[1]}");
    }
    fputs("]", f);
    fclose(f);
    write_file(json, text, len);
    free(text);
    ck_assert_msg(pack(json, cvf) == 0, "%s", err.msg);
    ck_assert_int_eq(unlink(json), 0);
    ck_assert_msg(unpack(cvf, json) == 0, "%s", err.msg);
    struct record rec;
    ck_assert_int_eq(record_file(&rec, json, NULL, NULL), 0);
    ck_assert_uint_eq(rec.totals.calls, calls);
    ck_assert_uint_eq(rec.totals.cut, 0);
    record_free(&rec);
}
END_TEST

/* Rounded to 10 ns these are equal: frames that were open at the attach, 1 ns apart, of functions that also call each other in
 * the other order; and a chain of calls with the same times but for some ns. */
START_TEST(test_cvf_keeps_the_order_of_stacks) {
    static const char *const chains[] = {"abab", "ba", "abcabcabcabc", "aab", "cabba"};
    for (size_t i = 0; i < VT_ARRAY_LEN(chains); i++) {
        struct trace_build trace;
        struct record rec;
        struct convert_opts opts = {.output = cvf};
        struct convert_result done;
        uint32_t ids[16], n = (uint32_t)strlen(chains[i]);
        char want[256] = "", got[256] = "", *line, *save = NULL;
        struct vt_event ev[] = {{.ticks = 1009, .type = VT_REC_CALL, .id = 2},
                                {.ticks = 1080, .type = VT_REC_CALL, .id = 1},
                                {.ticks = 1300, .type = VT_REC_RETURN, .id = 1},
                                {.ticks = 1400, .type = VT_REC_RETURN, .id = 2}};
        for (uint32_t k = 0; k < n; k++) ids[k] = (uint32_t)(chains[i][k] - 'a' + 1);
        for (uint32_t k = n; k-- > 0;) snprintf(want + strlen(want), sizeof want - strlen(want), "%c", chains[i][k]);
        trace_build_open(&trace);
        trace_build_letters(&trace);
        trace_build_thread(&trace, 9, 7, 1, "main");
        trace_build_stack(&trace, 9, 1000, n, ids);
        trace_build_block(&trace, 0, 9, 7, ev, VT_ARRAY_LEN(ev));
        trace_build_end_at(&trace, 1000, 9000, 0);
        opts.input = trace.path;
        ck_assert_msg(convert_trace(&opts, &done, &err) == 0, "%s", err.msg);
        ck_assert_int_eq(record_file(&rec, cvf, NULL, NULL), 0);
        for (line = strtok_r(rec.text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
            if (strstr(line, " open"))
                snprintf(got + strlen(got), sizeof got - strlen(got), "%.1s", strchr(strchr(line, ' ') + 1, ' ') + 1);
        ck_assert_msg(!strcmp(got, want), "%s: %s instead of %s", chains[i], got, want);
        ck_assert_uint_eq(rec.totals.calls, 2);
        ck_assert_uint_eq(rec.totals.cut, 0);
        record_free(&rec);
        trace_build_remove(&trace);
    }
}
END_TEST

static void converted(const char *from, const char *to) {
    struct convert_opts opts = {.input = from, .output = to};
    struct convert_result converted_to;
    err.msg[0] = 0;
    ck_assert_msg(convert_trace(&opts, &converted_to, &err) == 0, "%s", err.msg);
}

/* As any other kind of trace: VizTracer's file into others, and ours back. */
START_TEST(test_cvf_is_read_and_written_by_convert) {
    struct record theirs, packed, unpacked;
    char back[96];
    ck_assert_int_eq(record_file(&theirs, GOLDEN ".json", NULL, NULL), 0);
    ck_assert_int_eq(record_file(&packed, GOLDEN ".cvf", NULL, NULL), 0);
    ck_assert_uint_gt(theirs.totals.calls, 3);
    ck_assert_uint_eq(packed.totals.calls, theirs.totals.calls);
    ck_assert_uint_eq(packed.totals.threads, theirs.totals.threads);
    converted(GOLDEN ".cvf", cvf);
    converted(cvf, json);
    ck_assert_int_eq(record_file(&unpacked, json, NULL, NULL), 0);
    ck_assert_uint_eq(unpacked.totals.calls, theirs.totals.calls);
    record_free(&theirs);
    record_free(&packed);
    record_free(&unpacked);

    struct trace_build trace;
    trace_build_open(&trace);
    trace_build_letters(&trace);
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a(bb)(c[dd]c)(bb)a)(aa)");
    trace_build_end(&trace, 0, 0);
    converted(trace.path, cvf);
    snprintf(back, sizeof back, "%s/back.vzt", dir);
    converted(cvf, back);
    ck_assert_int_eq(record_file(&theirs, trace.path, NULL, NULL), 0);
    ck_assert_int_eq(record_file(&packed, back, NULL, NULL), 0);
    ck_assert_uint_eq(packed.totals.calls, theirs.totals.calls);
    ck_assert_uint_eq(packed.totals.cut, 0);
    record_free(&theirs);
    record_free(&packed);
    trace_build_remove(&trace);
}
END_TEST

/* A damaged one is refused by its own name, and nothing is left. */
START_TEST(test_cvf_damaged_is_refused_by_convert) {
    size_t len;
    char *data = trace_build_slurp(GOLDEN ".cvf", &len);
    struct convert_opts opts = {.input = cvf, .output = json};
    struct convert_result none;
    write_file(cvf, data, len / 2);
    ck_assert_int_eq(convert_trace(&opts, &none, &err), -EBADMSG);
    ck_assert_msg(strstr(err.msg, "x.cvf: damaged") != NULL, "%s", err.msg);
    ck_assert_int_lt(access(json, F_OK), 0);
    free(data);
}
END_TEST

/* What has no place in the format goes along as it stands. */
START_TEST(test_cvf_keeps_other_events) {
    static const char text[] = "{\"traceEvents\":[{\"ph\":\"X\",\"pid\":\"text\",\"tid\":1,\"ts\":1,\"dur\":1,\"name\":\"a\"},"
                               "{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":1,\"dur\":1,\"name\":\"b\",\"cat\":\"mine\"},"
                               "{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":1,\"name\":\"no "
                               "dur\"},{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":1,\"dur\":1,\"name\":\"nul\\u0000\"},"
                               "{\"ph\":\"C\",\"pid\":1,\"tid\":1,\"ts\":1,\"name\":\"c\",\"args\":{\"a\":\"text\"}},{\"ph\":"
                               "\"C\",\"pid\":1,\"tid\":1,\"ts\":1,\"name\":\"c\"},"
                               "{\"ph\":\"C\",\"pid\":1,\"tid\":1,\"ts\":1,\"name\":\"c\",\"args\":{\"a\\n\":1}},{\"ph\":\"M\","
                               "\"pid\":1,\"tid\":1,\"name\":\"other\",\"args\":{\"name\":\"x\"}},"
                               "{\"ph\":\"M\",\"pid\":0,\"tid\":0,\"name\":\"viztracer_metadata\",\"args\":7}]}";
    write_file(json, text, sizeof text - 1);
    ck_assert_msg(pack(json, cvf) == 0, "%s", err.msg);
    ck_assert_msg(unpack(cvf, json) == 0, "%s", err.msg);
    char *got = trace_build_slurp(json, NULL);
    for (const char *at = strstr(text, "{\"ph\""), *next; at; at = next) {
        next = strstr(at + 1, "{\"ph\"");
        size_t len = next ? (size_t)(next - at - 1) : strlen(at) - 2;
        ck_assert_msg(memmem(got, strlen(got), at, len) != NULL, "%.*s", (int)len, at);
    }
    free(got);
}
END_TEST

/* Any byte of a good file changed, any end cut off: a clean error and no output, or JSON. */
START_TEST(test_cvf_hostile_bytes_are_safe) {
    size_t len, good = 0, bad = 0;
    char *bytes = trace_build_slurp(GOLDEN ".cvf", &len), why[256];
    for (size_t i = 0; i < 2 * len; i++) {
        bytes[i / 2] = (char)(bytes[i / 2] ^ (i % 2 ? 0x80 : 0x01));
        write_file(cvf, bytes, i % 7 ? len : i / 2);
        bytes[i / 2] = (char)(bytes[i / 2] ^ (i % 2 ? 0x80 : 0x01));
        memset(&err, 0, sizeof err);
        unlink(json);
        if (unpack(cvf, json) == 0) {
            char *text = trace_build_slurp(json, NULL);
            yajl_val root = yajl_tree_parse(text, why, sizeof why);
            ck_assert_msg(root != NULL, "byte %zu: %s", i / 2, why);
            yajl_tree_free(root);
            free(text);
            good++;
        } else {
            ck_assert_msg(strstr(err.msg, cvf) != NULL, "%s", err.msg);
            ck_assert_int_lt(access(json, F_OK), 0);
            bad++;
        }
    }
    ck_assert_uint_gt(good, 20);
    ck_assert_uint_gt(bad, 20);
    free(bytes);
    static const char *const no_json[] = {"[nonsense]", "[1", "[\"\xff\"]", "{}", ""};
    for (size_t i = 0; i < VT_ARRAY_LEN(no_json); i++) { /* packed as it should be */
        uint8_t file[256] = {CVF_VERSION, [8] = CVF_OTHER};
        uLongf packed = sizeof file - 25;
        uint64_t size = strlen(no_json[i]);
        ck_assert_int_eq(compress2(file + 25, &packed, (const Bytef *)no_json[i], size, 9), Z_OK);
        memcpy(file + 9, &size, 8);
        memcpy(file + 17, &(uint64_t){packed}, 8);
        write_file(cvf, file, 25 + packed);
        ck_assert_int_eq(unpack(cvf, json), -EBADMSG);
    }
    ck_assert_int_eq(unpack("/nowhere/x.cvf", json), -ENOENT);
    memset(&err, 0, sizeof err);
    ck_assert_int_eq(pack(GOLDEN ".cvf", cvf), -EBADMSG);
    ck_assert_msg(strstr(err.msg, GOLDEN ".cvf"), "%s", err.msg);
}
END_TEST

/* With the real VizTracer: VT_VIZTRACER_PYTHON, else python3, when that has it. */
START_TEST(test_cvf_of_viztracer_is_read) {
    const char *python = getenv("VT_VIZTRACER_PYTHON");
    char command[1024];
    if (!python) python = "python3";
    snprintf(command, sizeof command, "%s -c 'import viztracer.vcompressor' 2>/dev/null", python);
    if (system(command) != 0) {
        printf("SKIP cli/cvf test_real_viztracer: %s has no viztracer\n", python);
        fflush(stdout);
        return;
    }
    ck_assert_msg(pack(GOLDEN ".json", cvf) == 0, "%s", err.msg);
    snprintf(command, sizeof command,
             "%s -c '\nimport json, sys\nfrom viztracer.vcompressor import VCompressor\n"
             "key = lambda e: json.dumps(e, sort_keys=True)\n"
             "ours = VCompressor().decompress(sys.argv[1])\ntheirs = VCompressor().decompress(sys.argv[2])\n"
             "mine = sorted(key(e) for e in ours[\"traceEvents\"] if e[\"name\"] != \"viztracer_metadata\")\n"
             "assert mine == sorted(map(key, theirs[\"traceEvents\"])), mine\n"
             "assert ours[\"file_info\"] == theirs[\"file_info\"]\n' %s " GOLDEN ".cvf",
             python, cvf);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_cvf_golden_is_read,
                                  test_cvf_of_ours_has_the_same_calls,
                                  test_cvf_round_trip_nests,
                                  test_cvf_keeps_the_order_of_stacks,
                                  test_cvf_keeps_other_events,
                                  test_cvf_hostile_bytes_are_safe,
                                  test_cvf_is_read_and_written_by_convert,
                                  test_cvf_damaged_is_refused_by_convert,
                                  test_cvf_of_viztracer_is_read};
    return case_main("cli/cvf", tests, VT_ARRAY_LEN(tests), set_up, tear_down);
}
