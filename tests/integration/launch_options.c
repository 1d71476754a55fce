/* Options of a launch: what is recorded besides calls, or in their place, and the names of outputs. Each test is a command line
 * for the shell (run_expand). */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base.h"
#include "tests/lib/run.h"
#include "tests/lib/suite.h"

#define PROGRAM "$PY $T/launched.py "

/* ---- options ---- */

static struct run ran; /* of trace_with */

/* Runs `viztracer OPTIONS` for a script that is copied where the interpreter sees it; loads the trace. */
static void trace_with(const struct interp *ip, struct trace *t, const char *options, const char *rest, const char *output) {
    char text[RUN_TEXT_MAX], line[RUN_TEXT_MAX], who[256], inside[PATH_MAX], script[PATH_MAX];
    snprintf(who, sizeof who, "%.150s on %s", options, ip->version);
    snprintf(script, sizeof script, "%s/tests/targets/launched.py", tree_root());
    ck_assert(!target_copy_in(ip, script, inside, sizeof inside));
    snprintf(text, sizeof text, "exec %.1000s/viztracer --quiet -o %.1000s %s %s", tree_bin(), output, options, rest);
    run_expand(ip, text, line, sizeof line);
    run_start(&ran, (char *const[]){(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", line, NULL}, false);
    run_finish(&ran, line);
    ck_assert_msg(!ran.status, "%s: status %x: %s%s", who, (unsigned)ran.status, ran.text[0], ran.text[1]);
    must_load(t, output, who);
    unlink(output);
}

START_TEST(test_launch_log_exit_records_the_end) {
    const struct interp *ip = suite_interp(_i);
    static const char *const others[] = {"", "--ignore_c_function", "--log_func_args", "--include_functions marked at_the_end"};
    for (size_t i = 0; i < VT_ARRAY_LEN(others); i++) {
        struct trace t;
        char options[128];
        snprintf(options, sizeof options, "%s --", others[i]);
        trace_with(ip, &t, options, PROGRAM "exit_functions", temp_path(".json"));
        ck_assert_msg(trace_count(&t, "marked", 0) == 1 && !trace_count(&t, "at_the_end", 0), "%s on %s", options, ip->version);
        trace_free(&t);
        snprintf(options, sizeof options, "--log_exit %s --", others[i]);
        trace_with(ip, &t, options, PROGRAM "exit_functions", temp_path(".json"));
        ck_assert_msg(trace_count(&t, "marked", 0) == 1 && trace_count(&t, "at_the_end", 0) == 1, "%s on %s", options,
                      ip->version);
        trace_free(&t);
    }
}
END_TEST

/* As many entries as VizTracer has: builtins.exec, <module> and list.append. */
START_TEST(test_launch_has_viztracers_entries) {
    const struct interp *ip = suite_interp(_i);
    static const struct {
        const char *options;
        size_t n;
    } rows[] = {{"", 3}, {"--max_stack_depth 2", 2}, {"--max_stack_depth 1", 1}, {"--ignore_c_function", 1}};
    if (ip->root[0]) skip_test("%s: --python takes no chroot", ip->version);
    for (size_t row = 0; row < VT_ARRAY_LEN(rows); row++) {
        struct trace t;
        char options[128];
        size_t n = 0;
        snprintf(options, sizeof options, "%s --python $PY", rows[row].options);
        trace_with(ip, &t, options, "-c 'lst = []; lst.append(1)'", temp_path(".json"));
        for (size_t i = 0; i < t.n; i++) n += t.events[i].ph == 'X';
        ck_assert_msg(n == rows[row].n, "%s: %zu entries on %s", rows[row].options, n, ip->version);
        trace_free(&t);
    }
}
END_TEST

/* ---- values of variables ---- */

/* In their order: letter, name, args. A name that ends in "*" says how it begins. */
static const struct {
    char ph;
    const char *name, *args;
} told[] = {
    {'i', "Variable Assign - x = <module*", NULL},
    {'i', "Function Entry - assigned = 'assigned is called'", NULL},
    {'i', "Variable Assign - x = 0", NULL},
    {'i', "Variable Assign - x = 1", NULL},
    {'i', "Variable Assign - x = 2", NULL},
    {'i', "Variable Assign - x = 3", NULL},
    {'i', "Variable Assign - x = 4", NULL},
    {'i', "Variable Assign - x = 8", NULL},
    {'i', "Variable Assign - x = 9", NULL},
    {'i', "Variable Assign - x = <_io.TextIOWrapper*", NULL},
    {'i', "Variable Assign - x = 10", NULL},
    {'i', "Exception - ValueError() = ValueError('told')", NULL},
    {'i', "Variable Assign - x = ValueError('told')", NULL},
    {'i', "Variable Assign - x = 11", NULL},
    {'i', "Attribute Assign - holder.attr = 12", NULL},
    {'i', "Attribute Assign - holder.attr = 13", NULL},
    {'i', "Attribute Assign - holder.attr = 14", NULL},
    {'i', "Variable Assign - x = '\xc3\xa9\"\\\\\\n'", NULL},
    {'i', "Variable Delete - x", NULL},
    {'i', "Variable Assign - x = 0", NULL},
    {'i', "Variable Assign - x = 1", NULL},
    {'i', "Variable Assign - x = 0", NULL},
    {'i', "Exception - StopAsyncIteration = <class 'StopAsyncIteration'>", NULL},
    {'i', "Variable Assign - x = 'entered'", NULL},
    {'i', "Function Entry - steps = 'steps is called'", NULL},
    {'i', "Variable Assign - y = 5", NULL},
    {'C', "Variable Assign - n", "Variable Assign - n=1;"},
    {'C', "Variable Assign - n", "Variable Assign - n=2.5;"},
    {'i', "Variable Assign - n = True", NULL},
    {'i', "Variable Assign - n = inf", NULL},
    {'C', "Variable Assign - n", "Variable Assign - n=100000000000000000000;"},
    {'i', "Variable Assign - n = 'text'", NULL},
    {'C', "value", "value=3;"},
    {'i', "len(\"abc\")", NULL},
    {'C', "named", "value=4;"},
    {'i', "object", "object={'k': 3};"},
    {'i', "moment", NULL},
    {'i', "with args", "args=[3];"},
    {'i', "Variable Assign - y = 20", NULL},
    {'i', "Variable Assign - y = 42", NULL},
};

static bool name_fits(const char *name, const char *wanted) {
    size_t n = strlen(wanted);
    return wanted[n - 1] == '*' ? !strncmp(name, wanted, n - 1) : !strcmp(name, wanted);
}

static void must_tell(const struct trace *t, const char *who) {
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct trace_event *e = &t->events[i];
        if (e->ph != 'i' && e->ph != 'C') continue;
        ck_assert_msg(n < VT_ARRAY_LEN(told), "%s: %c %s is too much", who, e->ph, e->name);
        ck_assert_msg(e->ph == told[n].ph && name_fits(e->name, told[n].name), "%s: %c %s instead of %s", who, e->ph, e->name,
                      told[n].name);
        bool same = e->args && told[n].args ? !strcmp(e->args, told[n].args) : e->args == told[n].args;
        ck_assert_msg(same, "%s: %s with %s", who, e->name, e->args ? e->args : "nothing");
        n++;
    }
    ck_assert_msg(n == VT_ARRAY_LEN(told), "%s: %zu values instead of %zu", who, n, VT_ARRAY_LEN(told));
}

/* Assignments of every kind, also in a module that has a .pyc file; that file stays as it is, and nothing of ours is in the
 * trace. */
START_TEST(test_launch_tells_values_of_variables) {
    const struct interp *ip = suite_interp(_i);
    struct trace t;
    char inside[PATH_MAX], path[PATH_MAX];
    static const char *const files[] = {"logged_module.py", "logged.py"};
    for (size_t i = 0; i < VT_ARRAY_LEN(files); i++) {
        snprintf(path, sizeof path, "%s/tests/targets/%s", tree_root(), files[i]);
        ck_assert(!target_copy_in(ip, path, inside, sizeof inside));
    }
    trace_with(ip, &t,
               "--log_var x y --log_number n --log_attr attr --log_func_exec steps --log_func_entry 'assigned|steps' "
               "--log_exception --magic_comment --",
               "$PY $T/logged.py", temp_path(".json"));
    must_tell(&t, ip->version);
    const struct trace_event *steps = trace_find(&t, "steps", NULL);
    ck_assert_msg(steps && steps->args &&
                      !strcmp(steps->args, "exec_steps.[]=(12) y = 5;exec_steps.[]=(12) rest = ();exec_steps.[]=(12) key = 2;"
                                           "exec_steps.[]=(14) total = 7;exec_steps.[]=(15) total = 8;"),
                  "%s: %s", ip->version, steps && steps->args ? steps->args : "no steps");
    for (size_t i = 0; i < t.n; i++)
        ck_assert_msg(!t.events[i].name || !strstr(t.events[i].name, "<viztracer>"), "%s: %s", ip->version, t.events[i].name);
    trace_free(&t);
}
END_TEST

/* Ways to name a program whose function f assigns 3 to x. In the folder: a script, a package, a folder, a zip file, and others
 * that run the script in turn. All print the name of the module. */
static const struct {
    const char *words, *name;
} ways[] = {
    {"script.py", "__main__"},
    {"./script.py", "__main__"},
    {"tool", "__main__"}, /* a console script on PATH */
    {"--python $PY tool", "__main__"},
    {"--python $PY -m script", "__main__"},
    {"--python $PY -m package", "__main__"},
    {"--python $PY folder", "__main__"},
    {"--python $PY a.pyz", "__main__"},
    {"--python $PY - <script.py", "__main__"},
    {"--python $PY by_path.py", "run"},
    {"--python $PY -c 'import script'", "script"},
    {"--python $PY -c \"$(cat script.py)\"", "__main__"},
    {"-- env -i $(command -v $PY) script.py", "__main__"},
    {"-- sh -c 'exec $PY script.py'", "__main__"},
    {"-- $PY -c 'import runpy; runpy.run_module(\"package\", run_name=\"run\")'", "run"},
    {"-- $PY -c 'import runpy; runpy.run_path(\"a.pyz\", run_name=\"run\")'", "run"},
    {"-- $PY -m runpy package", "__main__"},
};
static const char ways_folder[] =
    "mkdir $D && cd $D && mkdir bin package folder && printf 'def f():\\n x = 3\\nf()\\nprint(__name__)\\n' >script.py && "
    "cp script.py folder/__main__.py && cp script.py package/__main__.py && : >package/__init__.py && "
    "{ echo \"#!$(command -v $PY)\"; cat script.py; } >bin/tool && chmod +x bin/tool && ln -s \"$(command -v $PY)\" bin/python3 "
    "&& "
    "(cd folder && $PY -m zipfile -c ../a.pyz __main__.py) && "
    "echo 'import runpy; runpy.run_path(\"script.py\", run_name=\"run\")' >by_path.py";

/* Runs a line for the shell, in which $D is a folder, and $V viztracer. */
static void run_in(struct run *r, const struct interp *ip, const char *folder, const char *line, const char *rest) {
    char text[RUN_TEXT_MAX], expanded[RUN_TEXT_MAX];
    snprintf(text, sizeof text, "D=%.900s V=%.900s/viztracer; %s%s", folder, tree_bin(), line, rest);
    run_expand(ip, text, expanded, sizeof expanded);
    run_start(r, (char *const[]){(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", expanded, NULL}, false);
    run_finish(r, rest[0] ? rest : line);
}

START_TEST(test_launch_tells_values_however_the_program_is_named) {
    const struct interp *ip = suite_interp(_i);
    static struct run r;
    char dir[PATH_MAX], wanted[64];
    if (ip->root[0]) skip_test("%s: --python takes no chroot", ip->version);
    snprintf(dir, sizeof dir, "%s", temp_path(".dir"));
    run_in(&r, ip, dir, ways_folder, "");
    ck_assert_msg(!r.status, "%s: %s", ip->version, r.text[1]);
    for (size_t i = 0; i < VT_ARRAY_LEN(ways); i++) {
        char line[1024];
        snprintf(line, sizeof line,
                 "%s%s; echo $?; grep -o 'Variable Assign - x = 3' o.json | wc -l; find . -name __pycache__ | wc -l",
                 strncmp(ways[i].words, "--", 2) ? "-- " : "", ways[i].words);
        run_in(&r, ip, dir, "cd $D; PATH=$D/bin:$PATH; rm -f o.json; $V --quiet -o o.json --log_var x --ignore_c_function ",
               line);
        snprintf(wanted, sizeof wanted, "%s\n0\n1\n0\n", ways[i].name);
        ck_assert_msg(!strcmp(r.text[0], wanted) && !r.text[1][0], "%s: %s: %s%s", ip->version, ways[i].words, r.text[0],
                      r.text[1]);
    }
    run_in(&r, ip, dir, "rm -r $D", "");
}
END_TEST

/* Bindings that 3.8 does not know, each told once. */
START_TEST(test_launch_tells_values_of_newer_bindings) {
    const struct interp *ip = suite_interp(_i);
    static const struct {
        int since;
        const char *code, *bound;
    } rows[] = {
        {10, "match {\"a\": 1, \"b\": [2, 3, 4]}:\n case {\"a\": x, \"b\": [y, *z], **w}: pass",
         "w = {}> x = 1> y = 2> z = [3, 4]>"},
        {10, "match 5:\n case str(): pass\n case 4 | 5 as x if (y := x): pass", "x = 5> y = 5>"},
        {10, "with (open(0, closefd=False) as x, open(0, closefd=False) as y): pass", "x = <> y = <>"},
        {11, "try: raise ExceptionGroup(\"g\", [ValueError(1)])\nexcept* ValueError as x: pass", "x = <>"},
        {12, "def f[T](x: T): return x\nf(3)", "x = 3>"},
        {12, "y = f\"{(x := 3)}\"", "x = 3> y = '3'>"},
        {8, "x = y = 1", "x = 1> y = 1>"},
        {8, "x: int\nx: int = 2", "x = 2>"},
        {8, "class A:\n x = 3\n y: int = 4", "x = 3> y = 4>"},
        {8, "y = [x for x in (1, 2) if x > 1]", "x = 1> x = 2> y = [2]>"},
        {8, "y = {x: z for x, z in ((1, 2),)}", "x = 1> z = 2> y = {1: 2}>"},
        {8, "y = [(x := n) for n in (7,)]", "x = 7> y = [7]>"},
        {8, "x, (y, *z) = 1, (2, 3)", "x = 1> y = 2> z = [3]>"},
        {8, "async def f(x, *y, z=3, **w): pass\nc = f(1, 2)\ntry: c.send(None)\nexcept StopIteration: pass",
         "x = 1> y = (2,)> z = 3> w = {}>"},
        {8, "x = 1\ndel x", "x = 1> D x>"},
    };
    static char got[4096];
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        struct trace t;
        char rest[1024];
        size_t len = 0;
        if (rows[i].since > ip->minor) continue;
        snprintf(rest, sizeof rest, "$PY -c '%s' </dev/null", rows[i].code);
        trace_with(ip, &t, "--log_var '[xyzw]' --", rest, temp_path(".json"));
        got[0] = 0;
        for (size_t k = 0; k < t.n && len < sizeof got; k++) {
            const char *name = t.events[k].ph == 'i' ? t.events[k].name : "", *dash = strstr(name, " - ");
            if (!dash) continue;
            const char *object = strstr(dash, " = <"), *error = strstr(dash, "ExceptionGroup(");
            bool unsteady = object || error; /* "x = <" is enough */
            len += (size_t)snprintf(got + len, sizeof got - len, "%s%s%.*s%s>", len ? " " : "",
                                    strstr(name, "Delete") ? "D " : "", unsteady ? 4 : 1000, dash + 3, unsteady ? "<" : "");
        }
        ck_assert_msg(!strcmp(got, rows[i].bound), "%s: %s: %s instead of %s", ip->version, rows[i].code, got, rows[i].bound);
        trace_free(&t);
    }
}
END_TEST

/* The folder of the .pyc files is the program's: it is neither made nor changed. */
START_TEST(test_launch_leaves_pyc_files_alone) {
    const struct interp *ip = suite_interp(_i);
    static struct run r;
    char line[RUN_TEXT_MAX], text[RUN_TEXT_MAX], dir[PATH_MAX];
    if (ip->root[0]) skip_test("%s: --python takes no chroot", ip->version);
    snprintf(dir, sizeof dir, "%s", temp_path(".dir"));
    snprintf(
        text, sizeof text,
        "mkdir %.900s && cd %.900s && cp $T/logged_module.py . && unset PYTHONPYCACHEPREFIX PYTHONDONTWRITEBYTECODE && V='"
        "%.900s/viztracer --quiet -o o.json --log_var y --python $PY -c' && $V 'import logged_module' && ls && $PY -c 'import "
        "logged_module' && cp -p __pycache__/* before && $V 'import logged_module; logged_module.answer(1)' && cmp before "
        "__pycache__/* && ls __pycache__ | wc -l && grep -c 'Variable Assign - y = 4' o.json; cd / && rm -r %.900s",
        dir, dir, tree_bin(), dir);
    run_expand(ip, text, line, sizeof line);
    run_start(&r, (char *const[]){(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", line, NULL}, false);
    run_finish(&r, "pyc");
    ck_assert_msg(!strcmp(r.text[0], "logged_module.py\no.json\n1\n1\n"), "%s: %s%s", ip->version, r.text[0], r.text[1]);
}
END_TEST

/* The program runs, and the line at the end says what is wrong. */
START_TEST(test_launch_says_what_is_no_regular_expression) {
    const struct interp *ip = suite_interp(_i);
    static struct run r;
    char line[RUN_TEXT_MAX], text[RUN_TEXT_MAX];
    if (ip->root[0]) skip_test("%s: --python takes no chroot", ip->version);
    snprintf(text, sizeof text, "%.1000s/viztracer -o %.1000s --log_var '(x' --python $PY -c 'print(5)'; echo $?", tree_bin(),
             temp_path(".json"));
    run_expand(ip, text, line, sizeof line);
    run_start(&r, (char *const[]){(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", line, NULL}, false);
    run_finish(&r, "regex");
    ck_assert_msg(!strcmp(r.text[0], "5\n1\n") && strstr(r.text[1], "--log_var: (x is no regular expression"), "%s: %s%s",
                  ip->version, r.text[0], r.text[1]);
}
END_TEST

/* -u and --pid_suffix make names with a pid; -u and --output_dir are taken together. Options are taken from behind the program,
 * and
 * --flamegraph writes one more file. */
START_TEST(test_launch_makes_names) {
    const struct interp *ip = suite_interp(_i);
    static struct run r;
    char line[RUN_TEXT_MAX], text[RUN_TEXT_MAX], dir[PATH_MAX];
    if (ip->root[0]) skip_test("%s: --python takes no chroot", ip->version);
    snprintf(dir, sizeof dir, "%s", temp_path(".dir"));
    snprintf(text, sizeof text,
             "V=%.1000s/viztracer; $V --quiet -u --output_dir %.1000s --python $PY $T/launched.py nothing; $V --quiet -o "
             "%.1000s/a.json.gz "
             "--pid_suffix --python $PY -c pass; $V --quiet --python $PY $T/launched.py nothing -o %.1000s/f.json --flamegraph "
             "-x; cd %.1000s || exit; ls | sed 's/[0-9]/N/g; s/N\\+/N/g'; cd /; rm -r %.1000s",
             tree_bin(), dir, dir, dir, dir, dir);
    run_expand(ip, text, line, sizeof line);
    run_start(&r, (char *const[]){(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", line, NULL}, false);
    run_finish(&r, "names");
    ck_assert_msg(!strcmp(r.text[0], "a_N.json.gz\nf.json\nf.svg\nlaunched_N_N_N.json\n"), "%s: %s%s", ip->version, r.text[0],
                  r.text[1]);
}
END_TEST

/* ---- prints and audit events ---- */

/* The names of the instants, each in "<>". */
static const char *instants(const struct trace *t) {
    static char text[4096];
    size_t len = 0;
    text[0] = 0;
    for (size_t i = 0; i < t->n && len < sizeof text; i++)
        if (t->events[i].ph == 'i')
            len += (size_t)snprintf(text + len, sizeof text - len, "<%s%s%s>", t->events[i].name, t->events[i].args ? " " : "",
                                    t->events[i].args ? t->events[i].args : "");
    return text;
}

static size_t calls_of(const struct trace *t, const char *part) {
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) n += t->events[i].ph == 'X' && strstr(t->events[i].name, part);
    return n;
}

/* It writes nothing while the trace is on, in children, too, and is itself behind the end of the trace. */
START_TEST(test_launch_log_print_takes_what_is_printed) {
    const struct interp *ip = suite_interp(_i);
    struct trace t;
    trace_with(ip, &t, "--log_print --",
               "$PY -c 'import atexit, os, sys\natexit.register(lambda: print(\"at the end\"))\nprint(\"a\", 3, sep=\"-\")\n"
               "print(\"err\", file=sys.stderr, end=\"\")\nsys.stdout.write(\"written \")\nsys.stdout.flush()\n"
               "p = os.fork()\nif not p: print(\"child\"); os._exit(0)\nos.waitpid(p, 0)'",
               temp_path(".json"));
    ck_assert_msg(!strcmp(ran.text[0], "written at the end\n") && !ran.text[1][0], "%s: %s%s", ip->version, ran.text[0],
                  ran.text[1]);
    const char *got = instants(&t);
    ck_assert_msg(strstr(got, "<print - a-3\n>") && strstr(got, "<print - err>") && strstr(got, "<print - child\n>"), "%s: %s",
                  ip->version, got);
    ck_assert_msg(!strstr(got, "at the end") && !calls_of(&t, "print"), "%s: %s", ip->version, got);
    trace_free(&t);
}
END_TEST

/* A text that is longer than a name can be becomes several instants. */
START_TEST(test_launch_log_print_keeps_long_texts) {
    const struct interp *ip = suite_interp(_i);
    struct trace t;
    size_t bytes = 0, n = 0;
    trace_with(ip, &t, "--log_print --", "$PY -c 'print(\"x\" * 100000)'", temp_path(".json"));
    for (size_t i = 0; i < t.n; i++) {
        if (t.events[i].ph != 'i') continue;
        bytes += strlen(t.events[i].name) - strlen("print - ");
        n++;
    }
    ck_assert_msg(bytes == 100001 && n == 26, "%s: %zu bytes in %zu instants", ip->version, bytes, n);
    trace_free(&t);
}
END_TEST

START_TEST(test_launch_log_audit_tells_events_that_match) {
    const struct interp *ip = suite_interp(_i);
    struct trace t;
    static const char program[] =
        "$PY -c 'import sys\nclass A:\n def __str__(self): sys.audit(\"my.inner\"); return \"an A\"\n"
        "class B:\n def __str__(self): raise ValueError\n"
        "sys.audit(\"my.event\", 1, \"t\\\"w\", A(), B())\nsys.audit(\"my.event2\")\nopen(\"/dev/null\")'";
    trace_with(ip, &t, "--log_audit 'my[.]ev...' nothing --", program, temp_path(".json"));
    const char *got = instants(&t);
    ck_assert_msg(!strcmp(got, "<my.event args.[]=1;args.[]=t\"w;args.[]=an A;args.[]=Not Displayable;>"), "%s: %s", ip->version,
                  got);
    ck_assert_msg(!calls_of(&t, "__str__") && !calls_of(&t, "<viztracer>"), "%s: calls of ours", ip->version);
    trace_free(&t);
    trace_with(ip, &t, "--log_audit --", program, temp_path(".json"));
    got = instants(&t);
    ck_assert_msg(strstr(got, "<my.event2>") && strstr(got, "<open "), "%s: %s", ip->version, got);
    trace_free(&t);
}
END_TEST

START_TEST(test_launch_says_what_is_no_pattern_of_an_audit_event) {
    const struct interp *ip = suite_interp(_i);
    static struct run r;
    char line[RUN_TEXT_MAX], text[RUN_TEXT_MAX];
    if (ip->root[0]) skip_test("%s: --python takes no chroot", ip->version);
    snprintf(text, sizeof text, "%.1000s/viztracer -o %.1000s --log_audit '(x' --python $PY -c 'print(5)'; echo $?", tree_bin(),
             temp_path(".json"));
    run_expand(ip, text, line, sizeof line);
    run_start(&r, (char *const[]){(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", line, NULL}, false);
    run_finish(&r, "audit pattern");
    ck_assert_msg(!strcmp(r.text[0], "5\n1\n") && strstr(r.text[1], "--log_audit: (x is no regular expression"), "%s: %s%s",
                  ip->version, r.text[0], r.text[1]);
}
END_TEST

/* ---- values told by a module of the program's ---- */

START_TEST(test_launch_objprint_tells_values) {
    const struct interp *ip = suite_interp(_i);
    struct trace t;
    char inside[PATH_MAX], path[PATH_MAX];
    snprintf(path, sizeof path, "%s/tests/targets/objprint.py", tree_root());
    ck_assert(!target_copy_in(ip, path, inside, sizeof inside));
    const char *program =
        "env PYTHONPATH=$T $PY -c 'def f(a, b): return [a]\ndef g(a): return a\nclass Bad: pass\nf(3, \"x\")\ng(Bad())'";
    trace_with(ip, &t, "--log_func_with_objprint --log_func_args --log_func_retval --", program, temp_path(".json"));
    const struct trace_event *f = trace_find(&t, "f", NULL), *g = trace_find(&t, "g", NULL);
    ck_assert_msg(f && f->args && strstr(f->args, "a=<told int>") && strstr(f->args, "b=<told str>") &&
                      strstr(f->args, "<told list>"),
                  "%s: %s", ip->version, f && f->args ? f->args : "nothing");
    ck_assert_msg(g && g->args && strstr(g->args, "a=<repr raised KeyError>"), "%s: %s", ip->version,
                  g && g->args ? g->args : "nothing");
    ck_assert_msg(!calls_of(&t, "objstr"), "%s: a call of objprint", ip->version);
    trace_free(&t);
    trace_with(ip, &t, "--log_func_with_objprint --", program, temp_path(".json"));
    f = trace_find(&t, "f", NULL);
    ck_assert_msg(f && !f->args, "%s: values that were not asked for: %s", ip->version, f && f->args ? f->args : "no f");
    trace_free(&t);
}
END_TEST

START_TEST(test_launch_without_objprint_says_so) {
    const struct interp *ip = suite_interp(_i);
    static struct run r;
    char line[RUN_TEXT_MAX], text[RUN_TEXT_MAX];
    if (ip->root[0]) skip_test("%s: --python takes no chroot", ip->version);
    snprintf(text, sizeof text, "%.1000s/viztracer -o %.1000s --log_func_with_objprint -- $PY -I -c 'print(5)'; echo $?",
             tree_bin(), temp_path(".json"));
    run_expand(ip, text, line, sizeof line);
    run_start(&r, (char *const[]){(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", line, NULL}, false);
    run_finish(&r, "objprint");
    ck_assert_msg(strstr(r.text[0], "5\n1\n") && strstr(r.text[1], "this Python has no module objprint"), "%s: %s%s", ip->version,
                  r.text[0], r.text[1]);
}
END_TEST

/* ---- set-up ---- */

/* One version for each kind of hook, the oldest, and one of another C library. */
static void add_some(Suite *s, const char *name, const TTest *test) {
    static const int some[] = {8, 11, 12, 14};
    size_t n;
    const struct interp *ips = interp_list(&n);
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 300);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < VT_ARRAY_LEN(some); k++)
            if (some[k] == ips[i].minor && !(i && ips[i - 1].minor == ips[i].minor))
                tcase_add_loop_test(tc, test, (int)i, (int)i + 1);
    suite_add_tcase(s, tc);
}

int main(void) {
    Suite *s = suite_create("launch_options");
    run_set_up();
    suite_add(s, "log-exit", test_launch_log_exit_records_the_end, 300);
    suite_add(s, "entries", test_launch_has_viztracers_entries, 300);
    suite_add(s, "values", test_launch_tells_values_of_variables, 300);
    suite_add(s, "pyc", test_launch_leaves_pyc_files_alone, 300);
    suite_add_once(s, "no-regex", test_launch_says_what_is_no_regular_expression, 60);
    suite_add_once(s, "names", test_launch_makes_names, 300);
    add_some(s, "ways", test_launch_tells_values_however_the_program_is_named);
    add_some(s, "bindings", test_launch_tells_values_of_newer_bindings);
    add_some(s, "print", test_launch_log_print_takes_what_is_printed);
    suite_add_once(s, "print-long", test_launch_log_print_keeps_long_texts, 60);
    add_some(s, "audit", test_launch_log_audit_tells_events_that_match);
    suite_add_once(s, "audit-pattern", test_launch_says_what_is_no_pattern_of_an_audit_event, 60);
    add_some(s, "objprint", test_launch_objprint_tells_values);
    suite_add_once(s, "no-objprint", test_launch_without_objprint_says_so, 60);
    int rc = suite_main(s);
    run_clean_up();
    return rc;
}
