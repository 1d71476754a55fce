/* Several processes into one trace: attached together, ended together; what happens to one does not end the others; and the
 * family of a process, those that come later, too. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/suite.h"

enum { MOST = 3 };

struct scene {
    struct target targets[MOST];
    size_t n;
    struct tool tool;
    const char *out;
    char pids[64]; /* "12 34 56" */
    char who[96];
};

static void begin(struct scene *x, int i, const char *what, size_t n, const char *suffix) {
    const struct interp *ip = suite_interp(i);
    *x = (struct scene){.n = n, .out = temp_path(suffix)};
    snprintf(x->who, sizeof x->who, "%s on %s", what, ip->version);
    for (size_t k = 0; k < n; k++) {
        ck_assert_int_eq(target_spawn(&x->targets[k], ip, "clocked.py", NULL, NULL), 0);
        snprintf(x->pids + strlen(x->pids), sizeof x->pids - strlen(x->pids), "%s%d", k ? " " : "", (int)x->targets[k].pid);
    }
}

static void end(struct scene *x) {
    for (size_t k = 0; k < x->n; k++) target_kill(&x->targets[k]);
    tool_kill(&x->tool);
    unlink(x->out);
}

/* Every target whose bit is set has its calls in the trace at `path`. */
static void must_have(struct scene *x, const char *path, unsigned mask) {
    struct trace trace;
    must_load(&trace, path, x->who);
    for (size_t k = 0; k < x->n; k++) {
        size_t calls = trace_count(&trace, "tick", x->targets[k].pid);
        ck_assert_msg((calls > 50) == (mask >> k & 1), "%s: %zu calls of process %zu", x->who, calls, k);
    }
    trace_free(&trace);
}

static void run_on(struct scene *x, unsigned mask) {
    for (size_t k = 0; k < x->n; k++)
        if (mask >> k & 1)
            ck_assert_msg(!target_progresses(&x->targets[k], 1, 10000), "%s: process %zu does not run on", x->who, k);
}

static unsigned processes_in(struct scene *x, const char *path, const char *function) {
    struct tool tool;
    unsigned n = 0;
    tool_runf(&tool, "report --json --slowest 0 --match %s %s", function, path);
    must_exit(&tool, 0, x->who);
    const char *list = strstr(tool.out, "\"processes\":["), *stop = list ? strstr(list, "],") : NULL;
    ck_assert_ptr_nonnull(stop);
    for (const char *at = list; (at = strstr(at, "{\"pid\":")) && at < stop; at++) n++;
    return n;
}

START_TEST(test_several_processes_become_one_trace) {
    struct scene x;
    struct tool tool;
    const char *json = temp_path(".json"), *direct = temp_path(".json");
    begin(&x, _i, "three processes", 3, ".vzt");
    tool_runf(&x.tool, "--attach %s -t 1 -o %s", x.pids, x.out);
    must_exit(&x.tool, 0, x.who);
    ck_assert_msg(strstr(x.tool.out, "3 threads of 3 processes"), "%s: %s", x.who, x.tool.out);
    run_on(&x, 7);
    ck_assert_uint_eq(processes_in(&x, x.out, "tick"), 3);
    tool_runf(&tool, "convert %s -o %s", x.out, json);
    must_exit(&tool, 0, x.who);
    must_have(&x, json, 7);
    tool_runf(&tool, "--attach %s -t 0.5 -o %s", x.pids, direct); /* again, and straight into another format */
    must_exit(&tool, 0, x.who);
    must_have(&x, direct, 7);
    unlink(json);
    unlink(direct);
    end(&x);
}
END_TEST

/* One that cannot be traced: the others are, one line says why, and so does the exit code. */
START_TEST(test_several_one_refused_leaves_the_others) {
    struct scene x;
    begin(&x, _i, "one refused", 2, ".json");
    pid_t gone = fork();
    if (!gone) _exit(0);
    waitpid(gone, NULL, 0);
    tool_runf(&x.tool, "--attach %d %d %d -t 0.5 -o %s", (int)x.targets[0].pid, (int)gone, (int)x.targets[1].pid, x.out);
    must_exit(&x.tool, 1, x.who);
    char pid[16];
    snprintf(pid, sizeof pid, "%d", (int)gone);
    ck_assert_msg(tool_one_line(&x.tool) && strstr(x.tool.err, pid), "%s: %s", x.who, x.tool.err);
    must_have(&x, x.out, 3);
    run_on(&x, 3);
    end(&x);
}
END_TEST

START_TEST(test_several_none_traced_saves_nothing) {
    struct scene x;
    begin(&x, _i, "none", 0, ".json");
    pid_t gone = fork();
    if (!gone) _exit(0);
    waitpid(gone, NULL, 0);
    tool_runf(&x.tool, "--attach %d %d -t 0.5 -o %s", (int)gone, (int)getpid(), x.out);
    must_exit(&x.tool, 1, x.who);
    ck_assert_msg(strstr(x.tool.err, "nothing was saved"), "%s: %s", x.who, x.tool.err);
    ck_assert_int_ne(access(x.out, F_OK), 0);
    end(&x);
}
END_TEST

/* What ends one of two: the other is traced on, until Ctrl+C. */
static const struct {
    const char *name;
    bool kills;
} ends_of_one[] = {{"killed", true}, {"detached", false}};

START_TEST(test_several_end_of_one_leaves_the_other) {
    struct scene x;
    struct tool other;
    bool kills = ends_of_one[suite_row(_i)].kills;
    begin(&x, _i, ends_of_one[suite_row(_i)].name, 2, ".json");
    tool_startf(&x.tool, "--attach %s -o %s", x.pids, x.out);
    must_attach(&x.tool, x.who);
    sleep_ms(300);
    if (kills) {
        kill(x.targets[0].pid, SIGKILL);
        ck_assert_msg(!tool_expect(&x.tool, "The target ended", 20000), "%s: %s", x.who, x.tool.out);
    } else {
        tool_runf(&other, "--detach %d", (int)x.targets[0].pid);
        must_exit(&other, 0, x.who);
        run_on(&x, 1);
    }
    uint64_t before = x.targets[1].slots[0];
    run_on(&x, 2);
    ck_assert_uint_gt(x.targets[1].slots[0], before);
    sleep_ms(300);
    ck_assert_msg(x.tool.exit_code < 0, "%s: the client ended with the first process: %s", x.who, x.tool.out);
    kill(x.tool.pid, SIGINT);
    tool_wait(&x.tool, 30000);
    must_exit(&x.tool, 0, x.who);
    must_have(&x, x.out, 3);
    end(&x);
}
END_TEST

/* A killed client leaves a raw trace that can be read, and targets that run on without it. */
START_TEST(test_several_killed_client_leaves_a_readable_trace) {
    struct scene x;
    char raw[512], json[600];
    begin(&x, _i, "client killed", 2, ".vzt");
    tool_startf(&x.tool, "--attach %s -o %s", x.pids, x.out);
    must_attach(&x.tool, x.who);
    sleep_ms(3000); /* what is held back is written every half second */
    const char *slash = strrchr(x.out, '/');
    snprintf(raw, sizeof raw, "%.*s/.%s.%d.vzt", (int)(slash - x.out), x.out, slash + 1, (int)x.tool.pid);
    kill(x.tool.pid, SIGKILL);
    tool_wait(&x.tool, 10000);
    ck_assert_msg(!access(raw, R_OK), "%s: %s is not there", x.who, raw);
    snprintf(json, sizeof json, "%s.json", raw);
    struct tool tool;
    tool_runf(&tool, "convert %s -o %s", raw, json);
    must_exit(&tool, 0, x.who);
    must_have(&x, json, 3);
    tool_runf(&tool, "--attach %s -t 0.2 -o %s", x.pids, x.out);
    must_exit(&tool, 0, x.who);
    ck_assert_msg(strstr(tool.out, "Note: ") && strstr(tool.out, raw), "%s: does not tell of %s: %s", x.who, raw, tool.out);
    ck_assert_msg(!access(raw, R_OK), "%s: %s was removed", x.who, raw);
    run_on(&x, 3);
    unlink(raw);
    unlink(json);
    end(&x);
}
END_TEST

/* ---- families ---- */

static pid_t make_member(struct target *t, const char *how, const char *name, const char *who) {
    char line[64], is[64];
    snprintf(line, sizeof line, "%s %s\n", how, name);
    snprintf(is, sizeof is, "%s is ", name);
    ck_assert_int_eq(target_send(t, line), 0);
    ck_assert_msg(!target_expect(t, is, 30000), "%s: no member %s: %s", who, name, t->text);
    sleep_ms(50);
    return 0;
}

/* Is the session whose file is named at `at` in a text of `status` tracing, and has its command line this word? Both are in the
 * two lines above. */
static bool is_tracing(const char *text, const char *at, const char *word) {
    unsigned lines = 0;
    const char *from = at;
    while (from > text && lines < 3) lines += *--from == '\n';
    size_t len = (size_t)(at - from);
    return memmem(from, len, " tracing ", 9) && memmem(from, len, word, strlen(word));
}

/* Until daemons trace that many processes whose client saves to `out`. */
static void wait_sessions(const char *out, const char *word, unsigned want, const char *who) {
    struct tool tool;
    unsigned n = 0;
    for (int k = 0; k < 150 && n < want; k++) {
        tool_runf(&tool, "status");
        n = 0;
        for (const char *at = tool.out; (at = strstr(at, out)); at++) n += is_tracing(tool.out, at, word);
        if (n < want) sleep_ms(200);
    }
    ck_assert_msg(n >= want, "%s: %u sessions, not %u:\n%s", who, n, want, tool.out);
}

START_TEST(test_several_family_is_traced_with_those_that_come_later) {
    static const char *const names[] = {"parent", "early", "deep", "late", "fresh", "below"};
    struct scene x = {.n = 1, .out = temp_path(".vzt")};
    struct target *t = &x.targets[0];
    struct tool tool;
    const char *json = temp_path(".json");
    const struct interp *ip = suite_interp(_i);
    snprintf(x.who, sizeof x.who, "family on %s", ip->version);
    ck_assert_int_eq(target_spawn(t, ip, "relatives.py", NULL, NULL), 0);
    make_member(t, "fork", "early", x.who);
    make_member(t, "shell", "deep", x.who);
    tool_startf(&x.tool, "--attach %d --subprocesses -o %s", (int)t->pid, x.out);
    must_attach(&x.tool, x.who);
    wait_sessions(x.out, "", 3, x.who);
    make_member(t, "fork", "late", x.who);
    make_member(t, "spawn", "fresh", x.who);
    make_member(t, "shell", "below", x.who);
    wait_sessions(x.out, "", 6, x.who);
    sleep_ms(300);
    kill(x.tool.pid, SIGINT);
    tool_wait(&x.tool, 30000);
    must_exit(&x.tool, 0, x.who);
    ck_assert_uint_eq(processes_in(&x, x.out, "work_*"), 6);
    tool_runf(&tool, "report --json --slowest 0 --match work_* %s", x.out);
    char parent[48];
    snprintf(parent, sizeof parent, "\"parent_pid\":%d", (int)t->pid);
    unsigned children = 0;
    for (const char *at = tool.out; (at = strstr(at, parent)); at++) children++;
    ck_assert_msg(children >= 3, "%s: %u children of %d: %.2000s", x.who, children, (int)t->pid, tool.out);
    tool_runf(&tool, "convert %s -o %s", x.out, json);
    must_exit(&tool, 0, x.who);
    struct trace trace;
    must_load(&trace, json, x.who);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        char name[32];
        snprintf(name, sizeof name, "work_%s", names[k]);
        ck_assert_msg(trace_count(&trace, name, 0) > 3, "%s: no calls of %s", x.who, name);
    }
    trace_free(&trace);
    unlink(json);
    end(&x);
}
END_TEST

/* A process that becomes another Python program is traced on. */
START_TEST(test_several_family_follows_an_exec) {
    struct scene x = {.n = 1, .out = temp_path(".json")};
    struct target *t = &x.targets[0];
    const struct interp *ip = suite_interp(_i);
    snprintf(x.who, sizeof x.who, "exec on %s", ip->version);
    ck_assert_int_eq(target_spawn(t, ip, "relatives.py", NULL, NULL), 0);
    tool_startf(&x.tool, "--attach %d --subprocesses -o %s", (int)t->pid, x.out);
    must_attach(&x.tool, x.who);
    sleep_ms(300);
    make_member(t, "exec", "other", x.who);
    wait_sessions(x.out, " other ", 1, x.who);
    sleep_ms(500);
    kill(x.tool.pid, SIGINT);
    tool_wait(&x.tool, 30000);
    must_exit(&x.tool, 0, x.who);
    struct trace trace;
    must_load(&trace, x.out, x.who);
    ck_assert_msg(trace_count(&trace, "work_parent", t->pid) > 3, "%s: nothing from before the exec", x.who);
    ck_assert_msg(trace_count(&trace, "work_other", t->pid) > 3, "%s: nothing from after the exec", x.who);
    trace_free(&trace);
    end(&x);
}
END_TEST

int main(void) {
    Suite *s = suite_create("several");
    suite_add(s, "one-trace", test_several_processes_become_one_trace, 120);
    suite_add(s, "one-refused", test_several_one_refused_leaves_the_others, 120);
    suite_add_row(s, "one-killed", test_several_end_of_one_leaves_the_other, 0, 120);
    suite_add_row(s, "one-detached", test_several_end_of_one_leaves_the_other, 1, 120);
    suite_add(s, "client-killed", test_several_killed_client_leaves_a_readable_trace, 120);
    suite_add(s, "family", test_several_family_is_traced_with_those_that_come_later, 240);
    suite_add(s, "exec", test_several_family_follows_an_exec, 120);
    suite_add(s, "none", test_several_none_traced_saves_nothing, 60);
    return suite_main(s);
}
