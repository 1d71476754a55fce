/* Runs `report`, `diff` and `convert` inside a unit test, on a trace of the test's own, and reads the JSON that they print. One
 * thread; each check fails the running test. */
#ifndef VT_TESTS_REPORT_RUN_H
#define VT_TESTS_REPORT_RUN_H

#include <stddef.h>
#include <yajl/yajl_tree.h>

#include "tests/lib/trace_build.h"

extern struct trace_build report_trace;
extern char *report_out, *report_err; /* what the last run printed; owned here */
extern const char REPORT_TRACE[];     /* as a word of a run: the path of report_trace */

/* A checked fixture: report_trace has one thread and the functions of trace_build_letters. */
void report_set_up(void);
void report_tear_down(void);
/* Frees what the last run printed. */
void report_forget(void);
/* words: of the command line, NULL-terminated. Returns the exit code. */
int report_run(const char *const *words);
#define RUN(...) report_run((const char *const[]){__VA_ARGS__, NULL})

/* The printed JSON; the caller frees it with yajl_tree_free. */
yajl_val report_parse(void);
yajl_val report_get(yajl_val v, const char *key);
yajl_val report_at(yajl_val v, const char *key, size_t i);
size_t report_length(yajl_val v, const char *key);
long long report_number(yajl_val v, const char *key);
const char *report_string(yajl_val v, const char *key);
/* v has exactly these keys, in this order: the description promises them all. */
void report_must_have(yajl_val v, const char *keys);
#define NAME_KEYS "name file module line kind"

#endif
