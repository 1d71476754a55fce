/* A launched program of several processes: what it prints and how it ends are as in a bare run, and each process that runs Python
 * code is in the trace, with every call that it says it made (tests/targets/families.py). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base.h"
#include "tests/lib/run.h"
#include "tests/lib/suite.h"

enum { UNORDERED = 1 }; /* two processes write at the same time */
static const struct test_case {
    const char *name;
    size_t processes; /* that are in the trace at least; one more than lines where one runs nothing of ours */
    const char *names[3];
    unsigned flags;
} cases[] = {
    {"none", 1, {NULL}, 0},
    {"popen", 3, {NULL}, 0},
    {"clean", 2, {NULL}, 0},
    {"shell", 3, {NULL}, 0},
    {"execute", 1, {NULL}, 0},
    {"spawn", 3, {NULL}, 0},
    {"preexec", 2, {NULL}, 0},
    {"environment", 2, {NULL}, 0},
    {"fork", 3, {NULL}, 0},
    {"fork_falls_off_the_end", 2, {NULL}, 0},
    {"fork_in_thread", 2, {NULL}, 0},
    {"fork_twice", 3, {NULL}, 0},
    {"killed", 2, {NULL}, 0},
    {"not_waited_for", 2, {NULL}, 0},
    {"outlives", 2, {NULL}, 0},
    {"process fork", 3, {"MainProcess", "ForkProcess-1", "ForkProcess-2"}, 0},
    {"process spawn", 3, {"MainProcess", "SpawnProcess-1", "SpawnProcess-2"}, 0},
    {"process forkserver", 4, {"MainProcess", "ForkServerProcess-1", "ForkServerProcess-2"}, 0},
    {"pool fork", 2, {"MainProcess", "ForkPoolWorker-1"}, 0},
    {"pool spawn", 2, {"MainProcess", "SpawnPoolWorker-1"}, 0},
    {"executor fork", 2, {"MainProcess", "ForkProcess-1"}, 0},
    {"executor spawn", 2, {"MainProcess", "SpawnProcess-1"}, 0},
    {"prefork", 5, {NULL}, 0},
    {"gateway", 2, {NULL}, 0},
    {"sandboxed", 1, {NULL}, 0},
};

/* Every line "NAME CALLS" of the program: one process called work_NAME so often. */
static size_t must_have_calls(const struct trace *t, const char *text, const char *who) {
    char copy[RUN_TEXT_MAX], name[64], function[80];
    size_t lines = 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *save, *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        unsigned want;
        if (sscanf(line, "%60[a-z0-9] %u", name, &want) != 2 || !want) continue;
        snprintf(function, sizeof function, "work_%s", name);
        const struct trace_event *call = trace_find(t, function, NULL);
        ck_assert_msg(call, "%s: no call of %s", who, function);
        size_t all = trace_count(t, function, 0), own = trace_count(t, function, call->pid);
        ck_assert_msg(all == want && own == want, "%s: %zu and %zu calls of %s, not %u", who, all, own, function, want);
        lines++;
    }
    return lines;
}

static size_t processes_in(const struct trace *t) {
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) n += t->events[i].ph == 'M' && !strcmp(t->events[i].name, "process_name");
    return n;
}

static bool has_process(const char *path, const char *name) {
    char command[PATH_MAX + 256];
    snprintf(command, sizeof command,
             "%.1000s/viztracer report --json --slowest 0 %.1000s | grep -q '\"parent_pid\":[0-9]*,\"name\":\"%s\"'", tree_bin(),
             path, name);
    return system(command) == 0;
}

static void must_be_alike(const struct run *bare, const struct run *traced, const char *who) {
    ck_assert_msg(bare->status == traced->status, "%s: status %x instead of %x: %s%s", who, (unsigned)traced->status,
                  (unsigned)bare->status, traced->text[0], traced->text[1]);
    for (int i = 0; i < 2; i++)
        ck_assert_msg(!strcmp(bare->text[i], traced->text[i]), "%s: %s\n%.1500s\ninstead of\n%.1500s", who,
                      i ? "stderr" : "stdout", traced->text[i], bare->text[i]);
}

/* The program of a process ends when it calls exec, not when the next one has started. */
static void must_end_with_exec(const struct trace *t, const char *who) {
    const struct trace_event *e = trace_find(t, "posix.execv", NULL);
    ck_assert_msg(e && e->unfinished && !trace_find(t, "posix.execv", e), "%s: not one call of execv that is open", who);
    ck_assert_msg(e->dur == 0, "%s: execv lasts %ld ns", who, (long)e->dur);
}

START_TEST(test_families_are_like_a_bare_run) {
    const struct interp *ip = suite_interp(_i);
    const struct test_case *c = &cases[suite_row(_i)];
    static struct run bare, traced;
    struct trace t;
    struct tool tool;
    char who[128];
    const char *output = temp_path(".vzt"), *json = temp_path(".json");
    snprintf(who, sizeof who, "%s on %s", c->name, ip->version);
    run_target(&bare, ip, "families.py", c->name, "", NULL);
    run_target(&traced, ip, "families.py", c->name, "", output);
    must_be_alike(&bare, &traced, who);
    tool_runf(&tool, "convert %s -o %s", output, json);
    must_exit(&tool, 0, who);
    must_load(&t, json, who);
    ck_assert_msg(strstr(tool.out, "dropped") == NULL, "%s: %s", who, tool.out);
    must_have_calls(&t, traced.text[0], who);
    if (!strcmp(c->name, "execute")) must_end_with_exec(&t, who);
    ck_assert_msg(processes_in(&t) >= c->processes, "%s: %zu processes", who, processes_in(&t));
    for (size_t i = 0; i < VT_ARRAY_LEN(c->names) && c->names[i]; i++)
        ck_assert_msg(has_process(output, c->names[i]), "%s: no process %s", who, c->names[i]);
    trace_free(&t);
    unlink(output);
    unlink(json);
}
END_TEST

START_TEST(test_families_ignore_multiprocess_records_the_first) {
    const struct interp *ip = suite_interp(_i);
    static const char *const ways[] = {"popen", "fork", "process fork"};
    static struct run bare, traced;
    const char *output = temp_path(".json");
    for (size_t i = 0; i < VT_ARRAY_LEN(ways); i++) {
        struct trace t;
        run_target(&bare, ip, "families.py", ways[i], "", NULL);
        run_target(&traced, ip, "families.py", ways[i], "--ignore_multiprocess", output);
        must_be_alike(&bare, &traced, ways[i]);
        must_load(&t, output, ways[i]);
        ck_assert_msg(processes_in(&t) == 1 && trace_count(&t, "work_main", 0) == 12, "%s on %s", ways[i], ip->version);
        trace_free(&t);
        unlink(output);
    }
}
END_TEST

/* Children that live for a moment, one after the other: each is in the trace, or the line at the end counts it. */
START_TEST(test_families_short_lived_children_are_recorded_or_told) {
    enum { CHILDREN = 150 };
    const struct interp *ip = suite_interp(_i);
    static struct run traced;
    char text[PATH_MAX], line[PATH_MAX * 2], inside[PATH_MAX], script[PATH_MAX];
    struct trace t;
    unsigned lost = 0;
    const char *output = temp_path(".json");
    snprintf(script, sizeof script, "%s/tests/targets/families.py", tree_root());
    ck_assert(!target_copy_in(ip, script, inside, sizeof inside));
    snprintf(text, sizeof text, "exec %.1000s/viztracer -o %.1000s -- $PY $T/families.py storm %d", tree_bin(), output, CHILDREN);
    run_expand(ip, text, line, sizeof line);
    run_start(&traced, (char *const[]){(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", line, NULL}, false);
    run_finish(&traced, "storm");
    const char *told = strstr(traced.text[1], "; ");
    if (told) ck_assert_int_eq(sscanf(told, "; %u other process", &lost), 1);
    must_load(&t, output, "storm");
    size_t recorded = trace_count(&t, "none", 0);
    ck_assert_msg(!traced.status && recorded + lost == CHILDREN, "%zu children on %s: %s", recorded, ip->version, traced.text[1]);
    trace_free(&t);
    unlink(output);
}
END_TEST

/* One version for each kind of hook, the oldest, and one of another C library. */
static const int some[] = {8, 11, 12, 14};

static void add_on_some(Suite *s, const char *name, const TTest *fn, size_t row, const struct interp *ips, size_t n) {
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 300);
    for (size_t i = 0; i < n; i++) {
        bool wanted = false, second = i && ips[i - 1].minor == ips[i].minor;
        for (size_t k = 0; k < VT_ARRAY_LEN(some); k++) wanted |= some[k] == ips[i].minor && !second;
        int at = (int)(row * n + i);
        if (wanted) tcase_add_loop_test(tc, fn, at, at + 1);
    }
    suite_add_tcase(s, tc);
}

int main(void) {
    Suite *s = suite_create("families");
    size_t n;
    const struct interp *ips = interp_list(&n);
    run_set_up();
    setenv("PYTHONWARNINGS", "ignore", 1); /* one names the pid */
    for (size_t row = 0; row < VT_ARRAY_LEN(cases); row++) {
        char name[64];
        snprintf(name, sizeof name, "%s", cases[row].name);
        for (char *at = name; *at; at++)
            if (*at == ' ') *at = '-';
        add_on_some(s, strdup(name), test_families_are_like_a_bare_run, row, ips, n);
    }
    add_on_some(s, "storm", test_families_short_lived_children_are_recorded_or_told, 0, ips, n);
    add_on_some(s, "ignore-multiprocess", test_families_ignore_multiprocess_records_the_first, 0, ips, n);
    int rc = suite_main(s);
    run_clean_up();
    return rc;
}
