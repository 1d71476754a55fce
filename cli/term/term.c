/* Owns what is known about the terminal and how foreign text is shown on it (term.h). */
#include "cli/term/term.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/base/json.h"

#define CUT "\xe2\x80\xa6" /* one column: ... */

void term_init(struct term *term) {
    const char *columns = getenv("COLUMNS"), *no_color = getenv("NO_COLOR"), *kind = getenv("TERM");
    struct winsize size;
    bool tty = isatty(STDOUT_FILENO) == 1;
    long n = columns ? strtol(columns, NULL, 10) : 0;
    *term = (struct term){.colour = tty && !(no_color && *no_color) && kind && *kind && strcmp(kind, "dumb")};
    if (n > 0 && n < 100000)
        term->width = (unsigned)n;
    else if (tty)
        term->width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
    if (term->width && term->width < 40) term->width = 40; /* narrower and nothing can be told */
}

const char *term_bold(const struct term *term) { return term->colour ? "\033[1m" : ""; }
const char *term_dim(const struct term *term) { return term->colour ? "\033[2m" : ""; }
const char *term_red(const struct term *term) { return term->colour ? "\033[31m" : ""; }
const char *term_off(const struct term *term) { return term->colour ? "\033[0m" : ""; }

/* s: a valid sequence of n bytes. */
static uint32_t code_point(const uint8_t *s, size_t n) {
    uint32_t c = n == 1 ? s[0] : s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) c = c << 6 | (s[i] & 0x3fu);
    return c;
}

struct range {
    uint32_t from, to;
};
static bool is_in(const struct range *ranges, size_t n, uint32_t c) {
    for (size_t i = 0; i < n; i++)
        if (c >= ranges[i].from && c <= ranges[i].to) return true;
    return false;
}

static bool is_harmful(uint32_t c) {
    static const struct range ranges[] = {{0, 0x1f},        {0x7f, 0x9f},      {0x61c, 0x61c},   {0x200b, 0x200f},
                                          {0x2028, 0x202e}, {0x2060, 0x206f},  {0xfeff, 0xfeff}, {0xfff9, 0xfffb},
                                          {0xfffe, 0xffff}, {0xe0000, 0xe007f}};
    return is_in(ranges, VT_ARRAY_LEN(ranges), c);
}

static unsigned columns_of(uint32_t c) {
    static const struct range none[] = {{0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x610, 0x61a},   {0x64b, 0x65f},
                                        {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}};
    static const struct range two[] = {{0x1100, 0x115f},   {0x2e80, 0xa4cf},   {0xac00, 0xd7a3},  {0xf900, 0xfaff},
                                       {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},  {0x1f300, 0x1f64f},
                                       {0x1f680, 0x1f6ff}, {0x1f900, 0x1faff}, {0x20000, 0x3fffd}};
    if (c < 0x300) return 1;
    return is_in(none, VT_ARRAY_LEN(none), c) ? 0 : is_in(two, VT_ARRAY_LEN(two), c) ? 2 : 1;
}

char *term_clean(char *to, const void *text, size_t len) {
    const uint8_t *s = text, *end = s + len;
    char *p = to;
    if (len > TERM_TEXT - 8) { /* what comes last tells functions apart */
        s = end - (TERM_TEXT - 8);
        while (s < end && (*s & 0xc0) == 0x80) s++;
        p = memcpy(p, CUT, 3) + 3;
    }
    while (s < end) {
        size_t n = *s < 0x80 ? 1 : json_utf8_len(s, (size_t)(end - s));
        if (!n || is_harmful(code_point(s, n))) {
            *p++ = '?';
            s += n ? n : 1;
            continue;
        }
        memcpy(p, s, n);
        p += n;
        s += n;
    }
    *p = 0;
    return to;
}

static size_t next_char(const char *s, unsigned *columns) {
    const uint8_t *u = (const uint8_t *)s;
    size_t n = *u < 0x80 ? 1 : json_utf8_len(u, strlen(s));
    if (!n) n = 1;
    *columns = columns_of(code_point(u, n));
    return n;
}

unsigned term_columns(const char *clean) {
    unsigned all = 0, one;
    for (; *clean; all += one) clean += next_char(clean, &one);
    return all;
}

void term_put_tail(const char *clean, unsigned width) {
    unsigned all = term_columns(clean), one;
    if (!width || all <= width) {
        fputs(clean, stdout);
        return;
    }
    for (; *clean && all + 1 > width; all -= one) clean += next_char(clean, &one);
    printf(CUT "%s", clean);
}

/* The tail of a path that fits, from a slash on where there is one; NULL = not even the file's own name does. */
static const char *path_tail(const char *path, unsigned width) {
    if (term_columns(path) <= width) return path;
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/'))
        if (term_columns(slash) + 1 <= width) return slash;
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    return term_columns(base) <= width ? base : NULL;
}

char *term_short_name(char *to, const struct trace_name *name) {
    char owner[TERM_TEXT], what[TERM_TEXT], both[2 * TERM_TEXT];
    if (!name->kind || !name->file_len) return term_clean(to, name->name, name->name_len);
    term_clean(owner, name->file, name->file_len);
    term_clean(what, name->name, name->name_len);
    int n = snprintf(both, sizeof both, "%s.%s", owner, what);
    return term_clean(to, both, (size_t)n);
}

void term_put_name(const struct term *term, const struct trace_name *name, unsigned width) {
    char what[TERM_TEXT], file[TERM_TEXT], line[16];
    term_short_name(what, name);
    if (name->kind) { /* of C functions the owner gives way */
        term_put_tail(what, width);
        return;
    }
    term_clean(file, name->file, name->file_len);
    snprintf(line, sizeof line, ":%u", name->line);
    unsigned taken = term_columns(what) + (unsigned)strlen(line) + 3;
    const char *path = !width ? file : width > taken ? path_tail(file, width - taken) : NULL;
    if (!path) {
        term_put_tail(what, width);
        return;
    }
    printf("%s %s(%s%s%s)%s", what, term_dim(term), path != file && *path == '/' ? CUT : "", path, line, term_off(term));
}

char *term_duration(char *buf, uint64_t ns) {
    static const struct {
        double unit;
        const char *name;
    } units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}};
    for (size_t i = 0; i < VT_ARRAY_LEN(units); i++) {
        double v = (double)ns / units[i].unit;
        if (v < 0.99995) continue;
        snprintf(buf, 16, v < 9.9995 ? "%.3f %s" : v < 99.995 ? "%.2f %s" : v < 999.95 ? "%.1f %s" : "%.0f %s", v, units[i].name);
        return buf;
    }
    snprintf(buf, 16, "%u ns", (unsigned)ns);
    return buf;
}
