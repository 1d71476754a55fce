/* A target at full speed for a long time: every call is in the trace or counted as dropped, and neither the target nor the
 * daemon grows. The same while the daemon's event loop is held up, as by a slow disk. VT_LONG=1: VT_SOAK_SECONDS (60) a
 * version. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/format/format.h"
#include "cli/trace/source.h"
#include "tests/lib/suite.h"

#define GROWTH_KB 4096u
#define HELD_UP_MS 3000 /* twice the lease (daemon/lease.h) */
#ifdef __SANITIZE_ADDRESS__
#define DAEMON_KB (64u << 10) /* the sanitizer's own shadow and quarantine */
#else
#define DAEMON_KB 4096u /* beside its arena (at most 256 MiB, shared), for one thread: docs/how-it-works.md says so */
#endif

struct trace_writer {
    uint64_t fibs, gaps, lost; /* calls of fib; gaps, and the events that they stand for */
};

static int on_begin(struct trace_writer *w) { return (void)w, 0; }
static int on_call(struct trace_writer *w, const struct trace_call *call) {
    w->fibs += call->name->name_len == 3 && !memcmp(call->name->name, "fib", 3);
    return 0;
}
static int on_gap(struct trace_writer *w, const struct trace_gap *gap) {
    w->gaps++;
    w->lost += gap->count;
    return 0;
}
static int on_counter(struct trace_writer *w, const struct trace_counter *counter) { return (void)w, (void)counter, 0; }
static int on_end(struct trace_writer *w, const struct trace_totals *totals) { return (void)w, (void)totals, 0; }
static const struct trace_writer_ops counting = {
    .begin = on_begin, .call = on_call, .gap = on_gap, .counter = on_counter, .end = on_end};

static void count(const char *path, struct trace_writer *w, struct trace_totals *totals, const char *who) {
    struct trace_source *source;
    struct vt_err err = {0};
    ck_assert_msg(!trace_source_open(path, &source, &err), "%s: %s", who, err.msg);
    ck_assert_msg(!trace_source_info(source)->cut_off, "%s: the trace has no end", who);
    struct run_opts opts = {0};
    ck_assert_msg(!trace_source_run(source, &opts, &counting, w, totals, &err), "%s: %s", who, err.msg);
    ck_assert_msg(!trace_source_info(source)->damage.code, "%s: %s", who, trace_source_info(source)->damage.msg);
    trace_source_close(source);
}

static unsigned soak_seconds(void) {
    const char *text = getenv("VT_SOAK_SECONDS");
    return text && atoi(text) > 0 ? (unsigned)atoi(text) : (unsigned)suite_times(2, 60);
}

/* Stops one thread of a process, not the others, for that long. */
static void hold_thread(pid_t tid, int ms, const char *who) {
    int status;
    ck_assert_msg(ptrace(PTRACE_SEIZE, tid, NULL, NULL) == 0, "%s: ptrace: %s", who, strerror(errno));
    ck_assert_msg(ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) == 0, "%s: ptrace: %s", who, strerror(errno));
    ck_assert_int_eq(waitpid(tid, &status, __WALL), tid);
    sleep_ms(ms);
    ck_assert_msg(ptrace(PTRACE_DETACH, tid, NULL, NULL) == 0, "%s: ptrace: %s", who, strerror(errno));
}

static void soak(const struct interp *ip, bool held_up) {
    struct target t;
    struct tool tool;
    struct census early, late, daemon = {0}, now;
    struct trace_writer seen = {0};
    struct trace_totals totals;
    const char *out = temp_path(".vzt");
    char who[64];
    snprintf(who, sizeof who, "soak%s on %s", held_up ? " with a daemon held up" : "", ip->version);
    ck_assert_int_eq(target_spawn(&t, ip, "soak.py", NULL, NULL), 0);
    tool_runf(&tool, "--attach %d -t 0.2 -o %s", (int)t.pid, out); /* the agent is in, and stays */
    must_exit(&tool, 0, who);
    unlink(out);
    sleep_ms(300);
    census_take(t.pid, &early);
    tool_startf(&tool, "--attach %d -o %s", (int)t.pid, out);
    must_attach(&tool, who);
    pid_t daemon_pid = process_below(tool.pid, "viztracerd");
    ck_assert_msg(daemon_pid > 0, "%s: no daemon below the client", who);
    ck_assert_msg(!target_progresses(&t, 1, 10000), "%s: the target does not run", who);
    uint64_t from = t.slots[0];                            /* what is counted from here on began after the attach */
    if (held_up) hold_thread(daemon_pid, HELD_UP_MS, who); /* its first thread runs the event loop */
    for (uint64_t end = now_ms() + (held_up ? 500ull : 1000ull * soak_seconds()); now_ms() < end; sleep_ms(200))
        if (!census_take(daemon_pid, &now) && now.anon_kb > daemon.anon_kb) daemon = now;
    uint64_t calls = t.slots[0] - from;
    kill(tool.pid, SIGINT);
    tool_wait(&tool, 120000);
    must_exit(&tool, 0, who);
    sleep_ms(300);
    census_take(t.pid, &late);
    ck_assert_msg(!target_progresses(&t, 1, 5000), "%s: the target does not run on", who);
    target_kill(&t);
    count(out, &seen, &totals, who);
    printf(
        "%s: %llu calls of fib in the trace, %llu events dropped in %llu gaps; RSS of the target %llu kB, then %llu kB; of the "
        "daemon beside the arena at most %llu kB\n",
        who, (unsigned long long)seen.fibs, (unsigned long long)totals.dropped, (unsigned long long)seen.gaps,
        (unsigned long long)early.rss_kb, (unsigned long long)late.rss_kb, (unsigned long long)daemon.anon_kb);
    ck_assert_msg(totals.dropped == seen.lost, "%s: %llu events dropped, gaps stand for %llu", who,
                  (unsigned long long)totals.dropped, (unsigned long long)seen.lost);
    ck_assert_msg(seen.fibs + totals.dropped >= calls,
                  "%s: %llu calls made, %llu in the trace, %llu events dropped; the tool said: %s", who,
                  (unsigned long long)calls, (unsigned long long)seen.fibs, (unsigned long long)totals.dropped, tool.out);
    ck_assert_msg(late.rss_kb <= early.rss_kb + GROWTH_KB, "%s: RSS %llu kB, then %llu kB", who, (unsigned long long)early.rss_kb,
                  (unsigned long long)late.rss_kb);
    ck_assert_msg(daemon.anon_kb && daemon.anon_kb < DAEMON_KB, "%s: the daemon has %llu kB", who,
                  (unsigned long long)daemon.anon_kb);
    ck_assert_msg(late.threads == early.threads && late.fds == early.fds, "%s: threads %u, then %u; descriptors %u, then %u", who,
                  early.threads, late.threads, early.fds, late.fds);
    unlink(out);
}

START_TEST(test_soak_at_full_speed) { soak(suite_interp(_i), false); }
END_TEST
START_TEST(test_soak_daemon_held_up) { soak(suite_interp(_i), true); }
END_TEST

int main(void) {
    Suite *s = suite_create("soak");
    suite_add(s, "full-speed", test_soak_at_full_speed, (int)soak_seconds() * 2 + 180);
    suite_add(s, "held-up", test_soak_daemon_held_up, 180);
    return suite_main(s);
}
