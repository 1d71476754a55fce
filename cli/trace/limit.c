/* Owns the sentences about --max_overhead (limit.h). */
#include "cli/trace/limit.h"

#include <stdio.h>
#include <string.h>

#include "cli/base/figures.h"

static uint32_t limit_of(const struct trace_info *info) {
    if (info->throttled) return info->throttled->max_overhead;
    return info->header ? info->header->max_overhead : 0;
}

char *limit_percent(char *buf, const struct trace_info *info) {
    uint32_t limit = limit_of(info);
    snprintf(buf, 16, "%u.%02u", limit / 100, limit % 100);
    return buf;
}

uint64_t limit_hooks_out_ns(const struct trace_info *info) {
    if (!info->throttled) return 0;
    uint64_t on = info->hooks_on_ticks;
    return vt_clock_to_ns(&info->clock, on + info->throttled->off_ticks) - vt_clock_to_ns(&info->clock, on);
}

/* The agent tells its last figures when it leaves. A process that ends, or becomes another program, takes them with it. */
static bool has_last_figures(const struct trace_info *info) {
    return info->end && info->end->reason != VT__END_REASON__TARGET_EXIT && info->end->reason != VT__END_REASON__EXEC;
}

void limit_describe(struct trace_info *info) {
    const Vt__Throttled *t = info->throttled;
    uint64_t counted = 0, estimated = 0;
    bool at_least = false;
    char calls[48], guess[32], out[48], times[48], *text = info->limit;
    size_t len = 0;
    if (!limit_of(info)) return;
#define ADD(...) len += (size_t)snprintf(text + len, sizeof(info->limit) - len, __VA_ARGS__)
    bool acted = limit_functions(info) || (t && t->windows), complete = has_last_figures(info);
    ADD("the limit of %g %% %s", limit_of(info) / 100.0,
        acted      ? "was kept by "
        : complete ? "left nothing out"
                   : "was on; tracing ended before the process could tell what was left out");
    for (size_t i = 0; i < limit_functions(info); i++) {
        t->functions[i]->at_least |= !complete;
        counted += t->functions[i]->counted;
        estimated += t->functions[i]->estimated;
        at_least |= t->functions[i]->at_least;
    }
    if (limit_functions(info))
        ADD("throttling %s (%s counted, %s %s not seen)", format_things(out, sizeof out, t->n_functions, "function"),
            format_things(calls, sizeof calls, counted, "more call"), at_least ? "at least" : "about",
            format_count(guess, sizeof guess, estimated));
    if (t && t->windows)
        ADD("%staking the hooks out %s, for %s in all", t->n_functions ? " and " : "",
            format_things(times, sizeof times, t->windows, "time"), format_ns(out, sizeof out, limit_hooks_out_ns(info)));
    if (acted && !complete) ADD("; tracing ended before the process could tell the rest");
#undef ADD
}

void limit_take(struct trace_info *info, const char *text, size_t len) {
    size_t n = 0;
    for (size_t i = 0; i < len && n + 1 < sizeof info->limit; i++)
        if (text[i] >= ' ' && text[i] < 0x7f && text[i] != '"' && text[i] != '\\') info->limit[n++] = text[i];
    info->limit[n] = 0;
}

char *limit_figures(char *buf, size_t size, const Vt__ThrottledFunction *f) {
    char counted[48], estimated[32];
    format_things(counted, sizeof counted, f->counted, "more call");
    format_count(estimated, sizeof estimated, f->estimated);
    if (f->at_least)
        snprintf(buf, size, "%s counted, at least %s not seen", counted, estimated);
    else if (strcmp(limit_kind(f), "exact"))
        snprintf(buf, size, "%s counted, about %s not seen (estimated)", counted, estimated);
    else
        snprintf(buf, size, "%s counted (exact)", counted);
    return buf;
}
