/* The command line of a launch: which words are ours, the rcfile, and what is executed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/program.h"
#include "cli/rcfile.h"
#include "proto/abi/arena.h"
#include "tests/lib/capture.h"
#include "tests/lib/case.h"

#define WORDS_MAX 32
static char folder[64], text[512];
static char *words[WORDS_MAX];
static int argc;
static struct run_options o;
static char *out, *said;

static void set_up(void) {
    snprintf(folder, sizeof folder, "/tmp/vt-cli-run-%d", (int)getpid());
    ck_assert(!mkdir(folder, 0755) && !chdir(folder));
    memset(&o, 0, sizeof o);
}

static void tear_down(void) {
    char command[128];
    run_options_free(&o);
    free(out);
    free(said);
    out = said = NULL;
    snprintf(command, sizeof command, "/bin/rm -rf %s", folder);
    ck_assert(!chdir("/") && !system(command));
}

static void put(const char *name, const char *content, mode_t mode) {
    FILE *f = fopen(name, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert(fputs(content, f) >= 0 && !fclose(f) && !chmod(name, mode));
}

/* Parses a line, split at blanks; "'...'" keeps blanks. */
static int parse(const char *line) {
    struct capture c;
    run_options_free(&o);
    free(out);
    free(said);
    snprintf(text, sizeof text, "run %s", line);
    argc = 0;
    for (char *p = text; *p && argc < WORDS_MAX - 1;) {
        char end = *p == '\'' ? '\'' : ' ';
        if (end == '\'') p++;
        words[argc++] = p;
        p += strcspn(p, (char[]){end, 0});
        if (*p) *p++ = 0;
        while (*p == ' ') p++;
    }
    words[argc] = NULL;
    capture_begin(&c);
    int rc = run_options_parse(&o, argc, words);
    capture_end(&c, &out, &said);
    return rc;
}

static void must_parse(const char *line) { ck_assert_msg(parse(line) == CLI_OK, "%s: %s", line, said); }

/* The words of the program, joined. */
static const char *theirs(void) {
    static char joined[512];
    size_t at = 0;
    joined[0] = 0;
    for (size_t i = 0; i < o.nwords; i++)
        at += (size_t)snprintf(joined + at, sizeof joined - at, "%s%s", i ? " " : "", o.words[i]);
    return joined;
}

/* As VizTracer: options behind the program that are ours are taken out of its arguments. */
START_TEST(test_run_takes_its_options_from_behind_the_program) {
    must_parse("--log_exit script.py -o b.json --no_such x --quiet -v");
    ck_assert_str_eq(theirs(), "script.py --no_such x -v");
    ck_assert_str_eq(o.trace.output_file, "b.json");
    ck_assert(o.trace.quiet && o.trace.trace.flags & VT_F_LOG_EXIT);
    must_parse("-m mod -o b.json --quiet tests");
    ck_assert_str_eq(o.module, "mod");
    ck_assert_str_eq(theirs(), "tests");
    ck_assert_str_eq(o.trace.output_file, "b.json");
    must_parse("-c '-1 if x else 2' --help");
    ck_assert_str_eq(o.code, "-1 if x else 2");
    ck_assert_str_eq(theirs(), "--help");
    must_parse("-mmod x");
    ck_assert_str_eq(o.module, "mod");
    ck_assert_str_eq(theirs(), "x");
    must_parse("--cmd_string=pass");
    ck_assert_str_eq(o.code, "pass");
    ck_assert_uint_eq(o.nwords, 0);
    ck_assert_int_eq(parse("script.py --log_torch"), CLI_USAGE);
    ck_assert_msg(strstr(said, "-- before the program"), "%s", said);
}
END_TEST

START_TEST(test_run_options_end_where_the_user_says) {
    must_parse("--quiet -- --odd-name x");
    ck_assert_str_eq(theirs(), "--odd-name x");
    must_parse("--run script.py --quiet");
    ck_assert_str_eq(theirs(), "script.py --quiet");
    ck_assert(!o.trace.quiet);
    must_parse("--include_files a b -- script.py -o c");
    ck_assert_str_eq(theirs(), "script.py -o c");
    must_parse("-m mod -- -o x.json");
    ck_assert_str_eq(theirs(), "-o x.json");
    must_parse("--quiet");
    ck_assert(!o.nwords && !o.module && !o.code);
}
END_TEST

/* Names that VizTracer had once are taken and say what they do now. */
START_TEST(test_run_older_names_say_what_they_do_now) {
    struct capture c;
    must_parse("--log_multiprocess --log_subprocess --include_children script.py");
    free(out);
    free(said);
    capture_begin(&c);
    run_options_tell_older(&o);
    capture_end(&c, &out, &said);
    ck_assert_msg(strstr(said, "--log_multiprocess is ") && strstr(said, "--log_subprocess is ") &&
                      strstr(said, "--include_children is "),
                  "%s", said);
    o.trace.quiet = true;
    free(out);
    free(said);
    capture_begin(&c);
    run_options_tell_older(&o);
    capture_end(&c, &out, &said);
    ck_assert_str_eq(said, "");
    must_parse("--flamegraph -o a.json script.py");
    ck_assert(o.trace.flamegraph);
    ck_assert_int_eq(parse("--flamegraph -o - script.py"), CLI_USAGE);
    ck_assert_msg(strstr(said, "--flamegraph needs an output with a name"), "%s", said);
}
END_TEST

START_TEST(test_run_takes_lists_that_may_be_empty) {
    must_parse("--log_audit --report_server --quiet script.py --log_audit");
    ck_assert(o.nwords == 1 && o.log.n_audit == 1 && !strcmp(o.log.audit[0], ".*") && o.log.n_report_server == 1);
    must_parse("--log_audit a b --plugins 'x y' --report_endpoint h:1 --log_print --log_func_with_objprint -- script.py");
    ck_assert(o.log.n_audit == 2 && o.log.n_plugins >= 1 && !strcmp(o.report_endpoint, "h:1"));
    ck_assert(o.log.print && o.trace.trace.flags & VT_F_REPR);
    must_parse("--log_sparse script.py");
    ck_assert(o.trace.trace.flags & VT_F_SPARSE);
    ck_assert_int_eq(parse("--log_var --quiet script.py"), CLI_USAGE);
}
END_TEST

START_TEST(test_run_names_may_be_shortened) {
    must_parse("--log_exi --ignore_c script.py");
    ck_assert(o.trace.trace.flags & VT_F_LOG_EXIT && !(o.trace.trace.flags & VT_F_C_CALLS));
    ck_assert_int_eq(parse("--log_f script.py"), CLI_USAGE);
    ck_assert_int_eq(parse("--log_to script.py"), CLI_USAGE);
    ck_assert_msg(strstr(said, "--log_torch is not available in this version"), "%s", said);
    ck_assert_int_eq(parse("-m"), CLI_USAGE);
}
END_TEST

/* What the source instrumentation gets, one line for each pattern. */
START_TEST(test_run_patterns_become_lines) {
    static const char *const lines[] = {"log_var x",       "log_var y.*",      "log_number n",   "log_attr a",
                                        "log_func_exec f", "log_func_entry g", "log_exception ", "magic_comment "};
    must_parse("script.py --log_var x y.* --log_number n --log_attr a --log_func_exec f --log_func_entry g --log_exception "
               "--magic_comment");
    ck_assert_str_eq(theirs(), "script.py");
    ck_assert_uint_eq(o.trace.trace.n_instrument, VT_ARRAY_LEN(lines));
    for (size_t i = 0; i < VT_ARRAY_LEN(lines); i++) ck_assert_str_eq(o.trace.trace.instrument[i], lines[i]);
    must_parse("script.py");
    ck_assert_uint_eq(o.trace.trace.n_instrument, 0);
    ck_assert_int_eq(parse("--log_var 'a\nb' -- script.py"), CLI_USAGE);
    ck_assert_msg(strstr(said, "--log_var: a value of one line"), "%s", said);
    ck_assert_int_eq(parse("--log_var -- script.py"), CLI_USAGE);
    put("values.ini", "[default]\nlog_var = x y\nmagic_comment = 1\n", 0644);
    must_parse("--rcfile values.ini script.py");
    ck_assert_uint_eq(o.trace.trace.n_instrument, 3);
    ck_assert_str_eq(o.trace.trace.instrument[1], "log_var y");
}
END_TEST

START_TEST(test_run_rcfile_comes_before_the_command_line) {
    put(".viztracerrc",
        "# comment\n[other]\nquiet = 1\n[default]\nIgnore_C_Function = False\nmax_stack_depth: 7\ninclude_files = a\n  b c\n; "
        "x\n",
        0644);
    must_parse("script.py");
    ck_assert(!(o.trace.trace.flags & VT_F_C_CALLS) && !o.trace.quiet); /* a flag is on whatever its value is */
    ck_assert_int_eq(o.trace.trace.max_stack_depth, 7);
    ck_assert_uint_eq(o.trace.trace.n_include_files, 3);
    ck_assert_str_eq(theirs(), "script.py");
    must_parse("--max_stack_depth 3 script.py");
    ck_assert_int_eq(o.trace.trace.max_stack_depth, 3);
    put("other.ini", "[default]\nquiet = yes\n", 0644);
    must_parse("--rcfile other.ini script.py");
    ck_assert(o.trace.quiet && o.trace.trace.flags & VT_F_C_CALLS);
}
END_TEST

START_TEST(test_run_rcfile_mistakes_are_told) {
    static const struct {
        const char *content, *says;
    } wrong[] = {{"quiet = 1\n", "no section [default]"},
                 {"", "no section [default]"},
                 {"[default]\nno_such = 1\n", "no_such: no such option"},
                 {"[default]\nlog_ex = 1\n", "log_ex: no such option"},
                 {"[default]\nquiet\n", "not of the form name = value"},
                 {"[default]\nmax_stack_depth = many\n", "many"}};
    for (size_t i = 0; i < VT_ARRAY_LEN(wrong); i++) {
        put("wrong.ini", wrong[i].content, 0644);
        ck_assert_int_eq(parse("--rcfile wrong.ini script.py"), CLI_USAGE);
        ck_assert_msg(strstr(said, wrong[i].says), "%s: %s", wrong[i].content, said);
    }
    ck_assert_int_eq(parse("--rcfile missing.ini script.py"), CLI_USAGE);
    ck_assert_msg(strstr(said, "missing.ini"), "%s", said);
}
END_TEST

/* ---- what is executed ---- */

static struct program program;

static const char *find(const char *line) {
    static struct vt_err err;
    must_parse(line);
    program_free(&program);
    memset(&err, 0, sizeof err);
    return program_find(&program, &o, &err) ? err.msg : NULL;
}

static void must_run(const char *line, const char *file, const char *first, const char *second) {
    const char *why = find(line);
    ck_assert_msg(!why, "%s: %s", line, why);
    ck_assert_msg(!strcmp(program.file, file), "%s: runs %s", line, program.file);
    ck_assert_msg(!strcmp(program.argv[0], first), "%s: argv[0] %s", line, program.argv[0]);
    ck_assert_msg(second ? program.argv[1] && !strcmp(program.argv[1], second) : !program.argv[1], "%s: argv[1] %s", line,
                  program.argv[1] ? program.argv[1] : "none");
}

START_TEST(test_run_finds_the_program_and_its_interpreter) {
    char path[256], tool[128], python[128], script[128];
    snprintf(path, sizeof path, "%s/bin", folder);
    ck_assert(!mkdir(path, 0755) && !mkdir("package", 0755));
    setenv("PATH", path, 1);
    snprintf(tool, sizeof tool, "%s/bin/tool", folder);
    snprintf(python, sizeof python, "%s/bin/python3", folder);
    snprintf(script, sizeof script, "%s/bin/found.py", folder);
    put("script.py", "", 0644);
    put("run.py", "#!/bin/other\n", 0755);
    put("local", "#!/bin/sh\n", 0755);
    put("plain", "pass\n", 0644);
    put("trace.json", "{}", 0644);
    put(tool, "#!/some/venv/bin/python\n", 0755);
    put(script, "", 0755);
    const char *why = find("script.py");
    ck_assert_msg(why && strstr(why, "no python3 and no python on PATH"), "%s", why);
    put(python, "", 0755);
    must_run("script.py a", python, "python3", "script.py");
    must_run("run.py", python, "python3", "run.py");
    must_run("plain", python, "python3", "plain");
    must_run("package", python, "python3", "package");
    must_run("-", python, "python3", "-");
    must_run("-m mod x", python, "python3", "-m");
    ck_assert_str_eq(program.argv[2], "mod");
    ck_assert_str_eq(program.argv[3], "x");
    must_run("-c pass", python, "python3", "-c");
    must_run("tool --flag", tool, "tool", "--flag");
    must_run("./local", "./local", "./local", NULL);
    must_run("found.py", python, "python3", script);
    must_run("--python bin/python3 script.py", "bin/python3", "bin/python3", "script.py");
    must_run("--python python3 tool", python, "python3", tool); /* whatever its first line says */
    why = find("--python /no/python script.py");
    ck_assert_msg(why && strstr(why, "--python /no/python: no such program"), "%s", why);
    why = find("missing.py");
    ck_assert_msg(why && strstr(why, "no such file as missing.py"), "%s", why);
    why = find("trace.json");
    ck_assert_msg(why && strstr(why, "did you mean vizviewer trace.json?"), "%s", why);
    program_free(&program);
}
END_TEST

/* As a console script of a virtual environment would. A link from elsewhere is no wish for that environment's interpreter. */
START_TEST(test_run_by_its_path_takes_the_python_of_that_environment) {
    static char called[128], python[128], other[128], tool[128];
    char path[256], *name = program_invocation_name;
    snprintf(path, sizeof path, "%s/bin", folder);
    ck_assert(!mkdir(path, 0755) && !mkdir("venv", 0755) && !mkdir("venv/bin", 0755));
    setenv("PATH", path, 1);
    snprintf(other, sizeof other, "%s/bin/python3", folder);
    snprintf(called, sizeof called, "%s/venv/bin/viztracer", folder);
    snprintf(python, sizeof python, "%s/venv/bin/python3", folder);
    snprintf(tool, sizeof tool, "%s/bin/tool", folder);
    put(other, "", 0755);
    put(python, "", 0755);
    put(tool, "", 0755);
    put("script.py", "", 0644);
    program_invocation_name = called;
    must_run("script.py", other, "python3", "script.py"); /* no environment: a folder with a Python, as /usr/local/bin */
    put("venv/pyvenv.cfg", "", 0644);
    must_run("script.py", python, python, "script.py");
    must_run("-m mod", python, python, "-m");
    must_run("--python python3 script.py", other, "python3", "script.py");
    must_run("tool", tool, "tool", NULL);
    program_invocation_name = (char *)"viztracer"; /* found on PATH */
    must_run("script.py", other, "python3", "script.py");
    snprintf(path, sizeof path, "%s/bin/viztracer", folder);
    ck_assert(!symlink(called, path));
    program_invocation_name = path;
    must_run("script.py", other, "python3", "script.py");
    program_invocation_name = name;
    program_free(&program);
}
END_TEST

START_TEST(test_run_names_for_unique_outputs) {
    put("my.script.py", "", 0644);
    ck_assert_ptr_null(find("./my.script.py"));
    ck_assert_str_eq(program.name, "my");
    ck_assert_ptr_null(find("-m pkg.mod"));
    ck_assert_str_eq(program.name, "pkg.mod");
    ck_assert_ptr_null(find("-c pass"));
    ck_assert_str_eq(program.name, "python");
    program_free(&program);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_run_takes_its_options_from_behind_the_program,
                                  test_run_options_end_where_the_user_says,
                                  test_run_older_names_say_what_they_do_now,
                                  test_run_takes_lists_that_may_be_empty,
                                  test_run_names_may_be_shortened,
                                  test_run_patterns_become_lines,
                                  test_run_rcfile_comes_before_the_command_line,
                                  test_run_rcfile_mistakes_are_told,
                                  test_run_finds_the_program_and_its_interpreter,
                                  test_run_by_its_path_takes_the_python_of_that_environment,
                                  test_run_names_for_unique_outputs};
    return case_main("run", tests, sizeof tests / sizeof tests[0], set_up, tear_down);
}
