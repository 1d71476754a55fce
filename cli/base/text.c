/* Owns small helpers for texts (text.h). */
#include "cli/base/text.h"

#include <string.h>

bool text_ends_with(const char *text, const char *suffix) {
    size_t n = strlen(text), m = strlen(suffix);
    return n > m && memcmp(text + n - m, suffix, m) == 0;
}

size_t text_one_line(char *to, size_t size, const char *from, size_t len, char other) {
    size_t n = 0;
    for (; n < len && n + 1 < size; n++) to[n] = (unsigned char)from[n] < 0x20 || from[n] == 0x7f ? other : from[n];
    to[n] = 0;
    return n;
}
