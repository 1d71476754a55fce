/* The option table of attach: VizTracer's spelling, argparse's rules, refusals by name, numbers with units. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/base/figures.h"
#include "cli/options.h"
#include "proto/abi/arena.h"

static struct attach_options o;
static char said[512]; /* what went to stderr */

/* Splits at blanks; the result of options_parse. */
static int parse(const char *line) {
    static char copy[512];
    char *argv[64] = {(char *)"attach"};
    int argc = 1;
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *save, *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) argv[argc++] = word;
    FILE *err = tmpfile();
    int old = dup(2);
    dup2(fileno(err), 2);
    int rc = options_parse(&o, argc, argv);
    fflush(stderr);
    dup2(old, 2);
    close(old);
    rewind(err);
    size_t n = fread(said, 1, sizeof(said) - 1, err);
    said[n] = 0;
    fclose(err);
    return rc;
}

START_TEST(defaults) {
    ck_assert_int_eq(parse("123"), 0);
    ck_assert_int_eq(o.pid, 123);
    ck_assert_uint_eq(o.flags, VT_F_C_CALLS);
    ck_assert_int_eq(o.max_stack_depth, -1);
    ck_assert_int_eq(o.tracer_entries, 0);
    ck_assert_ptr_null(o.output_file);
}
END_TEST

START_TEST(every_spelling) {
    ck_assert_int_eq(
        parse("-t 1.5 77 -o a.json --max_stack_depth=7 --min_duration 3ms --ignore_c --log_func_a --log_func_ret --log_gc "
              "--log_as --ignore_fro --tracer_entries 1000 --quiet --open --force --method ptrace --max_size 2G"),
        0);
    ck_assert_int_eq(o.pid, 77);
    ck_assert_uint_eq(o.duration_ns, 1500000000u);
    ck_assert_str_eq(o.output_file, "a.json");
    ck_assert_int_eq(o.max_stack_depth, 7);
    ck_assert_uint_eq(o.min_duration_ns, 3000000);
    ck_assert_uint_eq(o.flags, VT_F_ARGS | VT_F_RETVAL | VT_F_GC | VT_F_ASYNC | VT_F_IGNORE_FROZEN);
    ck_assert_int_eq(o.tracer_entries, 1000);
    ck_assert(o.quiet && o.open && o.force);
    ck_assert_str_eq(o.method, "ptrace");
    ck_assert_uint_eq(o.max_size, 2ull << 30);
    ck_assert_int_eq(parse("-ofile.json -t2 5"), 0);
    ck_assert_str_eq(o.output_file, "file.json");
    ck_assert_uint_eq(o.duration_ns, 2000000000u);
}
END_TEST

START_TEST(lists_end_at_the_next_option) {
    ck_assert_int_eq(parse("9 --include_files /a /b --quiet --t 2"), 0);
    ck_assert_uint_eq(o.include.n, 2);
    ck_assert_str_eq(o.include.item[1], "/b");
    ck_assert_int_eq(parse("9 --exclude_files=/a"), 0);
    ck_assert_uint_eq(o.exclude.n, 1);
    ck_assert_int_eq(
        parse("9 --include_functions f* g --exclude_functions=h --include_modules m n.o --exclude_modules p --quiet"), 0);
    ck_assert_uint_eq(o.include_functions.n, 2);
    ck_assert_str_eq(o.exclude_functions.item[0], "h");
    ck_assert_str_eq(o.include_modules.item[1], "n.o");
    ck_assert_uint_eq(o.exclude_modules.n, 1);
    ck_assert_int_eq(parse("9 --include_files /a --include_files /b"), 0);
    ck_assert_uint_eq(o.include.n, 1);
}
END_TEST

static const struct {
    const char *line, *says;
} wrong[] = {
    {"", "which process"},
    {"abc", "abc"},
    {"0", "0"},
    {"-5", "-5"},
    {"99999999999999999999", "99999"},
    {"1 2", "one process"},
    {"1 -t", "-t"},
    {"1 -t abc", "abc"},
    {"1 -t -1", "-1"},
    {"1 -t 0x10", "0x10"},
    {"1 --max_stack_depth x", "max_stack_depth"},
    {"1 --max_stack_depth -2", "-2"},
    {"1 --tracer_entries 0", "tracer_entries"},
    {"1 --min_duration 5zz", "5zz"},
    {"1 --min_duration", "min_duration"},
    {"1 --quiet=1", "quiet"},
    {"1 --no_such", "no_such"},
    {"1 --log_func", "could be"},
    {"1 --log_var x", "--log_var"},
    {"1 --log_number x", "--log_number"},
    {"1 --magic_comment", "--magic_comment"},
    {"1 --log_exit", "--log_exit"},
    {"1 --log_audit", "--log_audit"},
    {"1 --plugins x", "--plugins"},
    {"1 -c x", "--cmd_string"},
    {"1 -o a.json -u", "-u"},
    {"1 -x", "-x"},
    {"1 --", "--"},
    {"1 --include_files", "include_files"},
    {"1 --include_files a --exclude_files b", "exclude_files"},
    {"1 --method magic", "magic"},
    {"1 --max_size 5Q", "5Q"},
    {"1 --max_overhead 0", "0"},
    {"1 --max_overhead 101%", "101%"},
    {"1 --max_overhead 5x", "5x"},
    {"1 --exclude_functions", "exclude_functions"},
};

START_TEST(wrong_lines_are_refused_by_name) {
    ck_assert_int_eq(parse(wrong[_i].line), CLI_USAGE);
    ck_assert_msg(strstr(said, wrong[_i].says) != NULL, "%s: says %s", wrong[_i].line, said);
    ck_assert_msg(strchr(said, '\n') == said + strlen(said) - 1, "%s: not one line: %s", wrong[_i].line, said);
}
END_TEST

START_TEST(units) {
    uint64_t v;
    int64_t share;
    ck_assert(!options_overhead("5%", &share) && share == 500);
    ck_assert(!options_overhead("0.05", &share) && share == 500);
    ck_assert(!options_overhead("100%", &share) && share == 10000);
    ck_assert(!options_overhead("0.01%", &share) && share == 1);
    ck_assert(options_overhead("0", &share) && options_overhead("1.5", &share) && options_overhead("-1%", &share));
    ck_assert(!options_duration("5", &v) && v == 5000);
    ck_assert(!options_duration("0.3ms", &v) && v == 300000);
    ck_assert(!options_duration("7ns", &v) && v == 7);
    ck_assert(!options_duration("2s", &v) && v == 2000000000u);
    ck_assert(!options_duration(".5us", &v) && v == 500);
    ck_assert(options_duration("", &v) && options_duration("-1", &v) && options_duration("1e400", &v) &&
              options_duration("ms", &v));
    ck_assert(options_duration("nan", &v) && options_duration("inf", &v) && options_duration("1 ms", &v));
    ck_assert(!options_size("10K", &v) && v == 10240);
    ck_assert(!options_count("500k", &v) && v == 500000);
    ck_assert(!options_count("5M", &v) && v == 5000000);
    ck_assert(!options_count("7", &v) && v == 7);
    ck_assert(options_count("5MB", &v) && options_count("-1", &v) && options_count("", &v));
    ck_assert(options_size("10k b", &v) && options_size("99999999999T", &v));
}
END_TEST

START_TEST(numbers_for_people) {
    char buf[32];
    ck_assert_str_eq(format_count(buf, sizeof(buf), 0), "0");
    ck_assert_str_eq(format_count(buf, sizeof(buf), 999), "999");
    ck_assert_str_eq(format_count(buf, sizeof(buf), 1000), "1,000");
    ck_assert_str_eq(format_count(buf, sizeof(buf), UINT64_MAX), "18,446,744,073,709,551,615");
    ck_assert_str_eq(format_bytes(buf, sizeof(buf), 999), "999 B");
    ck_assert_str_eq(format_bytes(buf, sizeof(buf), 12345678), "12.3 MB");
    ck_assert_str_eq(format_ns(buf, sizeof(buf), 812345), "0.81 ms");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli_options");
    TCase *tc = tcase_create("options");
    tcase_add_test(tc, defaults);
    tcase_add_test(tc, every_spelling);
    tcase_add_test(tc, lists_end_at_the_next_option);
    tcase_add_loop_test(tc, wrong_lines_are_refused_by_name, 0, (int)VT_ARRAY_LEN(wrong));
    tcase_add_test(tc, units);
    tcase_add_test(tc, numbers_for_people);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
