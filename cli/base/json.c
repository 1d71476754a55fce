/* Owns how text and numbers look in JSON (json.h). Numbers are written by hand: this is most of the time of a
 * conversion. */
#include "cli/base/json.h"

#include <string.h>

static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                  "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                  "8081828384858687888990919293949596979899";

char *json_put_u64(char *p, uint64_t v) {
    char digits[JSON_NUMBER_MAX], *d = digits + sizeof digits;
    while (v >= 100) {
        d -= 2;
        memcpy(d, digit_pairs + 2 * (v % 100), 2);
        v /= 100;
    }
    if (v >= 10) {
        d -= 2;
        memcpy(d, digit_pairs + 2 * v, 2);
    } else {
        *--d = (char)('0' + v);
    }
    size_t n = (size_t)(digits + sizeof digits - d);
    memcpy(p, d, n);
    return p + n;
}

char *json_put_us(char *p, uint64_t ns) {
    uint32_t part = (uint32_t)(ns % 1000);
    p = json_put_u64(p, ns / 1000);
    p[0] = '.';
    p[1] = (char)('0' + part / 100);
    memcpy(p + 2, digit_pairs + 2 * (part % 100), 2);
    return p + 4;
}

size_t json_utf8_len(const uint8_t *s, size_t n) {
    static const struct {
        uint8_t lead_from, lead_to, second_from, second_to, len;
    } rows[] = {
        {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
        {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (s[0] < rows[i].lead_from || s[0] > rows[i].lead_to) continue;
        if (n < rows[i].len || s[1] < rows[i].second_from || s[1] > rows[i].second_to) return 0;
        for (size_t k = 2; k < rows[i].len; k++)
            if ((s[k] & 0xc0) != 0x80) return 0;
        return rows[i].len;
    }
    return 0;
}

/* The bytes of a lone surrogate of Python ("surrogatepass" UTF-8), else one bad byte. */
static size_t bad_len(const uint8_t *s, size_t n) {
    return n >= 3 && s[0] == 0xed && s[1] >= 0xa0 && s[1] <= 0xbf && (s[2] & 0xc0) == 0x80 ? 3 : 1;
}

static char *put_escape(char *p, uint8_t c) {
    static const char names[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    static const char hex[] = "0123456789abcdef";
    *p++ = '\\';
    for (size_t i = 0; i + 1 < sizeof names; i += 2)
        if ((uint8_t)names[i] == c) {
            *p++ = names[i + 1];
            return p;
        }
    memcpy(p, "u00", 3);
    p[3] = hex[c >> 4];
    p[4] = hex[c & 15];
    return p + 5;
}

/* One character, or U+FFFD for a bad one; *s moves on. */
static char *put_beyond_ascii(char *p, const uint8_t **s, const uint8_t *end) {
    size_t n = json_utf8_len(*s, (size_t)(end - *s));
    if (n) {
        memcpy(p, *s, n);
        *s += n;
        return p + n;
    }
    memcpy(p, "\xef\xbf\xbd", 3);
    *s += bad_len(*s, (size_t)(end - *s));
    return p + 3;
}

char *json_put_text(char *p, const void *text, size_t len) {
    const uint8_t *s = text, *end = s + len;
    while (s < end) {
        if (*s >= 0x20 && *s < 0x7f && *s != '"' && *s != '\\') {
            *p++ = (char)*s++;
            continue;
        }
        if (*s < 0x80) {
            p = put_escape(p, *s++);
            continue;
        }
        p = put_beyond_ascii(p, &s, end);
    }
    return p;
}

char *json_put_string(char *p, const void *text, size_t len) {
    *p++ = '"';
    p = json_put_text(p, text, len);
    *p++ = '"';
    return p;
}

char *utf8_put(char *p, const void *text, size_t len) {
    const uint8_t *s = text, *end = s + len;
    while (s < end) {
        if (*s < 0x80)
            *p++ = (char)*s++;
        else
            p = put_beyond_ascii(p, &s, end);
    }
    return p;
}
