/* Text for a terminal: how wide it is, whether it has colours, and foreign text made harmless and cut to fit. */
#ifndef VT_CLI_TERM_H
#define VT_CLI_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/trace/trace_info.h"

#define TERM_TEXT 4096u /* room for one piece of text; longer ones lose their beginning */

struct term {
    unsigned width; /* columns; 0 = no limit (not a terminal, and COLUMNS is not set) */
    bool colour;
};
/* Of stdout: COLUMNS, else what the terminal says; colour on a terminal that is not "dumb", unless NO_COLOR is set. */
void term_init(struct term *term);
/* An escape sequence, or "" without colour. */
const char *term_bold(const struct term *term);
const char *term_dim(const struct term *term);
const char *term_red(const struct term *term);
const char *term_off(const struct term *term);

/* text as valid UTF-8 without control characters, line breaks and marks that change direction (each becomes '?'), into
 * to[TERM_TEXT]. Returns to. */
char *term_clean(char *to, const void *text, size_t len);
/* Columns that clean text takes. */
unsigned term_columns(const char *clean);
/* Prints clean text cut at its beginning to at most width columns (0 = no limit). */
void term_put_tail(const char *clean, unsigned width);
/* "qualname" or "module.func", clean, into to[TERM_TEXT]. Returns to. */
char *term_short_name(char *to, const struct trace_name *name);
/* "qualname (file:line)" or "module.func" within width columns (0 = no limit): the path gives way first, from the left. */
void term_put_name(const struct term *term, const struct trace_name *name, unsigned width);
/* "1.234 s", "165.9 ms", "12.3 us", "950 ns" into buf[16]. Returns buf. */
char *term_duration(char *buf, uint64_t ns);

#endif
