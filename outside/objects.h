/* Fields of instances in a target, read without running its code. */
#ifndef VT_OUTSIDE_OBJECTS_H
#define VT_OUTSIDE_OBJECTS_H

#include "outside/remote.h"
#include "proto/abi/py_layout.h"

/* The value of an attribute that the instance itself has, in its dict or in what replaces one. 0; -ENOENT: it has none of that
 * name, or there are too many; -EINVAL, -EFAULT: it is no instance. */
VT_MUST_CHECK int object_field(struct remote *r, const struct py_layout *l, uint64_t instance, const char *name, uint64_t *value);

#endif
