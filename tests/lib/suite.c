/* Owns the shape of a test program: cases over interpreters, skips, verdicts on tool and trace. */
#include "tests/lib/suite.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t interpreters(void) {
    size_t n;
    interp_list(&n);
    return n;
}

static void add(Suite *s, const char *name, const TTest *fn, int first, int end, int timeout_s) {
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, timeout_s);
    tcase_add_loop_test(tc, fn, first, end);
    suite_add_tcase(s, tc);
}

void suite_add(Suite *s, const char *name, const TTest *fn, int timeout_s) {
    add(s, name, fn, 0, (int)interpreters(), timeout_s);
}

void suite_add_row(Suite *s, const char *name, const TTest *fn, int row, int timeout_s) {
    int n = (int)interpreters();
    add(s, name, fn, row * n, (row + 1) * n, timeout_s);
}

void suite_add_once(Suite *s, const char *name, const TTest *fn, int timeout_s) { add(s, name, fn, 0, 1, timeout_s); }

const struct interp *suite_interp(int i) {
    size_t n;
    const struct interp *list = interp_list(&n);
    return &list[(size_t)i % n];
}

int suite_row(int i) { return i / (int)interpreters(); }

int suite_main(Suite *s) {
    SRunner *runner = srunner_create(s);
    setvbuf(stdout, NULL, _IOLBF, 0);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner), run = srunner_ntests_run(runner);
    srunner_free(runner);
    if (!run) printf("no case was run: is there one called %s?\n", getenv("CK_RUN_CASE") ? getenv("CK_RUN_CASE") : "so");
    return failed || !run ? EXIT_FAILURE : EXIT_SUCCESS;
}

void suite_skipped(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    printf("SKIP ");
    vprintf(fmt, ap);
    printf("\n");
    fflush(stdout);
    va_end(ap);
}

bool suite_long(void) {
    const char *v = getenv("VT_LONG");
    return v && *v && strcmp(v, "0");
}

int suite_times(int short_form, int long_form) { return suite_long() ? long_form : short_form; }

void must_compile(const struct interp *ip, const char *source, char file[PATH_MAX], char inside[PATH_MAX]) {
    char command[3 * PATH_MAX];
    snprintf(file, PATH_MAX, "%s", temp_path(".so"));
    snprintf(command, sizeof command, "cc -O1 -w -shared -fPIC -x c -o %s %s/tests/targets/%s", file, tree_root(), source);
    ck_assert_int_eq(system(command), 0);
    ck_assert_int_eq(target_copy_in(ip, file, inside, PATH_MAX), 0);
}

void must_round(struct target *t, unsigned n, const char *who) {
    t->slots[60] = n;
    for (uint64_t end = now_ms() + 60000; t->slots[61] != n; sleep_ms(1)) {
        struct census c;
        bool alive = !census_take(t->pid, &c) && c.state != 'Z';
        ck_assert_msg(alive || t->slots[61] == n, "%s: the target died", who); /* it may end right after its last round */
        ck_assert_msg(now_ms() < end, "%s: round %u does not end", who, n);
    }
}

void must_tell_hooks(struct target *t, char *text, size_t size, const char *who) {
    char *stop = NULL;
    t->text_len = 0;
    ck_assert_msg(!target_send(t, "state\n"), "%s: the target has gone", who);
    for (uint64_t limit = now_ms() + 20000; !stop && now_ms() < limit; stop = strstr(t->text, " end"))
        target_expect(t, "no such text", 10);
    ck_assert_msg(stop, "%s: the target does not answer: %s", who, t->text);
    const char *from = strstr(t->text, "profile=");
    snprintf(text, size, "%.*s", from ? (int)(stop - from) : 0, from ? from : "");
}

void must_exit(const struct tool *t, int code, const char *who) {
    if (t->exit_code == code && !t->timed_out) return;
    ck_abort_msg("%s: exit %d%s instead of %d after %llu ms; stdout: %.600s; stderr: %.1200s", who, t->exit_code,
                 t->timed_out ? " (killed: too slow)" : "", code, (unsigned long long)t->took_ms, t->out, t->err);
}

void must_load(struct trace *t, const char *path, const char *who) {
    int rc = trace_load(t, path);
    if (rc) ck_abort_msg("%s: %s is not a valid trace (%s)", who, path, strerror(-rc));
    const char *bad = trace_check_shape(t);
    if (bad) ck_abort_msg("%s: %s: %s", who, path, bad);
    bad = trace_check_nesting(t);
    if (bad) ck_abort_msg("%s: %s: %s", who, path, bad);
}

void must_trace_round(struct target *t, unsigned n, const char *options, const char *out, struct trace *trace, const char *who) {
    struct tool tool;
    tool_startf(&tool, "--attach %d -o %s %s", (int)t->pid, out, options);
    must_attach(&tool, who);
    must_round(t, n, who);
    kill(tool.pid, SIGINT);
    tool_wait(&tool, 30000);
    must_exit(&tool, 0, who);
    if (trace) must_load(trace, out, who);
}

void must_have_jobs(const struct trace *t, const char *who) {
    size_t jobs = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct trace_event *e = &t->events[i];
        if (e->ph != 'M' || strcmp(e->name, "thread_name") || !e->args || !strstr(e->args, "name=job-")) continue;
        jobs++;
        ck_assert_msg(trace_count(t, "tasked", e->tid) == 4, "%s: %zu calls in track %s", who, trace_count(t, "tasked", e->tid),
                      e->args);
    }
    ck_assert_msg(jobs == 2, "%s: %zu of 2 task tracks", who, jobs);
}

void must_have_threads(const struct trace *t, const pid_t *ids, int n, const char *who) {
    for (int i = 0; i < n; i++)
        if (!trace_has_thread(t, ids[i])) ck_abort_msg("%s: thread %d is not in the trace (%zu events)", who, (int)ids[i], t->n);
}

/* The client says so when hooks are in; "Tracing" stands in the line that it prints then. */
void must_attach(struct tool *t, const char *who) {
    if (!tool_expect(t, "racing", 30000)) return;
    tool_wait(t, 1);
    ck_abort_msg("%s: does not say that it traces; exit %d; stdout: %.600s; stderr: %.1200s", who, t->exit_code, t->out, t->err);
}
