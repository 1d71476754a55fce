/* --budget: the longest calls that fit are shown, the others are folded into the call around them (struct trace_fold).
 *
 * Rules
 * - There are two runs. The first counts durations, to a thousandth, and to the nanosecond below 2 us. The second shows the
 *   longest N calls. When about N is enough, the first run reads only part of a large .vzt; folded calls are still counted
 *   exactly. Among calls of the shortest shown length, those that ended last are shown, so no call is shown in a folded one.
 * - Calls still open are always shown and do not count.
 * - Calls folded outside every shown call are told by one mark at the end of the thread, "folded".
 * - Memory: per thread what is open, and the folded calls that are not yet claimed by the call around them (64 bytes each).
 *   Where the source announces calls (writer.h) these are summed per function from time to time. Where it does not, the
 *   outermost of the calls still open gets what is folded in the deeper ones too. */
#ifndef VT_CLI_FOLD_H
#define VT_CLI_FOLD_H

#include "cli/trace/source.h"

struct fold_budget {
    uint64_t calls;
    uint64_t whole;  /* a trace with up to this many calls is shown whole */
    uint64_t sample; /* an approximate number is enough: estimate it from about this many events of a large .vzt. 0 = read all.
                      * Not when part of the source is selected */
};

/* As trace_source_run, with at most budget->calls finished calls. Calls whose end was lost in a gap may be shown in addition. */
VT_MUST_CHECK int fold_run(struct trace_source *s, const struct run_opts *opts, const struct trace_writer_ops *ops,
                           struct trace_writer *w, const struct fold_budget *budget, struct trace_totals *totals,
                           struct vt_err *err);

#endif
