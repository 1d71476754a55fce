/* CPython's own structures: byte offsets, per version, as data. The agent reads them inside its process, outside/ from another
 * one. Each checks them against what it reads before it relies on them. All builds with a GIL, 64 bits. */
#ifndef VT_ABI_PY_LAYOUT_H
#define VT_ABI_PY_LAYOUT_H

#include <stdint.h>

/* The same on every supported version (GIL builds). */
enum {
    /* struct _gil_runtime_state */
    GIL_INTERVAL = 0,
    GIL_LAST_HOLDER = 8, /* a thread state */
    GIL_LOCKED = 16,
    GIL_SWITCH_NUMBER = 24,
    GIL_MUTEX = 80,
    GIL_SWITCH_COND = 120,
    GIL_SWITCH_MUTEX = 168,
    GIL_SIZE = 208,

    PTHREAD_TID = 720, /* glibc, x86-64: the id of the kernel, in what pthread_self() points to */
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
    TYPE_VERSION = 384,
    LONG_SIZE = 16,
    LONG_DIGITS = 24,
    SET_USED = 24,
    SET_MASK = 32,
    SET_TABLE = 40,
    LONG_DIGIT_312 = 24, /* first 30-bit digit, 3.12+ */
    METHOD_FUNCTION = 16,
    STR_LENGTH = 16,
    STR_STATE = 32,
    BYTES_SIZE = 16,
    BYTES_DATA = 32,
    CELL_VALUE = 16,
    FRAME_STACK_TOP = 64, /* 3.14+: in the interpreter's own frame, the end of its values while it is in a call */
    FRAME_INNER = 24      /* 3.11+: the interpreter's own frame, of a frame object */
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

struct py_layout {
    uint32_t python; /* 0x030c */
    uint32_t co_extra, co_filename, co_name, co_flags, co_firstlineno, co_argcount, co_kwonlyargcount;
    /* PyThreadState; 0 where not used on that version, or not found where it was expected */
    uint32_t ts_interp, ts_frame, ts_profilefunc, ts_tracefunc, ts_profileobj, ts_tracing, ts_use_tracing, ts_cframe;
    uint32_t use_tracing_on; /* value that switches tracing on */
    uint32_t ts_datastack;   /* 3.11+: first of three words: the piece of memory for frames, the place in it, its end */
    /* PyInterpreterState, 3.12+; the word after `next` is the id, the one before `finalizing` says whether it is ready */
    uint32_t is_next, is_finalizing, is_gil;
    /* where arguments are while their function runs; locals.c proves these */
    uint32_t co_varnames, co_nlocals, co_cellvars, co_cell2arg; /* names: of all locals, the arguments first */
    uint32_t co_kinds;                                          /* 3.11+: a byte for each local */
    uint32_t frame_code, frame_locals;                          /* of a frame object, 3.11+ of the interpreter's own frame */
    uint32_t frame_size;                                        /* below 3.12: tp_basicsize of the type of frame objects */
    uint32_t ts_current_frame;                                  /* 3.12+; with ts_cframe: of what that points to */
    uint32_t reference_tags;             /* low bits of a reference in a frame that do not belong to the address */
    uint32_t str_data;                   /* bytes of a compact ASCII str; 0 = this build differs, ask the interpreter */
    uint32_t ht_qualname;                /* of a class, behind its type; then come the keys that its instances share */
    uint32_t ts_thread_id, ts_native_id; /* pthread_self() and, 3.11+, the id of the kernel; the agent looks for both */

    /* For reading from outside. _PyRuntime: the newest interpreter, the GIL (below 3.12). PyInterpreterState: id, the newest
     * thread state. */
    uint32_t rt_interpreters, rt_gil, is_id, is_threads, ts_next;
    /* frame_instr: below 3.11 the index of the instruction, in units of 2 bytes on 3.10; else the address of the instruction.
     * frame_owner: 3.11+, a byte; from frame_shims on the frame belongs to no function */
    uint32_t frame_back, frame_instr, frame_owner, frame_shims;
    uint32_t co_lines, co_code; /* the table of lines; 3.11+: the instructions, inside the code object */
    uint32_t str_compact;       /* as str_data, of a compact str that is not ASCII */
};

#endif
