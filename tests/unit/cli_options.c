/* The table of attach options: VizTracer's spelling, argparse's rules, refusals by name, numbers with units. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/attach_options.h"
#include "cli/base/figures.h"
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
    attach_options_free(&o);
    int rc = attach_options_parse(&o, argc, argv);
    fflush(stderr);
    dup2(old, 2);
    close(old);
    rewind(err);
    size_t n = fread(said, 1, sizeof(said) - 1, err);
    said[n] = 0;
    fclose(err);
    return rc;
}

START_TEST(test_options_have_defaults) {
    ck_assert_int_eq(parse("123"), 0);
    ck_assert_int_eq(o.req.pid, 123);
    ck_assert_uint_eq(o.trace.flags, VT_F_C_CALLS);
    ck_assert_int_eq(o.trace.max_stack_depth, -1);
    ck_assert_int_eq(o.tracer_entries, 0);
    ck_assert_ptr_null(o.output_file);
}
END_TEST

START_TEST(test_options_take_every_spelling) {
    ck_assert_int_eq(
        parse("-t 1.5 77 -o a.json --max_stack_depth=7 --min_duration 3ms --ignore_c --log_func_a --log_func_ret --log_gc "
              "--log_as --ignore_fro --tracer_entries 1000 --quiet --open --force --method ptrace --max_size 2G"),
        0);
    ck_assert_int_eq(o.req.pid, 77);
    ck_assert_uint_eq(o.req.duration_ns, 1500000000u);
    ck_assert_str_eq(o.output_file, "a.json");
    ck_assert_int_eq(o.trace.max_stack_depth, 7);
    ck_assert_uint_eq(o.trace.min_duration_ns, 3000000);
    ck_assert_uint_eq(o.trace.flags, VT_F_ARGS | VT_F_RETVAL | VT_F_GC | VT_F_ASYNC | VT_F_IGNORE_FROZEN);
    ck_assert_int_eq(o.tracer_entries, 1000);
    ck_assert(o.quiet && o.open && o.req.force);
    ck_assert_uint_eq(o.req.method, 1);
    ck_assert_uint_eq(o.req.max_bytes, 2ull << 30);
    ck_assert_int_eq(parse("-ofile.json -t2 5"), 0);
    ck_assert_str_eq(o.output_file, "file.json");
    ck_assert_uint_eq(o.req.duration_ns, 2000000000u);
}
END_TEST

START_TEST(test_options_lists_end_at_the_next_option) {
    ck_assert_int_eq(parse("9 --include_files /a /b --quiet --t 2"), 0);
    ck_assert_uint_eq(o.trace.n_include_files, 2);
    ck_assert_str_eq(o.trace.include_files[1], "/b");
    ck_assert_int_eq(parse("9 --exclude_files=/a"), 0);
    ck_assert_uint_eq(o.trace.n_exclude_files, 1);
    ck_assert_int_eq(
        parse("9 --include_functions f* g --exclude_functions=h --include_modules m n.o --exclude_modules p --quiet"), 0);
    ck_assert_uint_eq(o.trace.n_include_functions, 2);
    ck_assert_str_eq(o.trace.exclude_functions[0], "h");
    ck_assert_str_eq(o.trace.include_modules[1], "n.o");
    ck_assert_uint_eq(o.trace.n_exclude_modules, 1);
    ck_assert_int_eq(parse("9 --include_files /a --include_files /b"), 0);
    ck_assert_uint_eq(o.trace.n_include_files, 1);
}
END_TEST

/* As argparse: "-" is "_", letters of flags together, a value may look like a negative number. */
START_TEST(test_options_spelling_follows_argparse) {
    ck_assert_int_eq(parse("9 --output-file=a.json --max-stack-depth -1"), 0);
    ck_assert_str_eq(o.output_file, "a.json");
    ck_assert_int_eq(parse("9 -uo x.json"), CLI_USAGE); /* both were read: they exclude one another */
    ck_assert_msg(strstr(said, "-u makes its own name") != NULL, "%s", said);
    ck_assert_int_eq(parse("9 --include_file /a"), 0); /* unique: --include_files */
    ck_assert_uint_eq(o.trace.n_include_files, 1);
    ck_assert_int_eq(parse("9 -o=b.json"), 0);
    ck_assert_str_eq(o.output_file, "b.json");
}
END_TEST

/* -t as VizTracer has it: not above 0 is until Ctrl+C. */
START_TEST(test_options_no_duration_means_until_ctrl_c) {
    static const char *const lines[] = {"9", "9 -t 0", "9 -t -1", "9 -t=-0.5", "9 -t 3 -t 0"};
    for (size_t i = 0; i < VT_ARRAY_LEN(lines); i++) {
        ck_assert_int_eq(parse(lines[i]), 0);
        ck_assert_uint_eq(o.req.duration_ns, 0);
    }
}
END_TEST

/* A path counts as typed and as absolute path; the last list counts. */
START_TEST(test_options_paths_are_kept_as_typed_and_absolute) {
    char here[4096];
    ck_assert_ptr_nonnull(realpath(".", here));
    ck_assert_int_eq(parse("9 --exclude_files . /nowhere"), 0);
    ck_assert_uint_eq(o.trace.n_exclude_files, 3);
    ck_assert_str_eq(o.trace.exclude_files[0], ".");
    ck_assert_str_eq(o.trace.exclude_files[1], here);
    ck_assert_str_eq(o.trace.exclude_files[2], "/nowhere");
}
END_TEST

/* Values of other commands: defaults stay, integers of all sizes, several positional arguments. */
struct other {
    uint8_t flag;
    uint16_t port;
    int64_t big;
    const char *name;
    char **files;
    size_t nfiles;
    char **rest;
    size_t nrest;
    const char *module;
};
#define OTHER(field) OPTION_AT(struct other, field)
static const struct option_row other_rows[] = {
    {"NAME", NULL, OPTION_TEXT, OTHER(name), .ask = "which name?", .wants = "one name"},
    {"FILE...", NULL, OPTION_LIST, OTHER(files), .count = offsetof(struct other, nfiles), .ask = "which files?"},
    {"--flag", "-f", OPTION_FLAG, OTHER(flag), .help = "a flag"},
    {"--port", "-p", OPTION_INT, OTHER(port), .max = 65535, .arg = "N", .help = "a port"},
    {"--big", NULL, OPTION_INT, OTHER(big), .min = INT64_MIN, .max = INT64_MAX, .arg = "N", .help = "a number"},
    {"--internal", NULL, OPTION_FLAG, OTHER(flag)},
    OPTION_END,
};
static const struct options_command other = {.program = "tool", .name = "other", .args = "NAME FILE...", .rows = other_rows};
static const struct option_row launch_rows[] = {
    {"SCRIPT", NULL, OPTION_REST, OTHER(rest), .count = offsetof(struct other, nrest)},
    {"--module", "-m", OPTION_LAST, OTHER(module), .arg = "MODULE", .help = "a module"},
    {"--run", NULL, OPTION_ENDS, .help = "ends"},
    {"--flag", "-f", OPTION_FLAG, OTHER(flag), .help = "a flag"},
    {"--port", "-p", OPTION_INT, OTHER(port), .max = 65535, .arg = "N", .help = "a port"},
    {"--files", NULL, OPTION_LIST, OTHER(files), .count = offsetof(struct other, nfiles), .arg = "F...", .help = "files"},
    {"--attach", NULL, OPTION_COMMAND, .help = ""},
    {"--no", NULL, OPTION_REFUSED, .help = "is not there"},
    OPTION_END,
};
static const struct options_command launch = {.program = "tool", .args = "SCRIPT ...", .rows = launch_rows};

static int parse_other(const struct options_command *c, struct other *x, char *const *words) {
    struct vt_err err = {0};
    char *argv[16] = {(char *)"tool"};
    int argc = 1;
    memset(x, 0, sizeof(*x));
    while (words[argc - 1]) argv[argc] = words[argc - 1], argc++;
    int rc = options_parse(c, x, argc, argv, &err);
    snprintf(said, sizeof(said), "%s", err.msg);
    return rc;
}
#define PARSE(c, x, ...) parse_other(c, x, (char *const[]){__VA_ARGS__, NULL})

START_TEST(test_options_values_of_any_size_and_arguments_in_any_order) {
    struct other x;
    ck_assert_int_eq(PARSE(&other, &x, "a", "--big=-5000000000", "-fp", "65535", "b", "c", "--", "-d"), 0);
    ck_assert_uint_eq(x.flag, 1);
    ck_assert_uint_eq(x.port, 65535);
    ck_assert_int_eq(x.big, -5000000000);
    ck_assert_str_eq(x.name, "a");
    ck_assert_uint_eq(x.nfiles, 3);
    ck_assert_str_eq(x.files[2], "-d");
    options_free(&other, &x);
    ck_assert_int_eq(PARSE(&other, &x, "a", "-p65536"), -EINVAL);
    ck_assert_ptr_nonnull(strstr(said, "65536 is not a number from 0 to 65535"));
    ck_assert_int_eq(PARSE(&other, &x, "a"), -EINVAL);
    ck_assert_str_eq(said, "other: which files? tool other NAME FILE...");
    ck_assert_int_eq(PARSE(&other, &x, "a", "b", "--inter"), -EINVAL); /* internal ones have no abbreviation */
    options_free(&other, &x);
    ck_assert_int_eq(PARSE(&other, &x, "a", "b", "--internal"), 0);
    options_free(&other, &x);
    ck_assert_int_eq(PARSE(&other, &x, "--hel"), OPTIONS_WANT_HELP);
    ck_assert_int_eq(PARSE(&other, &x, "--version"), OPTIONS_WANT_VERSION);
}
END_TEST

/* Behind the program, options that we know are ours, as with VizTracer; "--" ends that. `theirs`: the program's words. */
static const struct {
    const char *words[10], *theirs;
    unsigned flag, port, nfiles;
} behind[] = {
    {{"-f", "script.py", "--such", "-x=3", "a"}, "script.py --such -x=3 a", 1, 0, 0},
    {{"script.py", "-f", "a", "-p", "7", "b"}, "script.py a b", 1, 7, 0},
    {{"script.py", "--port=7", "--flag", "b"}, "script.py b", 1, 7, 0},
    {{"script.py", "--por", "7", "--fl"}, "script.py", 1, 7, 0},
    {{"script.py", "-fp7"}, "script.py", 1, 7, 0},
    {{"script.py", "-fx", "-xf"}, "script.py -fx -xf", 0, 0, 0},
    {{"script.py", "--f", "-5", "-", "--fi", "a", "b"}, "script.py --f -5 -", 0, 0, 2},
    {{"script.py", "-h", "--help", "--version", "-m", "a", "--attach", "3"},
     "script.py -h --help --version -m a --attach 3",
     0,
     0,
     0},
    {{"script.py", "--", "-f"}, "script.py -- -f", 0, 0, 0},
    {{"script.py", "--run", "-f"}, "script.py --run -f", 0, 0, 0},
    {{"--", "script.py", "-f", "--", "-p"}, "script.py -f -- -p", 0, 0, 0},
    {{"--run", "script.py", "-f"}, "script.py -f", 0, 0, 0},
    {{"-m", "mod", "-f", "a"}, "mod: a", 1, 0, 0},
    {{"-m", "mod", "-f", "--", "-f", "-p"}, "mod: -f -p", 1, 0, 0},
    {{"-m", "mod", "--run", "-f", "--run"}, "mod: -f --run", 0, 0, 0},
    {{"-m", "mod", "a", "--", "-f"}, "mod: a -- -f", 0, 0, 0},
};

START_TEST(test_options_behind_the_program_are_ours_if_known) {
    struct other x;
    char theirs[256];
    ck_assert_int_eq(parse_other(&launch, &x, (char *const *)(uintptr_t)behind[_i].words), 0);
    size_t at = x.module ? (size_t)snprintf(theirs, sizeof theirs, "%s:", x.module) : 0;
    for (size_t i = 0; i < x.nrest; i++)
        at += (size_t)snprintf(theirs + at, sizeof theirs - at, "%s%s", at ? " " : "", x.rest[i]);
    ck_assert_str_eq(theirs, behind[_i].theirs);
    ck_assert_uint_eq(x.flag, behind[_i].flag);
    ck_assert_uint_eq(x.port, behind[_i].port);
    ck_assert_uint_eq(x.nfiles, behind[_i].nfiles);
    options_free(&launch, &x);
}
END_TEST

START_TEST(test_options_mistakes_behind_the_program_name_the_way_out) {
    struct other x;
    static const char way_out[] = "; -- before the program leaves it all that follows";
    ck_assert_int_eq(PARSE(&launch, &x, "--no-such", "script.py"), -EINVAL);
    ck_assert_ptr_null(strstr(said, way_out));
    ck_assert_int_eq(PARSE(&launch, &x, "script.py", "-pest"), -EINVAL);
    ck_assert_msg(strstr(said, way_out), "%s", said);
    options_free(&launch, &x);
    ck_assert_int_eq(PARSE(&launch, &x, "script.py", "--no"), -EINVAL);
    ck_assert_msg(strstr(said, "is not there; -- before"), "%s", said);
    options_free(&launch, &x);
}
END_TEST

static const struct {
    const char *typed, *meant; /* meant NULL: nothing is near */
} mistyped[] = {
    {"--atach", "--attach"},
    {"--attahc", "--attach"},
    {"-attach", "--attach"},
    {"reprot", "report"},
    {"covnert", "convert"},
    {"--incldue_files=x", "--include_files"},
    {"--log-fnc-args", "--log_func_args"},
    {"xyz", NULL},
    {"--", NULL},
    {"foo.py", NULL},
    {"", NULL},
    {"a_word_that_is_much_longer_than_any_name_of_an_option_could_be", NULL},
};

START_TEST(test_options_mistyped_words_are_recognised) {
    static const char *const names[] = {"--attach",        "--detach",        "report",          "convert",
                                        "--include_files", "--exclude_files", "--log_func_args", "--log_gc"};
    for (size_t i = 0; i < VT_ARRAY_LEN(mistyped); i++) {
        const char *meant = options_suggest(mistyped[i].typed, names, VT_ARRAY_LEN(names));
        ck_assert_msg(meant == mistyped[i].meant || (meant && mistyped[i].meant && !strcmp(meant, mistyped[i].meant)), "%s: %s",
                      mistyped[i].typed, meant ? meant : "nothing");
    }
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
    {"1 2x", "2x"},
    {"1 -5 2", "-5"},
    {"1 -t", "-t"},
    {"1 -t abc", "abc"},
    {"1 -t 0x10", "0x10"},
    {"1 --max_stack_depth x", "max_stack_depth"},
    {"1 --max_stack_depth -2", "-2"},
    {"1 --tracer_entries 0", "tracer_entries"},
    {"1 --min_duration 5zz", "5zz"},
    {"1 --min_duration", "min_duration"},
    {"1 --quiet=1", "quiet"},
    {"1 --no_such", "no_such"},
    {"1 --log_func", "could be --log_func_exec, --log_func_entry, --log_func_with_objprint, --log_func_args, --log_func_retval "
                     "or --log_func_repr"},
    {"1 --no_such", "no such option; see viztracer help attach"},
    {"1 --qiuet", "did you mean --quiet?"},
    {"1 -quiet", "did you mean --quiet?"},
    {"1 --incldue_file x", "did you mean --include_files?"},
    {"1 --run", "starts a program"},
    {"1 -m x", "starts a program"},
    {"1 -u=1", "takes no value"},
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

START_TEST(test_options_take_several_processes_each_once) {
    ck_assert_int_eq(parse("12 7 12 -t 1 --subprocesses"), CLI_OK);
    ck_assert_uint_eq(o.npids, 2);
    ck_assert_int_eq(o.pids[0], 12);
    ck_assert_int_eq(o.pids[1], 7);
    ck_assert_uint_eq(o.req.pid, 12);
    ck_assert(o.subprocesses);
}
END_TEST

START_TEST(test_options_wrong_lines_are_refused_by_name) {
    ck_assert_int_eq(parse(wrong[_i].line), CLI_USAGE);
    ck_assert_msg(strstr(said, wrong[_i].says) != NULL, "%s: says %s", wrong[_i].line, said);
    ck_assert_msg(strchr(said, '\n') == said + strlen(said) - 1, "%s: not one line: %s", wrong[_i].line, said);
}
END_TEST

START_TEST(test_options_take_units) {
    uint64_t v;
    uint64_t share;
    ck_assert(!options_share("5%", &share) && share == 500);
    ck_assert(!options_share("0.05", &share) && share == 500);
    ck_assert(!options_share("100%", &share) && share == 10000);
    ck_assert(!options_share("0.01%", &share) && share == 1);
    ck_assert(options_share("0", &share) && options_share("1.5", &share) && options_share("-1%", &share));
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

START_TEST(test_figures_are_for_people) {
    char buf[32];
    ck_assert_str_eq(format_count(buf, sizeof(buf), 0), "0");
    ck_assert_str_eq(format_count(buf, sizeof(buf), 999), "999");
    ck_assert_str_eq(format_count(buf, sizeof(buf), 1000), "1,000");
    ck_assert_str_eq(format_count(buf, sizeof(buf), UINT64_MAX), "18,446,744,073,709,551,615");
    ck_assert_str_eq(format_bytes(buf, sizeof(buf), 999), "999 B");
    ck_assert_str_eq(format_bytes(buf, sizeof(buf), 12345678), "12.3 MB");
    ck_assert_str_eq(format_bytes(buf, sizeof(buf), 999960), "1.0 MB");
    ck_assert_str_eq(format_bytes(buf, sizeof(buf), 15095500000), "15.1 GB");
    ck_assert_str_eq(format_ns(buf, sizeof(buf), 999960000), "1.0 s");
    ck_assert_str_eq(format_things(buf, sizeof(buf), 0, "thread"), "0 threads");
    ck_assert_str_eq(format_things(buf, sizeof(buf), 1, "thread"), "1 thread");
    ck_assert_str_eq(format_things(buf, sizeof(buf), 1234, "shorter call"), "1,234 shorter calls");
    ck_assert_str_eq(format_things(buf, sizeof(buf), 2, "process"), "2 processes");
    ck_assert_str_eq(format_things(buf, 8, 1234567, "event"), "1,234,5");
    ck_assert_str_eq(format_ns(buf, sizeof(buf), 812345), "0.81 ms");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli_options");
    TCase *tc = tcase_create("options");
    tcase_add_test(tc, test_options_have_defaults);
    tcase_add_test(tc, test_options_take_every_spelling);
    tcase_add_test(tc, test_options_lists_end_at_the_next_option);
    tcase_add_test(tc, test_options_spelling_follows_argparse);
    tcase_add_test(tc, test_options_no_duration_means_until_ctrl_c);
    tcase_add_test(tc, test_options_paths_are_kept_as_typed_and_absolute);
    tcase_add_test(tc, test_options_values_of_any_size_and_arguments_in_any_order);
    tcase_add_loop_test(tc, test_options_behind_the_program_are_ours_if_known, 0, (int)VT_ARRAY_LEN(behind));
    tcase_add_test(tc, test_options_mistakes_behind_the_program_name_the_way_out);
    tcase_add_test(tc, test_options_mistyped_words_are_recognised);
    tcase_add_test(tc, test_options_take_several_processes_each_once);
    tcase_add_loop_test(tc, test_options_wrong_lines_are_refused_by_name, 0, (int)VT_ARRAY_LEN(wrong));
    tcase_add_test(tc, test_options_take_units);
    tcase_add_test(tc, test_figures_are_for_people);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
