/* Owns the fields of an instance: reads its dict, the values that replace one, and its slots. It creates no dict and looks
 * nothing up by hash: the __eq__ of a dict's keys may be code of the target. */
#include "agent/cpython/layout.h"
#include "agent/cpython/py_api.h"
#include "agent/cpython/repr.h"
#include "agent/cpython/value_put.h"

enum {
    MANAGED_DICT = -24,   /* offset from the object: the dict; on 3.12 the dict, or values - 1 */
    MANAGED_VALUES = -32, /* 3.11 */
    INLINE_VALID = 3,     /* 3.13+: a byte, the values follow it */
    INLINE_VALUES = 8,
    KEYS_INDEX_BYTES = 9, /* a byte that holds a logarithm */
    KEYS_COUNT = 24,
    KEYS_ENTRIES = 32, /* follow the index */
    MEMBER_NAME = 0,
    MEMBER_TYPE = 8,
    MEMBER_OFFSET = 16,
    MEMBER_SIZE = 40,
    MEMBER_OBJECT = 16, /* Py_T_OBJECT_EX */
    KEYS_MAX = 64       /* CPython shares no more */
};
#define FLAG_INLINE_VALUES (1u << 2)
#define FLAG_MANAGED_DICT (1u << 4)

static bool proved;

struct list {
    struct value_field *fields;
    uint32_t n;
};

static bool add(struct list *list, void *key, const char *name, void *value) {
    if (!value || list->n == FIELDS_MAX) return list->n < FIELDS_MAX;
    list->fields[list->n++] = (struct value_field){key, name, value};
    return true;
}

static void add_dict(struct list *list, void *dict) {
    int64_t at = 0;
    void *key, *value;
    if (!dict || !(field32(type_of(dict), TYPE_FLAGS) & TYPE_FLAG_IS_DICT)) return;
    while (list->n < FIELDS_MAX && py.PyDict_Next(dict, &at, &key, &value))
        if (type_of(key) == py.PyUnicode_Type) add(list, key, NULL, value);
}

static void add_values(struct list *list, const void *type, void *const *values, int64_t most) {
    const char *keys = field(type, layout.ht_qualname + 8);
    int64_t n = keys ? (int64_t)field(keys, KEYS_COUNT) : 0;
    if (n > most || (uint64_t)values % 8) return;
    void *const *entries = n ? (void *const *)(const void *)(keys + KEYS_ENTRIES + (1ull << keys[KEYS_INDEX_BYTES])) : NULL;
    for (int64_t i = 0; i < n; i++) /* an entry is a key and a value */
        if (entries[2 * i]) add(list, entries[2 * i], NULL, values[i]);
}

/* For versions below 3.11, and for objects of C types. */
static void add_dict_at(struct list *list, const char *instance, const void *type) {
    int64_t at = (int64_t)field(type, TYPE_DICT_OFFSET);
    if (at < 0) { /* counted from the end of an object of variable size */
        int64_t n = (int64_t)field(instance, 16);
        if (layout.python >= 0x30c) return;
        n = n < 0 ? -n : n;
        if (n > INT32_MAX) return;
        int64_t size = (int64_t)field(type, TYPE_SIZEOF) + n * (int64_t)field(type, TYPE_ITEM_SIZE);
        at += (size + 7) & ~7ll;
    }
    if (at > 0) add_dict(list, field(instance, (size_t)at));
}

static void add_managed(struct list *list, const char *instance, const void *type) {
    void *dict = *(void *const *)(const void *)(instance + MANAGED_DICT);
    if (layout.python == 0x30b) {
        void *const *values = *(void *const *const *)(const void *)(instance + MANAGED_VALUES);
        if (values)
            add_values(list, type, values, KEYS_MAX);
        else
            add_dict(list, dict);
    } else if (layout.python == 0x30c) {
        if ((uint64_t)dict & 1)
            add_values(list, type, (void *const *)((uint64_t)dict + 1), KEYS_MAX);
        else
            add_dict(list, dict);
    } else if (dict) {
        add_dict(list, dict);
    } else if (field32(type, TYPE_FLAGS) & FLAG_INLINE_VALUES) {
        const char *values = instance + (int64_t)field(type, TYPE_SIZEOF);
        if (values[INLINE_VALID])
            add_values(list, type, (void *const *)(const void *)(values + INLINE_VALUES), (uint8_t)values[0]);
    }
}

/* Adds the fields that `__slots__` made: their member definitions follow the type. */
static void add_slots(struct list *list, const char *instance, const void *type) {
    for (int depth = 0; type && depth < 32; type = field(type, TYPE_BASE), depth++) {
        uint32_t flags = field32(type, TYPE_FLAGS);
        if (!(flags & TYPE_FLAG_ON_HEAP)) break;
        const char *members = field(type, TYPE_MEMBERS);
        uint64_t size = (uint64_t)field(type, TYPE_SIZEOF), n = (uint64_t)field(type, 16);
        if (!members || members != (const char *)type + (int64_t)field(type_of(type), TYPE_SIZEOF) || n > KEYS_MAX) continue;
        for (uint64_t i = 0; i < n; i++, members += MEMBER_SIZE) {
            uint64_t at = (uint64_t)field(members, MEMBER_OFFSET);
            const char *name = field(members, MEMBER_NAME);
            if (!name || field32(members, MEMBER_TYPE) != MEMBER_OBJECT || at < 16 || at + 8 > size) continue;
            add(list, NULL, name, field(instance, at));
        }
    }
}

static uint32_t read_fields(void *instance, struct value_field *fields) {
    struct list list = {fields, 0};
    const void *type = type_of(instance);
    add_slots(&list, instance, type);
    if (layout.python >= 0x30b && field32(type, TYPE_FLAGS) & FLAG_MANAGED_DICT)
        add_managed(&list, instance, type);
    else
        add_dict_at(&list, instance, type);
    return list.n;
}

uint32_t value_fields(void *instance, struct value_field fields[FIELDS_MAX]) {
    return proved ? read_fields(instance, fields) : 0;
}

void *value_field_named(const struct value_field *fields, uint32_t n, const char *name) {
    for (uint32_t i = 0; i < n; i++)
        if (fields[i].key ? value_str_is(fields[i].key, name) : text_equal(fields[i].name, name)) return fields[i].value;
    return NULL;
}

/* Checks the offsets on a Python instance that every interpreter has: the spec of the module sys. */
void value_check(void) {
    struct value_field fields[FIELDS_MAX];
    void *spec = py.PySys_GetObject("__spec__"); /* borrowed */
    proved = false;
    if (!spec || !value_str_is(field(type_of(spec), layout.ht_qualname), "ModuleSpec")) return;
    uint32_t n = read_fields(spec, fields);
    void *name = value_field_named(fields, n, "name"), *loader = value_field_named(fields, n, "loader");
    proved =
        value_str_is(name, "sys") && loader && value_str_is(value_class_entry(type_of(spec), CLASS_MODULE), "_frozen_importlib");
}
