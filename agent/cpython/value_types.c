/* Owns the texts of objects of C types: types of the interpreter and its standard library whose fields are known, and types
 * whose own repr is C code that calls no other object. */
#include "agent/cpython/layout.h"
#include "agent/cpython/py_api.h"
#include "agent/cpython/text.h"
#include "agent/cpython/value_put.h"

enum {
    RANGE_START = 16, /* also a slice: start, stop, step */
    RANGE_STOP = 24,
    RANGE_STEP = 32,
    BYTEARRAY_START = 40,
    BYTEARRAY_SIZE = 16,
    DATE_DATA = 25, /* year in two bytes, most significant first; month, day, hour, minute, second; microsecond in three */
    DATE_HAS_ZONE = 24,
    DATE_ZONE = 40,
    DELTA_DAYS = 24,
    DELTA_SECONDS = 28,
    DELTA_MICROSECONDS = 32,
    DECIMAL_FLAGS = 24,
    DECIMAL_EXPONENT = 32,
    DECIMAL_DIGITS = 40,
    DECIMAL_LENGTH = 48,
    DECIMAL_WORDS = 64,
    DECIMAL_NEGATIVE = 1,
    DECIMAL_INFINITE = 2,
    DECIMAL_NAN = 4,
    DECIMAL_SNAN = 8,
    DECIMAL_WORD_DIGITS = 19
};

static bool is_one(const void *value) {
    uint64_t words[2];
    return type_of(value) == py.PyLong_Type && int_words(value, words) && !words[0] && words[1] == 1;
}

static void put_fields_of_range(struct out *out, void *value, bool always_step) {
    void *items[3] = {field(value, RANGE_START), field(value, RANGE_STOP), field(value, RANGE_STEP)};
    put_ascii(out, "(", 1);
    value_put_items(out, items, always_step || !is_one(items[2]) ? 3 : 2);
    put_ascii(out, ")", 1);
}

static void put_range(struct out *out, void *value) {
    put_text(out, "range");
    put_fields_of_range(out, value, false);
}

static void put_slice(struct out *out, void *value) {
    put_text(out, "slice");
    put_fields_of_range(out, value, true);
}

static void put_bytearray(struct out *out, void *value) {
    put_text(out, "bytearray(");
    put_bytes(out, field(value, BYTEARRAY_START), (int64_t)field(value, BYTEARRAY_SIZE), layout.python < 0x30f);
    put_ascii(out, ")", 1);
}

/* ---- datetime ---- */

static void put_numbers(struct out *out, const int32_t *numbers, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        if (i) put_ascii(out, ", ", 2);
        put_number(out, numbers[i]);
    }
}

static void put_date(struct out *out, void *value) {
    const uint8_t *data = (const uint8_t *)value + DATE_DATA;
    const int32_t numbers[] = {data[0] << 8 | data[1], data[2], data[3]};
    put_text(out, "datetime.date(");
    put_numbers(out, numbers, 3);
    put_ascii(out, ")", 1);
}

static void put_datetime(struct out *out, void *value) {
    const uint8_t *data = (const uint8_t *)value + DATE_DATA;
    const int32_t numbers[] = {
        data[0] << 8 | data[1], data[2], data[3], data[4], data[5], data[6], data[7] << 16 | data[8] << 8 | data[9]};
    put_text(out, "datetime.datetime(");
    put_numbers(out, numbers, numbers[6] ? 7 : numbers[5] ? 6 : 5);
    if (*((const uint8_t *)value + DATE_HAS_ZONE)) {
        put_text(out, ", tzinfo=");
        if (!out->full) out->any(out, field(value, DATE_ZONE));
    }
    put_ascii(out, ")", 1);
}

static void put_timedelta(struct out *out, void *value) {
    static const char *const names[] = {"days=", "seconds=", "microseconds="};
    static const uint32_t at[] = {DELTA_DAYS, DELTA_SECONDS, DELTA_MICROSECONDS};
    bool any = false;
    put_text(out, "datetime.timedelta(");
    for (int i = 0; i < 3; i++) {
        int32_t number = (int32_t)field32(value, at[i]);
        if (!number) continue;
        if (any) put_ascii(out, ", ", 2);
        put_text(out, names[i]);
        put_number(out, number);
        any = true;
    }
    put_text(out, any ? ")" : "0)");
}

/* ---- Decimal: writes digits and exponent itself, because its repr may create a context for the thread ---- */

static void put_coefficient(struct out *out, const uint64_t *words, int64_t n, int64_t digits, int64_t exponent) {
    char text[DECIMAL_WORD_DIGITS];
    int64_t left = digits + exponent; /* digits before the point */
    bool scientific = exponent > 0 || left <= -6;
    int64_t point = exponent == 0 ? digits : scientific ? 1 : left, seen = 0;
    if (point <= 0) {
        put_text(out, "0.");
        for (int64_t i = point; i < 0; i++) put_ascii(out, "0", 1);
    }
    for (int64_t i = n; i-- && !out->full;) {
        uint64_t word = words[i];
        int64_t have = i == n - 1 ? digits - (n - 1) * DECIMAL_WORD_DIGITS : DECIMAL_WORD_DIGITS;
        if (have < 1 || have > DECIMAL_WORD_DIGITS) return;
        for (int64_t k = have; k--; word /= 10) text[k] = (char)('0' + word % 10);
        for (int64_t k = 0; k < have && !out->full; k++, seen++) {
            if (seen && seen == point) put_ascii(out, ".", 1);
            put_ascii(out, text + k, 1);
        }
    }
    if (!scientific) return;
    put_text(out, left > 0 ? "E+" : "E");
    put_number(out, left - 1);
}

static void put_decimal_number(struct out *out, void *value) {
    uint8_t flags = *((const uint8_t *)value + DECIMAL_FLAGS);
    int64_t n = (int64_t)field(value, DECIMAL_LENGTH), digits = (int64_t)field(value, DECIMAL_DIGITS);
    const uint64_t *words = field(value, DECIMAL_WORDS);
    put_text(out, flags & DECIMAL_NEGATIVE ? "Decimal('-" : "Decimal('");
    if (flags & DECIMAL_INFINITE)
        put_text(out, "Infinity");
    else if (flags & (DECIMAL_NAN | DECIMAL_SNAN))
        put_text(out, flags & DECIMAL_NAN ? "NaN" : "sNaN");
    else
        put_coefficient(out, words, n, digits, (int64_t)field(value, DECIMAL_EXPONENT));
    put_text(out, "')");
}

/* ---- the table ---- */

/* Its repr makes a str from texts and numbers that it owns. */
static void put_own(struct out *out, void *value) {
    struct text text;
    void *(*repr)(void *) = (void *(*)(void *))(uint64_t)field(type_of(value), TYPE_REPR);
    void *str = repr(value);
    if (!str) py.PyErr_Clear();
    text_of_unicode(&text, str);
    put(out, text.bytes, text.len);
    text_done(&text);
    if (str) py.Py_DecRef(str);
}

static const struct known {
    const char *name;
    uint64_t size; /* size of an object in the layout used here; 0 = any */
    void (*put)(struct out *, void *);
} knowns[] = {
    {"range", 48, put_range},
    {"slice", 40, put_slice},
    {"bytearray", 56, put_bytearray},
    {"bytearray", 64, put_bytearray},
    {"datetime.datetime", 48, put_datetime},
    {"datetime.date", 32, put_date},
    {"datetime.timedelta", 40, put_timedelta},
    {"decimal.Decimal", 104, put_decimal_number},
    {"complex", 0, put_own},
    {"ellipsis", 0, put_own},
    {"NotImplementedType", 0, put_own},
    {"object", 0, put_own},
    {"function", 0, put_own},
    {"code", 0, put_own},
    {"builtin_function_or_method", 0, put_own},
    {"cell", 0, put_own},
    {"method_descriptor", 0, put_own},
    {"wrapper_descriptor", 0, put_own},
};

bool value_put_known(struct out *out, void *value) {
    const void *type = type_of(value);
    uint32_t flags = field32(type, TYPE_FLAGS);
    if (flags & TYPE_FLAG_ON_HEAP && !(flags & TYPE_FLAG_IMMUTABLE && layout.python >= 0x30a)) return false;
    for (size_t i = 0; i < sizeof knowns / sizeof *knowns; i++) {
        if (!text_equal(field(type, TYPE_NAME), knowns[i].name)) continue;
        if (knowns[i].size && knowns[i].size != (uint64_t)field(type, TYPE_SIZEOF)) continue;
        knowns[i].put(out, value);
        return true;
    }
    return false;
}
