/* --tracer_entries: only the newest N calls reach the writer. Two runs of the model: count, then leave out. */
#ifndef VT_CLI_NEWEST_H
#define VT_CLI_NEWEST_H

#include "cli/trace/source.h"

/* As trace_source_run, with at most `newest` calls: those that ended last, and those still open. */
VT_MUST_CHECK int newest_run(struct trace_source *s, const struct run_opts *opts, const struct trace_writer_ops *ops,
                             struct trace_writer *w, uint64_t newest, struct trace_totals *totals, struct vt_err *err);
/* Reads the trace and only counts. */
VT_MUST_CHECK int newest_count(struct trace_source *s, const struct run_opts *opts, struct trace_totals *totals,
                               struct vt_err *err);

#endif
