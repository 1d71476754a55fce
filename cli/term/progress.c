/* Owns the live line on the terminal. */
#include "cli/term/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/base/figures.h"
#include "proto/abi/arena.h"

#define REDRAW_NS 90000000ull
#define BAR_WIDTH 30

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

void progress_bar_show(struct progress_bar *bar, FILE *to, const char *what, uint64_t done, uint64_t size) {
    char marks[BAR_WIDTH + 1], left[48] = "";
    uint64_t now = vt_mono_ns();
    if (!bar->begun_ns) bar->begun_ns = now;
    if (now - bar->last_ns < REDRAW_NS) return;
    bar->last_ns = now;
    double share = size ? (double)(done < size ? done : size) / (double)size : 0;
    double elapsed = (double)(now - bar->begun_ns) / 1e9;
    for (int i = 0; i < BAR_WIDTH; i++) marks[i] = i < (int)(share * BAR_WIDTH) ? '#' : '.';
    marks[BAR_WIDTH] = 0;
    if (share > 0.02 && elapsed > 0.5) snprintf(left, sizeof(left), ", %.0f s left", elapsed * (1 - share) / share + 0.5);
    fprintf(to, "\r\033[K%s [%s] %3d %%%s", what, marks, (int)(share * 100), left);
    fflush(to);
    bar->shown = true;
}

void progress_bar_clear(struct progress_bar *bar, FILE *to) {
    if (!bar->shown) return;
    fprintf(to, "\r\033[K");
    fflush(to);
    bar->shown = false;
}

void progress_saving(struct progress *p, uint64_t done, uint64_t size) {
    if (p->on) progress_bar_show(&p->saving, stdout, "Saving", done, size);
    p->shown |= p->saving.shown;
}

void progress_clear(struct progress *p) {
    if (!p->shown) return;
    printf("\r\033[K");
    fflush(stdout);
    p->shown = false;
}
