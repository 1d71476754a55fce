/* Every output names --max_overhead, and the note goes with the trace into other formats. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "cli/cli.h"
#include "cli/convert/convert.h"
#include "cli/format/format.h"
#include "cli/trace/limit.h"
#include "cli/trace/source.h"
#include "proto/frame.h"
#include "tests/lib/capture.h"
#include "tests/lib/pftrace.h"
#include "tests/lib/trace_build.h"

#define SAID                                                                                                                     \
    "the limit of 2.5 % was kept by throttling 2 functions (1,207 more calls counted, about 5,000,000 not seen) and taking the " \
    "hooks out 3 times, for 2.0 s in all"

static struct trace_build trace;
static char path[96];

/* reason: how tracing ended; NO_END = the file has no end. */
#define NO_END (-1)
static void make_of(uint32_t max_overhead, size_t nfunctions, const char *calls, int reason) {
    Vt__Throttled t = VT__THROTTLED__INIT;
    Vt__ThrottledFunction f[2] = {VT__THROTTLED_FUNCTION__INIT, VT__THROTTLED_FUNCTION__INIT}, *all[2] = {&f[0], &f[1]};
    trace_build_open(&trace);
    trace_build_letters(&trace);
    trace_build_thread(&trace, 7, 107, 1, "MainThread");
    trace_build_calls(&trace, 0, 7, 1000, 100, calls);
    f[0].id = 2;
    f[0].counted = 1200;
    f[1].id = 9; /* not recorded once */
    f[1].counted = 7;
    f[1].estimated = 5000000;
    f[1].off = true;
    t.max_overhead = max_overhead;
    t.windows = nfunctions ? 3 : 0;
    t.off_ticks = nfunctions ? 2000000000u : 0;
    t.functions = all;
    t.n_functions = nfunctions;
    trace_build_frame(&trace, VT_FRAME_THROTTLED, &t.base);
    Vt__End end = VT__END__INIT;
    end.hooks_on_ticks = 900;
    end.reason = (Vt__EndReason)reason;
    if (reason != NO_END) trace_build_frame(&trace, VT_FRAME_END, &end.base);
}
static void make(uint32_t max_overhead, size_t nfunctions) {
    make_of(max_overhead, nfunctions, "(a(bb)(bb)a)", VT__END_REASON__STOPPED);
}
static void set_up(void) { make(250, 2); }
static void tear_down(void) {
    unlink(path);
    trace_build_remove(&trace);
}

static void convert(const char *suffix) {
    struct convert_result result;
    struct vt_err err = {0};
    unlink(path);
    snprintf(path, sizeof path, "%s%s", trace.path, suffix);
    struct convert_opts opts = {.input = trace.path, .output = path, .no_file_info = true};
    ck_assert_msg(!convert_trace(&opts, &result, &err), "%s: %s", suffix, err.msg);
    ck_assert_str_eq(result.limit, SAID);
}

static bool says(const char *what) {
    static char text[1 << 20];
    gzFile f = gzopen(path, "rb"); /* plain files, too */
    int n = gzread(f, text, sizeof text);
    gzclose(f);
    ck_assert_int_ge(n, 0);
    return memmem(text, (size_t)n, what, strlen(what)) != NULL;
}

START_TEST(test_limit_is_named_in_outputs) {
    static const char *const suffixes[] = {".json", ".json.gz", ".pftrace", ".svg", ".speedscope.json", ".pprof"};
    for (size_t i = 0; i < VT_ARRAY_LEN(suffixes); i++) {
        convert(suffixes[i]);
        ck_assert_msg(says(SAID), "%s does not say it", suffixes[i]);
    }
}
END_TEST

START_TEST(test_limit_tells_each_function) {
    convert(".json");
    ck_assert(says("\"calls_counted\":1200,\"calls_estimated\":0,\"kind\":\"exact\"}"));
    ck_assert(says("\"calls_counted\":7,\"calls_estimated\":5000000,\"kind\":\"estimated\"}"));
    ck_assert(says("\"max_overhead\":2.50,\"hooks_out_times\":3,\"hooks_out_us\":2000000"));
    convert(".pftrace");
    ck_assert(says("1,200 more calls counted (exact)"));
    ck_assert(says("7 more calls counted, about 5,000,000 not seen (estimated)"));
}
END_TEST

/* Where the real cost of the events is not known well enough, the figure is a lower bound. */
START_TEST(test_limit_tells_lower_bounds) {
    Vt__ThrottledFunction f = VT__THROTTLED_FUNCTION__INIT;
    char text[128];
    f.counted = 7;
    f.estimated = 5000;
    f.off = true;
    ck_assert_str_eq(limit_figures(text, sizeof text, &f), "7 more calls counted, about 5,000 not seen (estimated)");
    ck_assert_str_eq(limit_kind(&f), "estimated");
    f.at_least = true;
    ck_assert_str_eq(limit_figures(text, sizeof text, &f), "7 more calls counted, at least 5,000 not seen");
    ck_assert_str_eq(limit_kind(&f), "at least");
}
END_TEST

/* A trace of another kind that was made from one with a limit has it, too. */
START_TEST(test_limit_goes_with_the_trace) {
    static const char *const suffixes[] = {".json", ".pftrace", ".vzt"};
    for (size_t i = 0; i < VT_ARRAY_LEN(suffixes); i++) {
        struct trace_source *source;
        struct vt_err err = {0};
        convert(suffixes[i]);
        ck_assert_msg(!trace_source_open(path, &source, &err), "%s", err.msg);
        ck_assert_msg(!strcmp(trace_source_info(source)->limit, SAID), "%s: %s", suffixes[i], trace_source_info(source)->limit);
        trace_source_close(source);
    }
}
END_TEST

/* Calls that were running when the hooks went out end there, the innermost first: each is written once. */
START_TEST(test_limit_calls_at_the_end_are_written_once) {
    trace_build_remove(&trace);
    make_of(250, 2, "(a(b(cc)(b", VT__END_REASON__STOPPED);
    convert(".pftrace");
    struct pftrace *pf = pftrace_read(path);
    ck_assert_uint_eq(pf->nslices, 4);
    for (size_t i = 0; i < pf->nslices; i++) ck_assert_ptr_nonnull(pf->slices[i].end);
    pftrace_free(pf);
}
END_TEST

static char *printed(const char *command, const char *option) {
    struct capture c;
    char *out, *err_text, *argv[] = {(char *)(uintptr_t)command, trace.path, (char *)(uintptr_t)option, NULL};
    capture_begin(&c);
    int rc = !strcmp(command, "diff") ? cli_diff.run(3, argv) : cli_report.run(option ? 3 : 2, argv);
    capture_end(&c, &out, &err_text);
    ck_assert_msg(rc == CLI_OK, "%s", err_text);
    free(err_text);
    return out;
}

START_TEST(test_limit_is_in_reports) {
    char *out = printed("report", NULL);
    ck_assert_ptr_nonnull(strstr(out, "--max_overhead was on: " SAID "\n"));
    ck_assert_ptr_nonnull(strstr(out, "           0             7       5,000,000  estimated  i (x.py:9)\n"));
    ck_assert_ptr_nonnull(strstr(out, "           2         1,200               -      exact  b (x.py:2)\n"));
    free(out);
    out = printed("report", "--json");
    ck_assert_ptr_nonnull(strstr(out, "\"limit\":\"" SAID "\""));
    ck_assert_ptr_nonnull(strstr(out, "\"calls_counted\":7,\"calls_estimated\":5000000,\"at_least\":false,\"exact\":false}"));
    ck_assert_ptr_nonnull(strstr(out, "\"calls_counted\":1200,\"calls_estimated\":0,\"at_least\":false,\"exact\":true}"));
    free(out);
    out = printed("diff", trace.path);
    ck_assert_ptr_nonnull(strstr(out, "--max_overhead was on here: " SAID "\n"));
    free(out);
}
END_TEST

/* On, and nothing was left out: that is said, too. Off: no word. */
START_TEST(test_limit_without_effect_is_told) {
    struct trace_source *source;
    struct vt_err err = {0};
    for (uint32_t limit = 0; limit <= 500; limit += 500) {
        trace_build_remove(&trace);
        make(limit, 0);
        ck_assert_msg(!trace_source_open(trace.path, &source, &err), "%s", err.msg);
        ck_assert_str_eq(trace_source_info(source)->limit, limit ? "the limit of 5 % left nothing out" : "");
        trace_source_close(source);
    }
}
END_TEST

/* A process that ends, or becomes another program, cannot tell its last figures. */
START_TEST(test_limit_is_incomplete_where_the_process_ended) {
    static const int reasons[] = {VT__END_REASON__TARGET_EXIT, VT__END_REASON__EXEC, NO_END};
    for (size_t i = 0; i < VT_ARRAY_LEN(reasons); i++)
        for (size_t n = 0; n <= 2; n += 2) {
            struct trace_source *source;
            struct vt_err err = {0};
            trace_build_remove(&trace);
            make_of(500, n, "(a(bb)(bb)a)", reasons[i]);
            ck_assert_msg(!trace_source_open(trace.path, &source, &err), "%s", err.msg);
            const struct trace_info *info = trace_source_info(source);
            ck_assert_msg(strstr(info->limit, "tracing ended before the process could tell") != NULL, "%s", info->limit);
            ck_assert_ptr_null(strstr(info->limit, "nothing"));
            for (size_t f = 0; f < n; f++) ck_assert_str_eq(limit_kind(info->throttled->functions[f]), "at least");
            trace_source_close(source);
        }
}
END_TEST

START_TEST(test_limit_text_of_others_is_cleaned) {
    struct trace_info *info = trace_info_new();
    char text[600];
    ck_assert_ptr_nonnull(info);
    memset(text, 'x', sizeof text);
    memcpy(text, "\"a\033[31m\\n<b>\x7f\xff", 15);
    limit_take(info, text, sizeof text);
    ck_assert_uint_eq(strlen(info->limit), sizeof info->limit - 1);
    ck_assert_str_eq((info->limit[14] = 0, info->limit), "a[31mn<b>xxxxx");
    limit_take(info, "", 0);
    ck_assert_str_eq(info->limit, "");
    trace_info_free(info);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli_limit");
    TCase *tc = tcase_create("all");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_limit_is_named_in_outputs);
    tcase_add_test(tc, test_limit_tells_each_function);
    tcase_add_test(tc, test_limit_tells_lower_bounds);
    tcase_add_test(tc, test_limit_goes_with_the_trace);
    tcase_add_test(tc, test_limit_calls_at_the_end_are_written_once);
    tcase_add_test(tc, test_limit_is_in_reports);
    tcase_add_test(tc, test_limit_without_effect_is_told);
    tcase_add_test(tc, test_limit_is_incomplete_where_the_process_ended);
    tcase_add_test(tc, test_limit_text_of_others_is_cleaned);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
