/* `report` and `diff` as commands: text that fits and harms no terminal, refusals, what is told beside the tables. */
#include <check.h>
#include <fcntl.h>
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
#include "tests/lib/report_run.h"
#include "tests/lib/tool.h"
#include "tests/lib/trace_build.h"

static void must_be_tame(unsigned width) {
    for (const char *c = report_out; *c;) {
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
    const char *table = strstr(report_out, heading);
    ck_assert_ptr_nonnull(table);
    table = strchr(table + 1, '\n') + 1;
    memmove(report_out, table, strlen(table) + 1);
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
        trace_build_name(&report_trace, 20 + i, i & 1, names[i], "/very/long/path/\033]0;title\a/that/does/not/fit/anywhere.py",
                         i);
        ev[n++] = (struct vt_event){.ticks = 1000 + 200 * i, .type = VT_REC_CALL, .id = 20 + i};
        ev[n++] = (struct vt_event){.ticks = 1100 + 200 * i, .type = VT_REC_RETURN, .id = 20 + i};
    }
    trace_build_name(&report_trace, 40, 0, long_name, "y.py", 1);
    ev[n++] = (struct vt_event){.ticks = 9000, .type = VT_REC_CALL, .id = 40};
    ev[n++] = (struct vt_event){.ticks = 9500, .type = VT_REC_RETURN, .id = 40};
    trace_build_thread(&report_trace, 1, 7, 1, "T\033[2J\n");
    trace_build_block(&report_trace, 0, 1, 7, ev, n);
    for (unsigned width = 60; width <= 200; width += 20) {
        char columns[8];
        snprintf(columns, sizeof columns, "%u", width);
        setenv("COLUMNS", columns, 1);
        ck_assert_int_eq(RUN("report", REPORT_TRACE), CLI_OK);
        *strstr(report_out, "\nSlowest") = 0; /* the command to copy stays whole there */
        must_be_tame_from("\nFunctions by", width);
        ck_assert_int_eq(RUN("report", REPORT_TRACE, "--tree"), CLI_OK);
        must_be_tame_from("\nCall tree", width);
        ck_assert_ptr_nonnull(strstr(report_out, "END\n")); /* the end of a name is what is kept */
    }
    unsetenv("COLUMNS");
    ck_assert_int_eq(RUN("report", REPORT_TRACE), CLI_OK);
    ck_assert_ptr_null(strpbrk(report_out, "\033\a\b\r\x9b\xff"));
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--json"), CLI_OK);
    yajl_tree_free(report_parse());
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
        report_forget();
        capture_begin(&capture);
        put_name(&term, rows[i].name, rows[i].width);
        capture_end(&capture, &report_out, &report_err);
        ck_assert_str_eq(report_out, rows[i].want);
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
    ck_assert_int_eq(RUN("report", REPORT_TRACE, REPORT_TRACE), CLI_USAGE);
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--sort", "colour"), CLI_USAGE);
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--limit", "0"), CLI_USAGE);
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--limit", "-1"), CLI_USAGE);
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--min_share", "nan"), CLI_USAGE);
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--wrong"), CLI_USAGE);
    ck_assert_int_eq(RUN("diff", REPORT_TRACE), CLI_USAGE);
    ck_assert_int_eq(RUN("diff", REPORT_TRACE, REPORT_TRACE, "--sort", "p99"), CLI_USAGE);
    ck_assert_int_eq(RUN("report", "/nowhere/x.vzt"), CLI_FAILED);
    ck_assert_str_eq(report_out, "");
    ck_assert_ptr_nonnull(strstr(report_err, "/nowhere/x.vzt: No such file"));
    ck_assert_ptr_eq(strchr(report_err, '\n'), report_err + strlen(report_err) - 1);
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--tid", "55"), CLI_FAILED);
    ck_assert_int_eq(RUN("diff", REPORT_TRACE, "/dev/null"), CLI_FAILED);
    ck_assert_int_eq(RUN("sample", "1", "-o", "x.unknown"), CLI_USAGE);
    ck_assert_int_eq(RUN("convert", REPORT_TRACE, "-o", "x.unknown"), CLI_USAGE);
    ck_assert_int_eq(RUN("combine", REPORT_TRACE, "-o", "x.unknown"), CLI_USAGE);
    ck_assert_int_eq(RUN("report", "--help"), CLI_OK);
    ck_assert_int_eq(RUN("diff", "--help"), CLI_OK);
}
END_TEST

/* What can be read is saved, and the exit code says that it is not all that was named. */
START_TEST(test_combine_without_one_file_fails) {
    const char *out = temp_path(".json");
    ck_assert_int_eq(RUN("combine", REPORT_TRACE, "/dev/null", "-o", out), CLI_FAILED);
    ck_assert_ptr_nonnull(strstr(report_err, "/dev/null"));
    ck_assert_ptr_nonnull(strstr(report_err, "it is left out"));
    ck_assert_int_eq(access(out, F_OK), 0);
    ck_assert_int_eq(RUN("combine", REPORT_TRACE, "/dev/null", "--quiet", "-o", out), CLI_FAILED);
    ck_assert_int_eq(RUN("combine", REPORT_TRACE, "-o", out), CLI_OK);
    unlink(out);
}
END_TEST

START_TEST(test_report_reads_stdin) {
    int before = dup(STDIN_FILENO), fd = open(report_trace.path, O_RDONLY | O_CLOEXEC);
    trace_build_calls(&report_trace, 0, 1, 1000, 10, "(a (b b) a)");
    ck_assert_int_eq(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    close(fd);
    int rc = RUN("report", "-");
    dup2(before, STDIN_FILENO);
    close(before);
    ck_assert_int_eq(rc, CLI_OK);
    ck_assert_ptr_nonnull(strstr(report_out, "2 calls of 2 functions"));
}
END_TEST

START_TEST(test_diff_shows_changes) {
    trace_build_calls(&report_trace, 0, 1, 1000, 10, "(a (b b) a)");
    ck_assert_int_eq(RUN("diff", REPORT_TRACE, REPORT_TRACE, "--json"), CLI_OK);
    yajl_val root = report_parse(), v = report_at(root, "functions", 0);
    report_must_have(root, "version before after functions");
    report_must_have(report_get(root, "before"), "duration_ns total_ns calls file wrong_checksum left_out");
    report_must_have(v, NAME_KEYS " state before after change");
    report_must_have(report_get(v, "after"),
                     "calls self_ns total_ns mean_ns calls_per_s self_ns_per_s total_ns_per_s wait_ns wait_ns_per_s");
    ck_assert_str_eq(report_string(v, "state"), "both");
    ck_assert_str_eq(YAJL_GET_NUMBER(report_get(v, "change")), "0.000");
    yajl_tree_free(root);
    for (unsigned width = 80; width <= 130; width += 50) {
        char columns[16];
        snprintf(columns, sizeof columns, "%u", width);
        setenv("COLUMNS", columns, 1);
        ck_assert_int_eq(RUN("diff", REPORT_TRACE, REPORT_TRACE), CLI_OK);
        ck_assert_ptr_nonnull(strstr(report_out, "no function has changed"));
        ck_assert_ptr_null(strstr(report_out, "per second"));
        must_be_tame(width);
        ck_assert_int_eq(RUN("diff", REPORT_TRACE, REPORT_TRACE, "--sort", "name"), CLI_OK);
        ck_assert_ptr_nonnull(strstr(report_out, "+0 ns"));
        ck_assert((strstr(report_out, "mean per call") != NULL) == (width == 130));
        must_be_tame(width);
    }
}
END_TEST

/* Traces of VizTracer before 1.0 have no base time: a date would be one of 1970. */
START_TEST(test_report_no_date_without_a_base) {
    static const char json[] = "[{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":1,\"dur\":9,\"name\":\"f (a.py:1)\",\"cat\":\"FEE\"}]";
    ck_assert_int_eq(ftruncate(report_trace.fd, 0), 0);
    ck_assert_int_eq(pwrite(report_trace.fd, json, sizeof json - 1, 0), sizeof json - 1);
    ck_assert_int_eq(RUN("report", REPORT_TRACE), CLI_OK);
    ck_assert_ptr_nonnull(
        strstr(report_out, ": process 1, 9.000 us\n1 call of 1 function on 1 thread, 9.000 us of thread time\n"));
    ck_assert_ptr_nonnull(strstr(report_out, " after the start\n"));
    ck_assert_ptr_null(strstr(report_out, "1970"));
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--json"), CLI_OK);
    yajl_val root = report_parse();
    ck_assert(YAJL_IS_NULL(report_get(report_get(root, "trace"), "start_ns")));
    yajl_tree_free(root);
}
END_TEST

/* The number of a thread is what --tid takes: it stays whole when the line is narrow. */
START_TEST(test_report_thread_ids_are_not_cut) {
    trace_build_thread(&report_trace, 1, 1234567890, 1, "a-thread-with-a-name-that-is-far-longer-than-this-terminal-0_17");
    trace_build_calls(&report_trace, 0, 1, 1000000, 1000, "(a (b b) ~ (b b) a)");
    trace_build_end(&report_trace, 1000000, 3);
    setenv("COLUMNS", "60", 1);
    for (int i = 0; i < 3; i++) {
        const char *view = ((const char *const[]){"--gaps", "--threads", "--slowest=3"})[i];
        ck_assert_int_eq(RUN("report", REPORT_TRACE, view), CLI_OK);
        ck_assert_msg(strstr(report_out, " 1234567890 \xe2\x80\xa6") && strstr(report_out, "-0_17\n"), "%s:\n%s", view,
                      report_out);
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
    trace_build_calls(&report_trace, 0, 1, 1000000, 1000, "(a (b b) a)");
    trace_build_frame(&report_trace, VT_FRAME_THROTTLED, &t.base);
    trace_build_end(&report_trace, 1000000, 0);
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--match", "b"), CLI_OK);
    ck_assert_ptr_nonnull(strstr(report_out, "Throttled by"));
    ck_assert_ptr_nonnull(strstr(report_out, "            88"));
    ck_assert_ptr_null(strstr(report_out, "            77"));
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--match", "b", "--json"), CLI_OK);
    yajl_val root = report_parse();
    ck_assert_uint_eq(report_length(root, "throttled"), 1);
    ck_assert_int_eq(report_number(report_at(root, "throttled", 0), "calls_counted"), 88);
    yajl_tree_free(root);
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--match", "c"), CLI_OK);
    ck_assert_ptr_null(strstr(report_out, "Throttled by"));
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
    ck_assert_ptr_nonnull(strstr(report_out, said));
    ck_assert_int_eq(RUN("report", path, "--json"), 0);
    yajl_val root = report_parse();
    yajl_val left = report_get(report_get(root, "trace"), "left_out");
    ck_assert_int_eq(report_number(left, "no_time"), 1);
    ck_assert_int_eq(report_number(left, "no_begin"), 1);
    yajl_tree_free(root);
    ck_assert_int_eq(RUN("diff", REPORT_TRACE, path), 0);
    ck_assert_ptr_nonnull(strstr(report_out, said));
    ck_assert_int_eq(RUN("diff", path, REPORT_TRACE, "--json"), 0);
    root = report_parse();
    ck_assert_int_eq(report_number(report_get(report_get(root, "before"), "left_out"), "no_time"), 1);
    yajl_tree_free(root);
    unlink(path);
}
END_TEST

/* A wait that grew is no work that grew. */
START_TEST(test_diff_waiting_is_apart_from_working) {
    struct trace_build before = report_trace;
    trace_build_open(&report_trace);
    struct trace_build *both[] = {&before, &report_trace};
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
    ck_assert_int_eq(RUN("diff", before.path, REPORT_TRACE), CLI_OK);
    const char *own = strstr(report_out, "own per second"), *waiting = strstr(report_out, "waiting per second"),
               *caller = strstr(report_out, "caller (a.py:1)"), *wait = strstr(report_out, "time.sleep");
    ck_assert_msg(own && waiting && caller && wait && own < caller && caller < waiting && waiting < wait, "%s", report_out);
    ck_assert_ptr_null(strstr(report_out, "same (a.py:9)"));
    trace_build_remove(&before);
}
END_TEST

START_TEST(test_report_folded_calls_are_told) {
    static const char json[] =
        "{\"traceEvents\":[{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":1,\"dur\":9,\"name\":\"f (a.py:1)\","
        "\"args\":{\"func_args\":{\"x\":\"\\\"folded\\\":{\\\"calls\\\":5\"},\"folded\":{\"calls\":12,\"total_us\":3,"
        "\"functions\":[]}},\"cat\":\"FEE\"}],\"viztracer_metadata\":{\"version\":\"1\"}}";
    ck_assert_int_eq(ftruncate(report_trace.fd, 0), 0);
    ck_assert_int_eq(pwrite(report_trace.fd, json, sizeof json - 1, 0), sizeof json - 1);
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--json"), CLI_OK);
    yajl_val root = report_parse();
    ck_assert_str_eq(report_string(report_get(root, "trace"), "kind"), "json");
    ck_assert_int_eq(report_number(report_get(root, "trace"), "folded"), 12);
    ck_assert_str_eq(report_string(report_at(root, "functions", 0), "name"), "f");
    ck_assert_int_eq(report_number(report_at(root, "functions", 0), "total_ns"), 9000);
    yajl_tree_free(root);
    ck_assert_int_eq(RUN("report", REPORT_TRACE), CLI_OK);
    ck_assert_ptr_nonnull(strstr(report_out, "12 more calls folded when"));
    ck_assert_ptr_null(strstr(report_out, "but for"));
    static const char alone[] =
        "{\"traceEvents\":[{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":1,\"dur\":9,\"name\":\"f (a.py:1)\","
        "\"args\":{\"folded\":{\"calls\":12,\"total_us\":3,\"functions\":[]}},\"cat\":\"FEE\"},"
        "{\"ph\":\"i\",\"pid\":1,\"tid\":1,\"ts\":20,\"s\":\"t\",\"name\":\"folded\",\"args\":{\"calls\":30,"
        "\"total_us\":3,\"functions\":[]}}],\"viztracer_metadata\":{\"version\":\"1\"}}";
    ck_assert_int_eq(ftruncate(report_trace.fd, 0), 0);
    ck_assert_int_eq(pwrite(report_trace.fd, alone, sizeof alone - 1, 0), sizeof alone - 1);
    ck_assert_int_eq(RUN("report", REPORT_TRACE), CLI_OK);
    ck_assert_ptr_nonnull(strstr(report_out, "42 more calls folded when"));
    ck_assert_ptr_nonnull(strstr(report_out, "but for 30 calls whose callers are not in the file"));
    ck_assert_int_eq(RUN("report", REPORT_TRACE, "--json"), CLI_OK);
    root = report_parse();
    ck_assert_int_eq(report_number(report_get(root, "trace"), "folded"), 42);
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
    trace_build_name(&report_trace, 20, VT_NAME_INSIDE, "[in C: read(3: pipe)]", "", 0);
    trace_build_thread(&report_trace, 9, 7, 1, "main");
    trace_build_stack_at(&report_trace, 9, 1000, 3, (uint32_t[]){1, 2, 20}, (uint32_t[]){11, 22, 0});
    trace_build_block(&report_trace, 0, 9, 7, ev, VT_ARRAY_LEN(ev));
    trace_build_end_at(&report_trace, 1000, 6000, 0);
    for (size_t k = 0; k <= VT_ARRAY_LEN(outputs); k++) {
        char path[64], got[256] = "";
        snprintf(path, sizeof path, "%s%s", report_trace.path, k ? outputs[k - 1] : "");
        if (k) ck_assert_int_eq(RUN("convert", REPORT_TRACE, "-o", path), CLI_OK);
        ck_assert_int_eq(RUN("report", path, "--json"), CLI_OK);
        yajl_val root = report_parse(), thread = report_at(root, "threads", 0);
        for (size_t i = 0; i < report_length(thread, "stack_at_start"); i++) {
            yajl_val f = report_at(thread, "stack_at_start", i);
            snprintf(got + strlen(got), sizeof got - strlen(got), "[%s %lld]", report_string(f, "name"),
                     report_number(f, "at_line"));
        }
        ck_assert_msg(!strcmp(got, want), "%s: %s", path, got);
        yajl_tree_free(root);
        ck_assert_int_eq(RUN("report", path, "--threads"), CLI_OK);
        ck_assert_msg(strstr(report_out, "at the start in [in C: read(3: pipe)] < b (x.py:22) < a (x.py:11)\n") &&
                          strstr(report_out, "at the end in c < a\n"),
                      "%s: %s", path, report_out);
        ck_assert_int_eq(RUN("convert", path, "-o", "-.json"), CLI_OK);
        ck_assert_msg(strstr(report_out, "{\"at_line\":22,\"return_value\":\"4\"}") ||
                          strstr(report_out, "{\"return_value\":\"4\",\"at_line\":22}"),
                      "%s: %s", path, report_out);
        /* the system call ends with the thread's first event in a .vzt of it, too */
        char native[80];
        snprintf(native, sizeof native, "%s.again.vzt", path);
        ck_assert_int_eq(RUN("convert", path, "-o", native), CLI_OK);
        ck_assert_int_eq(RUN("report", native, "--json", "--match", "*in C*"), CLI_OK);
        root = report_parse();
        ck_assert_int_lt(report_number(report_at(root, "functions", 0), "total_ns"), 1001);
        yajl_tree_free(root);
        unlink(native);
        /* a window that begins later has no line: nobody knows where the frames were then */
        ck_assert_int_eq(RUN("convert", path, "--slice", "500ns..", "-o", "-.json"), CLI_OK);
        ck_assert_msg(!strstr(report_out, "\"at_line\":11"), "%s: %s", path, report_out);
        if (k) unlink(path);
    }
}
END_TEST

START_TEST(test_report_tells_the_command_line_of_every_format) {
    static const char *const chain[] = {".json", ".pftrace", ".json.gz", ".cvf", ".vzt"};
    char from[80], to[80];
    trace_build_remove(&report_trace);
    trace_build_open_of(&report_trace, "/usr/bin/python3 app.py --name \"x\"");
    trace_build_letters(&report_trace);
    trace_build_calls(&report_trace, 0, 1, 1000, 10, "(a (b b) a)");
    trace_build_end(&report_trace, 1000, 0);
    snprintf(from, sizeof from, "%s", report_trace.path);
    for (size_t k = 0; k < VT_ARRAY_LEN(chain); k++) {
        snprintf(to, sizeof to, "%s%s", report_trace.path, chain[k]);
        ck_assert_int_eq(RUN("convert", from, "-o", to), CLI_OK);
        ck_assert_msg(!strstr(report_err, "process_labels"), "%s", report_err);
        ck_assert_int_eq(RUN("report", to), CLI_OK);
        ck_assert_msg(strstr(report_out, ": process 100 (python3 app.py --name \"x\"), "), "%s: %s", chain[k], report_out);
        if (k) unlink(from);
        snprintf(from, sizeof from, "%s", to);
    }
    unlink(from);
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
        trace_build_remove(&report_trace);
        trace_build_open_with(&report_trace, rows[i].options);
        trace_build_letters(&report_trace);
        trace_build_calls(&report_trace, 0, 1, 1000, 10, "(a (b b) a)");
        for (size_t k = 0; k < VT_ARRAY_LEN(outputs); k++) {
            char path[64];
            snprintf(path, sizeof path, "%s%s", report_trace.path, outputs[k]);
            ck_assert_int_eq(RUN("convert", REPORT_TRACE, "--slice", "0..1", "-o", path), CLI_OK);
            ck_assert_int_eq(RUN("report", path), CLI_OK);
            const char *said = strstr(report_out, "Made with");
            ck_assert_msg(!rows[i].told == !said && (!said || !strncmp(said, rows[i].told, strlen(rows[i].told))), "%s: %s: %s",
                          rows[i].options, outputs[k], report_out);
            unlink(path);
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli/report_text");
    TCase *tests = tcase_create("report");
    tcase_add_checked_fixture(tests, report_set_up, report_tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_report_cleans_hostile_names);
    tcase_add_test(tests, test_report_names_are_cut_where_it_hurts_least);
    tcase_add_test(tests, test_report_commands_lose_their_folder_and_their_end);
    tcase_add_test(tests, test_report_durations_fit);
    tcase_add_test(tests, test_report_refusals_are_one_line);
    tcase_add_test(tests, test_combine_without_one_file_fails);
    tcase_add_test(tests, test_report_reads_stdin);
    tcase_add_test(tests, test_diff_shows_changes);
    tcase_add_test(tests, test_diff_waiting_is_apart_from_working);
    tcase_add_test(tests, test_report_tells_filters);
    tcase_add_test(tests, test_report_tells_the_command_line_of_every_format);
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
