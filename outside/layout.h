/* The offsets of an interpreter's structures in one target: of its version, and from 3.13 on as the interpreter itself says. */
#ifndef VT_OUTSIDE_LAYOUT_H
#define VT_OUTSIDE_LAYOUT_H

#include "attach/pyruntime.h"
#include "proto/abi/py_layout.h"

/* How many bytes of each are read at once: all fields that this room uses lie in them. */
enum { TSTATE_SIZE = 256, FRAME_SIZE = 88, FRAME_OBJECT_SIZE = 120 /* below 3.11 */, CODE_SIZE = 216, STR_SIZE = 40 };

/* 0; -ENOTSUP: a version that we do not know; -EINVAL: what the interpreter says makes no sense; -EFAULT, -ESRCH, -EPERM. */
VT_MUST_CHECK int layout_of(struct mem *mem, const struct py_runtime *py, struct py_layout *out);

#endif
