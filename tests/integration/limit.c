/* --max_overhead with the real daemon, which sends a thread in when none of our code is called any more. Below 3.12 that
 * thread puts the hooks back; from 3.12 on it begins a look at the functions that are switched off. Nothing remains. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/suite.h"

#define BUSY 2            /* threads of the target */
#define OUT_NS 100000000l /* no shorter: out until 0.8 s of CPU time were had, by threads that share one GIL */
#define TIMES_OUT 3       /* so that they came back twice */
#define SECONDS_MOST 100
#define DEPTH_MOST 64
#define LOOKS 4
#define LOOK_CALLS 16 /* that a look takes at least, as in agent/limit/throttle.c */

struct scene {
    const struct interp *ip;
    struct target target;
    const char *out;
    char who[96];
};

static void begin(struct scene *x, int i, const char *options) {
    x->ip = suite_interp(i);
    x->out = temp_path(".json");
    snprintf(x->who, sizeof x->who, "--max_overhead %s on %s", options, x->ip->version);
    ck_assert_int_eq(target_spawn(&x->target, x->ip, "probe.py", (const char *[]){"pausing", "2", NULL}, NULL), 0);
}

/* The number behind "key": in the metadata of a saved trace; 0 = there is none. */
static uint64_t metadata(const char *path, const char *key) {
    static char line[1 << 20];
    char quoted[64];
    uint64_t value = 0;
    FILE *f = fopen(path, "re");
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    while (f && fgets(line, sizeof line, f)) {
        const char *at = strstr(line, "\"viztracer_metadata\"");
        if (at && (at = strstr(at, quoted))) value = strtoull(at + strlen(quoted), NULL, 10);
    }
    if (f) fclose(f);
    return value;
}

static int by_start(const void *a, const void *b) {
    const struct trace_event *x = a, *y = b;
    return x->ts < y->ts ? -1 : x->ts > y->ts;
}

/* How often nothing was recorded for OUT_NS or longer. No call reaches over such a time. */
static unsigned stretches_without(struct trace *t, const char *who) {
    unsigned n = 0;
    int64_t ended = INT64_MAX;
    qsort(t->events, t->n, sizeof *t->events, by_start);
    for (size_t i = 0; i < t->n; i++) {
        const struct trace_event *e = &t->events[i];
        if (!strchr("XB", e->ph)) continue;
        ck_assert_msg(e->ph == 'X', "%s: %s has no end, with the hooks out in between", who, e->name);
        if (ended != INT64_MAX && e->ts > ended + OUT_NS) n++;
        if (ended == INT64_MAX || e->ts + e->dur > ended) ended = e->ts + e->dur;
    }
    return n;
}

static int by_thread(const void *a, const void *b) {
    const struct trace_event *x = a, *y = b;
    if (x->tid != y->tid) return x->tid < y->tid ? -1 : 1;
    if (x->ts != y->ts) return x->ts < y->ts ? -1 : 1;
    return x->dur > y->dur ? -1 : x->dur < y->dur;
}

/* What stands around each call of the target is what called it, also in the first moment after the hooks were out. */
static void must_stand_right(struct trace *t, const char *who) {
    static const struct { const char *name, *caller; } calls[] = {{"leaf", "burst"}, {"burst", "pausing"}, {"hooks", "pausing"}};
    const struct trace_event *open[DEPTH_MOST] = {NULL};
    size_t depth = 0;
    qsort(t->events, t->n, sizeof *t->events, by_thread);
    for (size_t i = 0; i < t->n; i++) {
        const struct trace_event *e = &t->events[i], *around;
        if (e->ph != 'X' || !e->dur) continue; /* no time: frames of a thread that was seen at one moment only */
        for (; depth && (around = open[depth - 1]); depth--) {
            int64_t end = around->ts + around->dur;
            if (around->tid == e->tid && end > e->ts) break;
        }
        around = depth ? open[depth - 1] : NULL;
        for (size_t k = 0; k < sizeof calls / sizeof calls[0]; k++) {
            if (!trace_name_is(e->name, calls[k].name)) continue;
            ck_assert_msg(around && trace_name_is(around->name, calls[k].caller), "%s: %s at %lld ns is called by %s", who,
                          e->name, (long long)e->ts, around ? around->name : "nobody");
        }
        ck_assert_msg(depth < DEPTH_MOST, "%s: %zu deep", who, depth);
        open[depth++] = e;
    }
}

static void windows(int i, const char *options) {
    struct scene x;
    struct tool tool;
    struct trace trace;
    struct census before, after;
    char hooks[1024], later[1024];
    if (suite_interp(i)->minor >= 12) return; /* function by function there: options.c */
    begin(&x, i, options);
    must_tell_hooks(&x.target, hooks, sizeof hooks, x.who);
    /* the library stays mapped from the first attach on */
    tool_runf(&tool, "--attach %d -t 0.2 -o %s", (int)x.target.pid, x.out);
    must_exit(&tool, 0, x.who);
    census_take(x.target.pid, &before);
    uint64_t times = 0;
    for (int seconds = 4; times < TIMES_OUT; seconds *= 3) { /* on a shared CPU the process needs longer for its CPU time */
        ck_assert_msg(seconds < SECONDS_MOST, "%s: the hooks were out %llu times, and did not come back; says %s", x.who,
                      (unsigned long long)times, tool.out);
        tool_startf(&tool, "--attach %d -t %d -o %s --max_overhead %s", (int)x.target.pid, seconds, x.out, options);
        tool_wait(&tool, (unsigned)seconds * 1000 + 60000);
        must_exit(&tool, 0, x.who);
        times = metadata(x.out, "hooks_out_times");
    }
    ck_assert_msg(strstr(tool.out, "taking the hooks out"), "%s: says %s", x.who, tool.out);
    ck_assert_uint_eq(metadata(x.out, "max_overhead"), 1);
    ck_assert_msg(metadata(x.out, "hooks_out_us") * 1000 > OUT_NS * (TIMES_OUT - 1), "%s: out for %llu us only", x.who,
                  (unsigned long long)metadata(x.out, "hooks_out_us"));
    must_load(&trace, x.out, x.who);
    unsigned without = stretches_without(&trace, x.who);
    ck_assert_msg(without + 1 >= times, "%s: out %llu times, and %u stretches without a call", x.who, (unsigned long long)times,
                  without);
    ck_assert_uint_gt(trace_count(&trace, "leaf", 0), TIMES_OUT);
    /* the other hook does not see the end of what was open before it */
    if (!strstr(options, "--ignore_c_function")) must_stand_right(&trace, x.who);
    trace_free(&trace);
    ck_assert_msg(!target_progresses(&x.target, BUSY, 20000), "%s: the target does not run on", x.who);
    for (uint64_t end = now_ms() + 20000;; sleep_ms(50)) { /* threads that have ended leave the list a moment later */
        must_tell_hooks(&x.target, later, sizeof later, x.who);
        census_take(x.target.pid, &after);
        if (after.threads == before.threads && !strcmp(hooks, later)) break;
        ck_assert_msg(now_ms() < end, "%s: threads %u, then %u; hooks before %s after %s", x.who, before.threads, after.threads,
                      hooks, later);
    }
    ck_assert_uint_eq(after.fds, before.fds);
    target_kill(&x.target);
    unlink(x.out);
}

START_TEST(test_limit_holds_with_the_profile_function) { windows(_i, "1%"); }
END_TEST

START_TEST(test_limit_holds_with_frame_evaluation) { windows(_i, "1% --ignore_c_function"); }
END_TEST

/* Calls of a throttled function by all that a saved trace says of it; 0 = it is not among them. seen: of them only counted. */
static uint64_t all_calls(const struct trace *t, const char *path, const char *name, uint64_t *seen) {
    char line[65536], head[64];
    uint64_t n = 0;
    FILE *f = fopen(path, "re");
    snprintf(head, sizeof head, "{\"name\":\"%s (", name);
    while (f && fgets(line, sizeof line, f)) {
        const char *counted = strstr(line, "\"calls_counted\":"), *guess = strstr(line, "\"calls_estimated\":");
        if (strncmp(line, head, strlen(head)) || !counted || !guess) continue;
        if (seen) *seen = strtoull(counted + strlen("\"calls_counted\":"), NULL, 10);
        n = trace_count(t, name, 0) + strtoull(counted + strlen("\"calls_counted\":"), NULL, 10) +
            strtoull(guess + strlen("\"calls_estimated\":"), NULL, 10);
    }
    if (f) fclose(f);
    return n;
}

/* Every function of this loop gets switched off. The estimates come from looks that the daemon had begun: fib(8) is 67 calls for
 * one of leaf, and the first moment alone says anything. */
START_TEST(test_limit_looks_at_throttled_functions) {
    struct target target;
    struct tool tool;
    struct trace trace;
    char who[96];
    const char *out = temp_path(".json");
    if (suite_interp(_i)->minor < 12) return;
    snprintf(who, sizeof who, "looks on %s", suite_interp(_i)->version);
    ck_assert_int_eq(target_spawn(&target, suite_interp(_i), "busy.py", (const char *[]){"1", NULL}, NULL), 0);
    for (int seconds = 4, right = 0; !right; seconds *= 3) {
        uint64_t rounds = target.slots[0] + target.slots[1];
        tool_startf(&tool, "--attach %d -t %d -o %s --max_overhead 1%%", (int)target.pid, seconds, out);
        tool_wait(&tool, (unsigned)seconds * 1000 + 60000);
        must_exit(&tool, 0, who);
        must_load(&trace, out, who);
        uint64_t seen = 0, leaf = all_calls(&trace, out, "leaf", &seen), fibs = 0, fib = all_calls(&trace, out, "fib", &fibs);
        trace_free(&trace);
        rounds = target.slots[0] + target.slots[1] - rounds;
        ck_assert_msg(fibs < rounds * 67 / 5, "%s: fib was seen %llu times in %llu rounds of 67, and is switched off", who,
                      (unsigned long long)fibs, (unsigned long long)rounds);
        right = seen >= LOOKS * LOOK_CALLS && fib > leaf * 67 / 3 && fib < leaf * 67 * 3;
        ck_assert_msg(right || seconds * 3 < SECONDS_MOST,
                      "%s: leaf %llu times (%llu seen), fib %llu times instead of 67 times as often; says %s", who,
                      (unsigned long long)leaf, (unsigned long long)seen, (unsigned long long)fib, tool.out);
    }
    ck_assert_msg(!target_progresses(&target, 2, 20000), "%s: the target does not run on", who);
    target_kill(&target);
    unlink(out);
}
END_TEST

int main(void) {
    Suite *s = suite_create("limit");
    suite_add(s, "profile-function", test_limit_holds_with_the_profile_function, 300);
    suite_add(s, "frame-evaluation", test_limit_holds_with_frame_evaluation, 300);
    suite_add(s, "looks", test_limit_looks_at_throttled_functions, 300);
    return suite_main(s);
}
