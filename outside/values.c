/* Owns the text of one value of a target (values.h). The layouts are those of CPython's objects, and only an object of the very
 * type has them: a class that is derived from int may hold anything. The length of a text, the depth and the work are bounded,
 * whatever the memory says. */
#include "outside/values.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outside/objects.h"
#include "outside/text.h"

enum {
    DEPTH_MAX = 8,
    TYPE_NAME_MAX = 64,
    FLOAT_VALUE = 16,
    SEQUENCE_SIZE = 16,
    LIST_ITEMS = 24,
    TUPLE_ITEMS_MAX = 64, /* from the object; its type says where */
    SET_REMOVED = -1,     /* as the hash of an entry */
    LONG_BITS = 30,
    LONG_SIGN_BITS = 3,   /* 3.12+: below the number of digits */
    LONG_DIGITS_MAX = 26, /* in decimal these are fewer characters than a text has */
    BILLION = 1000000000,
    BILLION_DIGITS = 9
};
static const char cut[] = "...";

struct text {
    struct remote *r;
    const struct py_layout *l;
    char *to;
    size_t len;
    bool full;
    uint64_t *work;
    unsigned depth;
    uint64_t around[DEPTH_MAX]; /* the containers that we are in */
};

/* ---- writing ---- */

/* A part that is not to be taken apart. Room for the dots stays. */
static void put(struct text *t, const char *bytes, size_t len) {
    if (t->full || len > VALUE_MAX - sizeof(cut) - t->len) {
        t->full = true;
        return;
    }
    memcpy(t->to + t->len, bytes, len);
    t->len += len;
}

static void put_text(struct text *t, const char *text) { put(t, text, strlen(text)); }

static void put_format(struct text *t, const char *format, ...) VT_PRINTF(2, 3);
static void put_format(struct text *t, const char *format, ...) {
    char text[VALUE_MAX];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    put_text(t, text);
}

static void put_unknown(struct text *t) { put_text(t, "?"); }

/* ---- numbers ---- */

struct number {
    uint32_t digits[LONG_DIGITS_MAX]; /* the least significant first */
    uint64_t n;
    bool negative;
};

static int read_int(struct text *t, uint64_t address, struct number *out) {
    uint64_t size;
    int rc = remote_u64(t->r, address + LONG_SIZE, &size);
    if (rc) return rc;
    *out = (struct number){.negative = t->l->python >= 0x30c ? (size & 3) == 2 : (int64_t)size < 0};
    out->n = t->l->python >= 0x30c ? size >> LONG_SIGN_BITS : out->negative ? -size : size;
    if (out->n > LONG_DIGITS_MAX) return 0;
    return remote_read(t->r, address + LONG_DIGITS, out->digits, out->n * sizeof(*out->digits));
}

static void put_int(struct text *t, uint64_t address) {
    uint32_t parts[LONG_DIGITS_MAX + 4], n = 0; /* of 9 decimal digits; 30 bits are a little more */
    struct number number;
    if (read_int(t, address, &number)) {
        put_unknown(t);
        return;
    }
    if (number.n > LONG_DIGITS_MAX) {
        put_format(t, "<int of %llu bits>", (unsigned long long)number.n * LONG_BITS);
        return;
    }
    while (number.n && n < VT_ARRAY_LEN(parts)) {
        uint64_t rest = 0;
        for (uint64_t i = number.n; i--; rest %= BILLION) {
            rest = rest << LONG_BITS | (number.digits[i] & ((1u << LONG_BITS) - 1));
            number.digits[i] = (uint32_t)(rest / BILLION);
        }
        parts[n++] = (uint32_t)rest;
        while (number.n && !number.digits[number.n - 1]) number.n--;
    }
    put_format(t, "%s%u", number.negative ? "-" : "", n ? parts[n - 1] : 0);
    while (n > 1) put_format(t, "%0*u", BILLION_DIGITS, parts[--n - 1]);
}

static void put_bool(struct text *t, uint64_t address) {
    struct number number;
    if (read_int(t, address, &number) || number.n > 1)
        put_unknown(t);
    else
        put_text(t, number.n && number.digits[0] ? "True" : "False");
}

/* The fewest digits that give the same number again, as repr() does. */
static void put_double(struct text *t, double value) {
    enum { DIGITS_MAX = 17, SCIENTIFIC_FROM = 16, SCIENTIFIC_BELOW = -4 };
    char digits[40], number[64];
    if (!isfinite(value)) {
        put_text(t, isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
        return;
    }
    int count = 1, exponent = 0;
    for (; count <= DIGITS_MAX; count++) {
        snprintf(digits, sizeof(digits), "%.*e", count - 1, value);
        if (strtod(digits, NULL) == value) break;
    }
    const char *e = strchr(digits, 'e');
    if (e) exponent = atoi(e + 1);
    if (exponent < SCIENTIFIC_BELOW || exponent >= SCIENTIFIC_FROM) {
        put_text(t, digits);
        return;
    }
    int decimals = count - 1 - exponent;
    snprintf(number, sizeof(number), "%.*f", decimals > 1 ? decimals : 1, value);
    put_text(t, number);
}

static void put_float(struct text *t, uint64_t address) {
    double value;
    if (remote_read(t->r, address + FLOAT_VALUE, &value, sizeof(value)))
        put_unknown(t);
    else
        put_double(t, value);
}

/* ---- str, bytes ---- */

static void put_char(struct text *t, uint32_t c, char quote, bool bytes) {
    char text[TEXT_UTF8_MAX];
    if (c == '\n' || c == '\t' || c == '\r')
        put_format(t, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
    else if (c == '\\' || c == (uint8_t)quote)
        put_format(t, "\\%c", (char)c);
    else if (c < 0x20 || (c >= 0x7f && c < 0xa0) || (bytes && c >= 0x7f))
        put_format(t, "\\x%02x", c);
    else if ((c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
        put_format(t, c > 0xffff ? "\\U%08x" : "\\u%04x", c);
    else
        put(t, text, text_utf8(text, c));
}

static void put_quoted(struct text *t, const uint32_t *chars, size_t n, bool whole, bool bytes) {
    bool single = false, twice = false;
    for (size_t i = 0; i < n; i++) {
        single |= chars[i] == '\'';
        twice |= chars[i] == '"';
    }
    char quote = single && !twice ? '"' : '\'';
    if (bytes) put_text(t, "b");
    put(t, &quote, 1);
    for (size_t i = 0; i < n && !t->full; i++) put_char(t, chars[i], quote, bytes);
    if (!whole) t->full = true;
    put(t, &quote, 1);
}

static void put_str(struct text *t, uint64_t address) {
    uint32_t chars[VALUE_MAX];
    size_t n = VALUE_MAX;
    bool whole = false;
    if (text_chars(t->r, t->l, address, chars, &n, &whole))
        put_unknown(t);
    else
        put_quoted(t, chars, n, whole, false);
}

static void put_bytes(struct text *t, uint64_t address) {
    uint8_t bytes[VALUE_MAX];
    uint32_t chars[VALUE_MAX];
    uint64_t size;
    int rc = remote_u64(t->r, address + BYTES_SIZE, &size);
    size_t n = size < VALUE_MAX ? (size_t)size : VALUE_MAX;
    if (!rc) rc = remote_read(t->r, address + BYTES_DATA, bytes, n);
    for (size_t i = 0; !rc && i < n; i++) chars[i] = bytes[i];
    if (rc)
        put_unknown(t);
    else
        put_quoted(t, chars, n, size <= VALUE_MAX, true);
}

/* ---- containers ---- */

static void put_value(struct text *t, uint64_t address);

static void put_item(struct text *t, uint64_t item, bool first) {
    if (!first) put_text(t, ", ");
    if (!t->full) put_value(t, item);
}

static void put_items(struct text *t, uint64_t items, uint64_t n) {
    for (uint64_t i = 0; i < n && !t->full; i++) {
        uint64_t item = 0;
        if (remote_u64(t->r, items + 8 * i, &item)) item = 0;
        put_item(t, item, !i);
    }
}

static void put_list(struct text *t, uint64_t address) {
    uint64_t n = 0, items = 0;
    int rc = remote_u64(t->r, address + SEQUENCE_SIZE, &n);
    if (!rc) rc = remote_u64(t->r, address + LIST_ITEMS, &items);
    put_text(t, "[");
    if (rc || n > INT64_MAX / 8)
        put_unknown(t);
    else
        put_items(t, items, n);
    put_text(t, "]");
}

static void put_tuple(struct text *t, uint64_t address) {
    uint64_t n = 0, type = 0, items = 0;
    int rc = remote_u64(t->r, address + SEQUENCE_SIZE, &n);
    if (!rc) rc = remote_u64(t->r, address + OBJECT_TYPE, &type);
    if (!rc) rc = remote_u64(t->r, type + TYPE_SIZEOF, &items); /* the items follow the head */
    put_text(t, "(");
    if (rc || n > INT64_MAX / 8 || items > TUPLE_ITEMS_MAX)
        put_unknown(t);
    else
        put_items(t, address + items, n);
    put_text(t, n == 1 ? ",)" : ")");
}

static void put_dict(struct text *t, uint64_t address) {
    struct object_entries e = {0};
    bool first = true;
    put_text(t, "{");
    if (object_dict(t->r, t->l, address, &e)) put_unknown(t);
    for (uint32_t i = 0; i < e.n && !t->full; i++) {
        uint64_t key, value;
        if (!*t->work) {
            t->full = true;
            break;
        }
        --*t->work;
        if (object_entry(t->r, &e, i, &key, &value)) continue;
        put_item(t, key, first);
        put_text(t, ": ");
        if (!t->full) put_value(t, value);
        first = false;
    }
    put_text(t, "}");
}

static void put_set_items(struct text *t, uint64_t table, uint64_t mask, uint64_t used) {
    for (uint64_t i = 0, seen = 0; i <= mask && seen < used && !t->full; i++) {
        uint64_t entry[2]; /* key, hash */
        if (!*t->work) {
            t->full = true;
            break;
        }
        --*t->work;
        if (remote_read(t->r, table + i * sizeof(entry), entry, sizeof(entry))) {
            put_unknown(t);
            break;
        }
        if (entry[0] && (int64_t)entry[1] != SET_REMOVED) put_item(t, entry[0], !seen++);
    }
}

static void put_any_set(struct text *t, uint64_t address, bool frozen) {
    uint64_t used = 0, mask = 0, table = 0;
    int rc = remote_u64(t->r, address + SET_USED, &used);
    if (!rc) rc = remote_u64(t->r, address + SET_MASK, &mask);
    if (!rc) rc = remote_u64(t->r, address + SET_TABLE, &table);
    if (!rc && !used) {
        put_text(t, frozen ? "frozenset()" : "set()");
        return;
    }
    put_text(t, frozen ? "frozenset({" : "{");
    if (rc || mask > INT32_MAX)
        put_unknown(t);
    else
        put_set_items(t, table, mask, used);
    put_text(t, frozen ? "})" : "}");
}

static void put_set(struct text *t, uint64_t address) { put_any_set(t, address, false); }
static void put_frozenset(struct text *t, uint64_t address) { put_any_set(t, address, true); }

/* ---- all types ---- */

static void put_none(struct text *t, uint64_t address) {
    (void)address;
    put_text(t, "None");
}

static const struct kind {
    const char *type;
    uint32_t flag; /* that this type and those derived from it have; 0 = none */
    void (*put)(struct text *t, uint64_t address);
    const char *inside; /* of a container: what it is inside of itself, or too deep */
} kinds[] = {{"int", TYPE_FLAG_IS_LONG, put_int, NULL},
             {"bool", TYPE_FLAG_IS_LONG, put_bool, NULL},
             {"float", 0, put_float, NULL},
             {"NoneType", 0, put_none, NULL},
             {"str", TYPE_FLAG_IS_STR, put_str, NULL},
             {"bytes", TYPE_FLAG_IS_BYTES, put_bytes, NULL},
             {"list", TYPE_FLAG_IS_LIST, put_list, "[...]"},
             {"tuple", TYPE_FLAG_IS_TUPLE, put_tuple, "(...)"},
             {"dict", TYPE_FLAG_IS_DICT, put_dict, "{...}"},
             {"set", 0, put_set, "{...}"},
             {"frozenset", 0, put_frozenset, "frozenset(...)"}};

static const struct kind *kind_of(const char *name, uint64_t flags) {
    if (flags & TYPE_FLAG_ON_HEAP) return NULL; /* a class of the program may have any name */
    for (size_t i = 0; i < VT_ARRAY_LEN(kinds); i++)
        if (!strcmp(name, kinds[i].type) && (!kinds[i].flag || flags & kinds[i].flag)) return &kinds[i];
    return NULL;
}

static void put_container(struct text *t, const struct kind *kind, uint64_t address) {
    bool inside = t->depth == DEPTH_MAX;
    for (unsigned i = 0; i < t->depth; i++) inside |= t->around[i] == address;
    if (inside) {
        put_text(t, kind->inside);
        return;
    }
    t->around[t->depth++] = address;
    kind->put(t, address);
    t->depth--;
}

/* The name in a type's head has the module, unless the type is a class of the program. */
static void put_other(struct text *t, uint64_t address, uint64_t type, uint64_t flags, const char *name) {
    char module[TYPE_NAME_MAX] = "", qualified[TYPE_NAME_MAX] = "", line[TYPE_NAME_MAX];
    uint64_t dict, at;
    if (flags & TYPE_FLAG_ON_HEAP && !strchr(name, '.')) {
        if (!remote_u64(t->r, type + TYPE_DICT, &dict) && !object_item(t->r, t->l, dict, "__module__", &at) &&
            text_read(t->r, t->l, at, module, sizeof(module)))
            module[0] = 0;
        if (remote_u64(t->r, type + t->l->ht_qualname, &at) || text_read(t->r, t->l, at, qualified, sizeof(qualified)))
            qualified[0] = 0;
    }
    vt_clean_line(line, sizeof(line), qualified[0] ? qualified : name, TYPE_NAME_MAX);
    put_format(t, "<%s%s%s at 0x%llx>", module, module[0] ? "." : "", line, (unsigned long long)address);
}

static void put_value(struct text *t, uint64_t address) {
    char name[TYPE_NAME_MAX];
    uint64_t type, flags;
    if (!*t->work) {
        t->full = true;
        return;
    }
    --*t->work;
    if (object_type(t->r, address, &type, &flags, name, sizeof(name))) {
        put_unknown(t);
        return;
    }
    const struct kind *kind = kind_of(name, flags);
    if (!kind)
        put_other(t, address, type, flags, name);
    else if (kind->inside)
        put_container(t, kind, address);
    else
        kind->put(t, address);
}

void value_read(struct remote *r, const struct py_layout *l, uint64_t address, char to[VALUE_MAX], uint64_t *work) {
    struct text t = {.r = r, .l = l, .to = to, .work = work};
    put_value(&t, address);
    if (t.full) memcpy(to + t.len, cut, sizeof(cut) - 1), t.len += sizeof(cut) - 1;
    to[t.len] = 0;
}
