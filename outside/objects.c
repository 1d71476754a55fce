/* Owns reading the fields of an instance (objects.h). A class keeps the names once for all its instances, and each instance the
 * values: in a dict that shares the names (below 3.11), before the object (3.11, 3.12), or behind it (3.13 and later). After
 * unusual changes an instance has a dict of its own. */
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
    GENERAL = 0, /* entries with a hash before the name */
    FIELDS_MAX = 128,
    NAME_MAX_BYTES = 64
};
#define FLAG_INLINE_VALUES (1u << 2)
#define FLAG_MANAGED_DICT (1u << 4)

struct fields {
    uint64_t entries; /* address */
    uint32_t n, stride, name_at;
    uint64_t values; /* address; 0 = each value is behind its name */
};

static int read_names_308(struct remote *r, uint64_t keys, struct fields *f) {
    uint64_t size, count;
    int rc = remote_u64(r, keys + OLD_SIZE, &size);
    if (!rc) rc = remote_u64(r, keys + OLD_COUNT, &count);
    if (rc) return rc;
    if (count > FIELDS_MAX || size > UINT32_MAX) return -ENOENT;
    uint64_t bytes = size <= 0xff ? 1 : size <= 0xffff ? 2 : 4;
    *f = (struct fields){.entries = keys + OLD_INDEX + size * bytes, .n = (uint32_t)count, .stride = 24, .name_at = 8};
    return 0;
}

static int read_names_311(struct remote *r, uint64_t keys, struct fields *f) {
    uint8_t head[INDEX];
    int rc = remote_read(r, keys, head, sizeof(head));
    if (rc) return rc;
    uint64_t count = remote_word(head, COUNT);
    if (count > FIELDS_MAX || head[INDEX_BYTES] > 32) return -ENOENT;
    bool general = head[KIND] == GENERAL;
    *f = (struct fields){.entries = keys + INDEX + (1ull << head[INDEX_BYTES]),
                         .n = (uint32_t)count,
                         .stride = general ? 24 : 16,
                         .name_at = general ? 8 : 0};
    return 0;
}

static int read_names(struct remote *r, const struct py_layout *l, uint64_t keys, struct fields *f) {
    if (!remote_is_object(keys)) return -EINVAL;
    return l->python < 0x30b ? read_names_308(r, keys, f) : read_names_311(r, keys, f);
}

static int read_dict(struct remote *r, const struct py_layout *l, uint64_t dict, struct fields *f) {
    uint64_t keys, values;
    if (!remote_is_object(dict)) return -ENOENT;
    int rc = remote_u64(r, dict + DICT_KEYS, &keys);
    if (!rc) rc = remote_u64(r, dict + DICT_VALUES, &values);
    if (!rc) rc = read_names(r, l, keys, f);
    if (!rc && values) f->values = values + (l->python >= 0x30d ? 8 : 0);
    return rc;
}

static int read_shared(struct remote *r, const struct py_layout *l, uint64_t type, uint64_t values, struct fields *f) {
    uint64_t keys;
    int rc = remote_u64(r, type + l->ht_qualname + 8, &keys);
    if (!rc) rc = read_names(r, l, keys, f);
    if (!rc) f->values = values;
    return rc;
}

static int read_managed(struct remote *r, const struct py_layout *l, uint64_t instance, uint64_t type, uint64_t flags,
                        struct fields *f) {
    uint64_t dict, values, size;
    uint8_t head[8];
    int rc = remote_u64(r, instance + MANAGED_DICT, &dict);
    if (rc) return rc;
    if (l->python == 0x30b) {
        rc = remote_u64(r, instance + MANAGED_VALUES, &values);
        return rc ? rc : values ? read_shared(r, l, type, values, f) : read_dict(r, l, dict, f);
    }
    if (l->python == 0x30c && dict & 1) return read_shared(r, l, type, dict + 1, f);
    if (dict || l->python == 0x30c || !(flags & FLAG_INLINE_VALUES)) return read_dict(r, l, dict, f);
    rc = remote_u64(r, type + TYPE_SIZEOF, &size);
    if (!rc && size > 1 << 20) rc = -EINVAL;
    if (!rc) rc = remote_read(r, instance + size, head, sizeof(head));
    if (!rc && !head[INLINE_VALID]) rc = -ENOENT;
    return rc ? rc : read_shared(r, l, type, instance + size + sizeof(head), f);
}

static int read_fields(struct remote *r, const struct py_layout *l, uint64_t instance, struct fields *f) {
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
    return rc ? rc : read_dict(r, l, dict, f);
}

int object_field(struct remote *r, const struct py_layout *l, uint64_t instance, const char *name, uint64_t *value) {
    struct fields f;
    int rc = read_fields(r, l, instance, &f);
    for (uint32_t i = 0; !rc && i < f.n; i++) {
        char text[NAME_MAX_BYTES];
        uint64_t entry = f.entries + (uint64_t)i * f.stride + f.name_at, key;
        rc = remote_u64(r, entry, &key);
        if (rc || text_read(r, l, key, text, sizeof(text)) || strcmp(text, name) != 0) continue;
        rc = remote_u64(r, f.values ? f.values + 8ull * i : entry + 8, value);
        return rc || *value ? rc : -ENOENT;
    }
    return rc ? rc : -ENOENT;
}
