/* Selects part of a trace: a window of time, processes, threads, functions. The selection is a writer in front of another
 * (writer.h). trace_source_run puts it there, so that everything behind it sees only the selected part. */
#ifndef VT_CLI_SELECT_H
#define VT_CLI_SELECT_H

#include "cli/trace/run.h"
#include "cli/trace/writer.h"

#define SELECT_MAX 64u

/* All zero = everything. Texts are borrowed.
 * - Window: ns from the trace's first event. Calls that reach out of it are cut to it; where several of a thread reach
 *   in from before, each begins 1 ns before the one inside it. Unfinished calls stay unfinished.
 * - A function is wanted when one of the globs (fnmatch) matches its qualified name or its whole name, "f (a.py:1)". With
 *   it comes everything it calls, nothing that calls it. A wanted function in a wanted one changes nothing.
 * - Conditions of several kinds must all be met; of one kind, any. */
struct trace_select {
    uint64_t from_ns, to_ns; /* to_ns 0 = to the end */
    uint32_t pids[SELECT_MAX], tids[SELECT_MAX];
    const char *globs[SELECT_MAX];
    size_t npids, ntids, nglobs;
};

/* "FROM..TO": seconds, or with ns, us, ms, s; either may be left out. -EINVAL. */
VT_MUST_CHECK int select_parse_slice(const char *text, struct trace_select *select);
/* One more --pid, --tid (a number) or --match: -EINVAL, -E2BIG. */
VT_MUST_CHECK int select_add_pid(struct trace_select *select, const char *text);
VT_MUST_CHECK int select_add_tid(struct trace_select *select, const char *text);
VT_MUST_CHECK int select_add_match(struct trace_select *select, const char *glob);
bool select_has_window(const struct trace_select *select);
bool select_is_all(const struct trace_select *select);

/* -EINVAL when the trace has no such process or thread, or no function that matches; err says which. */
VT_MUST_CHECK int select_check(const struct trace_select *select, struct trace_info *info, struct vt_err *err);

/* Runs a trace, with min_duration and all; what trace_source_run does without a selection. Twice the same. */
typedef int (*select_run_fn)(void *ctx, const struct run_opts *opts, const struct trace_writer_ops *ops, struct trace_writer *w,
                             struct trace_totals *totals, struct vt_err *err);
/* As trace_source_run; for a window info->first_ns has to be known. Globs make it read the trace twice, with 24 bytes of memory
 * for each wanted call that is in no other wanted one. Threads of other processes, and those that call no wanted function, are
 * not shown. */
VT_MUST_CHECK int select_run(const struct trace_select *select, struct trace_info *info, select_run_fn run, void *ctx,
                             const struct run_opts *opts, const struct trace_writer_ops *ops, struct trace_writer *w,
                             struct trace_totals *totals, struct vt_err *err);

#endif
