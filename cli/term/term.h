/* The terminal behind stdout: how wide it is, whether it has colours, and text cut to fit. */
#ifndef VT_CLI_TERM_H
#define VT_CLI_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/base/clean_text.h"

struct term {
    unsigned width; /* columns; 0 = no limit (not a terminal, and COLUMNS is not set) */
    bool colour;
};
/* For stdout. Width: COLUMNS, else that of the terminal. Colour: on a terminal that is not "dumb", unless NO_COLOR is set. */
void term_init(struct term *term);
/* No escape sequences are wanted: a dumb terminal, or NO_COLOR is set. */
bool term_plain(void);
/* The columns of a line that is rewritten again and again on fd, as the terminal is now. 0 = there is to be no such line: no
 * terminal, or a dumb one. */
unsigned term_live_columns(int fd);
/* An escape sequence, or "" without colour. */
const char *term_bold(const struct term *term);
const char *term_dim(const struct term *term);
const char *term_red(const struct term *term);
const char *term_off(const struct term *term);

/* Prints clean text cut at its beginning to at most width columns (0 = no limit). */
void term_put_tail(const char *clean, unsigned width);

#endif
