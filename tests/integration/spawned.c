/* Programs that a launched program starts by system(), popen() and execl(), and where each process of a trace comes from: what is
 * printed and how it ends are as in a bare run, each process is in the trace, and a flow leads to it from the call that started
 * it (tests/targets/spawned.py). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base.h"
#include "tests/lib/run.h"
#include "tests/lib/suite.h"

static const struct test_case {
    const char *name;
    size_t flows; /* processes that another one of the trace has started */
} cases[] = {{"system", 3}, {"pipes", 2}, {"replaced", 4}, {"programs", 8}};

static void must_be_alike(const struct run *bare, const struct run *traced, const char *who) {
    ck_assert_msg(bare->status == traced->status, "%s: status %x instead of %x: %s%s", who, (unsigned)traced->status,
                  (unsigned)bare->status, traced->text[0], traced->text[1]);
    for (int i = 0; i < 2; i++)
        ck_assert_msg(!strcmp(bare->text[i], traced->text[i]), "%s: %s\n%.1500s\ninstead of\n%.1500s", who,
                      i ? "stderr" : "stdout", traced->text[i], bare->text[i]);
}

/* Every line "NAME CALLS" of the program: one process called work_NAME so often. */
static void must_have_calls(const struct trace *t, const char *text, const char *who) {
    char copy[RUN_TEXT_MAX], name[64], function[80];
    snprintf(copy, sizeof copy, "%s", text);
    for (char *save, *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        unsigned want;
        int end = 0;
        if (sscanf(line, "%60[a-z] %u%n", name, &want, &end) != 2 || line[end]) continue;
        snprintf(function, sizeof function, "work_%s", name);
        const struct trace_event *call = trace_find(t, function, NULL);
        ck_assert_msg(call, "%s: no call of %s", who, function);
        size_t all = trace_count(t, function, 0), own = trace_count(t, function, call->pid);
        ck_assert_msg(all == want && own == want, "%s: %zu and %zu calls of %s, not %u", who, all, own, function, want);
    }
}

/* A call of that thread that runs at `ns`; begins: that begins there. */
static bool has_call_at(const struct trace *t, const struct trace_event *e, bool begins) {
    for (size_t i = 0; i < t->n; i++) {
        const struct trace_event *call = &t->events[i];
        if (call->ph != 'X' || call->pid != e->pid || call->tid != e->tid) continue;
        if (begins ? llabs(call->ts - e->ts) <= 1 : call->ts <= e->ts + 1 && e->ts <= call->ts + call->dur + 1) return true;
    }
    return false;
}

/* Each flow leads out of a call of one process into the first call of another one. */
static size_t must_have_flows(const struct trace *t, const char *who) {
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct trace_event *from = &t->events[i], *to = from + 1;
        if (from->ph != 's' || strcmp(from->name, "process started")) continue;
        ck_assert_msg(i + 1 < t->n && to->ph == 'f' && !strcmp(to->name, from->name), "%s: a flow has no end", who);
        ck_assert_msg(from->pid != to->pid && from->ts <= to->ts, "%s: flow from %d to %d takes %lld ns", who, (int)from->pid,
                      (int)to->pid, (long long)(to->ts - from->ts));
        ck_assert_msg(has_call_at(t, from, false), "%s: nothing runs in %d where %d is started", who, (int)from->pid,
                      (int)to->pid);
        ck_assert_msg(has_call_at(t, to, true), "%s: nothing begins in %d where the flow ends", who, (int)to->pid);
        for (size_t k = 0; k < t->n; k++)
            ck_assert_msg(t->events[k].ph != 'X' || t->events[k].pid != to->pid || t->events[k].ts + 1 >= to->ts,
                          "%s: the flow does not lead to the first call", who);
        n++;
    }
    return n;
}

START_TEST(test_spawned_is_like_a_bare_run) {
    const struct interp *ip = suite_interp(_i);
    const struct test_case *c = &cases[suite_row(_i)];
    static struct run bare, traced;
    struct trace t;
    char who[128];
    const char *output = temp_path(".json");
    snprintf(who, sizeof who, "%s on %s", c->name, ip->version);
    run_target(&bare, ip, "spawned.py", c->name, "", NULL);
    run_target(&traced, ip, "spawned.py", c->name, "", output);
    must_be_alike(&bare, &traced, who);
    must_load(&t, output, who);
    must_have_calls(&t, traced.text[0], who);
    size_t flows = must_have_flows(&t, who);
    ck_assert_msg(flows == c->flows, "%s: %zu flows instead of %zu", who, flows, c->flows);
    trace_free(&t);
    unlink(output);
}
END_TEST

START_TEST(test_spawned_is_not_followed_with_ignore_multiprocess) {
    const struct interp *ip = suite_interp(_i);
    static struct run bare, traced;
    struct trace t;
    const char *output = temp_path(".json");
    for (size_t i = 0; i < 3; i++) {
        run_target(&bare, ip, "spawned.py", cases[i].name, "", NULL);
        run_target(&traced, ip, "spawned.py", cases[i].name, "--ignore_multiprocess", output);
        must_be_alike(&bare, &traced, cases[i].name);
        must_load(&t, output, cases[i].name);
        ck_assert_uint_eq(trace_count(&t, "work_main", 0), 12);
        ck_assert_uint_eq(must_have_flows(&t, cases[i].name), 0);
        trace_free(&t);
        unlink(output);
    }
}
END_TEST

/* The flows outlast every format that is read again. */
START_TEST(test_spawned_flows_are_kept_by_formats) {
    const struct interp *ip = suite_interp(_i);
    static const char *const through[] = {".vzt", ".pftrace"};
    static struct run traced;
    const char *output = temp_path(".vzt"), *json = temp_path(".json");
    run_target(&traced, ip, "spawned.py", "programs", "", output);
    for (size_t i = 0; i < VT_ARRAY_LEN(through); i++) {
        const char *other = temp_path(through[i]);
        struct tool tool;
        struct trace t;
        tool_runf(&tool, "convert %s -o %s", output, other);
        must_exit(&tool, 0, through[i]);
        tool_runf(&tool, "convert %s -o %s", other, json);
        must_exit(&tool, 0, through[i]);
        must_load(&t, json, through[i]);
        size_t begun = 0, ended = 0;
        for (size_t k = 0; k < t.n; k++) {
            begun += t.events[k].ph == 's';
            ended += t.events[k].ph == 'f';
        }
        ck_assert_msg(begun == 8 && ended == 8, "%s: %zu flows begin and %zu end", through[i], begun, ended);
        trace_free(&t);
        unlink(other);
        unlink(json);
    }
    unlink(output);
}
END_TEST

/* 8 processes that record at the same time: every call of each is there. */
START_TEST(test_spawned_eight_at_once_lose_nothing) {
    const struct interp *ip = suite_interp(_i);
    static struct run traced;
    struct tool tool;
    const char *output = temp_path(".vzt");
    run_target(&traced, ip, "spawned.py", "eight", "", output);
    ck_assert_msg(!traced.status, "%s: %s", ip->version, traced.text[1]);
    for (int i = 0; i < 8; i++) {
        tool_runf(&tool, "report --json --slowest 0 --match work_%c %s", 'a' + i, output);
        ck_assert_msg(strstr(tool.out, "\"calls\":20000,"), "work_%c on %s: %.600s", 'a' + i, ip->version, tool.out);
        ck_assert_msg(strstr(tool.out, "\"dropped\":0"), "work_%c on %s: %.600s", 'a' + i, ip->version, tool.out);
    }
    unlink(output);
}
END_TEST

/* A program that compiles code by the C API and executes it, as uWSGI does: no event of the interpreter tells that it runs. */
static const char embedding[] =
    "void Py_Initialize(void); int Py_FinalizeEx(void); void *PyImport_ExecCodeModule(const char *, void *);"
    "void *Py_CompileStringExFlags(const char *, const char *, int, void *, int);"
    "int main(void) { Py_Initialize(); void *code = Py_CompileStringExFlags(\"def f(): pass\\n"
    "for i in range(7): f()\\n\", \"embedded.py\", 257, 0, -1);"
    "return !code || !PyImport_ExecCodeModule(\"embedded\", code) || Py_FinalizeEx(); }";

START_TEST(test_spawned_embedded_code_is_recorded) {
    static const char where[] = "import sys, sysconfig as s; print(s.get_config_var('LIBDIR'), s.get_config_var('LDLIBRARY'), "
                                "sys.prefix) if s.get_config_var('Py_ENABLE_SHARED') else sys.exit(1)";
    const struct interp *ip = suite_interp(_i);
    char text[4 * PATH_MAX];
    struct trace t;
    const char *program = temp_path(".out"), *source = temp_path(".c"), *output = temp_path(".json");
    FILE *f = fopen(source, "w");
    ck_assert(f && fputs(embedding, f) >= 0 && !fclose(f));
    if (ip->root[0]) skip_test("embedded on %s: no compiler for its root", ip->version);
    snprintf(text, sizeof text, "set -- $(%s -c \"%s\") && [ -e $1/$2 ] && gcc -o %s %s $1/$2 -Wl,-rpath,$1 && echo $3 >%s",
             ip->path, where, program, source, output);
    if (system(text)) skip_test("embedded on %s: it has no shared library to link with", ip->version);
    snprintf(text, sizeof text, "PYTHONHOME=$(cat %s) %.1000s/viztracer --quiet -o %s -- %s", output, tree_bin(), output,
             program);
    ck_assert_int_eq(system(text), 0);
    must_load(&t, output, ip->version);
    ck_assert_uint_eq(trace_count(&t, "f", 0), 7);
    trace_free(&t);
    unlink(program);
    unlink(source);
    unlink(output);
}
END_TEST

/* One version for each kind of hook, the oldest, and one of another C library. */
static const int some[] = {8, 11, 12, 14};

static void add_on_some(Suite *s, const char *name, const TTest *fn, size_t row, const struct interp *ips, size_t n, bool once) {
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 300);
    for (size_t i = 0; i < n; i++) {
        bool wanted = false, second = i && ips[i - 1].minor == ips[i].minor;
        for (size_t k = 0; k < VT_ARRAY_LEN(some); k++) wanted |= some[k] == ips[i].minor && !second;
        int at = (int)(row * n + i);
        if (wanted && (!once || ips[i].minor == 12)) tcase_add_loop_test(tc, fn, at, at + 1);
    }
    suite_add_tcase(s, tc);
}

int main(void) {
    Suite *s = suite_create("spawned");
    size_t n;
    const struct interp *ips = interp_list(&n);
    run_set_up();
    setenv("PYTHONWARNINGS", "ignore", 1); /* one names the pid */
    for (size_t row = 0; row < VT_ARRAY_LEN(cases); row++)
        add_on_some(s, cases[row].name, test_spawned_is_like_a_bare_run, row, ips, n, false);
    add_on_some(s, "ignore-multiprocess", test_spawned_is_not_followed_with_ignore_multiprocess, 0, ips, n, true);
    add_on_some(s, "formats", test_spawned_flows_are_kept_by_formats, 0, ips, n, true);
    add_on_some(s, "eight", test_spawned_eight_at_once_lose_nothing, 0, ips, n, true);
    suite_add(s, "embedded", test_spawned_embedded_code_is_recorded, 120);
    int rc = suite_main(s);
    run_clean_up();
    return rc;
}
