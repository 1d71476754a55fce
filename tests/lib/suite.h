/* Glue between Check and our test programs: loops over interpreters, skips by name, one main. */
#ifndef VT_TESTS_SUITE_H
#define VT_TESTS_SUITE_H

#include <check.h>
#include <limits.h>
#include <stdbool.h>

#include "tests/lib/interp.h"
#include "tests/lib/target.h"
#include "tests/lib/tool.h"
#include "tests/lib/trace.h"

/* Adds a case `name` that runs fn once for each interpreter: _i is its index. */
void suite_add(Suite *s, const char *name, const TTest *fn, int timeout_s);
/* The same for one row of a table: suite_row(_i), suite_interp(_i). */
void suite_add_row(Suite *s, const char *name, const TTest *fn, int row, int timeout_s);
/* Adds a case that runs once, with no interpreter. */
void suite_add_once(Suite *s, const char *name, const TTest *fn, int timeout_s);
const struct interp *suite_interp(int i);
int suite_row(int i);
/* Runs it: exit code of main. */
int suite_main(Suite *s);

/* Reports a skip by name with its cause, and ends the test. */
#define skip_test(...)                                                                                                           \
    do {                                                                                                                         \
        suite_skipped(__VA_ARGS__);                                                                                              \
        return;                                                                                                                  \
    } while (0)
void suite_skipped(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* True when the long form was asked for (VT_LONG=1). */
bool suite_long(void);
int suite_times(int short_form, int long_form);

/* Loads a saved trace and checks shape and nesting; fails the test with `who`. */
void must_load(struct trace *t, const char *path, const char *who);
/* Compiles tests/targets/SOURCE to a shared library for ip's targets. file: its path, to be removed by the caller; inside: its
 * path as a target sees it. */
void must_compile(const struct interp *ip, const char *source, char file[PATH_MAX], char inside[PATH_MAX]);
/* Makes a target that works in rounds do round n (slot 60: the wanted round, slot 61: the last one done). */
void must_round(struct target *t, unsigned n, const char *who);
/* The report of tests/targets/probe.py about its own hooks, as text. Earlier answers are skipped. */
void must_tell_hooks(struct target *t, char *text, size_t size, const char *who);
/* Waits for the tool to end with `code`; else fails the test with its output. */
void must_exit(const struct tool *t, int code, const char *who);
/* Waits until the tool says that it traces. */
void must_attach(struct tool *t, const char *who);
/* The same for a round that is traced with `options` into `out`, and loaded into `trace` unless that is NULL. */
void must_trace_round(struct target *t, unsigned n, const char *options, const char *out, struct trace *trace, const char *who);
/* The tasks job-0 and job-1 have tracks of their own, each with 4 calls of `tasked`. */
void must_have_jobs(const struct trace *t, const char *who);
/* Every thread in ids is in the trace. */
void must_have_threads(const struct trace *t, const pid_t *ids, int n, const char *who);

#endif
