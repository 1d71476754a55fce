/* Turns events into calls, in the second pass over a trace: matches enter and leave of each thread and hands whole calls to a
 * writer.
 *
 * Rules
 * - A thread starts with the stack that was open at attach; these frames begin when tracing began, the outermost a
 *   nanosecond apart so that they nest without doubt.
 * - A leave closes the top of the stack when it is the same function. Otherwise it closes the nearest frame of that function.
 *   The frames above lost their leave: they end at the last gap since they began, or now when there was no gap or something
 *   shows that they were open after it. A leave of a function that is not on the stack is counted as unmatched and ignored.
 * - A gap is shown where it ended. Frames open before it stay open until a leave proves otherwise, so right after a
 *   gap calls can hang under a function that had already returned.
 * - No call reaches over a time in which the hooks were out (--max_overhead): it ends with the last event before, and the
 *   calls that are open afterwards go on in pieces, which are not counted as calls.
 * - Generators and coroutines: each stretch from a start or a resume to the next yield is a piece, handed over as a call of
 *   its own. All but the first are marked as resumed and are not counted. Which pieces belong to the same generator is not
 *   known.
 * - Within a thread time never goes back, and a call begins at least 1 ns after the call around it and after a gap.
 * - Frames still open at the end come last, the innermost first. They end when tracing of their process did.
 * - min_duration leaves out short calls, never their callees.
 * - Calls are announced (writer.h) only when a call in them is handed over, so a short call never is. A call that was
 *   announced and turns out short, because its end was lost in a gap, is shown anyway. */
#ifndef VT_CLI_MODEL_H
#define VT_CLI_MODEL_H

#include "cli/trace/run.h"
#include "cli/trace/writer.h"

#define MODEL_DEPTH_MAX (1u << 20) /* frames deeper than this are counted, not kept */

/* Feeds w with everything in info's trace up to its end or its first damaged place (noted in info->damage). */
VT_MUST_CHECK int model_run(struct trace_info *info, const struct run_opts *opts, const struct trace_writer_ops *ops,
                            struct trace_writer *w, struct trace_totals *totals, struct vt_err *err);

#endif
