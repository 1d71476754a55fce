/* The offsets of proto/abi/py_layout.h that hold in this process. layout_check compares them with live objects before
 * anything relies on them. */
#ifndef VT_AGENT_LAYOUT_H
#define VT_AGENT_LAYOUT_H

#include "agent/cpython/base.h"
#include "proto/abi/py_layout.h"

extern HIDDEN struct py_layout layout;

/* The array of a code object's extra slots. */
struct co_extra {
    int64_t size;
    uint64_t value[];
};

/* Picks the offsets of this version. Without the GIL. 0, or -ENOTSUP with the cause appended to `why`. */
int layout_select(char *why, size_t why_size);
/* Proves them. With the GIL; `tstate` is this thread's own; `extra_index` is a co_extra slot that the agent has.
 * 0, or -ENOTSUP with the cause appended to `why`. */
int layout_check(void *tstate, int64_t extra_index, char *why, size_t why_size);

/* Reading a field; nothing is checked, references are borrowed. */
static inline void *type_of(const void *object) { return *(void *const *)((const char *)object + OBJECT_TYPE); }
static inline void *field(const void *object, size_t offset) {
    return *(void *const *)(const void *)((const char *)object + offset);
}
static inline uint32_t field32(const void *object, size_t offset) {
    return *(const uint32_t *)(const void *)((const char *)object + offset);
}
/* The bytes of a compact ASCII str, borrowed from it; NULL = it is another kind of str, or this build lays them out differently.
 */
static inline const char *str_ascii(const void *str, uint64_t *len) {
    const uint32_t ascii = STR_IS_COMPACT | STR_IS_ASCII;
    if (!layout.str_data || (field32(str, STR_STATE) & ascii) != ascii) return NULL;
    *len = (uint64_t)field(str, STR_LENGTH);
    return (const char *)str + layout.str_data;
}

#endif
