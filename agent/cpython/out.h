/* The text of a value in the making. Nothing is written past the limits; what does not fit sets `full`. Any thread, no Python. */
#ifndef VT_AGENT_OUT_H
#define VT_AGENT_OUT_H

#include "agent/cpython/base.h"

enum { OUT_DEPTH_MAX = 16 };

struct out {
    char *to;
    uint32_t room, len;    /* bytes */
    uint32_t limit, chars; /* characters */
    bool full;
    uint32_t depth;
    const void *around[OUT_DEPTH_MAX]; /* the containers that we are in */
    const void *main_interpreter;      /* repr.c */
    /* value.c: writes a value that is inside of another, of any type */
    void (*any)(struct out *out, void *value);
};

/* Whole characters of a UTF-8 text; characters of one byte each; a NUL-terminated text; a decimal number. */
void put(struct out *out, const char *bytes, int64_t len);
void put_ascii(struct out *out, const char *bytes, uint64_t len);
void put_text(struct out *out, const char *text);
void put_number(struct out *out, int64_t number);
/* With leading zeros up to `width` digits. */
void put_digits(struct out *out, uint64_t number, uint32_t width);
/* The last `digits` hexadecimal digits. */
void put_hex(struct out *out, uint64_t number, uint32_t digits);
void put_address(struct out *out, const void *address);
/* One character by its code point. */
void put_char(struct out *out, uint32_t c);
/* Ends a text that is full. */
void mark_cut(struct out *out);
/* Enters a container; false when it is one that we are in, or too deep. To leave it: depth--. */
bool go_in(struct out *out, const void *value);

#endif
