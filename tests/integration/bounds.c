/* A live target that starts threads without end: all its calls are in the trace, and the daemon's memory does not grow with the
 * threads that have ended. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/suite.h"

#define THREADS 3000u
#define THREADS_TEXT "3000"
#define CALLS_OF_QUICK 3u
#ifdef __SANITIZE_ADDRESS__
#define MOST_KB (512u << 10) /* a sanitizer keeps freed memory */
#else
#define MOST_KB (56u << 10) /* private memory of the daemon: twice that when it keeps what it knew of each ended thread */
#endif

static const struct {
    const char *name, *options;
    size_t quick; /* calls of each thread */
} churns[] = {{"all calls", "", CALLS_OF_QUICK}, {"short calls left out", "--min_duration 900us", 0}};

static void watch_round(struct target *t, pid_t daemon, const char *who) {
    uint64_t most = 0, end = now_ms() + 120000;
    struct census c;
    for (t->slots[60] = 1; t->slots[61] != 1; sleep_ms(10)) {
        ck_assert_msg(!census_take(t->pid, &c) && c.state != 'Z', "%s: the target died: %s", who, t->text);
        ck_assert_msg(!census_take(daemon, &c), "%s: the daemon died", who);
        ck_assert_msg(now_ms() < end, "%s: the target does not get through", who);
        if (c.anon_kb > most) most = c.anon_kb;
    }
    ck_assert_msg(most < MOST_KB, "%s: the daemon has %lu kB", who, (unsigned long)most);
}

START_TEST(test_bounds_of_threads_that_come_and_go) {
    const struct interp *ip = suite_interp(_i);
    const char *name = churns[suite_row(_i)].name, *out = temp_path(".json");
    struct target t;
    struct tool tool;
    struct trace trace;
    char who[96];
    snprintf(who, sizeof who, "%s on %s", name, ip->version);
    ck_assert_msg(!target_spawn(&t, ip, "spawning.py", (const char *[]){THREADS_TEXT, NULL}, NULL), "%s: no target", who);
    tool_startf(&tool, "--attach %d -o %s %s", (int)t.pid, out, churns[suite_row(_i)].options);
    must_attach(&tool, who);
    pid_t daemon = process_below(tool.pid, "viztracerd");
    ck_assert_msg(daemon > 0, "%s: no daemon", who);
    watch_round(&t, daemon, who);
    kill(tool.pid, SIGINT);
    tool_wait(&tool, 60000);
    must_exit(&tool, 0, who);
    must_load(&trace, out, who);
    size_t slow = trace_count(&trace, "slow", 0), born = trace_count(&trace, "born", 0), quick = trace_count(&trace, "quick", 0);
    ck_assert_msg(slow == THREADS && born == THREADS, "%s: %zu calls of slow, %zu of born", who, slow, born);
    /* A thread may lose its processor inside a short call, which is a long one then. */
    bool right = churns[suite_row(_i)].quick ? quick == CALLS_OF_QUICK * THREADS : quick < THREADS / 10;
    ck_assert_msg(right, "%s: %zu calls of quick", who, quick);
    trace_free(&trace);
    unlink(out);
    target_kill(&t);
}
END_TEST

int main(void) {
    Suite *s = suite_create("bounds");
    for (size_t i = 0; i < sizeof churns / sizeof *churns; i++)
        suite_add_row(s, i ? "min-duration" : "all", test_bounds_of_threads_that_come_and_go, (int)i, 200);
    return suite_main(s);
}
