/* Owns the choice of offsets for a target (layout.h). What _Py_DebugOffsets of 3.13 and later
 * says (proto/abi/py_debug_offsets.h) wins over our table: a later patch release or another build may differ. */
#include "outside/layout.h"

#include <errno.h>
#include <stddef.h>

#include "outside/remote.h"
#include "proto/abi/py_debug_offsets.h"
#include "proto/abi/py_layouts.h"

enum { WORDS = 64, RUNTIME_MAX = 1 << 20, STRUCT_MAX = 4096 };

/* Which field is which of ours; the offset is below `max`. */
static const struct {
    size_t field;
    uint32_t max;
    enum py_debug_field theirs;
} told[] = {
    {offsetof(struct py_layout, rt_interpreters), RUNTIME_MAX, PY_DEBUG_INTERPRETERS},
    {offsetof(struct py_layout, is_id), RUNTIME_MAX, PY_DEBUG_IS_ID},
    {offsetof(struct py_layout, is_next), RUNTIME_MAX, PY_DEBUG_IS_NEXT},
    {offsetof(struct py_layout, is_threads), RUNTIME_MAX, PY_DEBUG_IS_THREADS},
    {offsetof(struct py_layout, is_gil), RUNTIME_MAX, PY_DEBUG_IS_GIL},
    {offsetof(struct py_layout, ts_next), TSTATE_SIZE, PY_DEBUG_TS_NEXT},
    {offsetof(struct py_layout, ts_interp), TSTATE_SIZE, PY_DEBUG_TS_INTERP},
    {offsetof(struct py_layout, ts_current_frame), TSTATE_SIZE, PY_DEBUG_TS_CURRENT_FRAME},
    {offsetof(struct py_layout, ts_thread_id), TSTATE_SIZE, PY_DEBUG_TS_THREAD_ID},
    {offsetof(struct py_layout, ts_native_id), TSTATE_SIZE, PY_DEBUG_TS_NATIVE_ID},
    {offsetof(struct py_layout, frame_back), FRAME_SIZE, PY_DEBUG_FRAME_BACK},
    {offsetof(struct py_layout, frame_code), FRAME_SIZE, PY_DEBUG_FRAME_CODE},
    {offsetof(struct py_layout, frame_instr), FRAME_SIZE, PY_DEBUG_FRAME_INSTR},
    {offsetof(struct py_layout, frame_locals), STRUCT_MAX, PY_DEBUG_FRAME_LOCALS},
    {offsetof(struct py_layout, frame_owner), FRAME_SIZE, PY_DEBUG_FRAME_OWNER},
    {offsetof(struct py_layout, co_filename), CODE_SIZE, PY_DEBUG_CO_FILENAME},
    {offsetof(struct py_layout, co_name), CODE_SIZE, PY_DEBUG_CO_NAME},
    {offsetof(struct py_layout, co_lines), CODE_SIZE, PY_DEBUG_CO_LINES},
    {offsetof(struct py_layout, co_firstlineno), CODE_SIZE, PY_DEBUG_CO_FIRSTLINENO},
    {offsetof(struct py_layout, co_varnames), CODE_SIZE, PY_DEBUG_CO_VARNAMES},
    {offsetof(struct py_layout, co_kinds), CODE_SIZE, PY_DEBUG_CO_KINDS},
    {offsetof(struct py_layout, co_code), STRUCT_MAX, PY_DEBUG_CO_CODE},
};

static int ask(struct mem *mem, const struct py_runtime *py, struct py_layout *out) {
    uint64_t words[WORDS];
    int rc = mem->read(mem, py->runtime, words, sizeof(words));
    if (rc) return rc;
    for (size_t i = 0; i < VT_ARRAY_LEN(told); i++) {
        uint64_t value = words[py_debug_words[told[i].theirs][py->minor - PY_DEBUG_OLDEST]];
        if (value + sizeof(uint64_t) > told[i].max) return -EINVAL;
        *(uint32_t *)(void *)((char *)out + told[i].field) = (uint32_t)value;
    }
    return 0;
}

int layout_of(struct mem *mem, const struct py_runtime *py, struct py_layout *out) {
    *out = (struct py_layout){0};
    for (size_t i = 0; i < VT_ARRAY_LEN(py_layouts); i++)
        if (py->major == 3 && py_layouts[i].python == (0x300u | (unsigned)py->minor)) *out = py_layouts[i];
    if (!out->python || !py->runtime || py->free_threaded || py->trace_refs) return -ENOTSUP;
    if (py->minor >= PY_DEBUG_OLDEST + PY_DEBUG_VERSIONS) return -ENOTSUP;
    return py->minor >= 13 && py->has_offsets ? ask(mem, py, out) : 0;
}
