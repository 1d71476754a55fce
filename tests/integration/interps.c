/* Subinterpreters: those that are there at the attach and those that are made later, with the main interpreter's GIL and with one
 * of their own, are traced; they end as usual meanwhile, and nothing is left in them. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/lib/suite.h"

enum { KEPT_CALLS = 300, NEW_CALLS = 200, OWN_GIL_FROM = 12, ROUND = 60, MADE = 62, GOOD = 20, TID = 40, LAST = 4 };

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

START_TEST(traced) {
    const struct interp *ip = suite_interp(_i);
    const char *kind = kinds[suite_row(_i)];
    if (suite_row(_i) && ip->minor < OWN_GIL_FROM) return;
    interps(ip, kind, "");
    interps(ip, kind, "--ignore_c_function");
}
END_TEST

/* Sessions come and go while interpreters do. */
START_TEST(come_and_go) {
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

int main(void) {
    Suite *s = suite_create("interps");
    suite_add_row(s, "traced-shared", traced, 0, 180);
    suite_add_row(s, "come-and-go-shared", come_and_go, 0, 300);
    suite_add_row(s, "traced-own", traced, 1, 180);
    suite_add_row(s, "come-and-go-own", come_and_go, 1, 300);
    return suite_main(s);
}
