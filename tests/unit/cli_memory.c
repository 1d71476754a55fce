/* The memory of readers: it is counted and given back, a limit ends a command in one line with nothing left behind, and a
 * trace of very many threads takes little for each. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/base/memory.h"
#include "cli/cli.h"
#include "cli/convert/convert.h"
#include "tests/lib/capture.h"
#include "tests/lib/case.h"
#include "tests/lib/trace_build.h"
#include "tests/lib/trace_hostile.h"
#include "tests/lib/trace_random.h"

#define THREADS 20000u
#define THREAD_BYTES 1000u /* for each thread with one call, in report: some thousands when its parts did not begin small */

static char path[32], output[64];

static void set_up(void) {
    strcpy(path, "/tmp/memory-XXXXXX");
    close(mkstemp(path));
    snprintf(output, sizeof output, "%s.json", path);
    memory_limit(0);
}
static void tear_down(void) {
    unlink(path);
    unlink(output);
}

static void write_threads(void) {
    FILE *f = fopen(path, "w");
    trace_hostile_json(f, THREADS);
    ck_assert_int_eq(fclose(f), 0);
}

START_TEST(test_memory_what_is_in_use_is_counted) {
    uint64_t before = memory_used();
    void *a = memory_alloc(1000), *b = memory_calloc(10, 100), *c = memory_realloc(NULL, 5);
    ck_assert_uint_ge(memory_used() - before, 2005);
    ck_assert_uint_le(memory_used() - before, 2200);
    a = memory_realloc(a, 100000);
    ck_assert_uint_ge(memory_used() - before, 101005);
    ck_assert_uint_le(memory_used() - before, 101400);
    memory_free(a);
    memory_free(b);
    memory_free(c);
    memory_free(NULL);
    ck_assert_uint_eq(memory_used(), before);
}
END_TEST

START_TEST(test_memory_above_the_limit_nothing_is_given) {
    struct vt_err err = {0};
    vt_err_set(&err, -ENOMEM, "out of memory");
    memory_limit(memory_used() + 10000);
    char *a = memory_alloc(6000);
    ck_assert_ptr_nonnull(a);
    ck_assert_int_eq(memory_verdict(0, "x.json", &err), 0);
    memset(a, 7, 6000);
    ck_assert_ptr_null(memory_alloc(6000));
    ck_assert_ptr_null(memory_calloc(6000, 1));
    ck_assert_ptr_null(memory_calloc(SIZE_MAX / 2, 4));
    ck_assert_ptr_null(memory_realloc(a, 20000)); /* and what was there stays */
    ck_assert_int_eq(a[5999], 7);
    ck_assert_int_eq(memory_verdict(0, "x.json", &err), -ENOMEM);
    ck_assert_msg(strstr(err.msg, "x.json: needs more than ") && strstr(err.msg, "--slice") && strstr(err.msg, "--max_memory"),
                  "%s", err.msg);
    memory_free(a);
    memory_again();
    ck_assert_int_eq(memory_verdict(0, "x.json", &err), 0);
}
END_TEST

static int command(const struct cli_cmd *cmd, char **out, char **err_text, ...) {
    char *argv[12] = {(char *)(uintptr_t)cmd->options.name};
    int argc = 1;
    va_list words;
    va_start(words, err_text);
    while ((argv[argc] = va_arg(words, char *))) argc++;
    va_end(words);
    struct capture c;
    capture_begin(&c);
    int rc = cmd->run(argc, argv);
    capture_end(&c, out, err_text);
    return rc;
}

START_TEST(test_memory_commands_end_in_one_line_at_the_limit) {
    char *out, *err_text;
    write_threads();
    for (int i = 0; i < 4; i++) {
        const struct cli_cmd *cmd = i == 0 ? &cli_report : i == 1 ? &cli_diff : i == 2 ? &cli_convert : &cli_combine;
        int rc = i == 0   ? command(cmd, &out, &err_text, path, "--max_memory", "2M", NULL)
                 : i == 1 ? command(cmd, &out, &err_text, path, path, "--max_memory", "2M", NULL)
                          : command(cmd, &out, &err_text, path, "-o", output, "--max_memory", "2M", NULL);
        ck_assert_int_eq(rc, CLI_FAILED);
        ck_assert_str_eq(out, "");
        ck_assert_msg(strstr(err_text, "needs more than 2.1 MB of memory") && strchr(err_text, '\n') == strrchr(err_text, '\n'),
                      "%d: %s", i, err_text);
        ck_assert_int_ne(access(output, F_OK), 0);
        free(out);
        free(err_text);
    }
}
END_TEST

/* More of each kind than 4 MB can hold. */
static const struct {
    const char *kind;
    uint32_t n;
} floods[] = {{"threads", 40000}, {"stacks", 400}, {"names", 6000}, {"open", 500}, {"tasks", 100000}};

/* Either all of it in the allowed memory, or one line and no output. */
static void must_stay_in_limit(const char *kind, const char *from, const char *suffix) {
    char to[96], *out, *err_text;
    uint64_t before = memory_used();
    snprintf(to, sizeof to, "%s%s", from, suffix);
    memory_again();
    int rc = *suffix ? command(&cli_convert, &out, &err_text, from, "-o", to, "--max_memory", "4M", NULL)
                     : command(&cli_report, &out, &err_text, from, "--max_memory", "4M", NULL);
    ck_assert_msg(memory_most() <= before + 4000000 + 200000, "%s to '%s': %lu kB", kind, suffix, memory_most() / 1000);
    if (rc == CLI_OK) {
        ck_assert_msg(*suffix, "report on %s needs no memory?", kind);
    } else {
        ck_assert_msg(strstr(err_text, "needs more than 4.2 MB of memory") && strchr(err_text, '\n') == strrchr(err_text, '\n'),
                      "%s to '%s': %s", kind, suffix, err_text);
        ck_assert_msg(!*suffix || access(to, F_OK), "%s: an output was left", to);
    }
    if (*suffix) unlink(to);
    free(out);
    free(err_text);
}

START_TEST(test_memory_hostile_traces_stay_in_the_limit) {
    for (size_t i = 0; i < VT_ARRAY_LEN(floods); i++) {
        struct trace_build b;
        ck_assert_int_eq(trace_hostile_make(&b, floods[i].kind, floods[i].n), 0);
        must_stay_in_limit(floods[i].kind, b.path, "");
        must_stay_in_limit(floods[i].kind, b.path, ".json");
        must_stay_in_limit(floods[i].kind, b.path, ".html");
        must_stay_in_limit(floods[i].kind, b.path, ".pftrace");
        trace_build_remove(&b);
    }
}
END_TEST

START_TEST(test_memory_a_thread_costs_little) {
    char *out, *err_text;
    write_threads();
    uint64_t before = memory_most();
    ck_assert_int_eq(command(&cli_report, &out, &err_text, path, NULL), CLI_OK);
    ck_assert_ptr_nonnull(strstr(out, "20,000 calls of 1 function on 20,000 threads"));
    ck_assert_uint_le((memory_most() - before) / THREADS, THREAD_BYTES);
    free(out);
    free(err_text);
}
END_TEST

/* Into every format and out of those that are read: what was taken has been given back. */
START_TEST(test_memory_all_is_given_back) {
    static const char *const suffixes[] = {".json", ".pftrace", ".vzt", ".html", ".svg", ".folded", ".pprof", ".speedscope.json"};
    struct trace_build b;
    char first[96], second[96], *out, *err_text;
    trace_random_build(&b, 3, true);
    for (size_t i = 0; i < VT_ARRAY_LEN(suffixes); i++) {
        uint64_t before = memory_used();
        snprintf(first, sizeof first, "%s.1%s", b.path, suffixes[i]);
        snprintf(second, sizeof second, "%s.2.json", b.path);
        ck_assert_int_eq(command(&cli_convert, &out, &err_text, b.path, "-o", first, "--min_duration", "1us", NULL), CLI_OK);
        ck_assert_msg(memory_used() == before, "%s: %lld bytes", suffixes[i], (long long)(memory_used() - before));
        free(out);
        free(err_text);
        if (i < 3) {
            ck_assert_int_eq(command(&cli_convert, &out, &err_text, first, "-o", second, "--budget", "100", NULL), CLI_OK);
            free(out);
            free(err_text);
            int rc = command(&cli_report, &out, &err_text, first, "--tree", NULL);
            ck_assert_msg(rc == CLI_OK, "%s: %s", first, err_text);
            free(out);
            free(err_text);
        }
        ck_assert_msg(memory_used() == before, "from %s: %lld bytes", suffixes[i], (long long)(memory_used() - before));
        unlink(first);
        unlink(second);
    }
    trace_build_remove(&b);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_memory_what_is_in_use_is_counted,
                                  test_memory_above_the_limit_nothing_is_given,
                                  test_memory_commands_end_in_one_line_at_the_limit,
                                  test_memory_hostile_traces_stay_in_the_limit,
                                  test_memory_a_thread_costs_little,
                                  test_memory_all_is_given_back};
    return case_main("cli/memory", tests, VT_ARRAY_LEN(tests), set_up, tear_down);
}
