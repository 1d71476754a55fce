/* Numbers as people read them. Each writes into buf, cut to its size, and returns buf. */
#ifndef VT_CLI_FIGURES_H
#define VT_CLI_FIGURES_H

#include <stddef.h>
#include <stdint.h>

/* "1.234 s", "165.9 ms", "12.3 us", "950 ns" into buf[16]. */
char *format_duration(char *buf, uint64_t ns);
/* "1,234,567" */
char *format_count(char *buf, size_t size, uint64_t n);
/* "1 thread", "1,234 threads", "0 processes": the count and the noun, which is given in the singular. */
char *format_things(char *buf, size_t size, uint64_t n, const char *noun);
/* "950 B", "12.3 MB"; 1 kB = 1000 bytes */
char *format_bytes(char *buf, size_t size, uint64_t n);
/* "0.80 ms", "1.2 s" */
char *format_ns(char *buf, size_t size, uint64_t ns);

/* How many events a file gets: one for each call, and for each piece of a generator or coroutine, which is not a call of its own.
 * events: begins and ends that were recorded. */
static inline uint64_t figures_pieces(uint64_t calls, uint64_t events) { return events / 2 > calls ? events / 2 : calls; }

#endif
