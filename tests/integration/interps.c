/* Subinterpreters: those that are there at the attach and those that are made later, with the main interpreter's GIL and with one
 * of their own, are traced; they end as usual meanwhile, and nothing is left in them. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/suite.h"

enum {
    KEPT_CALLS = 300,
    NEW_CALLS = 200,
    OWN_GIL_FROM = 12,
    LISTED_LOCKED_FROM = 14,
    ROUND = 60,
    MADE = 62,
    GOOD = 20,
    TID = 40,
    LAST = 4,
    LATE_HOOKED = 20,
    TRACED_NOW = 21
};

static const char *const kinds[] = {"shared", "own"};

static void one_round(struct target *t, unsigned n, const char *who) {
    must_round(t, n, who);
    ck_assert_msg(t->slots[GOOD + n] == 1, "%s: round %u: sys.monitoring of an interpreter is not as it should be", who, n);
}

static void check(const char *out, pid_t tid, const char *who) {
    struct trace trace;
    must_load(&trace, out, who);
    size_t kept = trace_count(&trace, "in_kept", 0), made = trace_count(&trace, "in_new", 0);
    ck_assert_msg(kept == KEPT_CALLS && made == NEW_CALLS, "%s: %zu calls of %d, %zu of %d", who, kept, KEPT_CALLS, made,
                  NEW_CALLS);
    kept = trace_count(&trace, "in_kept", tid);
    ck_assert_msg(kept == KEPT_CALLS, "%s: %zu of %d calls on the thread that made them", who, kept, KEPT_CALLS);
    trace_free(&trace);
}

static void interps(const struct interp *ip, const char *kind, const char *options) {
    struct target t;
    struct tool tool;
    char who[128];
    int status;
    const char *out = temp_path(".json");
    snprintf(who, sizeof who, "interpreters (%s) on %s %s", kind, ip->version, options);
    ck_assert_int_eq(target_spawn(&t, ip, "interps.py", (const char *[]){kind, NULL}, NULL), 0);
    one_round(&t, 1, who);
    tool_startf(&tool, "--attach %d -o %s %s", (int)t.pid, out, options);
    must_attach(&tool, who);
    one_round(&t, 2, who);
    kill(tool.pid, SIGINT);
    tool_wait(&tool, 30000);
    must_exit(&tool, 0, who);
    one_round(&t, 3, who);
    t.slots[ROUND] = LAST;
    ck_assert_msg(!target_wait(&t, 30000, &status) && status == 0, "%s: the target ended badly", who);
    check(out, (pid_t)t.slots[TID], who);
    target_kill(&t);
    unlink(out);
}

START_TEST(test_interps_are_traced) {
    const struct interp *ip = suite_interp(_i);
    const char *kind = kinds[suite_row(_i)];
    if (suite_row(_i) && ip->minor < OWN_GIL_FROM) return;
    interps(ip, kind, "");
    interps(ip, kind, "--ignore_c_function");
}
END_TEST

/* Sessions come and go while interpreters do. */
START_TEST(test_interps_come_and_go) {
    const struct interp *ip = suite_interp(_i);
    const char *kind = kinds[suite_row(_i)], *out = temp_path(".vzt");
    struct target t;
    char who[128];
    int status;
    if (suite_row(_i) && ip->minor < OWN_GIL_FROM) return;
    ck_assert_int_eq(target_spawn(&t, ip, "interps.py", (const char *[]){kind, NULL}, NULL), 0);
    for (int i = 0; i < suite_times(6, 60); i++) {
        struct tool tool;
        snprintf(who, sizeof who, "interpreters (%s) on %s, attach %d", kind, ip->version, i);
        tool_startf(&tool, "--attach %d -t 0.2 -o %s", (int)t.pid, out);
        tool_wait(&tool, 60000);
        must_exit(&tool, 0, who);
    }
    one_round(&t, 1, who);
    ck_assert_msg(t.slots[MADE] > 0, "%s: no interpreter came and went", who);
    t.slots[ROUND] = LAST;
    ck_assert_msg(!target_wait(&t, 30000, &status) && status == 0, "%s: the target ended badly", who);
    target_kill(&t);
    unlink(out);
}
END_TEST

/* Thread states of the main interpreter come and go without its GIL. MALLOC_PERTURB_: nothing of one that is freed stays. 3.14+:
 * before, sys.monitoring.set_events itself goes through them without the lock on their list (4 of 348 attaches ended in it
 * on 3.13.0). */
START_TEST(test_interps_thread_states_come_and_go) {
    const struct interp *ip = suite_interp(_i);
    const char *out = temp_path(".vzt"), *const env[] = {"MALLOC_PERTURB_=165", NULL};
    struct target t;
    if (ip->minor < LISTED_LOCKED_FROM) return;
    ck_assert_int_eq(target_spawn(&t, ip, "tstates.py", NULL, &(struct target_opts){.env = env}), 0);
    for (int i = 0; i < suite_times(10, 100); i++) {
        struct tool tool;
        char who[128];
        snprintf(who, sizeof who, "thread states on %s, attach %d", ip->version, i);
        tool_startf(&tool, "--attach %d -t 0.05 -o %s", (int)t.pid, out);
        tool_wait(&tool, 60000);
        must_exit(&tool, 0, who);
        ck_assert_msg(!target_progresses(&t, 1, 30000), "%s: the target has died or stands still", who);
    }
    target_kill(&t);
    unlink(out);
}
END_TEST

/* ---- options ---- */

struct scene {
    const struct interp *ip;
    struct target target;
    struct trace trace;
    char who[192];
    const char *kind;
    unsigned round;
};

/* False: there are none of this kind. */
static bool begin(struct scene *x, int i) {
    memset(x, 0, sizeof *x);
    x->kind = kinds[suite_row(i)];
    x->ip = suite_interp(i);
    if (x->ip->minor < OWN_GIL_FROM) return false;
    ck_assert_int_eq(target_spawn(&x->target, x->ip, "interpopts.py", (const char *[]){x->kind, NULL}, NULL), 0);
    must_round(&x->target, ++x->round, "before the trace");
    x->target.slots[TRACED_NOW] = 1;
    return true;
}

static void trace_round(struct scene *x, const char *options) {
    const char *out = temp_path(".json");
    snprintf(x->who, sizeof x->who, "interpreters (%s) with %s on %s", x->kind, options, x->ip->version);
    trace_free(&x->trace);
    must_trace_round(&x->target, ++x->round, options, out, &x->trace, x->who);
    ck_assert_msg(x->target.slots[LATE_HOOKED], "%s: the new interpreter is not traced", x->who);
    unlink(out);
}

static void must(const struct scene *x, const char *name, size_t n) {
    size_t seen = trace_count(&x->trace, name, 0);
    ck_assert_msg(seen == n, "%s: %zu calls of %s instead of %zu", x->who, seen, name, n);
}

static void end(struct scene *x) {
    ck_assert_msg(!kill(x->target.pid, 0), "%s: the target has gone", x->who);
    trace_free(&x->trace);
    target_kill(&x->target);
}

START_TEST(test_interps_keep_depth) {
    struct scene x;
    if (!begin(&x, _i)) return;
    /* in_kept 1, run_string 2, <module> 3, one 4, level0 5, level1 6, level2 7; in_late 1, run_string 2, <module> 3 */
    trace_round(&x, "--max_stack_depth 6");
    must(&x, "level0", 1);
    must(&x, "level1", 1);
    must(&x, "level2", 0);
    must(&x, "direct", 1); /* 6, too */
    must(&x, "math.hypot", 0);
    must(&x, "late_level0", 1);
    must(&x, "late_level1", 1);
    trace_round(&x, "--max_stack_depth 4");
    must(&x, "one", 1);
    must(&x, "level0", 0);
    must(&x, "arguments", 0);
    must(&x, "late_level0", 1);
    must(&x, "late_level1", 0);
    trace_round(&x, "--max_stack_depth 100");
    must(&x, "level2", 1);
    must(&x, "math.hypot", 1);
    must(&x, "late_level1", 1);
    end(&x);
}
END_TEST

START_TEST(test_interps_keep_file_filters) {
    struct scene x;
    if (!begin(&x, _i)) return;
    trace_round(&x, "--include_files /virtual/subapp.py <s"); /* <string> or <script> */
    must(&x, "one", 1);
    must(&x, "by_files", 1);
    must(&x, "helper", 0);
    must(&x, "called_back", 0); /* the whole subtree of a function that is left out */
    must(&x, "direct", 1);
    must(&x, "math.hypot", 1);
    must(&x, "in_kept", 0);
    must(&x, "late_level0", 1);
    trace_round(&x, "--exclude_files /virtual/sublib.py");
    must(&x, "one", 1);
    must(&x, "helper", 0);
    must(&x, "called_back", 0);
    must(&x, "direct", 1);
    must(&x, "in_kept", 1);
    must(&x, "late_level0", 1);
    end(&x);
}
END_TEST

START_TEST(test_interps_keep_function_filters) {
    struct scene x;
    if (!begin(&x, _i)) return;
    trace_round(&x, "--exclude_functions helper level? math.hypot");
    must(&x, "by_files", 1);
    must(&x, "helper", 0);
    must(&x, "len", 0);
    must(&x, "called_back", 1);
    must(&x, "direct", 1);
    must(&x, "math.hypot", 0);
    must(&x, "level0", 0);
    must(&x, "arguments", 23);
    must(&x, "late_level1", 1);
    trace_round(&x, "--include_functions direct");
    must(&x, "direct", 1);
    must(&x, "math.hypot", 1);
    must(&x, "by_files", 0);
    must(&x, "in_kept", 0);
    trace_round(&x, "--exclude_modules sublib __main__ math");
    must(&x, "by_files", 1);
    must(&x, "direct", 1);
    must(&x, "helper", 0);
    must(&x, "called_back", 1);
    must(&x, "math.hypot", 0);
    must(&x, "late_level0", 0);
    trace_round(&x, "--include_modules sublib");
    must(&x, "helper", 1);
    must(&x, "direct", 0);
    end(&x);
}
END_TEST

static const struct trace_event *must_say(const struct scene *x, const char *name, const struct trace_event *after,
                                          const char *args) {
    const struct trace_event *e = trace_find(&x->trace, name, after);
    ck_assert_msg(e && e->args && strstr(e->args, args), "%s: %s says %s, not %s", x->who, name,
                  !e        ? "nothing: it is not there"
                  : e->args ? e->args
                            : "nothing",
                  args);
    return e;
}

START_TEST(test_interps_tell_values) {
    struct scene x;
    if (!begin(&x, _i)) return;
    trace_round(&x, "--log_func_args --log_func_retval --log_func_repr");
    must(&x, "arguments", 23);
    must(&x, "direct", 1); /* what a __repr__ calls is not recorded */
    const struct trace_event *e = must_say(&x, "arguments", NULL, "func_args.y='two';");
    must_say(&x, "arguments", NULL, "func_args.rest=(3, 4);");
    must_say(&x, "arguments", NULL, "func_args.others={'z': [6]};");
    must_say(&x, "arguments", NULL, "func_args.k=5;");
    must_say(&x, "arguments", NULL, "return_value=6;");
    e = must_say(&x, "arguments", e, "func_args.y=<repr raised KeyboardInterrupt>;");
    e = must_say(&x, "arguments", e, "func_args.y=<shown 5>;");
    for (int i = 0; i < 20; i++) {
        char x_is[32], result[32];
        snprintf(x_is, sizeof x_is, "func_args.x=%d;", i);
        snprintf(result, sizeof result, "return_value=%d;", i + 1);
        const struct trace_event *before = e;
        e = must_say(&x, "arguments", before, x_is);
        must_say(&x, "arguments", before, "func_args.y=None;");
        must_say(&x, "arguments", before, result);
    }
    must_say(&x, "gives_text", NULL, "return_value='text \xc3\xa9';");
    must_say(&x, "direct", NULL, "return_value=5.0;");
    end(&x);
}
END_TEST

START_TEST(test_interps_have_tasks) {
    struct scene x;
    if (!begin(&x, _i)) return;
    trace_round(&x, "--log_async --log_func_args");
    must(&x, "tasked", 8);
    must_have_jobs(&x.trace, x.who);
    end(&x);
}
END_TEST

/* Those with a GIL of their own are left alone, and that is said. */
START_TEST(test_interps_are_left_alone_under_a_limit) {
    struct scene x;
    struct tool tool;
    const char *out = temp_path(".json");
    if (!begin(&x, _i)) return;
    x.target.slots[TRACED_NOW] = 0;
    tool_startf(&tool, "--attach %d -o %s --max_overhead 90%%", (int)x.target.pid, out);
    must_attach(&tool, x.ip->version);
    must_round(&x.target, ++x.round, x.ip->version);
    kill(tool.pid, SIGINT);
    tool_wait(&tool, 30000);
    must_exit(&tool, 0, x.ip->version);
    ck_assert_msg(strstr(tool.out, "a GIL of its own is not traced with --max_overhead"), "%s: says %s", x.ip->version, tool.out);
    must_load(&x.trace, out, x.ip->version);
    snprintf(x.who, sizeof x.who, "--max_overhead on %s", x.ip->version);
    must(&x, "level0", 0);
    unlink(out);
    end(&x);
}
END_TEST

int main(void) {
    Suite *s = suite_create("interps");
    suite_add_row(s, "traced-shared", test_interps_are_traced, 0, 180);
    suite_add_row(s, "come-and-go-shared", test_interps_come_and_go, 0, 300);
    suite_add_row(s, "traced-own", test_interps_are_traced, 1, 180);
    suite_add_row(s, "come-and-go-own", test_interps_come_and_go, 1, 300);
    suite_add(s, "thread-states-own", test_interps_thread_states_come_and_go, 300);
    suite_add_row(s, "max_overhead-own", test_interps_are_left_alone_under_a_limit, 1, 180);
    for (int row = 0; row < 2; row++) {
        suite_add_row(s, row ? "depth-own" : "depth-shared", test_interps_keep_depth, row, 180);
        suite_add_row(s, row ? "files-own" : "files-shared", test_interps_keep_file_filters, row, 180);
        suite_add_row(s, row ? "functions-own" : "functions-shared", test_interps_keep_function_filters, row, 180);
        suite_add_row(s, row ? "values-own" : "values-shared", test_interps_tell_values, row, 180);
        suite_add_row(s, row ? "tasks-own" : "tasks-shared", test_interps_have_tasks, row, 180);
    }
    return suite_main(s);
}
