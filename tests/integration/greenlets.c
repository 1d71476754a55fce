/* Each greenlet has a stack of its own: a switch neither ends nor begins a call, and calls of one are never inside those of
 * another. The rounds of tests/targets/greenlets.py run with each kind of hooks and options. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/suite.h"

enum { REPEAT = 5, DEEP = 31 + 601, QUICK = 200, TURNS = 5 * (REPEAT + 1) };
/* Calls in one run of drive(), of which a round has two; `leaf` without the one of parked(). */
enum { LEAVES = 2 * 2 * REPEAT + 3 * REPEAT + 2 + QUICK, SWITCHES = 5 * REPEAT + 3 };

/* Whom each function may be called by; "" = it is the first of its greenlet. */
static const struct {
    const char *name, *callers[9];
} callers[] = {
    {"leaf", {"inner", "deep", "generating", "killed", "quick", "parked"}},
    {"inner", {"worker"}},
    {"worker", {""}},
    {"deep", {"deep", "drive.<locals>.<lambda>", "<lambda>"}},
    {"generating", {"consuming"}},
    {"consuming", {""}},
    {"dying", {""}},
    {"killed", {""}},
    {"quick", {""}},
    {"parked", {""}},
    {"at_home", {"turns", "drive"}},
    {"turns", {"drive"}},
    {"drive", {"one_round", "in_thread"}},
    {"one_round", {"serve"}},
    {"serve", {""}},
    {"outside", {"<module>"}},
    {"home", {"inner", "deep", "generating", "dying", "killed", "parked"}},
};

struct scene {
    const struct interp *ip;
    struct target target;
    struct trace trace;
    unsigned round;
    bool open_unknown; /* these hooks do not see calls that were open at the attach */
    char who[160];
};

/* False: there is no greenlet for this interpreter. */
static bool begin(struct scene *x, int i, bool late) {
    static const char *const args[] = {"late", NULL};
    memset(x, 0, sizeof *x);
    x->ip = suite_interp(i);
    ck_assert_int_eq(target_spawn(&x->target, x->ip, "greenlets.py", late ? args : NULL, NULL), 0);
    if (late) return true;
    ck_assert_int_eq(target_expect(&x->target, "module: ", 10000), 0);
    if (target_expect(&x->target, "no\n", 0)) return true;
    suite_skipped("greenlets on %s: it has no module greenlet", x->ip->version);
    target_kill(&x->target);
    return false;
}

static void end(struct scene *x) {
    ck_assert_msg(!kill(x->target.pid, 0), "%s: the target has gone", x->who);
    trace_free(&x->trace);
    target_kill(&x->target);
}

static void trace_round(struct scene *x, const char *options) {
    const char *out = temp_path(".json");
    snprintf(x->who, sizeof x->who, "greenlets on %s %s", x->ip->version, options);
    trace_free(&x->trace);
    must_trace_round(&x->target, ++x->round, options, out, &x->trace, x->who);
    unlink(out);
}

static void must(const struct scene *x, const char *name, size_t calls) {
    size_t n = trace_calls(&x->trace, name, 0);
    ck_assert_msg(n == calls, "%s: %zu calls of %s instead of %zu", x->who, n, name, calls);
}

static int by_begin(const void *a, const void *b) {
    const struct trace_event *x = *(const struct trace_event *const *)a, *y = *(const struct trace_event *const *)b;
    if (x->tid != y->tid) return x->tid < y->tid ? -1 : 1;
    if (x->ts != y->ts) return x->ts < y->ts ? -1 : 1;
    return (x->dur < y->dur) - (x->dur > y->dur);
}

static void must_be_called_by(const struct scene *x, const struct trace_event *e, const struct trace_event *caller) {
    for (size_t i = 0; i < sizeof callers / sizeof *callers; i++) {
        if (!trace_name_is(e->name, callers[i].name)) continue;
        bool right = false;
        for (size_t k = 0; callers[i].callers[k]; k++)
            right |= *callers[i].callers[k] ? caller && trace_name_is(caller->name, callers[i].callers[k]) : !caller;
        right |= !caller && x->open_unknown;
        ck_assert_msg(right, "%s: %s is inside %s", x->who, e->name, caller ? caller->name : "nothing");
    }
}

/* Whom each call is inside of. */
static void must_nest(const struct scene *x) {
    const struct trace_event **all = calloc(x->trace.n + 1, sizeof(*all)), **stack = calloc(x->trace.n + 1, sizeof(*stack));
    size_t n = 0, depth = 0;
    ck_assert(all && stack);
    for (size_t i = 0; i < x->trace.n; i++)
        if (x->trace.events[i].ph == 'X') all[n++] = &x->trace.events[i];
    qsort(all, n, sizeof(*all), by_begin);
    for (size_t i = 0; i < n; i++) {
        while (depth && (stack[depth - 1]->tid != all[i]->tid || stack[depth - 1]->ts + stack[depth - 1]->dur <= all[i]->ts))
            depth--;
        must_be_called_by(x, all[i], depth ? stack[depth - 1] : NULL);
        stack[depth++] = all[i];
    }
    free(all);
    free(stack);
}

static void must_have_a_round(const struct scene *x) {
    must(x, "worker", 4);
    must(x, "inner", 4 * REPEAT);
    must(x, "deep", 2 * DEEP);
    must(x, "generating", 2);
    must(x, "consuming", 2);
    must(x, "dying", 2);
    must(x, "killed", 4);
    must(x, "quick", 2 * QUICK);
    must(x, "leaf", 2 * LEAVES + 1);
    must(x, "at_home", 2 * (TURNS + 1));
    must(x, "turns", 2);
    must(x, "drive", 2);
    must(x, "outside", 1);
    must_nest(x);
}

START_TEST(test_greenlets_have_stacks_of_their_own) {
    struct scene x;
    if (!begin(&x, _i, false)) return;
    for (int again = 0; again < 2; again++) {
        trace_round(&x, "");
        must_have_a_round(&x);
        const struct trace_event *inside[8], *e = trace_find(&x.trace, "inner", NULL);
        size_t n = trace_children(&x.trace, e, inside, 8);
        ck_assert_msg(n == 4, "%s: inner has %zu calls in it", x.who, n); /* leaf, home, switch, leaf */
        ck_assert_msg(trace_count(&x.trace, "drive", x.target.pid) == 1, "%s: drive is not on its thread", x.who);
        ck_assert_msg(!trace_count(&x.trace, "worker", x.target.pid), "%s: a greenlet is on its thread's track", x.who);
        const char *name = trace_thread_name(&x.trace, e->tid);
        ck_assert_msg(name && strstr(name, " greenlet "), "%s: a track is named %s", x.who, name ? name : "");
    }
    end(&x);
}
END_TEST

START_TEST(test_greenlets_without_c_functions) {
    struct scene x;
    if (!begin(&x, _i, false)) return;
    x.open_unknown = x.ip->minor < 12;
    trace_round(&x, "--ignore_c_function");
    must_have_a_round(&x);
    end(&x);
}
END_TEST

/* The complete callbacks. */
START_TEST(test_greenlets_with_options) {
    struct scene x;
    if (!begin(&x, _i, false)) return;
    trace_round(&x, "--log_func_args --log_async");
    must_have_a_round(&x);
    trace_round(&x, "--max_overhead 5%");
    trace_round(&x, "--exclude_functions leaf");
    must(&x, "leaf", 0);
    must(&x, "inner", 4 * REPEAT);
    must(&x, "deep", 2 * DEEP);
    must_nest(&x);
    trace_round(&x, "--min_duration 1000s");
    must(&x, "inner", 0);
    must(&x, "serve", 1);
    end(&x);
}
END_TEST

/* Depths are those of each greenlet. */
START_TEST(test_greenlets_depth) {
    struct scene x;
    if (!begin(&x, _i, false)) return;
    trace_round(&x, "--max_stack_depth 3");
    must(&x, "worker", 4);
    must(&x, "inner", 4 * REPEAT);
    must(&x, "deep", 2 * 2 * 2); /* below the lambdas */
    must(&x, "quick", 2 * QUICK);
    must_nest(&x);
    trace_round(&x, "--exclude_functions inner");
    must(&x, "worker", 4);
    must(&x, "inner", 0);
    must(&x, "deep", 2 * DEEP);
    must(&x, "quick", 2 * QUICK);
    must(&x, "turns", 2);
    end(&x);
}
END_TEST

/* The module is imported while the process is traced. */
START_TEST(test_greenlets_imported_late) {
    static const char *const options[] = {"", "--ignore_c_function", "--log_func_args"};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        struct scene x;
        if (!begin(&x, _i, false)) return;
        end(&x);
        begin(&x, _i, true);
        x.open_unknown = x.ip->minor < 12 && !strcmp(options[i], "--ignore_c_function");
        trace_round(&x, options[i]);
        must_have_a_round(&x);
        end(&x);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("greenlets");
    suite_add(s, "stacks", test_greenlets_have_stacks_of_their_own, 120);
    suite_add(s, "without-c-functions", test_greenlets_without_c_functions, 120);
    suite_add(s, "options", test_greenlets_with_options, 240);
    suite_add(s, "depth", test_greenlets_depth, 120);
    suite_add(s, "imported-late", test_greenlets_imported_late, 240);
    return suite_main(s);
}
