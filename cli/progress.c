/* Owns the live line and the way numbers are shown to people. */
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/abi/arena.h"

#define REDRAW_NS 90000000ull

void progress_init(struct progress *p, bool quiet) {
    memset(p, 0, sizeof(*p));
    p->on = !quiet && isatty(STDOUT_FILENO);
}

/* A terminal that has gone must not end us: errors are of no interest. */
static void show(struct progress *p, const char *line) {
    printf("\r\033[K%s", line);
    fflush(stdout);
    p->shown = true;
}

static bool due(struct progress *p) {
    uint64_t now = vt_mono_ns();
    if (!p->on || now - p->last_ns < REDRAW_NS) return false;
    p->last_ns = now;
    return true;
}

void progress_stats(struct progress *p, const Vt__Stats *s) {
    char line[256], events[32], rate[32], bytes[32], dropped[32];
    if (!due(p)) return;
    if (s->state < VT_AGENT_TRACING) {
        show(p, "Waiting for the target to give up the GIL ... Ctrl+C to give up");
        return;
    }
    uint64_t ns = s->elapsed_ns - p->elapsed_ns, more = s->events - p->events;
    double per_second = ns && s->elapsed_ns > p->elapsed_ns && s->events >= p->events ? (double)more * 1e9 / (double)ns : 0;
    p->events = s->events;
    p->elapsed_ns = s->elapsed_ns;
    snprintf(line, sizeof(line), "Tracing %.1f s: %s events, %s/s, %s dropped, %s. Ctrl+C to stop and save",
             (double)s->elapsed_ns / 1e9, format_count(events, sizeof(events), s->events),
             format_count(rate, sizeof(rate), (uint64_t)per_second), format_count(dropped, sizeof(dropped), s->dropped),
             format_bytes(bytes, sizeof(bytes), s->bytes));
    show(p, line);
}

void progress_saving(struct progress *p, uint64_t done, uint64_t size) {
    char line[96];
    if (!due(p)) return;
    snprintf(line, sizeof(line), "Saving %d %%", size ? (int)((double)done * 100 / (double)size) : 0);
    show(p, line);
}

void progress_clear(struct progress *p) {
    if (!p->shown) return;
    printf("\r\033[K");
    fflush(stdout);
    p->shown = false;
}

char *format_count(char *buf, size_t size, uint64_t n) {
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
    size_t at = 0;
    for (int i = 0; i < len && at + 2 < size; i++) {
        if (i && (len - i) % 3 == 0) buf[at++] = ',';
        buf[at++] = digits[i];
    }
    buf[at] = 0;
    return buf;
}

char *format_bytes(char *buf, size_t size, uint64_t n) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double v = (double)n;
    size_t i = 0;
    while (v >= 1000 && i + 1 < VT_ARRAY_LEN(units)) v /= 1000, i++;
    snprintf(buf, size, i ? "%.1f %s" : "%.0f %s", v, units[i]);
    return buf;
}

char *format_ns(char *buf, size_t size, uint64_t ns) {
    if (ns < 1000000)
        snprintf(buf, size, "%.2f ms", (double)ns / 1e6);
    else if (ns < 1000000000)
        snprintf(buf, size, "%.1f ms", (double)ns / 1e6);
    else
        snprintf(buf, size, "%.1f s", (double)ns / 1e9);
    return buf;
}
