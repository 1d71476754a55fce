/* Byte offsets in CPython's objects, per version, as data. layout_check compares them with live objects before
 * anything relies on them. */
#ifndef VT_AGENT_LAYOUT_H
#define VT_AGENT_LAYOUT_H

#include "agent/cpython/base.h"

/* The same on every supported version (GIL builds). */
enum {
    OBJECT_TYPE = 8,
    CFUNCTION_DEF = 16,
    CFUNCTION_SELF = 24,
    CFUNCTION_MODULE = 32,
    DESCR_TYPE = 16,
    DESCR_DEF = 40,
    DEF_NAME = 0,
    DEF_FUNCTION = 8,
    DEF_SIZE = 32,
    TYPE_NAME = 24,
    TYPE_FLAGS = 168,
    TYPE_METHODS = 232,
    TYPE_BASE = 256,
    TYPE_SIZEOF = 32, /* of an object of that type */
    TYPE_ITEM_SIZE = 40,
    TYPE_REPR = 88,
    TYPE_MEMBERS = 240,
    TYPE_DICT = 264,
    TYPE_DICT_OFFSET = 288,
    LONG_SIZE = 16,
    LONG_DIGITS = 24,
    SET_USED = 24,
    SET_MASK = 32,
    SET_TABLE = 40,
    LONG_DIGIT_312 = 24, /* first 30-bit digit, 3.12+ */
    METHOD_FUNCTION = 16,
    STR_LENGTH = 16,
    STR_STATE = 32,
    BYTES_DATA = 32,
    CELL_VALUE = 16,
    FRAME_INNER = 24 /* 3.11+: the interpreter's own frame, of a frame object */
};
#define STR_IS_COMPACT (1u << 5)
#define STR_IS_ASCII (1u << 6)
#define TYPE_FLAG_IS_TYPE (1u << 31)
#define TYPE_FLAG_IS_DICT (1u << 29)
#define TYPE_FLAG_IS_TUPLE (1u << 26)
#define TYPE_FLAG_IS_LIST (1u << 25)
#define TYPE_FLAG_IS_EXCEPTION (1u << 30)
#define TYPE_FLAG_IS_STR (1u << 28)
#define TYPE_FLAG_IS_BYTES (1u << 27)
#define TYPE_FLAG_IS_LONG (1u << 24)
#define TYPE_FLAG_ON_HEAP (1u << 9)
#define TYPE_FLAG_IMMUTABLE (1u << 8) /* on the heap: a type made by C code */

/* The hot callbacks are compiled once for each of these values. */
#define CO_EXTRA_308 144u
#define CO_EXTRA_311 176u
#define CO_EXTRA_312 184u
#define CO_EXTRA_313 192u
#define CO_EXTRA_314 200u

struct layout {
    uint32_t python; /* 0x030c */
    uint32_t co_extra, co_filename, co_name, co_flags, co_firstlineno, co_argcount, co_kwonlyargcount;
    /* PyThreadState; 0 where not used on that version, or not found where it was expected */
    uint32_t ts_interp, ts_frame, ts_profilefunc, ts_tracefunc, ts_profileobj, ts_tracing, ts_use_tracing, ts_cframe;
    uint32_t use_tracing_on; /* value that switches tracing on */
    /* PyInterpreterState, 3.12+; the word after `next` is the id, the one before `finalizing` says whether it is ready */
    uint32_t is_next, is_finalizing, is_gil;
    /* where arguments are while their function runs; locals.c proves these */
    uint32_t co_varnames, co_nlocals, co_cellvars, co_cell2arg; /* names: of all locals, the arguments first */
    uint32_t co_kinds;                                          /* 3.11+: a byte for each local */
    uint32_t frame_code, frame_locals;                          /* of a frame object, 3.11+ of the interpreter's own frame */
    uint32_t ts_current_frame;                                  /* 3.12+; with ts_cframe: of what that points to */
    uint32_t reference_tags; /* low bits of a reference in a frame that do not belong to the address */
    uint32_t str_data;       /* bytes of a compact ASCII str; 0 = this build differs, ask the interpreter */
    uint32_t ht_qualname;    /* of a class, behind its type; then come the keys that its instances share */
    /* found in the live process */
    uint32_t ts_thread_id, ts_native_id;
};
extern HIDDEN struct layout layout;

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
