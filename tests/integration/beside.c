/* Other tools in the same process see all that they should before, during and after a trace, and so do we. Their hooks stay
 * theirs. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/suite.h"

enum { CALLS = 300 };

static const struct other {
    const char *kind;
    int from, to; /* minor versions */
} others[] = {
    {"cprofile", 8, 99}, {"setprofile", 8, 99}, {"settrace", 8, 99}, {"monitoring", 12, 99},
    {"evalhook", 9, 11}, {"coverage", 8, 99},   {"runcall", 8, 99},  {"capi", 8, 10},
    {"capi", 12, 99},    {"cthread", 8, 10},    {"cthread", 12, 99}, /* 3.11: found by the next look, too late for 300 calls */
};

#define DEBIAN_MODULES "/usr/lib/python3/dist-packages" /* also for other interpreters: coverage has a tracer in plain Python */

static void one_round(struct target *t, unsigned n, const char *who) {
    must_round(t, n, who);
    ck_assert_msg(t->slots[10 + n] == CALLS, "%s: round %u: the other tool saw %lld of %d calls", who, n,
                  (long long)t->slots[10 + n], CALLS);
    ck_assert_msg(t->slots[20 + n] == 1, "%s: round %u: the other tool's hook is not in place", who, n);
}

static void beside(const struct interp *ip, const struct other *o, const char *hook, const char *options) {
    struct target t;
    struct tool tool;
    struct trace trace;
    char who[128];
    int status;
    const char *out = temp_path(".json");
    snprintf(who, sizeof who, "beside %s on %s %s", o->kind, ip->version, options);
    ck_assert_int_eq(target_spawn(&t, ip, "beside.py", (const char *[]){o->kind, hook, NULL}, NULL), 0);
    one_round(&t, 1, who);
    tool_startf(&tool, "--attach %d -o %s %s", (int)t.pid, out, options);
    must_attach(&tool, who);
    one_round(&t, 2, who);
    kill(tool.pid, SIGINT);
    tool_wait(&tool, 30000);
    must_exit(&tool, 0, who);
    sleep_ms(50);
    one_round(&t, 3, who);
    ck_assert_msg(!target_wait(&t, 10000, &status) && status == 0, "%s: the target ended badly", who);
    must_load(&trace, out, who);
    size_t n = trace_count(&trace, "f", 0);
    ck_assert_msg(n == CALLS, "%s: we saw %zu of %d calls", who, n, CALLS);
    trace_free(&trace);
    target_kill(&t);
    unlink(out);
}

START_TEST(test_beside_other_tools_survive) {
    const struct interp *ip = suite_interp(_i);
    const struct other *o = &others[suite_row(_i)];
    char hook[PATH_MAX] = "", inside[PATH_MAX] = "";
    if (ip->minor < o->from || ip->minor > o->to) return;
    if (!strcmp(o->kind, "evalhook")) must_compile(ip, "evalhook.h", hook, inside);
    const char *more = hook[0] ? inside : NULL;
    if (!strcmp(o->kind, "coverage")) {
        if (access(DEBIAN_MODULES "/coverage", R_OK)) skip_test("beside coverage: Debian's python3-coverage is not installed");
        if (ip->root[0]) skip_test("beside coverage on %s: not for an interpreter in a chroot", ip->version);
        more = DEBIAN_MODULES;
    }
    beside(ip, o, more, "");
    beside(ip, o, more, "--ignore_c_function");
    if (hook[0]) unlink(hook);
}
END_TEST

/* A thread that C code starts, with one thread state or with a new one for each call, beside a main thread that sleeps or runs.
 */
static const struct born {
    const char *name, *main_is, *states;
} born[] = {
    {"born-in-c", "asleep", "one"},
    {"born-in-c-each", "asleep", "each"},
    {"born-in-c-busy", "busy", "one"},
    {"born-in-c-busy-each", "busy", "each"},
};

START_TEST(test_beside_thread_born_in_c_is_seen) {
    const struct interp *ip = suite_interp(_i);
    const struct born *b = &born[suite_row(_i)];
    struct target t;
    struct tool tool;
    struct trace trace;
    char who[128], file[PATH_MAX], inside[PATH_MAX];
    const char *out = temp_path(".json");
    snprintf(who, sizeof who, "%s on %s", b->name, ip->version);
    must_compile(ip, "cborn.h", file, inside);
    ck_assert_int_eq(target_spawn(&t, ip, "cborn.py", (const char *[]){b->main_is, b->states, inside, NULL}, NULL), 0);
    unlink(file);
    tool_startf(&tool, "--attach %d -o %s", (int)t.pid, out);
    must_attach(&tool, who);
    must_round(&t, 1, who);
    kill(tool.pid, SIGINT);
    tool_wait(&tool, 60000);
    must_exit(&tool, 0, who);
    must_load(&trace, out, who);
    size_t early = trace_count(&trace, "early", 0), late = trace_count(&trace, "late", 0), made = (size_t)t.slots[10];
    ck_assert_msg(late == CALLS, "%s: we saw %zu of %d late calls", who, late, CALLS);
    /* 3.11: found by a look. The others see the first call. */
    ck_assert_msg(ip->minor == 11 ? early > made / 2 : early == made, "%s: we saw %zu of %zu early calls", who, early, made);
    trace_free(&trace);
    target_kill(&t);
    unlink(out);
}
END_TEST

int main(void) {
    Suite *s = suite_create("beside");
    for (int i = 0; i < (int)(sizeof born / sizeof *born); i++)
        suite_add_row(s, born[i].name, test_beside_thread_born_in_c_is_seen, i, 120);
    for (int i = 0; i < (int)(sizeof others / sizeof *others); i++)
        suite_add_row(s, others[i].kind, test_beside_other_tools_survive, i, 120);
    return suite_main(s);
}
