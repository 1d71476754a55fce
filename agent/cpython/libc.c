/* Owns the C library functions that a compiler may call by itself, and small string helpers: the agent imports nothing.
 * They are hidden: the target's own functions of these names stay in use in the target. */
#include "agent/cpython/base.h"

#include "agent/cpython/arch.h"

void *memcpy(void *to, const void *from, size_t n) { return arch_copy(to, from, n); }

void *memmove(void *to, const void *from, size_t n) {
    char *t = to;
    const char *f = from;
    if (t <= f || t >= f + n) return memcpy(to, from, n);
    for (size_t i = n; i; i--) ((volatile char *)t)[i - 1] = f[i - 1];
    return to;
}

void *memset(void *to, int byte, size_t n) { return arch_fill(to, byte, n); }

int memcmp(const void *a, const void *b, size_t n) {
    const unsigned char *x = a, *y = b;
    for (size_t i = 0; i < n; i++)
        if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
    return 0;
}

size_t strlen(const char *s) {
    const volatile char *p = s;
    while (*p) p++;
    return (size_t)(p - s);
}

bool text_equal(const char *a, const char *b) {
    size_t i = 0;
    while (a[i] && a[i] == b[i]) i++;
    return a[i] == b[i];
}

void text_append(char *text, size_t size, const char *more) {
    size_t at = strlen(text), i = 0;
    for (; more[i] && at + 1 < size; i++) text[at++] = more[i];
    text[at] = 0;
}

void text_append_number(char *text, size_t size, int64_t number) {
    char digits[24];
    size_t at = sizeof digits;
    uint64_t left = number < 0 ? -(uint64_t)number : (uint64_t)number;
    digits[--at] = 0;
    do digits[--at] = (char)('0' + left % 10), left /= 10;
    while (left);
    if (number < 0) digits[--at] = '-';
    text_append(text, size, digits + at);
}
