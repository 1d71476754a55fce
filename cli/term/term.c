/* Owns the width and the colours of the terminal (term.h). */
#include "cli/term/term.h"
#include "cli/base/clean_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool is_dumb(void) {
    const char *kind = getenv("TERM");
    return !kind || !*kind || !strcmp(kind, "dumb");
}

bool term_plain(void) {
    const char *no_color = getenv("NO_COLOR");
    return is_dumb() || (no_color && *no_color);
}

void term_init(struct term *term) {
    const char *columns = getenv("COLUMNS");
    struct winsize size;
    bool tty = isatty(STDOUT_FILENO) == 1;
    long n = columns ? strtol(columns, NULL, 10) : 0;
    *term = (struct term){.colour = tty && !term_plain()};
    if (n > 0 && n < 100000)
        term->width = (unsigned)n;
    else if (tty)
        term->width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
    if (term->width && term->width < 40) term->width = 40; /* below 40 columns nothing useful fits */
}

/* COLUMNS is not told of a new size, so the smaller number counts. */
unsigned term_live_columns(int fd) {
    const char *columns = getenv("COLUMNS");
    struct winsize size;
    if (isatty(fd) != 1 || is_dumb()) return 0;
    long told = columns ? strtol(columns, NULL, 10) : 0;
    long n = ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
    if (told > 0 && (told < n || !n)) n = told;
    if (!n || n > 100000) n = 80;
    return n > 1 ? (unsigned)n - 1 : 1; /* a character in the last column makes some terminals wrap */
}

const char *term_bold(const struct term *term) { return term->colour ? "\033[1m" : ""; }
const char *term_dim(const struct term *term) { return term->colour ? "\033[2m" : ""; }
const char *term_red(const struct term *term) { return term->colour ? "\033[31m" : ""; }
const char *term_off(const struct term *term) { return term->colour ? "\033[0m" : ""; }

void term_put_tail(const char *clean, unsigned width) {
    unsigned all = clean_columns(clean), one;
    if (!width || all <= width) {
        fputs(clean, stdout);
        return;
    }
    for (; *clean && all + 1 > width; all -= one) clean += clean_next(clean, &one);
    printf(CLEAN_CUT "%s", clean);
}
