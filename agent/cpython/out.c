/* Owns the growing text of a value: at most `limit` characters in at most `room` bytes, and the containers it is inside of. */
#include "agent/cpython/out.h"

enum { SHORT = 24 /* up to here a loop is faster than a string instruction */ };
static const char cut_mark[] = "...";

/* Copies whole characters of a UTF-8 text while there is room. */
void put(struct out *out, const char *bytes, int64_t len) {
    for (int64_t at = 0; at < len && !out->full;) {
        int64_t n = 1;
        while (at + n < len && ((uint8_t)bytes[at + n] & 0xc0) == 0x80) n++;
        if (out->chars == out->limit || (uint64_t)n > out->room - out->len) {
            out->full = true;
            break;
        }
        memcpy(out->to + out->len, bytes + at, (size_t)n);
        out->len += (uint32_t)n;
        out->chars++;
        at += n;
    }
}

/* Copies characters of one byte each. */
void put_ascii(struct out *out, const char *bytes, uint64_t len) {
    uint64_t room = out->room - out->len, chars = out->limit - out->chars, n = len;
    if (n > room) n = room;
    if (n > chars) n = chars;
    char *to = out->to + out->len;
    if (n > SHORT)
        memcpy(to, bytes, n);
    else
        for (uint64_t i = 0; i < n; i++) to[i] = bytes[i];
    out->len += (uint32_t)n;
    out->chars += (uint32_t)n;
    out->full |= n < len;
}

void put_text(struct out *out, const char *text) { put(out, text, (int64_t)strlen(text)); }

void put_digits(struct out *out, uint64_t number, uint32_t width) {
    char digits[24];
    uint32_t at = sizeof digits;
    do digits[--at] = (char)('0' + number % 10), number /= 10;
    while (number);
    while (at && sizeof digits - at < width) digits[--at] = '0';
    put_ascii(out, digits + at, sizeof digits - at);
}

void put_number(struct out *out, int64_t number) {
    if (number < 0) put_ascii(out, "-", 1);
    put_digits(out, number < 0 ? -(uint64_t)number : (uint64_t)number, 1);
}

void put_hex(struct out *out, uint64_t number, uint32_t digits) {
    char text[16];
    for (uint32_t i = 0; i < digits; i++) text[i] = "0123456789abcdef"[number >> 4 * (digits - 1 - i) & 15];
    put_ascii(out, text, digits);
}

void put_address(struct out *out, const void *address) {
    uint32_t digits = 16;
    while (digits > 1 && !((uint64_t)address >> 4 * (digits - 1))) digits--;
    put_text(out, "0x");
    put_hex(out, (uint64_t)address, digits);
}

void put_char(struct out *out, uint32_t c) {
    char text[4] = {(char)c};
    int64_t n = 1;
    if (c >= 0x80) {
        n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        for (int64_t i = n - 1; i > 0; i--, c >>= 6) text[i] = (char)(0x80 | (c & 0x3f));
        text[0] = (char)((0xf00u >> n & 0xff) | c);
    }
    put(out, text, n);
}

void mark_cut(struct out *out) {
    uint32_t mark = (uint32_t)sizeof cut_mark - 1, keep = out->limit > mark ? out->limit - mark : 0;
    if (!keep) return;
    while (out->len && (out->chars > keep || out->room - out->len < mark)) {
        while (--out->len && ((uint8_t)out->to[out->len] & 0xc0) == 0x80) continue;
        out->chars--;
    }
    memcpy(out->to + out->len, cut_mark, mark);
    out->len += mark;
}

/* False when we are already inside this container, or too deep. */
bool go_in(struct out *out, const void *value) {
    for (uint32_t i = 0; i < out->depth; i++)
        if (out->around[i] == value) return false;
    if (out->depth == OUT_DEPTH_MAX) return false;
    out->around[out->depth++] = value;
    return true;
}
