/* Any bytes as JSON text: it fits the promised room, has no control character, escapes quotes and backslashes, and is UTF-8. */
#include <stdlib.h>
#include <string.h>

#include "cli/base/json.h"
#include "tests/fuzz/fuzz.h"

/* Decodes one character the slow way: length or 0. */
static size_t utf8(const unsigned char *s, size_t n) {
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
    if (!len || len > n) return 0;
    unsigned code = len == 1 ? s[0] : s[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if (s[i] >> 6 != 2) return 0;
        code = code << 6 | (s[i] & 63);
    }
    return code < least[len] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *out = malloc(JSON_TEXT_MAX(size) + 2);
    if (!out) return 0;
    size_t n = (size_t)(json_put_string(out, data, size) - out);
    if (n > JSON_TEXT_MAX(size) + 2 || out[0] != '"' || out[n - 1] != '"') abort();
    for (size_t i = 1; i < n - 1;) {
        size_t len = utf8((unsigned char *)out + i, n - 1 - i);
        if (!len || (unsigned char)out[i] < 0x20 || out[i] == '"') abort();
        if (out[i] == '\\') {
            if (!memchr("\"\\bfnrtu", out[i + 1], 8) || i + 2 > n - 1) abort();
            len = out[i + 1] == 'u' ? 6 : 2;
        }
        i += len;
    }
    uint64_t number = 0;
    if (size) memcpy(&number, data, size < 8 ? size : 8);
    char digits[JSON_NUMBER_MAX + 1];
    *json_put_u64(digits, number) = 0;
    if (strtoull(digits, NULL, 10) != number) abort();
    free(out);
    return 0;
}
