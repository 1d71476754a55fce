/* Owns small helpers for texts (text.h). */
#include "cli/base/text.h"

#include <string.h>

bool text_ends_with(const char *text, const char *suffix) {
    size_t n = strlen(text), m = strlen(suffix);
    return n > m && memcmp(text + n - m, suffix, m) == 0;
}
