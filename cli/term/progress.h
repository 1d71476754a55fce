/* The live line on a terminal. On anything else it prints nothing. */
#ifndef VT_CLI_PROGRESS_H
#define VT_CLI_PROGRESS_H

#include <stdio.h>

#include "proto/msg.h"

/* Where long work is, from the calls of a convert_opts.progress: share done, and how long it still takes. */
struct progress_bar {
    uint64_t begun_ns, last_ns;
    bool shown;
};
/* One line, rewritten at most ten times a second; to is a terminal. */
void progress_bar_show(struct progress_bar *bar, FILE *to, const char *what, uint64_t done, uint64_t size);
void progress_bar_clear(struct progress_bar *bar, FILE *to);

struct progress {
    bool on;
    bool shown;                  /* a line is on the terminal now */
    uint64_t events, elapsed_ns; /* at the last line, for the rate */
    uint64_t last_ns;
    struct progress_bar saving;
};
void progress_init(struct progress *p, bool quiet);
void progress_stats(struct progress *p, const Vt__Stats *s);
void progress_saving(struct progress *p, uint64_t done, uint64_t size);
void progress_clear(struct progress *p);

#endif
