/* The live line on a terminal. On anything else it prints nothing. */
#ifndef VT_CLI_PROGRESS_H
#define VT_CLI_PROGRESS_H

#include <stddef.h>

#include "proto/msg.h"

struct progress {
    bool on;
    bool shown;                  /* a line stands there */
    uint64_t events, elapsed_ns; /* at the last line, for the rate */
    uint64_t last_ns;
};
void progress_init(struct progress *p, bool quiet);
void progress_stats(struct progress *p, const Vt__Stats *s);
void progress_saving(struct progress *p, uint64_t done, uint64_t size);
void progress_clear(struct progress *p);

/* "1,234,567" and "12.3 MB", "0.8 ms" into buf; return buf. */
char *format_count(char *buf, size_t size, uint64_t n);
char *format_bytes(char *buf, size_t size, uint64_t n);
char *format_ns(char *buf, size_t size, uint64_t ns);

#endif
