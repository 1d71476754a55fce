/* Owns reading dicts and the fields of an instance (objects.h). A class keeps the names once for all its instances, and each
 * instance the values: in a dict that shares the names (below 3.11), before the object (3.11, 3.12), or behind it (3.13 and
 * later). After unusual changes an instance has a dict of its own. */
#include "outside/objects.h"

#include <errno.h>
#include <string.h>

#include "outside/text.h"

enum {
    DICT_KEYS = 32,
    DICT_VALUES = 40,     /* 0: the values are beside the names */
    MANAGED_DICT = -24,   /* from the object: its dict; on 3.12 the dict, or values - 1 */
    MANAGED_VALUES = -32, /* 3.11 */
    INLINE_VALID = 3,     /* 3.13+: a byte; the values follow the first word */
    /* the table of names, below 3.11 */
    OLD_SIZE = 8,
    OLD_COUNT = 32,
    OLD_INDEX = 40,
    /* and from 3.11 on; two bytes with logarithms, and the kind */
    INDEX_BYTES = 9,
    KIND = 10,
    COUNT = 24,
    INDEX = 32,
    GENERAL = 0,      /* entries with a hash before the name */
    FIELDS_MAX = 128, /* of an instance */
    ITEMS_MAX = 512,
    ENTRIES_MAX = INT32_MAX,
    NAME_MAX_BYTES = 64
};
#define FLAG_INLINE_VALUES (1u << 2)
#define FLAG_MANAGED_DICT (1u << 4)

static int read_names_308(struct remote *r, uint64_t keys, struct object_entries *f) {
    uint64_t size, count;
    int rc = remote_u64(r, keys + OLD_SIZE, &size);
    if (!rc) rc = remote_u64(r, keys + OLD_COUNT, &count);
    if (rc) return rc;
    if (count > ENTRIES_MAX || size > UINT32_MAX) return -ENOENT;
    uint64_t bytes = size <= 0xff ? 1 : size <= 0xffff ? 2 : 4;
    *f = (struct object_entries){.entries = keys + OLD_INDEX + size * bytes, .n = (uint32_t)count, .stride = 24, .name_at = 8};
    return 0;
}

static int read_names_311(struct remote *r, uint64_t keys, struct object_entries *f) {
    uint8_t head[INDEX];
    int rc = remote_read(r, keys, head, sizeof(head));
    if (rc) return rc;
    uint64_t count = remote_word(head, COUNT);
    if (count > ENTRIES_MAX || head[INDEX_BYTES] > 32) return -ENOENT;
    bool general = head[KIND] == GENERAL;
    *f = (struct object_entries){.entries = keys + INDEX + (1ull << head[INDEX_BYTES]),
                                 .n = (uint32_t)count,
                                 .stride = general ? 24 : 16,
                                 .name_at = general ? 8 : 0};
    return 0;
}

static int read_names(struct remote *r, const struct py_layout *l, uint64_t keys, struct object_entries *f) {
    if (!remote_is_object(keys)) return -EINVAL;
    return l->python < 0x30b ? read_names_308(r, keys, f) : read_names_311(r, keys, f);
}

int object_dict(struct remote *r, const struct py_layout *l, uint64_t dict, struct object_entries *f) {
    uint64_t keys, values;
    if (!remote_is_object(dict)) return -ENOENT;
    int rc = remote_u64(r, dict + DICT_KEYS, &keys);
    if (!rc) rc = remote_u64(r, dict + DICT_VALUES, &values);
    if (!rc) rc = read_names(r, l, keys, f);
    if (!rc && values) f->values = values + (l->python >= 0x30d ? 8 : 0);
    return rc;
}

static int read_shared(struct remote *r, const struct py_layout *l, uint64_t type, uint64_t values, struct object_entries *f) {
    uint64_t keys;
    int rc = remote_u64(r, type + l->ht_qualname + 8, &keys);
    if (!rc) rc = read_names(r, l, keys, f);
    if (!rc) f->values = values;
    return rc;
}

static int read_managed(struct remote *r, const struct py_layout *l, uint64_t instance, uint64_t type, uint64_t flags,
                        struct object_entries *f) {
    uint64_t dict, values, size;
    uint8_t head[8];
    int rc = remote_u64(r, instance + MANAGED_DICT, &dict);
    if (rc) return rc;
    if (l->python == 0x30b) {
        rc = remote_u64(r, instance + MANAGED_VALUES, &values);
        return rc ? rc : values ? read_shared(r, l, type, values, f) : object_dict(r, l, dict, f);
    }
    if (l->python == 0x30c && dict & 1) return read_shared(r, l, type, dict + 1, f);
    if (dict || l->python == 0x30c || !(flags & FLAG_INLINE_VALUES)) return object_dict(r, l, dict, f);
    rc = remote_u64(r, type + TYPE_SIZEOF, &size);
    if (!rc && size > 1 << 20) rc = -EINVAL;
    if (!rc) rc = remote_read(r, instance + size, head, sizeof(head));
    if (!rc && !head[INLINE_VALID]) rc = -ENOENT;
    return rc ? rc : read_shared(r, l, type, instance + size + sizeof(head), f);
}

static int read_fields(struct remote *r, const struct py_layout *l, uint64_t instance, struct object_entries *f) {
    uint64_t type, flags, dict_at, dict;
    if (!remote_is_object(instance)) return -EINVAL;
    int rc = remote_u64(r, instance + OBJECT_TYPE, &type);
    if (!rc && !remote_is_object(type)) rc = -EINVAL;
    if (!rc) rc = remote_u64(r, type + TYPE_FLAGS, &flags);
    if (rc) return rc;
    if (l->python >= 0x30b && flags & FLAG_MANAGED_DICT) return read_managed(r, l, instance, type, flags, f);
    rc = remote_u64(r, type + TYPE_DICT_OFFSET, &dict_at);
    if (!rc && (!dict_at || dict_at > 1 << 20)) rc = -ENOENT;
    if (!rc) rc = remote_u64(r, instance + dict_at, &dict);
    return rc ? rc : object_dict(r, l, dict, f);
}

int object_entry(struct remote *r, const struct object_entries *e, uint32_t i, uint64_t *key, uint64_t *value) {
    uint64_t at = e->entries + (uint64_t)i * e->stride + e->name_at;
    int rc = remote_u64(r, at, key);
    if (!rc) rc = remote_u64(r, e->values ? e->values + 8ull * i : at + 8, value);
    return rc || (*key && *value) ? rc : -ENOENT;
}

static int find(struct remote *r, const struct py_layout *l, const struct object_entries *e, const char *name, uint64_t *value) {
    int rc = 0;
    for (uint32_t i = 0; i < e->n && (!rc || rc == -ENOENT); i++) {
        char text[NAME_MAX_BYTES];
        uint64_t key;
        rc = object_entry(r, e, i, &key, value);
        if (!rc && !text_read(r, l, key, text, sizeof(text)) && !strcmp(text, name)) return 0;
    }
    return rc ? rc : -ENOENT;
}

int object_field(struct remote *r, const struct py_layout *l, uint64_t instance, const char *name, uint64_t *value) {
    struct object_entries e;
    int rc = read_fields(r, l, instance, &e);
    if (!rc && e.n > FIELDS_MAX) rc = -ENOENT;
    return rc ? rc : find(r, l, &e, name, value);
}

int object_item(struct remote *r, const struct py_layout *l, uint64_t dict, const char *name, uint64_t *value) {
    struct object_entries e;
    int rc = object_dict(r, l, dict, &e);
    if (!rc && e.n > ITEMS_MAX) e.n = ITEMS_MAX;
    return rc ? rc : find(r, l, &e, name, value);
}

int object_type(struct remote *r, uint64_t object, uint64_t *type, uint64_t *flags, char *name, size_t size) {
    uint64_t at;
    if (!remote_is_object(object)) return -EINVAL;
    int rc = remote_u64(r, object + OBJECT_TYPE, type);
    if (!rc && !remote_is_object(*type)) rc = -EINVAL;
    if (!rc) rc = remote_u64(r, *type + TYPE_FLAGS, flags);
    if (!rc) rc = remote_u64(r, *type + TYPE_NAME, &at);
    if (!rc) rc = remote_read(r, at, name, size - 1);
    name[rc ? 0 : size - 1] = 0;
    return rc;
}
