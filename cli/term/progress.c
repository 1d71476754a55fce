/* Owns the live line on the terminal. */
#include "cli/term/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/base/clean_text.h"
#include "cli/base/figures.h"
#include "cli/term/term.h"
#include "proto/abi/arena.h"

#define REDRAW_NS 250000000ull
#define BAR_WIDTH 30u
#define BAR_LEAST 5u

void progress_init(struct progress *p, bool quiet, const struct progress_output *output) {
    memset(p, 0, sizeof(*p));
    p->output = *output;
    p->on = !quiet && term_live_columns(STDOUT_FILENO) != 0;
}

/* Replaces the line on the terminal, cut so that it never wraps. A terminal that has gone must not end us: errors are of no
 * interest. */
static unsigned redraw(FILE *to, const char *line, unsigned columns, unsigned before) {
    char text[CLEAN_TEXT_MAX];
    clean_shorten(clean_text(text, line, strlen(line)), columns);
    unsigned now = clean_columns(text);
    if (term_plain()) {
        if (before > columns) before = columns; /* it has wrapped */
        fprintf(to, "\r%s%*s", text, before > now ? (int)(before - now) : 0, "");
    } else {
        fprintf(to, "\r\033[K%s", text);
    }
    fflush(to);
    return now;
}

/* Takes the line away; before: columns that it has. */
static void erase(FILE *to, unsigned before) {
    unsigned columns = term_live_columns(fileno(to));
    if (columns && before > columns) before = columns;
    if (term_plain())
        fprintf(to, "\r%*s\r", (int)before, "");
    else
        fprintf(to, "\r\033[K");
    fflush(to);
}

static bool due(uint64_t *last_ns) {
    uint64_t now = vt_mono_ns();
    if (*last_ns && now - *last_ns < REDRAW_NS) return false;
    *last_ns = now;
    return true;
}

void progress_gil(struct progress *p, const char *held) { snprintf(p->gil, sizeof(p->gil), "%s", held); }

static bool is_whole(const struct progress *p, const Vt__Stats *s) {
    return p->output.whole_above && figures_pieces(s->calls, s->events) > p->output.whole_above;
}

/* What the output will take; *about: that is an estimate. */
static uint64_t output_bytes(const struct progress *p, const Vt__Stats *s, bool *about) {
    uint64_t calls =
        p->output.most_calls && s->calls > p->output.most_calls ? p->output.most_calls : figures_pieces(s->calls, s->events);
    *about = p->output.bytes_per_call && !is_whole(p, s);
    return *about ? calls * p->output.bytes_per_call : s->bytes;
}

/* The line in several lengths: level 0 is the longest. False = there is no such level. */
static bool stats_line(const struct progress *p, const Vt__Stats *s, uint64_t per_second, unsigned level, char *line,
                       size_t size) {
    char calls[48], rate[32], bytes[32], dropped[48], drops[32];
    bool about;
    double seconds = (double)s->elapsed_ns / 1e9;
    format_bytes(bytes, sizeof(bytes), output_bytes(p, s, &about));
    format_things(calls, sizeof(calls), s->calls, "call");
    format_count(rate, sizeof(rate), per_second);
    format_things(dropped, sizeof(dropped), s->dropped, "event");
    format_count(drops, sizeof(drops), s->dropped);
    const char *name = is_whole(p, s) ? p->output.whole_name : p->output.name, *almost = about ? "about " : "";
    switch (level) {
    case 0:
        snprintf(line, size, "Tracing %.1f s: %s, %s calls/s, %s %s%s, %s dropped. Ctrl+C to stop and save", seconds, calls, rate,
                 name, almost, bytes, dropped);
        return true;
    case 1:
        snprintf(line, size, "Tracing %.1f s: %s calls/s, %s %s%s, %s dropped", seconds, rate, name, almost, bytes, drops);
        return true;
    case 2: snprintf(line, size, "%.1f s: %s calls/s, %s, %s dropped", seconds, rate, bytes, drops); return true;
    case 3: snprintf(line, size, "%.0f s %s/s %s %s dropped", seconds, rate, bytes, drops); return true;
    default: return false;
    }
}

void progress_stats(struct progress *p, const Vt__Stats *s) {
    char line[512];
    snprintf(line, sizeof(line), "Waiting for the GIL (Ctrl+C gives up)%s", p->gil);
    unsigned columns = p->on ? term_live_columns(STDOUT_FILENO) : 0;
    if (!columns || !due(&p->last_ns)) return;
    if (s->state >= VT_AGENT_TRACING) {
        uint64_t ns = s->elapsed_ns - p->elapsed_ns, more = s->calls - p->calls;
        bool both = s->elapsed_ns > p->elapsed_ns && s->calls >= p->calls;
        uint64_t per_second = both ? (uint64_t)((double)more * 1e9 / (double)ns) : 0;
        p->calls = s->calls;
        p->elapsed_ns = s->elapsed_ns;
        for (unsigned level = 0; stats_line(p, s, per_second, level, line, sizeof(line)); level++)
            if (clean_columns(line) <= columns) break;
    }
    p->shown = redraw(stdout, line, columns, p->shown);
}

void progress_bar_show(struct progress_bar *bar, FILE *to, const char *what, uint64_t done, uint64_t size) {
    char marks[BAR_WIDTH + 1], left[48] = "", line[256];
    unsigned columns = term_live_columns(fileno(to));
    uint64_t now = vt_mono_ns();
    if (!bar->begun_ns) bar->begun_ns = now;
    if (!columns || !due(&bar->last_ns)) return;
    double share = size ? (double)(done < size ? done : size) / (double)size : 0;
    double elapsed = (double)(now - bar->begun_ns) / 1e9;
    if (share > 0.02 && elapsed > 0.5) snprintf(left, sizeof(left), ", %.0f s left", elapsed * (1 - share) / share + 0.5);
    unsigned taken = (unsigned)(strlen(what) + strlen(left)) + 9; /* "what [] 100 %" */
    unsigned width = columns > taken + BAR_WIDTH ? BAR_WIDTH : columns > taken + BAR_LEAST ? columns - taken : 0;
    for (unsigned i = 0; i < width; i++) marks[i] = i < (unsigned)(share * width) ? '#' : '.';
    marks[width] = 0;
    snprintf(line, sizeof(line), "%s %s%s%s%3d %%%s", what, width ? "[" : "", marks, width ? "] " : "", (int)(share * 100), left);
    bar->shown = redraw(to, line, columns, bar->shown);
}

void progress_bar_clear(struct progress_bar *bar, FILE *to) {
    if (bar->shown) erase(to, bar->shown);
    bar->shown = 0;
}

void progress_saving(struct progress *p, uint64_t done, uint64_t size) {
    if (!p->on) return;
    p->saving.shown = p->shown;
    progress_bar_show(&p->saving, stdout, "Saving", done, size);
    p->shown = p->saving.shown;
}

void progress_clear(struct progress *p) {
    if (p->shown) erase(stdout, p->shown);
    p->shown = 0;
}
