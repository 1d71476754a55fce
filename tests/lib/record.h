/* A writer for tests that keeps what it is told as text, one line each, in the order of telling:
 *   call PID/TID NAME START..END [open] [args=JSON] | gap PID/TID NS COUNT | counter PID/TID NS A/B/C |
 *   mark PID/TID PH NAME NS [id=ID] [cat=CAT] [s=S] [args=JSON]
 * and says so when a source breaks its word (order of ends, nesting). */
#ifndef VT_TESTS_RECORD_H
#define VT_TESTS_RECORD_H

#include "cli/trace/source.h"

struct record {
    char *text; /* NUL-terminated */
    struct trace_totals totals;
    char broken[256]; /* "" = the calls kept the promises of writer.h */
    struct vt_err err;
    struct trace_info *info; /* valid until record_free */
    struct trace_source *source;
};

/* Runs a trace into r; select may be NULL. Returns the result of opening or running. Ends the test when a promise is broken. */
int record_file(struct record *r, const char *path, const struct run_opts *opts, const struct trace_select *select);
int record_run(struct record *r, struct trace_source *source, const struct run_opts *opts);
/* Both have the same text; between gaps the order is free, because some kinds of files report lost ends late. */
void record_same(const struct record *a, const struct record *b);
/* Puts the lines in order, for calls of several threads. */
void record_sort(struct record *r);
void record_free(struct record *r);

#endif
