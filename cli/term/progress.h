/* The live line on a terminal. Nothing is printed on anything else, nor on a terminal that cannot rewrite a line (TERM=dumb).
 * The line is never wider than the terminal is at that moment, and is rewritten at most four times a second. */
#ifndef VT_CLI_PROGRESS_H
#define VT_CLI_PROGRESS_H

#include <stdio.h>

#include "proto/msg.h"

/* Where long work is, from the calls of a convert_opts.progress: share done, and how long it still takes. All zero at first. */
struct progress_bar {
    uint64_t begun_ns, last_ns;
    unsigned shown; /* columns of the line that is on the terminal now; 0 = none */
};
void progress_bar_show(struct progress_bar *bar, FILE *to, const char *what, uint64_t done, uint64_t size);
void progress_bar_clear(struct progress_bar *bar, FILE *to);

/* What the session will be saved as. */
struct progress_output {
    const char *name;        /* borrowed */
    uint32_t bytes_per_call; /* about; 0 = it is shown how much was recorded */
    uint64_t most_calls;     /* that are written; 0 = all */
    uint64_t whole_above;    /* with more calls it becomes a .vzt of this name, as large as what was recorded; 0 = never */
    const char *whole_name;
};

struct progress {
    bool on;
    unsigned shown;             /* columns of the line that is on the terminal now; 0 = none */
    uint64_t calls, elapsed_ns; /* at the last line, for the rate */
    uint64_t last_ns;
    struct progress_output output;
    struct progress_bar saving;
    char gil[300]; /* who holds the GIL: ", held by thread 4711 ...", or "" */
};
void progress_init(struct progress *p, bool quiet, const struct progress_output *output);
void progress_gil(struct progress *p, const char *held);
void progress_stats(struct progress *p, const Vt__Stats *s);
void progress_saving(struct progress *p, uint64_t done, uint64_t size);
void progress_clear(struct progress *p);

#endif
