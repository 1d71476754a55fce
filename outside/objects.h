/* Fields of instances and entries of dicts in a target, read without running its code. */
#ifndef VT_OUTSIDE_OBJECTS_H
#define VT_OUTSIDE_OBJECTS_H

#include "outside/remote.h"
#include "proto/abi/py_layout.h"

/* The value of an attribute that the instance itself has, in its dict or in what replaces one. 0; -ENOENT: it has none of that
 * name, or there are too many; -EINVAL, -EFAULT: it is no instance. */
VT_MUST_CHECK int object_field(struct remote *r, const struct py_layout *l, uint64_t instance, const char *name, uint64_t *value);

/* The entries of a dict, in their order. */
struct object_entries {
    uint64_t entries; /* address */
    uint32_t n, stride, name_at;
    uint64_t values; /* address; 0 = each value is behind its key */
};
VT_MUST_CHECK int object_dict(struct remote *r, const struct py_layout *l, uint64_t dict, struct object_entries *out);
/* Entry i < n. -ENOENT: it was removed. */
VT_MUST_CHECK int object_entry(struct remote *r, const struct object_entries *e, uint32_t i, uint64_t *key, uint64_t *value);
/* The value under a key that is a str. -ENOENT: there is none among the first 512. */
VT_MUST_CHECK int object_item(struct remote *r, const struct py_layout *l, uint64_t dict, const char *name, uint64_t *value);

/* The name of an object's type, cut to size, and its flags. */
VT_MUST_CHECK int object_type(struct remote *r, uint64_t object, uint64_t *type, uint64_t *flags, char *name, size_t size);

#endif
