/* Texts about --max_overhead: one line that every output shows, and figures of each throttled function. */
#ifndef VT_CLI_LIMIT_H
#define VT_CLI_LIMIT_H

#include "cli/trace/trace_info.h"

/* Sets info->limit of a .vzt: that there was a limit, and what it left out. "" = there was none. */
void limit_describe(struct trace_info *info);
/* info->limit from the text in a file. Characters that are not printable ASCII are left out. */
void limit_take(struct trace_info *info, const char *text, size_t len);
/* In percent, with two digits, into buf[16]: "5.00". Returns buf. .vzt only. */
char *limit_percent(char *buf, const struct trace_info *info);
/* The total time for which the hooks were out. .vzt only. */
uint64_t limit_hooks_out_ns(const struct trace_info *info);
/* The number of throttled functions; 0 when the trace is not a .vzt. */
static inline size_t limit_functions(const struct trace_info *info) { return info->throttled ? info->throttled->n_functions : 0; }
/* "exact": every call that is not in the trace was counted; "estimated": some were not seen; "at least": the number of those
 * that were not seen is a lower bound. */
static inline const char *limit_kind(const Vt__ThrottledFunction *f) {
    return f->at_least ? "at least" : f->off || f->estimated ? "estimated" : "exact";
}

/* "1,234 more calls counted (exact)": the text behind one function in a list. Writes into buf and returns it. */
char *limit_figures(char *buf, size_t size, const Vt__ThrottledFunction *f);

#endif
