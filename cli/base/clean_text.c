/* Owns the cleaning and measuring of text for people (clean_text.h). */
#include "cli/base/clean_text.h"

#include <stdbool.h>
#include <string.h>

#include "cli/base/json.h"
#include "proto/base.h"

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

char *clean_text(char *to, const void *text, size_t len) {
    const uint8_t *s = text, *end = s + len;
    char *p = to;
    if (len > CLEAN_TEXT_MAX - 8) { /* the end is kept: it tells functions apart */
        s = end - (CLEAN_TEXT_MAX - 8);
        while (s < end && (*s & 0xc0) == 0x80) s++;
        p = memcpy(p, CLEAN_CUT, 3) + 3;
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

size_t clean_next(const char *s, unsigned *columns) {
    const uint8_t *u = (const uint8_t *)s;
    size_t n = *u < 0x80 ? 1 : json_utf8_len(u, strlen(s));
    if (!n) n = 1;
    *columns = columns_of(code_point(u, n));
    return n;
}

unsigned clean_columns(const char *clean) {
    unsigned all = 0, one;
    for (; *clean; all += one) clean += clean_next(clean, &one);
    return all;
}

const char *clean_command(const char *cmdline) {
    const char *name = cmdline;
    for (const char *c = cmdline; *c && *c != ' '; c++)
        if (*c == '/' && c[1] && c[1] != ' ') name = c + 1;
    return name;
}

char *clean_shorten(char text[CLEAN_TEXT_MAX], unsigned columns) {
    unsigned all = clean_columns(text), used = 0, one;
    size_t at = 0;
    if (all <= columns) return text;
    for (size_t len; len = clean_next(text + at, &one), used + one < columns; at += len) used += one;
    memcpy(text + at, CLEAN_CUT, sizeof CLEAN_CUT);
    return text;
}
