/* Owns the texts of objects of classes. Some classes of the standard library have forms that say more than fields: enum
 * members, named tuples, data classes, UUIDs, paths, exceptions. The others become `<module.Type at 0x...>` with the built-in
 * value they are derived from and their first fields. Overridden methods are never called. */
#include "agent/cpython/layout.h"
#include "agent/cpython/py_api.h"
#include "agent/cpython/repr.h"
#include "agent/cpython/value_put.h"

enum { EXCEPTION_ARGS = 24, NAMES_MAX = 24 };

static bool is_str(const void *value) { return value && type_of(value) == py.PyUnicode_Type; }

static bool is_of_class(const void *type) {
    uint32_t flags = field32(type, TYPE_FLAGS);
    return flags & TYPE_FLAG_ON_HEAP && !(flags & TYPE_FLAG_IMMUTABLE && layout.python >= 0x30a);
}

static bool module_begins(const void *type, const char *module) {
    uint64_t len, n = strlen(module);
    const void *name = value_class_entry(type, CLASS_MODULE);
    const char *bytes = is_str(name) ? str_ascii(name, &len) : NULL;
    return bytes && len >= n && !memcmp(bytes, module, n) && (len == n || bytes[n] == '.');
}

static const char *short_name(const void *type) {
    const char *name = field(type, TYPE_NAME), *last = name;
    for (; *name; name++)
        if (*name == '.') last = name + 1;
    return last;
}

static void put_qualname(struct out *out, const void *type) {
    void *name = is_of_class(type) ? field(type, layout.ht_qualname) : NULL;
    if (is_str(name))
        put_chars(out, name);
    else
        put_text(out, short_name(type));
}

void value_put_type(struct out *out, const void *type) {
    if (is_of_class(type)) {
        void *module = value_class_entry(type, CLASS_MODULE);
        if (is_str(module) && !value_str_is(module, "builtins")) {
            put_chars(out, module);
            put_ascii(out, ".", 1);
        }
        put_qualname(out, type);
    } else {
        put_text(out, field(type, TYPE_NAME));
    }
}

static bool put_class(struct out *out, void *value) {
    if (!(field32(type_of(value), TYPE_FLAGS) & TYPE_FLAG_IS_TYPE)) return false;
    put_text(out, "<class '");
    value_put_type(out, value);
    put_text(out, "'>");
    return true;
}

static bool put_exception(struct out *out, void *value) {
    void *args = field(value, EXCEPTION_ARGS);
    const void *type = type_of(value);
    if (!(field32(type, TYPE_FLAGS) & TYPE_FLAG_IS_EXCEPTION) || !args || type_of(args) != py.PyTuple_Type) return false;
    int64_t n = py.PyTuple_Size(args);
    put_text(out, short_name(type));
    put_ascii(out, "(", 1);
    for (int64_t i = 0; i < n && !out->full; i++) {
        if (i) put_ascii(out, ", ", 2);
        if (!out->full) out->any(out, py.PyTuple_GetItem(args, i));
    }
    put_ascii(out, ")", 1);
    return true;
}

static bool put_named_tuple(struct out *out, void *value) {
    const void *type = type_of(value);
    if (!(field32(type, TYPE_FLAGS) & TYPE_FLAG_IS_TUPLE) || !is_of_class(type)) return false;
    void *names = value_class_entry(type, CLASS_TUPLE_FIELDS);
    int64_t n = py.PyTuple_Size(value);
    if (!names || type_of(names) != py.PyTuple_Type || py.PyTuple_Size(names) != n) return false;
    for (int64_t i = 0; i < n; i++)
        if (!is_str(py.PyTuple_GetItem(names, i))) return false;
    put_text(out, field(type, TYPE_NAME));
    put_ascii(out, "(", 1);
    for (int64_t i = 0; i < n && !out->full; i++) {
        if (i) put_ascii(out, ", ", 2);
        put_chars(out, py.PyTuple_GetItem(names, i));
        put_ascii(out, "=", 1);
        if (!out->full) out->any(out, py.PyTuple_GetItem(value, i));
    }
    put_ascii(out, ")", 1);
    return true;
}

static bool put_enum_member(struct out *out, const void *type, const struct value_field *fields, uint32_t n) {
    const void *meta = type_of(type);
    const char *name = field(meta, TYPE_NAME);
    if (!(text_equal(name, "EnumMeta") || text_equal(name, "EnumType")) || !module_begins(meta, "enum")) return false;
    void *member = value_field_named(fields, n, "_name_"), *value = value_field_named(fields, n, "_value_");
    if (!is_str(member) || !value) return false;
    put_ascii(out, "<", 1);
    put_text(out, field(type, TYPE_NAME));
    put_ascii(out, ".", 1);
    put_chars(out, member);
    put_ascii(out, ": ", 2);
    if (!out->full) out->any(out, value);
    put_ascii(out, ">", 1);
    return true;
}

static bool hidden_in_repr(void *definition) {
    struct value_field fields[FIELDS_MAX];
    uint32_t n = definition ? value_fields(definition, fields) : 0;
    return value_field_named(fields, n, "repr") == py._Py_FalseStruct;
}

static void *field_of_key(const struct value_field *fields, uint32_t n, void *key) {
    uint64_t len;
    for (uint32_t i = 0; i < n; i++)
        if (fields[i].key == key) return fields[i].value;
    const char *name = str_ascii(key, &len); /* CPython keeps a NUL behind it */
    return name ? value_field_named(fields, n, name) : NULL;
}

static bool put_data_class(struct out *out, const void *type, const struct value_field *fields, uint32_t n) {
    void *definitions = value_class_entry(type, CLASS_DATA_FIELDS), *key, *definition;
    int64_t at = 0;
    bool any = false;
    if (!definitions || type_of(definitions) != py.PyDict_Type) return false;
    put_qualname(out, type);
    put_ascii(out, "(", 1);
    while (!out->full && py.PyDict_Next(definitions, &at, &key, &definition)) {
        void *value = is_str(key) ? field_of_key(fields, n, key) : NULL;
        if (!value || hidden_in_repr(definition)) continue;
        if (any) put_ascii(out, ", ", 2);
        put_chars(out, key);
        put_ascii(out, "=", 1);
        if (!out->full) out->any(out, value);
        any = true;
    }
    put_ascii(out, ")", 1);
    return true;
}

static bool put_uuid(struct out *out, const void *type, const struct value_field *fields, uint32_t n) {
    uint64_t words[2];
    if (!text_equal(field(type, TYPE_NAME), "UUID") || !module_begins(type, "uuid")) return false;
    void *number = value_field_named(fields, n, "int");
    if (!number || type_of(number) != py.PyLong_Type || !int_words(number, words)) return false;
    put_text(out, "UUID('");
    put_hex(out, words[0] >> 32, 8);
    for (int shift = 16; shift >= 0; shift -= 16) {
        put_ascii(out, "-", 1);
        put_hex(out, words[0] >> shift, 4);
    }
    put_ascii(out, "-", 1);
    put_hex(out, words[1] >> 48, 4);
    put_ascii(out, "-", 1);
    put_hex(out, words[1], 12);
    put_text(out, "')");
    return true;
}

/* A path stores its parts, from 3.12 on the arguments that it was made of. It stores its text only after somebody has asked
 * for it. */
static bool put_path(struct out *out, const void *type, const struct value_field *fields, uint32_t n) {
    if (!module_begins(type, "pathlib")) return false;
    void *text = value_field_named(fields, n, "_str"), *parts = value_field_named(fields, n, "_raw_paths");
    if (!parts) parts = value_field_named(fields, n, "_parts");
    if (!is_str(text) && (!parts || type_of(parts) != py.PyList_Type)) return false;
    put_text(out, short_name(type));
    put_text(out, "('");
    if (is_str(text)) put_chars(out, text);
    int64_t count = is_str(text) ? 0 : py.PyList_Size(parts);
    bool slash = false;
    for (int64_t i = 0; i < count && !out->full; i++) {
        void *part = py.PyList_GetItem(parts, i);
        if (!is_str(part)) continue;
        if (slash) put_ascii(out, "/", 1);
        put_chars(out, part);
        slash = out->len && out->to[out->len - 1] != '/';
    }
    put_text(out, "')");
    return true;
}

static void put_any(struct out *out, void *value, const struct value_field *fields, uint32_t n) {
    put_ascii(out, "<", 1);
    value_put_type(out, type_of(value));
    put_text(out, " at ");
    put_address(out, value);
    if (!out->full) value_put_base(out, value);
    for (uint32_t i = 0; i < n && !out->full; i++) {
        put_ascii(out, " ", 1);
        if (fields[i].key)
            put_chars(out, fields[i].key);
        else
            put_text(out, fields[i].name);
        put_ascii(out, "=", 1);
        if (!out->full) out->any(out, fields[i].value);
    }
    put_ascii(out, ">", 1);
}

void value_put_instance(struct out *out, void *value) {
    static bool (*const forms[])(struct out *, const void *, const struct value_field *,
                                 uint32_t) = {put_enum_member, put_data_class, put_uuid, put_path};
    struct value_field fields[FIELDS_MAX];
    const void *type = type_of(value);
    if (put_class(out, value) || put_exception(out, value) || put_named_tuple(out, value)) return;
    uint32_t n = value_fields(value, fields);
    for (size_t i = 0; n && is_of_class(type) && i < sizeof forms / sizeof *forms; i++)
        if (forms[i](out, type, fields, n)) return;
    put_any(out, value, fields, n);
}
