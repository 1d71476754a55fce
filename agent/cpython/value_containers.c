/* Owns the texts of containers and of other built-in types that classes may be derived from. Items are written one by one
 * until the text is full. */
#include "agent/cpython/layout.h"
#include "agent/cpython/py_api.h"
#include "agent/cpython/value_put.h"

/* A set whose table is much larger than its contents is not searched. */
enum { SET_SLOTS_MAX = 16384, SET_SIZEOF = 200, BYTEARRAY_SIZEOF = 56, SEQUENCE_SIZE = 16 };

static bool put_item(struct out *out, void *item, bool first) {
    if (!first) put_ascii(out, ", ", 2);
    if (!out->full) out->any(out, item);
    return !out->full;
}

void value_put_items(struct out *out, void *const *items, int64_t n) {
    for (int64_t i = 0; i < n && put_item(out, items[i], i == 0); i++) continue;
}

static void put_tuple(struct out *out, void *value) {
    int64_t n = py.PyTuple_Size(value);
    put_ascii(out, "(", 1);
    for (int64_t i = 0; i < n && put_item(out, py.PyTuple_GetItem(value, i), i == 0); i++) continue;
    put_text(out, n == 1 ? ",)" : ")");
}

static void put_list(struct out *out, void *value) {
    int64_t n = py.PyList_Size(value);
    put_ascii(out, "[", 1);
    for (int64_t i = 0; i < n && put_item(out, py.PyList_GetItem(value, i), i == 0); i++) continue;
    put_ascii(out, "]", 1);
}

static void put_dict(struct out *out, void *value) {
    int64_t at = 0;
    void *key, *item;
    put_ascii(out, "{", 1);
    for (bool first = true; !out->full && py.PyDict_Next(value, &at, &key, &item); first = false) {
        if (!put_item(out, key, first)) break;
        put_ascii(out, ": ", 2);
        if (!out->full) out->any(out, item);
    }
    put_ascii(out, "}", 1);
}

struct set_entry {
    void *key;
    int64_t hash; /* -1: the entry was removed */
};

static void put_set(struct out *out, void *value, bool frozen) {
    int64_t used = (int64_t)field(value, SET_USED), mask = (int64_t)field(value, SET_MASK), seen = 0;
    const struct set_entry *table = field(value, SET_TABLE);
    if (!used) {
        put_text(out, frozen ? "frozenset()" : "set()");
        return;
    }
    put_text(out, frozen ? "frozenset({" : "{");
    for (int64_t i = 0; i <= mask && seen < used && !out->full; i++) {
        if (i == SET_SLOTS_MAX) out->full = true;
        if (table[i].key && table[i].hash != -1 && !out->full) put_item(out, table[i].key, seen++ == 0);
    }
    put_text(out, frozen ? "})" : "}");
}

static void put_bytes_of(struct out *out, void *value) {
    put_bytes(out, (const uint8_t *)value + BYTES_DATA, (int64_t)field(value, SEQUENCE_SIZE), false);
}

static void put_frozenset(struct out *out, void *value) { put_set(out, value, true); }
static void put_plain_set(struct out *out, void *value) { put_set(out, value, false); }

static const char *around_of(const void *type) {
    return type == py.PyTuple_Type ? "(...)" : type == py.PyList_Type ? "[...]" : "{...}";
}

/* How a value of this type, or of a derived type, is written. */
struct kind {
    const void *type;
    uint32_t flag; /* flag of the types that are derived from this one */
    void (*put)(struct out *, void *);
    bool container;
};

static struct kind kind_of(const void *type) {
    const struct kind kinds[] = {
        {py.PyLong_Type, TYPE_FLAG_IS_LONG, put_int, false},        {py.PyUnicode_Type, TYPE_FLAG_IS_STR, put_str, false},
        {py.PyBytes_Type, TYPE_FLAG_IS_BYTES, put_bytes_of, false}, {py.PyTuple_Type, TYPE_FLAG_IS_TUPLE, put_tuple, true},
        {py.PyList_Type, TYPE_FLAG_IS_LIST, put_list, true},        {py.PyDict_Type, TYPE_FLAG_IS_DICT, put_dict, true},
    };
    uint32_t flags = field32(type, TYPE_FLAGS);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (flags & kinds[i].flag) return kinds[i];
    bool set_holds = (uint64_t)field(py.PySet_Type, TYPE_SIZEOF) == SET_SIZEOF;
    if (type == py.PySet_Type && set_holds) return (struct kind){type, 0, put_plain_set, true};
    if (type == py.PyFrozenSet_Type && set_holds) return (struct kind){type, 0, put_frozenset, true};
    return (struct kind){NULL, 0, NULL, false};
}

static void put_kind(struct out *out, void *value, const struct kind *kind) {
    if (!kind->container) {
        kind->put(out, value);
    } else if (!go_in(out, value)) {
        put_text(out, around_of(kind->type));
    } else {
        kind->put(out, value);
        out->depth--;
    }
}

bool value_put_builtin(struct out *out, void *value) {
    struct kind kind = kind_of(type_of(value));
    if (!kind.put || kind.type != type_of(value)) return false;
    put_kind(out, value, &kind);
    return true;
}

bool value_put_base(struct out *out, void *value) {
    struct kind kind = kind_of(type_of(value));
    if (!kind.put) return false;
    put_ascii(out, " ", 1);
    /* value_put_instance has already entered this value */
    if (!out->full) kind.put(out, value);
    return true;
}
