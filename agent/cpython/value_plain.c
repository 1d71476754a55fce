/* Owns the texts of numbers and strings whose exact types run no code of the target. */
#include "agent/cpython/layout.h"
#include "agent/cpython/py_api.h"
#include "agent/cpython/repr.h"
#include "agent/cpython/value_put.h"

enum { LONG_EXACT_DIGITS = 40, LONG_BITS = 30, LONG_SIGN_BITS = 3, BILLION = 1000000000, BILLION_DIGITS = 9 };

/* ---- plain values: no code of the target runs, no exception is raised or cleared ---- */

static bool put_long(struct out *out, void *value) {
    int overflow = 0;
    long number = py.PyLong_AsLongAndOverflow(value, &overflow);
    if (!overflow) put_number(out, number);
    return !overflow;
}

static bool put_float(struct out *out, void *value) {
    enum { ADD_DOT_0 = 2 };
    char *text = py.PyOS_double_to_string(py.PyFloat_AsDouble(value), 'r', 0, ADD_DOT_0, NULL);
    if (!text) return false;
    put_text(out, text);
    py.PyMem_Free(text);
    return true;
}

static void put_escaped(struct out *out, uint8_t c, char quote) {
    static const char hex[] = "0123456789abcdef";
    char text[4] = {'\\', (char)c, hex[c >> 4], hex[c & 15]};
    uint32_t n = 2;
    if (c == '\n')
        text[1] = 'n';
    else if (c == '\t')
        text[1] = 't';
    else if (c == '\r')
        text[1] = 'r';
    else if (c != '\\' && c != (uint8_t)quote)
        text[1] = 'x', n = 4;
    put_ascii(out, text, n);
}

/* Only compact ASCII strings: their bytes follow the head. Reads no more of it than fits. */
static bool put_ascii_str(struct out *out, const void *value) {
    uint64_t n;
    const char *bytes = str_ascii(value, &n);
    if (!bytes) return false;
    uint64_t seen = n < out->limit ? n : out->limit, odd = 0, single = 0, twice = 0;
    for (uint64_t i = 0; i < seen; i++) {
        uint8_t c = (uint8_t)bytes[i];
        odd += c < 0x20 || c == 0x7f || c == '\\';
        single += c == '\'';
        twice += c == '"';
    }
    char quote = single && !twice ? '"' : '\'';
    put_ascii(out, &quote, 1);
    if (!odd && (!single || quote == '"')) {
        put_ascii(out, bytes, seen);
    } else {
        for (uint64_t i = 0; i < seen && !out->full; i++) {
            uint8_t c = (uint8_t)bytes[i];
            if (c < 0x20 || c == 0x7f || c == '\\' || c == (uint8_t)quote)
                put_escaped(out, c, quote);
            else
                put_ascii(out, bytes + i, 1);
        }
    }
    if (!out->full) put_ascii(out, &quote, 1);
    out->full |= seen < n;
    return true;
}

/* True: the value was written. False: nothing was written. */
bool put_plain(struct out *out, void *value) {
    const void *type = type_of(value);
    if (type == py.PyLong_Type) return put_long(out, value);
    if (type == py.PyUnicode_Type) return put_ascii_str(out, value);
    if (type == py.PyFloat_Type) return put_float(out, value);
    if (value == py._Py_NoneStruct)
        put_ascii(out, "None", 4);
    else if (value == py._Py_TrueStruct)
        put_ascii(out, "True", 4);
    else if (value == py._Py_FalseStruct)
        put_ascii(out, "False", 5);
    else
        return false;
    return true;
}

/* ---- long ints ---- */

/* Digits of 30 bits, least significant first. From 3.12 on the count is above three bits that hold the sign. */
struct big {
    const uint32_t *digits;
    int64_t n;
    bool negative;
};

static struct big big_of(const void *value) {
    int64_t size = (int64_t)field(value, LONG_SIZE);
    struct big big = {(const uint32_t *)(const void *)((const char *)value + LONG_DIGITS), size, size < 0};
    if (layout.python >= 0x30c) {
        big.n = size >> LONG_SIGN_BITS;
        big.negative = (size & 3) == 2;
    } else if (size < 0) {
        big.n = -size;
    }
    return big;
}

static void put_decimal(struct out *out, const struct big *big) {
    uint32_t left[LONG_EXACT_DIGITS], parts[LONG_EXACT_DIGITS + 6], n = 0; /* 30 bits are a little more than 9 digits */
    int64_t used = big->n;
    memcpy(left, big->digits, (size_t)used * sizeof *left);
    while (used && n < LONG_EXACT_DIGITS + 6) {
        uint64_t rest = 0;
        for (int64_t i = used; i--; rest %= BILLION) {
            rest = rest << LONG_BITS | left[i];
            left[i] = (uint32_t)(rest / BILLION);
        }
        parts[n++] = (uint32_t)rest;
        while (used && !left[used - 1]) used--;
    }
    if (n) put_digits(out, parts[--n], 1);
    while (n) put_digits(out, parts[--n], BILLION_DIGITS);
}

/* Takes the same time for any size of number. */
static void put_hexadecimal(struct out *out, const struct big *big) {
    int64_t top = big->n - 1, bits = top * LONG_BITS + 32 - __builtin_clz(big->digits[top] | 1);
    put_text(out, "0x");
    for (int64_t at = (bits + 3) / 4; at-- && !out->full;) {
        int64_t i = at * 4 / LONG_BITS;
        uint64_t two = big->digits[i] | (i < top ? (uint64_t)big->digits[i + 1] << LONG_BITS : 0);
        put_hex(out, two >> at * 4 % LONG_BITS, 1);
    }
}

void put_int(struct out *out, void *value) {
    if (put_long(out, value)) return;
    struct big big = big_of(value);
    if (big.negative) put_ascii(out, "-", 1);
    if (big.n <= LONG_EXACT_DIGITS)
        put_decimal(out, &big);
    else
        put_hexadecimal(out, &big);
}

bool int_words(const void *value, uint64_t words[2]) {
    struct big big = big_of(value);
    unsigned __int128 all = 0;
    for (int64_t i = big.n < 5 ? big.n : 5; i--;) all = all << LONG_BITS | big.digits[i];
    words[0] = (uint64_t)(all >> 64);
    words[1] = (uint64_t)all;
    return !big.negative && big.n <= 5;
}

/* ---- strings ---- */

bool value_str_is(const void *str, const char *text) {
    uint64_t len, n = strlen(text);
    if (!str || type_of(str) != py.PyUnicode_Type) return false;
    const char *bytes = str_ascii(str, &len);
    return bytes && len == n && !memcmp(bytes, text, n);
}

void put_chars(struct out *out, void *str) {
    uint64_t n;
    const char *bytes = str_ascii(str, &n);
    if (bytes) {
        put_ascii(out, bytes, n);
        return;
    }
    int64_t len = py.PyUnicode_GetLength(str);
    for (int64_t i = 0; i < len && !out->full; i++) {
        uint32_t c = py.PyUnicode_ReadChar(str, i);
        put_char(out, c >= 0xd800 && c < 0xe000 ? '?' : c);
    }
}

static char quote_of(bool single, bool twice) { return single && !twice ? '"' : '\''; }

void put_str(struct out *out, void *value) {
    if (put_ascii_str(out, value)) return;
    int64_t n = py.PyUnicode_GetLength(value), seen = n < (int64_t)out->limit ? n : (int64_t)out->limit;
    bool single = false, twice = false;
    for (int64_t i = 0; i < seen; i++) {
        uint32_t c = py.PyUnicode_ReadChar(value, i);
        single |= c == '\'';
        twice |= c == '"';
    }
    char quote = quote_of(single, twice);
    put_ascii(out, &quote, 1);
    for (int64_t i = 0; i < seen && !out->full; i++) {
        uint32_t c = py.PyUnicode_ReadChar(value, i);
        if (c < 0x20 || c == 0x7f || c == '\\' || c == (uint32_t)quote) {
            put_escaped(out, (uint8_t)c, quote);
        } else if (c < 0x7f || py._PyUnicode_IsPrintable(c)) {
            put_char(out, c);
        } else {
            put_text(out, c < 0x100 ? "\\x" : c < 0x10000 ? "\\u" : "\\U");
            put_hex(out, c, c < 0x100 ? 2 : c < 0x10000 ? 4 : 8);
        }
    }
    if (!out->full) put_ascii(out, &quote, 1);
    out->full |= seen < n;
}

void put_bytes(struct out *out, const uint8_t *bytes, int64_t n, bool array) {
    int64_t seen = n < (int64_t)out->limit ? n : (int64_t)out->limit;
    bool single = false, twice = false;
    for (int64_t i = 0; i < seen; i++) {
        single |= bytes[i] == '\'';
        twice |= bytes[i] == '"';
    }
    char start[2] = {'b', quote_of(single, twice)}, escaped = array ? '\'' : start[1];
    put_ascii(out, start, 2);
    for (int64_t i = 0; i < seen && !out->full; i++) {
        uint8_t c = bytes[i];
        if (c < 0x20 || c >= 0x7f || c == '\\' || c == (uint8_t)escaped)
            put_escaped(out, c, escaped);
        else
            put_ascii(out, (const char *)&bytes[i], 1);
    }
    if (!out->full) put_ascii(out, &start[1], 1);
    out->full |= seen < n;
}

int32_t repr_plain(void *value, char *to, uint32_t room, uint32_t limit) {
    struct out out = {.to = to, .room = room, .limit = limit};
    if (!put_plain(&out, value) || (out.full && out.chars < limit)) return -1; /* elsewhere more of it fits */
    if (out.full) mark_cut(&out);
    return (int32_t)out.len;
}
