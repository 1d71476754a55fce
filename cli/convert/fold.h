/* --budget: the longest calls that fit are shown, the others are folded into the call around them (struct trace_fold).
 *
 * Rules
 * - Two runs: the first counts durations (to a thousandth; calls below 2 us to the nanosecond), the second shows the
 *   longest N. Where about N will do, the first looks at a part of a large .vzt only; what is folded is counted exactly all
 *   the same. Of calls as long as the shortest shown those are shown that ended last: so no call is shown in a folded one.
 * - Calls still open are always shown and do not count.
 * - What is folded in no shown call is told by one mark per thread, "folded", at its end.
 * - Memory: per thread what is open, and the folded calls that are not yet claimed by the call around them (64 bytes each).
 *   Where the source announces calls (writer.h) these are summed per function from time to time. Where it does not, the
 *   outermost of the calls still open gets what is folded in the deeper ones too. */
#ifndef VT_CLI_FOLD_H
#define VT_CLI_FOLD_H

#include "cli/trace/source.h"

struct fold_budget {
    uint64_t calls;
    uint64_t whole;  /* a trace of no more calls is shown whole */
    uint64_t sample; /* some more or less will do: look at about so many events of a large .vzt to tell. 0 = at all. Not for
                      * a source of which a part is selected */
};

/* As trace_source_run, with at most so many finished calls; one whose end was lost in a gap can be shown on top of it. */
VT_MUST_CHECK int fold_run(struct trace_source *s, const struct run_opts *opts, const struct trace_writer_ops *ops,
                           struct trace_writer *w, const struct fold_budget *budget, struct trace_totals *totals,
                           struct vt_err *err);

#endif
