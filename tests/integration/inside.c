/* Threads that are in a system call when the attach comes: the call is there, by name and by what it waits for, from the attach
 * to the thread's next event, and is nobody's own time. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/suite.h"

static const struct {
    const char *thread, *call;
    const char *since_314; /* also allowed */
} waits[] = {
    {"accepting", "[in C: _socket.socket._accept(", NULL},
    {"receiving", "[in C: _socket.socket.recv(", NULL},
    {"locked", "[in C: _thread.lock.acquire]", NULL},
    {"reading", "[in C: posix.read(", NULL},
    {"selecting", "[in C: select.select]", NULL},
    /* with: below 3.14 no value of the frame is the function, so it has the name of the system call */
    {"entering", "[in C: futex]", "[in C: _thread.lock.__enter__]"},
    {"MainThread", "[in C: time.sleep]", NULL},
};

/* The line of the script that is in such a call, from 1. */
static unsigned line_of(const char *text) {
    char path[PATH_MAX], line[256];
    snprintf(path, sizeof path, "%s/tests/targets/inside.py", tree_root());
    FILE *f = fopen(path, "r");
    unsigned n = 0;
    while (f && fgets(line, sizeof line, f) && ++n)
        if (strstr(line, text)) break;
    if (f) fclose(f);
    return n;
}

/* Frames that were open at the attach carry the line that they were at: one per thread here, and that of the module. */
static void must_be_at_lines(const char *out, const char *who) {
    static const char *const lines[][2] = {{"accepting", "    server.accept()"}, {"receiving", "client.recv(1)"},
                                           {"locked", "    gate.acquire()"},     {"reading", "os.read("},
                                           {"napping", "time.sleep(0.2)"},       {"<module>", "time.sleep(1000)"}};
    struct tool tool;
    tool_runf(&tool, "report --threads %s", out);
    must_exit(&tool, 0, who);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char want[96];
        snprintf(want, sizeof want, "%s (inside.py:%u)", lines[i][0], line_of(lines[i][1]));
        ck_assert_msg(strstr(tool.out, want), "%s: no '%s': %s", who, want, tool.out);
    }
}

static pid_t thread_named(const struct trace *t, const char *name) {
    pid_t ids[64];
    int n = trace_threads(t, ids, 64);
    for (int i = 0; i < n; i++) {
        const char *is = trace_thread_name(t, ids[i]);
        if (is && !strcmp(is, name)) return ids[i];
    }
    return 0;
}

/* The slice of a thread whose name begins so. */
static const struct trace_event *slice(const struct trace *t, pid_t tid, const char *begins) {
    for (size_t i = 0; begins && i < t->n; i++) {
        const struct trace_event *e = &t->events[i];
        if (e->ph == 'X' && e->tid == tid && !strncmp(e->name, begins, strlen(begins))) return e;
    }
    return NULL;
}

START_TEST(test_inside_names_what_threads_wait_for) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    struct tool tool;
    struct trace trace;
    const char *out = temp_path(".json");
    char who[64], ends[128] = "";
    snprintf(who, sizeof who, "inside on %s", ip->version);
    ck_assert_msg(!target_spawn(&t, ip, "inside.py", NULL, NULL), "%s: the target does not start", who);
    ck_assert_int_eq(target_expect(&t, "|", 5000), 0);
    const char *line = strstr(t.text, "tcp ");
    ck_assert(line && sscanf(line, "%127[^|]", ends) == 1);
    tool_runf(&tool, "--attach %d -t 0.5 -o %s --exclude_functions computing", (int)t.pid, out);
    must_exit(&tool, 0, who);
    must_load(&trace, out, who);
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        pid_t tid = thread_named(&trace, waits[i].thread);
        const struct trace_event *e = slice(&trace, tid, waits[i].call);
        if (!e) e = slice(&trace, tid, waits[i].since_314);
        ck_assert_msg(e, "%s: thread %s is not in %s", who, waits[i].thread, waits[i].call);
        ck_assert_msg(e->unfinished || e->dur > 400000000, "%s: %s lasts %ld ns", who, e->name, (long)e->dur);
    }
    const struct trace_event *e = slice(&trace, thread_named(&trace, "receiving"), "[in C: ");
    ck_assert_msg(strstr(e->name, ends), "%s: %s, not %s", who, e->name, ends);
    e = slice(&trace, thread_named(&trace, "reading"), "[in C: ");
    ck_assert_msg(strstr(e->name, ": pipe)]"), "%s: %s, not a pipe", who, e->name);
    /* The nap that the attach came into ends with it; the next one is an ordinary call. The attach may come while the thread
     * is on its way from one nap to the next. */
    pid_t napping = thread_named(&trace, "napping");
    const struct trace_event *next = slice(&trace, napping, "time.sleep");
    ck_assert_msg(next && (next->unfinished || next->dur > 150000000), "%s: no nap after the first", who);
    e = slice(&trace, napping, "[in C: ");
    if (e) {
        ck_assert_msg(!strcmp(e->name, "[in C: time.sleep]"), "%s: a nap is %s", who, e->name);
        ck_assert_msg(!e->unfinished, "%s: a nap of 200 ms lasts %ld ns and has no end", who, (long)e->dur);
        ck_assert_msg(e->ts + e->dur <= next->ts, "%s: a nap that the attach came into lasts into the next one", who);
    }
    ck_assert_msg(!slice(&trace, thread_named(&trace, "computing"), "[in C: "), "%s: a thread that computes is in a call", who);
    trace_free(&trace);
    must_be_at_lines(out, who);
    ck_assert_msg(!target_progresses(&t, 2, 10000), "%s: the target does not run on", who);
    target_kill(&t);
    unlink(out);
}
END_TEST

int main(void) {
    Suite *s = suite_create("inside");
    suite_add(s, "waiting-threads", test_inside_names_what_threads_wait_for, 60);
    return suite_main(s);
}
