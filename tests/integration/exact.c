/* A program with a known call tree gives exactly those calls, counts and nesting, on every version. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/suite.h"

enum { SEQUENCE = 2000, STEPS = 100000 };

/* How often each function of tests/targets/exact.py is called. */
static const struct {
    const char *name;
    size_t calls;
} expected[] = {
    {"a", 1},          {"b", 3},         {"c", 6},        {"str.upper", 6}, {"builtins.len", 15},
    {"in_order", 1},   {"many", 1},      {"step", STEPS}, {"counting", 1},  {"guarded", 2},
    {"coroutine", 1},  {"raiser", 10},   {"middle", 10},  {"math.sqrt", 7}, {"recurse", 201},
    {"math.floor", 6}, {"list.sort", 1}, {"dict.get", 1}, {"extra", 3},     {"extra_work", 150},
    {"delegating", 1}, {"delegated", 1}, {"stream", 1},   {"known", 1},     {"inner_open", 1},
    {"outer_open", 1}, {"beyond", 1},    {"<module>", 1},
};

/* Name by qualname from 3.11 on, by co_name before. */
static const struct {
    const char *qualname, *name;
    size_t calls;
} methods[] = {
    {"Shape.area", "area", 4}, {"Shape.area.<locals>.inner", "inner", 4}, {"Shape.make", "make", 4},
    {"Shape.unit", "unit", 4}, {"Wait.__await__", "__await__", 2},
};

/* Slices of generators and coroutines: one for each stretch from a start or a resume on, and how many a yield ended. */
static const struct {
    const char *qualname, *name;
    size_t pieces, suspended;
} generators[] = {
    {"counting", "counting", 6, 5},     {"guarded", "guarded", 5, 3},
    {"coroutine", "coroutine", 3, 2},   {"Wait.__await__", "__await__", 4, 2},
    {"delegating", "delegating", 3, 2}, {"delegated", "delegated", 3, 2},
    {"stream", "stream", 3, 2},
};

struct traced {
    struct target target;
    struct trace trace;
    char who[64];
};

/* Attaches, lets the target do its part, ends with SIGINT while the target is inside beyond(). */
static void trace_known_tree(struct traced *x, const struct interp *ip, const char *options) {
    struct tool tool;
    const char *out = temp_path(".json");
    snprintf(x->who, sizeof x->who, "exact on %s %s", ip->version, options);
    ck_assert_msg(target_spawn(&x->target, ip, "exact.py", NULL, NULL) == 0, "%s: the target does not start", x->who);
    tool_startf(&tool, "--attach %d -o %s %s", (int)x->target.pid, out, options);
    must_attach(&tool, x->who);
    x->target.slots[60] = 1;
    for (uint64_t end = now_ms() + 60000; !x->target.slots[61];) {
        struct census c;
        ck_assert_msg(!census_take(x->target.pid, &c) && c.state != 'Z', "%s: the target died: %s", x->who, x->target.text);
        ck_assert_msg(now_ms() < end, "%s: the target does not get through", x->who);
        sleep_ms(2);
    }
    kill(tool.pid, SIGINT);
    tool_wait(&tool, 60000);
    must_exit(&tool, 0, x->who);
    must_load(&x->trace, out, x->who);
    unlink(out);
}

static void done(struct traced *x) {
    int status;
    x->target.slots[60] = 2;
    ck_assert_msg(target_wait(&x->target, 10000, &status) == 0, "%s: the target does not end", x->who);
    ck_assert_msg(status == 0, "%s: the target ended with %#x: %s", x->who, (unsigned)status, x->target.text);
    target_kill(&x->target);
    trace_free(&x->trace);
}

static void must_have_pieces(const struct traced *x, const struct interp *ip) {
    for (size_t i = 0; i < sizeof generators / sizeof *generators; i++) {
        const char *name = ip->minor >= 11 ? generators[i].qualname : generators[i].name;
        size_t n = trace_count(&x->trace, name, x->target.pid), suspended = 0;
        ck_assert_msg(n == generators[i].pieces, "%s: %zu pieces of %s instead of %zu", x->who, n, name, generators[i].pieces);
        for (const struct trace_event *e = NULL; (e = trace_find(&x->trace, name, e));) suspended += e->suspended;
        ck_assert_msg(suspended == generators[i].suspended, "%s: %zu pieces of %s are suspended instead of %zu", x->who,
                      suspended, name, generators[i].suspended);
    }
}

START_TEST(test_exact_counts) {
    const struct interp *ip = suite_interp(_i);
    struct traced x;
    trace_known_tree(&x, ip, "");
    pid_t main_thread = x.target.pid;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        size_t n = trace_calls(&x.trace, expected[i].name, strncmp(expected[i].name, "extra", 5) ? main_thread : 0);
        ck_assert_msg(n == expected[i].calls, "%s: %zu calls of %s instead of %zu", x.who, n, expected[i].name,
                      expected[i].calls);
    }
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const char *name = ip->minor >= 11 ? methods[i].qualname : methods[i].name;
        size_t n = trace_calls(&x.trace, name, main_thread);
        ck_assert_msg(n == methods[i].calls, "%s: %zu calls of %s instead of %zu", x.who, n, name, methods[i].calls);
    }
    must_have_pieces(&x, ip);
    done(&x);
}
END_TEST

static int by_ts(const void *a, const void *b) {
    const struct trace_event *x = *(const struct trace_event *const *)a, *y = *(const struct trace_event *const *)b;
    return (x->ts > y->ts) - (x->ts < y->ts);
}

START_TEST(test_exact_sequence_is_contiguous) {
    const struct interp *ip = suite_interp(_i);
    struct traced x;
    const struct trace_event **seen = calloc(SEQUENCE + 1, sizeof *seen);
    size_t n = 0;
    trace_known_tree(&x, ip, "");
    for (size_t i = 0; i < x.trace.n; i++) {
        const struct trace_event *e = &x.trace.events[i];
        if (e->ph != 'X' || strncmp(e->name, "f_", 2)) continue;
        ck_assert_msg(n < SEQUENCE, "%s: more than %d calls in the sequence", x.who, SEQUENCE);
        seen[n++] = e;
    }
    ck_assert_msg(n == SEQUENCE, "%s: %zu of %d calls in the sequence", x.who, n, SEQUENCE);
    qsort(seen, n, sizeof *seen, by_ts);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(atoi(seen[i]->name + 2) == (int)i, "%s: place %zu is %s", x.who, i, seen[i]->name);
    free(seen);
    done(&x);
}
END_TEST

static void must_hold(const struct traced *x, const struct trace_event *parent, const char *const *names) {
    const struct trace_event *child[64];
    size_t n = trace_children(&x->trace, parent, child, 64), want = 0;
    char held[1024] = "";
    while (names[want]) want++;
    for (size_t i = 0; i < n && i < 16; i++) snprintf(held + strlen(held), sizeof held - strlen(held), " %.40s", child[i]->name);
    ck_assert_msg(n == want, "%s: %s holds %zu calls instead of %zu:%s", x->who, parent->name, n, want, held);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(trace_name_is(child[i]->name, names[i]), "%s: call %zu in %s is %s instead of %s", x->who, i, parent->name,
                      child[i]->name, names[i]);
}

START_TEST(test_exact_calls_nest) {
    const struct interp *ip = suite_interp(_i);
    struct traced x;
    trace_known_tree(&x, ip, "");
    const struct trace_event *known = trace_find(&x.trace, "known", NULL), *inner;
    const struct trace_event *a = trace_find(&x.trace, "a", NULL), *b = trace_find(&x.trace, "b", NULL),
                             *c = trace_find(&x.trace, "c", NULL);
    ck_assert_msg(known && a && b && c, "%s: a function is missing", x.who);
    must_hold(&x, known,
              (const char *[]){"a", "in_order", "many", "generators", "coroutines", "exceptions", "recurse", "methods",
                               "c_functions", "new_threads", NULL});
    must_hold(&x, a, (const char *[]){"b", "b", "b", NULL});
    must_hold(&x, b,
              (const char *[]){"c", "c", "builtins.len", "builtins.len", "builtins.len", "builtins.len", "builtins.len", NULL});
    must_hold(&x, c, (const char *[]){"str.upper", NULL});
    /* recursion: each level holds the next one */
    const struct trace_event *level = NULL;
    int depth = 0;
    for (const struct trace_event *e = NULL; (e = trace_find(&x.trace, "recurse", e));)
        if (!level || e->ts < level->ts) level = e;
    while (level && trace_children(&x.trace, level, &inner, 1) == 1) level = inner, depth++;
    ck_assert_msg(depth == 200, "%s: recursion is %d deep instead of 200", x.who, depth);
    done(&x);
}
END_TEST

START_TEST(test_exact_open_frames_are_known) {
    const struct interp *ip = suite_interp(_i);
    struct traced x;
    trace_known_tree(&x, ip, "");
    const struct trace_event *module = trace_find(&x.trace, "<module>", NULL), *outer = trace_find(&x.trace, "outer_open", NULL);
    const struct trace_event *inner = trace_find(&x.trace, "inner_open", NULL), *beyond = trace_find(&x.trace, "beyond", NULL);
    const struct trace_event *known = trace_find(&x.trace, "known", NULL);
    ck_assert_msg(module && outer && inner && beyond && known, "%s: an open frame is missing", x.who);
    ck_assert_msg(module->unfinished && outer->unfinished && beyond->unfinished, "%s: not open at stop: %d %d %d", x.who,
                  module->unfinished, outer->unfinished, beyond->unfinished);
    ck_assert_msg(!inner->unfinished, "%s: closed before the stop, and said to be unfinished", x.who);
    ck_assert_msg(module->ts <= outer->ts && outer->ts <= inner->ts && inner->ts < known->ts, "%s: open frames are out of order",
                  x.who);
    done(&x);
}
END_TEST

START_TEST(test_exact_threads_and_files_are_named) {
    const struct interp *ip = suite_interp(_i);
    struct traced x;
    pid_t ids[64];
    trace_known_tree(&x, ip, "");
    int n = trace_threads(&x.trace, ids, 64), extra = 0;
    const char *name = trace_thread_name(&x.trace, x.target.pid);
    ck_assert_msg(name && !strcmp(name, "MainThread"), "%s: the main thread's name is %s", x.who, name ? name : "missing");
    for (int i = 0; i < n; i++) {
        if (ids[i] == x.target.pid) continue;
        name = trace_thread_name(&x.trace, ids[i]);
        if (name && !strncmp(name, "extra-", 6)) {
            extra++;
            ck_assert_msg(trace_count(&x.trace, "extra_work", ids[i]) == 50, "%s: %zu calls in thread %s", x.who,
                          trace_count(&x.trace, "extra_work", ids[i]), name);
        }
    }
    ck_assert_msg(extra == 3, "%s: %d of 3 new threads have their name", x.who, extra);
    const struct trace_event *a = trace_find(&x.trace, "a", NULL);
    ck_assert_msg(a && strstr(a->name, "exact.py:27)"), "%s: name with file and line: %s", x.who, a ? a->name : "missing");
    ck_assert_msg(x.trace.has_files && x.trace.functions > 20, "%s: file_info has %zu functions", x.who, x.trace.functions);
    ck_assert_msg(x.trace.sources > 1000, "%s: %zu bytes of source text", x.who, x.trace.sources);
    ck_assert_msg(!x.trace.overflow && x.trace.base_ns > 1000000000000000000ull, "%s: overflow %d, base %llu", x.who,
                  x.trace.overflow, (unsigned long long)x.trace.base_ns);
    done(&x);
}
END_TEST

/* Without C calls, below 3.12 another hook serves: the same Python calls, and none of C. */
START_TEST(test_exact_python_only_leaves_c_out) {
    const struct interp *ip = suite_interp(_i);
    struct traced x;
    trace_known_tree(&x, ip, "--ignore_c_function");
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        bool is_c = strchr(expected[i].name, '.') != NULL;
        size_t n = trace_calls(&x.trace, expected[i].name, strncmp(expected[i].name, "extra", 5) ? x.target.pid : 0);
        size_t want = is_c ? 0 : expected[i].calls;
        ck_assert_msg(n == want, "%s: %zu calls of %s instead of %zu", x.who, n, expected[i].name, want);
    }
    must_have_pieces(&x, ip);
    done(&x);
}
END_TEST

int main(void) {
    Suite *s = suite_create("exact");
    suite_add(s, "counts", test_exact_counts, 120);
    suite_add(s, "sequence", test_exact_sequence_is_contiguous, 120);
    suite_add(s, "nesting", test_exact_calls_nest, 120);
    suite_add(s, "open-frames", test_exact_open_frames_are_known, 120);
    suite_add(s, "threads-and-files", test_exact_threads_and_files_are_named, 120);
    suite_add(s, "python-only", test_exact_python_only_leaves_c_out, 120);
    return suite_main(s);
}
