/* Other tools in the same process see all that they should before, during and after a trace, and so do we. Their hooks stay
 * theirs. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/suite.h"

enum { CALLS = 300, UNSEEN_MAX = 20000 /* calls of early in cborn.py: about 0.3 s of CPU time */ };

static const struct other {
    const char *kind;
    int from, to; /* minor versions */
} others[] = {
    {"cprofile", 8, 99}, {"setprofile", 8, 99}, {"settrace", 8, 99},       {"monitoring", 12, 99}, {"evalhook", 9, 11},
    {"coverage", 8, 99}, {"runcall", 8, 99},    {"capi", 8, 10},           {"capi", 12, 99},       {"cthread", 8, 10},
    {"requests", 8, 99}, {"debugger", 8, 99},   {"debugger-tool", 14, 99}, {"tools", 12, 99},      {"coverage-rounds", 8, 99},
    {"cthread", 12, 99}, /* 3.11: found by the next look, too late for 300 calls */
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
    if (!strncmp(o->kind, "coverage", 8)) {
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
    size_t early = trace_count(&trace, "early", 0), late = trace_count(&trace, "late", 0);
    size_t made = (size_t)t.slots[10], unseen = (size_t)t.slots[11];
    ck_assert_msg(late == CALLS, "%s: we saw %zu of %d late calls", who, late, CALLS);
    /* 3.11: found by a look. The others see the first call. `early` is called before it is asked whether they do. */
    ck_assert_msg(ip->minor == 11 || !unseen, "%s: %zu calls before it was found", who, unseen);
    ck_assert_msg(strcmp(b->main_is, "busy") || unseen < UNSEEN_MAX, "%s: %zu calls before it was found", who, unseen);
    ck_assert_msg(early + unseen + 1 >= made && early <= made, "%s: %zu of %zu early calls, %zu of them unseen", who, early, made,
                  unseen);
    trace_free(&trace);
    target_kill(&t);
    unlink(out);
}
END_TEST

static void must_say(const char *path, const char *what, const char *who) {
    struct tool tool;
    tool_runf(&tool, "report %s", path);
    must_exit(&tool, 0, who);
    ck_assert_msg(strstr(tool.out, what), "%s: the report of %s does not say \"%s\": %.2000s", who, path, what, tool.out);
}

/* Of each output, through its own reader where it has one. */
static void must_tell_everywhere(const char *vzt, const char *what, const char *who) {
    static const char *const suffixes[] = {".json", ".pftrace", ".html"};
    must_say(vzt, what, who);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        const char *path = temp_path(suffixes[i]);
        struct tool tool;
        tool_runf(&tool, "convert %s -o %s", vzt, path);
        must_exit(&tool, 0, who);
        if (strcmp(suffixes[i], ".html")) must_say(path, what, who);
        unlink(path);
    }
}

/* The number of gaps; their time together, ns. */
static size_t gaps_of(const struct trace *t, uint64_t *ns) {
    size_t n = 0;
    *ns = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct trace_event *e = &t->events[i];
        if (strcmp(e->name, "calls not seen")) continue;
        ck_assert_int_eq(e->ph, 'i');
        const char *time = e->args ? strstr(e->args, "ns=") : NULL;
        n += time && strstr(e->args, "cause=something in the process took the thread's profile function away");
        *ns += time ? strtoull(time + 3, NULL, 10) : 0;
    }
    return n;
}

/* The thread is not traced until the next look. Each output tells this gap. The counts before and after it are exact. */
START_TEST(test_beside_taken_profile_function_leaves_a_gap) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    struct tool tool;
    struct trace trace;
    char who[64];
    uint64_t gap_ns;
    const char *out = temp_path(".vzt"), *json = temp_path(".json");
    snprintf(who, sizeof who, "taken on %s", ip->version);
    ck_assert_int_eq(target_spawn(&t, ip, "taken.py", NULL, NULL), 0);
    tool_startf(&tool, "--attach %d -o %s", (int)t.pid, out);
    must_attach(&tool, who);
    must_round(&t, 1, who);
    kill(tool.pid, SIGINT);
    tool_wait(&tool, 60000);
    must_exit(&tool, 0, who);
    tool_runf(&tool, "convert %s -o %s", out, json);
    must_exit(&tool, 0, who);
    must_load(&trace, json, who);
    size_t before = trace_count(&trace, "before", 0), after = trace_count(&trace, "after", 0), gaps = gaps_of(&trace, &gap_ns);
    ck_assert_msg(before == 3 * CALLS && after == 3 * CALLS, "%s: %zu calls before and %zu after", who, before, after);
    ck_assert_msg(ip->minor < 12 ? gaps >= 3 : !gaps, "%s: %zu gaps", who, gaps);
    if (gaps) must_tell_everywhere(out, "Calls not seen", who);
    if (gaps) ck_assert_msg(gap_ns, "%s: the gaps have no length", who);
    if (ip->minor == 11) ck_assert_msg(gap_ns > 3000000, "%s: gaps of %llu ns", who, (unsigned long long)gap_ns); /* looks */
    if (ip->minor < 11) { /* each Python call checks that the function is there */
        size_t lost = trace_count(&trace, "lost", 0);
        ck_assert_msg(lost >= t.slots[10], "%s: %zu of %zu calls of lost", who, lost, (size_t)t.slots[10]);
    }
    trace_free(&trace);
    target_kill(&t);
    unlink(out);
    unlink(json);
}
END_TEST

int main(void) {
    Suite *s = suite_create("beside");
    for (int i = 0; i < (int)(sizeof born / sizeof *born); i++)
        suite_add_row(s, born[i].name, test_beside_thread_born_in_c_is_seen, i, 120);
    suite_add(s, "taken", test_beside_taken_profile_function_leaves_a_gap, 120);
    for (int i = 0; i < (int)(sizeof others / sizeof *others); i++)
        suite_add_row(s, others[i].kind, test_beside_other_tools_survive, i, 120);
    return suite_main(s);
}
