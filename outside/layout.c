/* Owns the choice of offsets for a target (layout.h). _PyRuntime of 3.13 and later begins with _Py_DebugOffsets, a table of
 * 64-bit numbers in an order that differs between versions (Include/internal/pycore_debug_offsets.h). What it says wins over our
 * table: a later patch release or another build may differ. */
#include "outside/layout.h"

#include <errno.h>
#include <stddef.h>

#include "outside/remote.h"
#include "proto/abi/py_layouts.h"

enum { VERSIONS = 3, WORDS = 64, RUNTIME_MAX = 1 << 20, STRUCT_MAX = 4096 };

/* Which number of the table is which field; the number is below `max`. */
static const struct {
    size_t field;
    uint32_t max;
    uint8_t word[VERSIONS]; /* of 3.13, 3.14, 3.15 */
} told[] = {
    {offsetof(struct py_layout, rt_interpreters), RUNTIME_MAX, {5, 5, 5}},
    {offsetof(struct py_layout, is_id), RUNTIME_MAX, {7, 7, 7}},
    {offsetof(struct py_layout, is_next), RUNTIME_MAX, {8, 8, 8}},
    {offsetof(struct py_layout, is_threads), RUNTIME_MAX, {9, 9, 9}},
    {offsetof(struct py_layout, is_gil), RUNTIME_MAX, {14, 15, 15}},
    {offsetof(struct py_layout, ts_next), TSTATE_SIZE, {21, 24, 24}},
    {offsetof(struct py_layout, ts_interp), TSTATE_SIZE, {22, 25, 25}},
    {offsetof(struct py_layout, ts_current_frame), TSTATE_SIZE, {23, 26, 26}},
    {offsetof(struct py_layout, ts_thread_id), TSTATE_SIZE, {24, 27, 30}},
    {offsetof(struct py_layout, ts_native_id), TSTATE_SIZE, {25, 28, 31}},
    {offsetof(struct py_layout, frame_back), FRAME_SIZE, {29, 32, 40}},
    {offsetof(struct py_layout, frame_code), FRAME_SIZE, {30, 33, 41}},
    {offsetof(struct py_layout, frame_instr), FRAME_SIZE, {31, 34, 42}},
    {offsetof(struct py_layout, frame_locals), STRUCT_MAX, {32, 35, 43}},
    {offsetof(struct py_layout, frame_owner), FRAME_SIZE, {33, 36, 44}},
    {offsetof(struct py_layout, co_filename), CODE_SIZE, {35, 40, 48}},
    {offsetof(struct py_layout, co_name), CODE_SIZE, {37, 42, 50}},
    {offsetof(struct py_layout, co_lines), CODE_SIZE, {38, 43, 51}},
    {offsetof(struct py_layout, co_firstlineno), CODE_SIZE, {39, 44, 52}},
    {offsetof(struct py_layout, co_varnames), CODE_SIZE, {41, 46, 54}},
    {offsetof(struct py_layout, co_kinds), CODE_SIZE, {42, 47, 55}},
    {offsetof(struct py_layout, co_code), STRUCT_MAX, {43, 48, 56}},
};

static int ask(struct mem *mem, const struct py_runtime *py, struct py_layout *out) {
    uint64_t words[WORDS];
    int rc = mem->read(mem, py->runtime, words, sizeof(words));
    if (rc) return rc;
    for (size_t i = 0; i < VT_ARRAY_LEN(told); i++) {
        uint64_t value = words[told[i].word[py->minor - 13]];
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
    if (py->minor >= 13 + VERSIONS) return -ENOTSUP;
    return py->minor >= 13 && py->has_offsets ? ask(mem, py, out) : 0;
}
