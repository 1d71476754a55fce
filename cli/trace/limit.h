/* What a trace made with --max_overhead says about it: one line that every output shows, and figures of each throttled function.
 */
#ifndef VT_CLI_LIMIT_H
#define VT_CLI_LIMIT_H

#include "cli/trace/trace_info.h"

/* info->limit of a .vzt: that there was a limit, and what was left out for its sake. "" = there was none. */
void limit_describe(struct trace_info *info);
/* The same as somebody's file has it: what is no printable ASCII is left out. */
void limit_take(struct trace_info *info, const char *text, size_t len);
/* In percent, with two digits, into buf[16]: "5.00". Returns buf. .vzt only. */
char *limit_percent(char *buf, const struct trace_info *info);
/* For so long in all the hooks were out. .vzt only. */
uint64_t limit_hooks_out_ns(const struct trace_info *info);
/* How many throttled functions there are; 0 in what is no .vzt. */
static inline size_t limit_functions(const struct trace_info *info) { return info->throttled ? info->throttled->n_functions : 0; }
/* "exact": every call that is not in the trace was counted; "estimated": some were not seen. */
static inline const char *limit_kind(const Vt__ThrottledFunction *f) { return f->off || f->estimated ? "estimated" : "exact"; }

/* "1,234 more calls counted (exact)": what a list of functions says of one. Into buf; returns buf. */
char *limit_figures(char *buf, size_t size, const Vt__ThrottledFunction *f);

#endif
