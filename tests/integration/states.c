/* Attach to a target in each state that a process is met in: exit 0, a valid trace with every thread, and the target runs on. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/suite.h"

#define ROUNDS 200     /* of the long form */
#define MAPS_SLACK 50u /* mappings that come and go with malloc; a leak in each round would show */

enum alive { GROWS, WAKES_ON_LINE, WAKES_ON_SIGNAL };

struct state {
    const char *name, *script;
    const char *args[4];
    const char *seconds; /* -t */
    unsigned slots;      /* progress slots that must grow */
    enum alive alive;
    const char *calls;     /* a function that must have been called; NULL = need not */
    unsigned grow_ms;      /* longest time without progress */
    unsigned slack_kb;     /* by which its memory moves without us */
    const char *long_args; /* instead of args in the long form; NULL = the same */
};

static const struct state states[] = {
    {"busy", "busy.py", {"0", "main"}, "0.15", 1, GROWS, "fib", 2000, 4096, NULL},
    {"busy-3-and-main", "busy.py", {"3", "main"}, "0.2", 4, GROWS, "fib", 5000, 4096, NULL},
    {"joined-on-4-busy", "busy.py", {"4", "join"}, "0.2", 4, GROWS, "fib", 5000, 4096, NULL},
    {"4-in-malloc", "churn.py", {"4"}, "0.4", 4, GROWS, "dumps", 5000, 32768, NULL},
    {"raising", "raising.py", {NULL}, "0.15", 1, GROWS, "numbers", 2000, 4096, NULL},
    {"asyncio-server", "aio.py", {"8"}, "0.4", 1, GROWS, "serve", 5000, 4096, NULL},
    {"asleep", "blocked.py", {"sleep"}, "0.3", 1, WAKES_ON_SIGNAL, NULL, 2000, 4096, NULL},
    {"blocked-in-read", "blocked.py", {"read"}, "0.3", 1, WAKES_ON_LINE, NULL, 2000, 4096, NULL},
    {"pool-on-a-lock", "blocked.py", {"lock"}, "0.3", 1, WAKES_ON_LINE, NULL, 2000, 4096, NULL},
    {"forking", "forker.py", {NULL}, "0.4", 1, GROWS, NULL, 5000, 4096, NULL},
    {"holding-the-gil", "holder.py", {"1"}, "1", 1, GROWS, NULL, 60000, 4096, "0.4"},
    {"changing-user", "changing.py", {NULL}, "0.2", 1, GROWS, "leaf", 10000, 4096, NULL},
    {"deep-15000", "deep.py", {"15000"}, "0.2", 1, GROWS, "leaf", 10000, 4096, NULL},
};

static int wake(struct target *t, const struct state *s) {
    uint64_t before = t->slots[0];
    if (s->alive == GROWS) return target_progresses(t, s->slots, s->grow_ms);
    int rc = s->alive == WAKES_ON_SIGNAL ? kill(t->pid, SIGUSR1) : target_send(t, "\n");
    if (!rc) rc = target_expect(t, "awake", s->grow_ms);
    return rc ? rc : t->slots[0] != before ? 0 : -1;
}

/* A thread that is on its last instructions may still be listed. */
static int threads_settled(pid_t pid, pid_t *ids, int max, int want) {
    int n = 0;
    for (int i = 0; i < 100 && (n = thread_ids(pid, ids, max)) != want; i++) sleep_ms(5);
    return n;
}

/* No target of ours blocks signals, but a fork does for a moment. */
static void census_unblocked(pid_t pid, struct census *c) {
    for (int i = 0; i < 50; i++) {
        census_take(pid, c);
        if (!c->sigblk[strspn(c->sigblk, "0")]) return;
        sleep_ms(3);
    }
}

/* A server opens and closes connections all the time: what a leak leaves open stays open for the whole of this wait. */
static void census_settled(pid_t pid, const struct census *before, struct census *c) {
    for (int i = 0; i < 400; i++) {
        census_unblocked(pid, c);
        if (c->fds <= before->fds) return;
        sleep_ms(5);
    }
}

START_TEST(test_state_attach_and_detach) {
    const struct interp *ip = suite_interp(_i);
    const struct state *s = &states[suite_row(_i)];
    struct target t;
    struct tool tool;
    struct trace trace;
    struct census before, after;
    char who[128];
    pid_t early[64], late[64];
    const char *out = temp_path(".json");
    snprintf(who, sizeof who, "%s on %s", s->name, ip->version);
    ck_assert_msg(target_spawn(&t, ip, s->script, s->args, NULL) == 0, "%s: the target does not start", who);
    sleep_ms(30);
    int n_early = thread_ids(t.pid, early, 64);
    census_unblocked(t.pid, &before);
    tool_runf(&tool, "--attach %d -t %s -o %s", (int)t.pid, s->seconds, out);
    int alive = wake(&t, s);
    int n_late = threads_settled(t.pid, late, 64, n_early);
    census_settled(t.pid, &before, &after);
    uint64_t failed_children = t.slots[1];
    bool forking = !strcmp(s->name, "forking");
    target_kill(&t);

    must_exit(&tool, 0, who);
    ck_assert_msg(alive == 0, "%s: the target does not run on (%s); tool: %s", who, strerror(-alive), tool.out);
    ck_assert_msg(n_early > 0 && n_late == n_early && !memcmp(early, late, (size_t)n_early * sizeof *early),
                  "%s: threads before %d, after %d", who, n_early, n_late);
    ck_assert_msg(after.fds <= before.fds + forking, "%s: descriptors before %u, after %u", who, before.fds, after.fds);
    ck_assert_msg(!strcmp(before.sigcgt, after.sigcgt) && !strcmp(before.sigblk, after.sigblk),
                  "%s: signals blocked %s, then %s; caught %s, then %s", who, before.sigblk, after.sigblk, before.sigcgt,
                  after.sigcgt);
    ck_assert_msg(!forking || failed_children == 0, "%s: %llu children failed", who, (unsigned long long)failed_children);
    must_load(&trace, out, who);
    must_have_threads(&trace, early, n_early, who);
    if (s->calls)
        ck_assert_msg(trace_count(&trace, s->calls, 0) > 10, "%s: %zu calls of %s", who, trace_count(&trace, s->calls, 0),
                      s->calls);
    for (int i = 0; s->alive == GROWS && !forking && i < n_early && strcmp(s->name, "holding-the-gil"); i++)
        ck_assert_msg(trace_slices(&trace, early[i]) > 0, "%s: thread %d has no call", who, (int)early[i]);
    trace_free(&trace);
    unlink(out);
}
END_TEST

/* A child that is forked while another thread holds a lock of the runtime may wait for it for ever: we hold none of them while
 * somebody can fork. Here, each lock that a thread of ours takes is held 20 ms, and a fork takes less than one. */
START_TEST(test_state_forking_at_any_moment) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    struct tool tool;
    char file[PATH_MAX], inside[PATH_MAX], preload[PATH_MAX + 16], who[64];
    const char *out = temp_path(".vzt");
    snprintf(who, sizeof who, "forking on %s", ip->version);
    must_compile(ip, "slow_post.h", file, inside);
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", inside);
    struct target_opts o = {.env = (const char *[]){preload, NULL}};
    ck_assert_msg(target_spawn(&t, ip, "forker.py", NULL, &o) == 0, "%s: the target does not start", who);
    unlink(file);
    ck_assert_msg(maps_have(t.pid, strrchr(file, '/') + 1), "%s: the library is not in the target", who);
    for (int round = 0; round < suite_times(2, 20); round++) {
        tool_runf(&tool, "--attach %d -t 0.1 -o %s", (int)t.pid, out);
        must_exit(&tool, 0, who);
        ck_assert_msg(!target_progresses(&t, 1, 10000), "%s: a child hangs after attach %d", who, round + 1);
    }
    ck_assert_msg(t.slots[1] == 0, "%s: %llu children failed", who, (unsigned long long)t.slots[1]);
    target_kill(&t);
    unlink(out);
}
END_TEST

/* What allocates in the target may be hooked, and the hook may take the GIL: nothing that we do with the GIL held waits for it.
 */
static const struct {
    const char *name;
    const char *env[3];
    bool hook; /* the allocator hooks of gilhook.h */
} allocators[] = {
    {"tracemalloc", {"PYTHONTRACEMALLOC=5"}, false},
    {"malloc-debug", {"PYTHONMALLOC=debug"}, false},
    {"tracemalloc-and-debug", {"PYTHONTRACEMALLOC=5", "PYTHONMALLOC=debug"}, false},
    {"hook-takes-the-gil", {NULL}, true},
};

START_TEST(test_state_allocation_hooked) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    struct tool tool;
    struct census before, after;
    char file[PATH_MAX] = "", inside[PATH_MAX] = "-", who[96];
    const char *out = temp_path(".vzt");
    snprintf(who, sizeof who, "%s on %s", allocators[suite_row(_i)].name, ip->version);
    if (allocators[suite_row(_i)].hook && ip->minor >= 15)
        skip_test("states %s: PyGILState_Ensure of any C thread crashes 3.15 itself beside such a hook", who);
    if (allocators[suite_row(_i)].hook) must_compile(ip, "gilhook.h", file, inside);
    struct target_opts o = {.env = allocators[suite_row(_i)].env};
    ck_assert_msg(target_spawn(&t, ip, "allocs.py", (const char *[]){inside, NULL}, &o) == 0, "%s: the target does not start: %s",
                  who, t.text);
    if (file[0]) unlink(file);
    census_unblocked(t.pid, &before);
    for (int round = 0; round < suite_times(3, 50); round++) {
        tool_runf(&tool, "--attach %d -t 0.1 -o %s", (int)t.pid, out);
        must_exit(&tool, 0, who);
        ck_assert_msg(!target_progresses(&t, 2, 10000), "%s: the target does not run on after attach %d", who, round + 1);
    }
    census_unblocked(t.pid, &after);
    ck_assert_msg(before.threads == after.threads, "%s: threads %u, then %u", who, before.threads, after.threads);
    ck_assert_msg(t.slots[2] == 0, "%s: %llu children failed", who, (unsigned long long)t.slots[2]);
    target_kill(&t);
    unlink(out);
}
END_TEST

/* Signals, threads, profilers and faulthandler, all at once: nothing dies, hangs or sees anything wrong. */
START_TEST(test_state_storm) {
    const struct interp *ip = suite_interp(_i);
    static const char *const options[] = {"", "--log_func_args --log_func_retval", "--ignore_c_function"};
    static const char *const env[] = {"PYTHONTRACEMALLOC=5", "PYTHONMALLOC=debug", NULL};
    struct target t;
    struct tool tool;
    struct census before, after;
    char who[96];
    const char *out = temp_path(".vzt");
    snprintf(who, sizeof who, "storm on %s", ip->version);
    ck_assert_msg(target_spawn(&t, ip, "storm.py", NULL, &(struct target_opts){.env = env}) == 0, "%s: %.500s", who, t.text);
    census_unblocked(t.pid, &before);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        tool_runf(&tool, "--attach %d -t 0.1 -o %s %s", (int)t.pid, out, options[i]);
        must_exit(&tool, 0, who);
        ck_assert_msg(!target_progresses(&t, 3, 20000), "%s: the target does not run on after %s: %.500s", who, options[i],
                      t.text);
        target_expect(&t, "no such text", 1);
        ck_assert_msg(!t.slots[3], "%s: %llu things wrong after %s: %.500s", who, (unsigned long long)t.slots[3], options[i],
                      t.text);
    }
    census_unblocked(t.pid, &after);
    ck_assert_msg(!strcmp(before.sigcgt, after.sigcgt) && !strcmp(before.sigign, after.sigign), "%s: caught %s, then %s", who,
                  before.sigcgt, after.sigcgt);
    target_kill(&t);
    unlink(out);
}
END_TEST

/* The thread that is in read(0, ...). */
static pid_t wait_for_reader(pid_t pid) {
    char path[64], call[64];
    pid_t ids[64];
    for (int i = 0; i < 1000; i++) {
        int n = thread_ids(pid, ids, 64);
        for (int k = 0; k < n; k++) {
            snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", (int)pid, (int)ids[k]);
            FILE *f = fopen(path, "re");
            bool reads = f && fgets(call, sizeof call, f) && !strncmp(call, "0 0x0 ", 6);
            if (f) fclose(f);
            if (reads) return ids[k];
        }
        sleep_ms(5);
    }
    return 0;
}

static const struct {
    const char *name, *arg;
    unsigned slots;
    unsigned versions; /* minor ones, 0 = all */
} keepers[] = {{"gil-does-not-come", NULL, 2, 0},
               {"gil-does-not-come-alone", "alone", 1, 0},
               {"gil-does-not-come-slow", "slow", 1, 1u << 8 | 1u << 12 | 1u << 14},
               {"gil-does-not-come-quick", "quick", 1, 1u << 10 | 1u << 13},
               {"gil-does-not-come-deep", "deep", 1, 1u << 9 | 1u << 11},
               {"gil-does-not-come-other", "other", 1, 1u << 8 | 1u << 10 | 1u << 11}};

/* A C call keeps the GIL for longer than --gil_timeout: one line says which thread it is, and nothing is saved. The target is as
 * before and goes on when the call returns; then it can be traced. */
START_TEST(test_state_gil_does_not_come) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    struct tool tool;
    struct census before, after;
    struct trace trace;
    char who[96], held[96], line[192];
    const char *out = temp_path(".json");
    const char *const args[] = {keepers[suite_row(_i)].arg, NULL};
    if (keepers[suite_row(_i)].versions && !(keepers[suite_row(_i)].versions & 1u << ip->minor)) return;
    snprintf(who, sizeof who, "%s on %s", keepers[suite_row(_i)].name, ip->version);
    ck_assert_msg(target_spawn(&t, ip, "keeper.py", args, NULL) == 0, "%s: the target does not start", who);
    pid_t keeper = wait_for_reader(t.pid);
    ck_assert_msg(keeper > 0, "%s: no thread keeps it", who);
    census_unblocked(t.pid, &before);
    tool_runf(&tool, "--attach %d --gil_timeout 1 -o %s", (int)t.pid, out);
    must_exit(&tool, 1, who);
    snprintf(held, sizeof held, "held by thread %d (", (int)keeper);
    snprintf(line, sizeof line, "process %d: the GIL did not come within 1 s: %s", (int)t.pid, held);
    ck_assert_msg(tool_one_line(&tool) && strstr(tool.err, line) && strstr(tool.err, "in keep at keeper.py:19, in read(0: "),
                  "%s: %s", who, tool.err);
    ck_assert_msg(strstr(tool.out, "Waiting for the GIL, held by thread"), "%s: %s", who, tool.out);
    ck_assert_msg(strstr(tool.out, "; Ctrl+C to give up.") && !strstr(tool.out, "Ctrl+C to stop"), "%s: %s", who, tool.out);
    ck_assert_msg(access(out, F_OK) != 0, "%s: exit 1 and a trace", who);
    if (!suite_row(_i)) {
        struct tool other;
        tool_startf(&tool, "--attach %d -o %s", (int)t.pid, out);
        ck_assert_msg(!tool_expect(&tool, "Waiting for the GIL", 30000), "%s: %s%s", who, tool.out, tool.err);
        tool_runf(&other, "--detach %d", (int)t.pid);
        must_exit(&other, 0, who);
        ck_assert_msg(strstr(other.out, "before tracing had begun; nothing is saved"), "%s: %s", who, other.out);
        tool_wait(&tool, 30000);
        must_exit(&tool, 1, who);
        ck_assert_msg(access(out, F_OK) != 0, "%s: exit 1 and a trace", who);
    }
    for (int i = 0; i < 1000 && (census_take(t.pid, &after), after.threads != before.threads); i++) sleep_ms(10);
    ck_assert_msg(after.threads == before.threads, "%s: threads %u, then %u", who, before.threads, after.threads);
    ck_assert_msg(after.fds == before.fds, "%s: descriptors %u, then %u", who, before.fds, after.fds);
    ck_assert_msg(!maps_have(t.pid, "viztracer-arena"), "%s: the arena is still mapped", who);
    ck_assert_int_eq(target_send(&t, "\n"), 0);
    ck_assert_msg(!target_progresses(&t, keepers[suite_row(_i)].slots, 10000), "%s: the target does not go on", who);
    tool_runf(&tool, "--attach %d -t 0.2 -o %s", (int)t.pid, out);
    must_exit(&tool, 0, who);
    must_load(&trace, out, who);
    ck_assert_msg(trace_count(&trace, "leaf", 0) > 0, "%s: no call in the later trace", who);
    trace_free(&trace);
    target_kill(&t);
    unlink(out);
}
END_TEST

/* A GIL whose fields are not as expected: a wait for it could have no end. One line says so, at once, and nothing is left. */
START_TEST(test_state_unknown_gil_is_refused) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    struct tool tool;
    struct census before, after;
    char who[96];
    const char *out = temp_path(".json");
    const char *const args[] = {"strange", NULL};
    if (!((1u << 8 | 1u << 11 | 1u << 12 | 1u << 14) & 1u << ip->minor)) return; /* where the words lie */
    snprintf(who, sizeof who, "unknown GIL on %s", ip->version);
    ck_assert_msg(target_spawn(&t, ip, "keeper.py", args, NULL) == 0, "%s: the target does not start", who);
    ck_assert_msg(wait_for_reader(t.pid) > 0, "%s: no thread keeps it", who);
    census_unblocked(t.pid, &before);
    tool_runf(&tool, "--attach %d -o %s", (int)t.pid, out);
    must_exit(&tool, 1, who);
    ck_assert_msg(tool_one_line(&tool) && strstr(tool.err, "the GIL of this build of Python is not known"), "%s: %s", who,
                  tool.err);
    ck_assert_msg(access(out, F_OK) != 0, "%s: exit 1 and a trace", who);
    for (uint64_t end = now_ms() + 10000; !census_take(t.pid, &after) && after.threads != before.threads && now_ms() < end;)
        sleep_ms(10);
    ck_assert_msg(after.threads == before.threads, "%s: threads %u, then %u", who, before.threads, after.threads);
    ck_assert_msg(after.fds == before.fds, "%s: descriptors %u, then %u", who, before.fds, after.fds);
    ck_assert_msg(!maps_have(t.pid, "viztracer-arena"), "%s: the arena is still mapped", who);
    ck_assert_int_eq(target_send(&t, "\n"), 0);
    ck_assert_msg(!target_progresses(&t, 1, 10000), "%s: the target does not go on", who);
    target_kill(&t);
}
END_TEST

/* Long form: the same target again and again; nothing fails and nothing grows in it. */
START_TEST(test_state_attach_many_times) {
    const struct interp *ip = suite_interp(_i);
    const struct state *s = &states[suite_row(_i)];
    struct target t;
    struct tool tool;
    struct census early, late;
    char who[128], round[160];
    const char *out = temp_path(".vzt");
    const char *const other[] = {s->long_args, NULL};
    ck_assert_msg(target_spawn(&t, ip, s->script, s->long_args ? other : s->args, NULL) == 0, "%s on %s: does not start", s->name,
                  ip->version);
    snprintf(who, sizeof who, "%s on %s", s->name, ip->version);
    for (int i = 0; i < ROUNDS; i++) {
        snprintf(round, sizeof round, "%s, attach %d", who, i + 1);
        unlink(out);
        tool_runf(&tool, "--attach %d -t 0.03 -o %s", (int)t.pid, out);
        must_exit(&tool, 0, round);
        ck_assert_msg(access(out, R_OK) == 0, "%s: exit 0 and no trace", round);
        if (s->alive == GROWS)
            ck_assert_msg(!target_progresses(&t, s->slots, s->grow_ms), "%s: the target does not run on", round);
        if (i == 2) census_take(t.pid, &early);
    }
    sleep_ms(200);
    census_take(t.pid, &late);
    bool forking = !strcmp(s->name, "forking");
    ck_assert_msg(late.threads == early.threads, "%s: threads %u, then %u", who, early.threads, late.threads);
    ck_assert_msg(late.fds <= early.fds + forking, "%s: descriptors %u, then %u", who, early.fds, late.fds);
    ck_assert_msg(late.maps <= early.maps + MAPS_SLACK, "%s: mappings %u, then %u", who, early.maps, late.maps);
    ck_assert_msg(late.rss_kb <= early.rss_kb + s->slack_kb + early.rss_kb / 10, "%s: RSS %llu kB, then %llu kB", who,
                  (unsigned long long)early.rss_kb, (unsigned long long)late.rss_kb);
    ck_assert_msg(wake(&t, s) == 0, "%s: the target does not run on at the end", who);
    printf("%s: %d attaches, 0 failures; RSS %llu kB, then %llu kB\n", who, ROUNDS, (unsigned long long)early.rss_kb,
           (unsigned long long)late.rss_kb);
    fflush(stdout);
    target_kill(&t);
    unlink(out);
}
END_TEST

/* Fills pids with the children of pid. */
static int children(pid_t pid, pid_t *pids, int max) {
    char path[64], line[4096] = "";
    int n = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *f = fopen(path, "re");
    if (f) {
        if (!fgets(line, sizeof line, f)) line[0] = 0;
        fclose(f);
    }
    for (char *p = line, *end; n < max; p = end) {
        pid_t child = (pid_t)strtol(p, &end, 10);
        if (end == p) break;
        pids[n++] = child;
    }
    return n;
}

START_TEST(test_state_gunicorn_under_load) {
    const struct interp *ip = interp_debian();
    struct target server, load;
    struct tool tool;
    struct trace trace;
    pid_t workers[8], ids[64];
    char port[16] = "", targets[PATH_MAX + 32];
    const char *out = temp_path(".json");
    if (!ip) skip_test("states gunicorn: Debian's own python3 is not among the interpreters of this run");
    if (access("/usr/bin/gunicorn", X_OK)) skip_test("states gunicorn: Debian's gunicorn is not installed");
    snprintf(targets, sizeof targets, "%s/tests/targets", tree_root());
    const char *argv[] = {ip->path, "/usr/bin/gunicorn", "--workers", "2", "--threads", "4", "--chdir", targets,
                          "-b",     "127.0.0.1:0",       "wsgi:app",  NULL};
    ck_assert_int_eq(target_spawn_argv(&server, argv, &(struct target_opts){.no_ready = true}), 0);
    ck_assert_msg(!target_expect(&server, "Listening at: http://127.0.0.1:", 20000), "gunicorn does not start: %s", server.text);
    ck_assert_int_eq(sscanf(server.text, "%15[0-9]", port), 1);
    ck_assert_int_eq(target_expect(&server, "Booting worker", 20000), 0);
    ck_assert_int_eq(target_expect(&server, "Booting worker", 20000), 0);
    int n = children(server.pid, workers, 8);
    ck_assert_msg(port[0] && n == 2, "gunicorn: port '%s', %d workers", port, n);
    ck_assert_int_eq(target_spawn(&load, ip, "load.py", (const char *[]){port, "4", NULL}, NULL), 0);
    ck_assert_int_eq(target_progresses(&load, 1, 10000), 0);
    for (int i = 0; i < n; i++) {
        int threads = thread_ids(workers[i], ids, 64);
        tool_runf(&tool, "--attach %d -t 1 -o %s", (int)workers[i], out);
        must_exit(&tool, 0, "gunicorn worker");
        must_load(&trace, out, "gunicorn worker");
        must_have_threads(&trace, ids, threads, "gunicorn worker");
        ck_assert_msg(trace_count(&trace, "app", 0) > 0, "no request in the trace of worker %d", (int)workers[i]);
        trace_free(&trace);
        ck_assert_int_eq(target_progresses(&load, 1, 10000), 0);
    }
    ck_assert_msg(load.slots[1] == 0, "%llu requests failed", (unsigned long long)load.slots[1]);
    pid_t later[8];
    ck_assert_msg(children(server.pid, later, 8) == n && !memcmp(later, workers, (size_t)n * sizeof *later),
                  "a worker was replaced");
    target_kill(&load);
    target_kill(&server);
    unlink(out);
}
END_TEST

int main(void) {
    Suite *s = suite_create("states");
    for (int i = 0; i < (int)(sizeof states / sizeof *states); i++)
        suite_add_row(s, states[i].name, test_state_attach_and_detach, i, 120);
    suite_add(s, "forking-at-any-moment", test_state_forking_at_any_moment, 120);
    for (int i = 0; i < (int)(sizeof allocators / sizeof *allocators); i++)
        suite_add_row(s, allocators[i].name, test_state_allocation_hooked, i, 90);
    suite_add(s, "storm", test_state_storm, 120);
    for (int i = 0; i < (int)(sizeof keepers / sizeof *keepers); i++)
        suite_add_row(s, keepers[i].name, test_state_gil_does_not_come, i, 90);
    suite_add(s, "gil-unknown", test_state_unknown_gil_is_refused, 90);
    suite_add_once(s, "gunicorn", test_state_gunicorn_under_load, 180);
    for (int i = 0; suite_long() && i < (int)(sizeof states / sizeof *states); i++) {
        char name[64];
        snprintf(name, sizeof name, "%s-many-times", states[i].name);
        suite_add_row(s, strdup(name), test_state_attach_many_times, i, 1800);
    }
    return suite_main(s);
}
