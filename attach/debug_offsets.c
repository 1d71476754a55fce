/* Owns reading _Py_DebugOffsets, the table at the start of _PyRuntime (PEP 768). It gives the debugger fields of the main
 * interpreter and its main thread. Only the versions of proto/abi/py_debug_offsets.h that have these fields are read. */
#include "attach/attach_priv.h"

#include <errno.h>

#include "proto/abi/py_debug_offsets.h"

#define INTERPRETERS_MAX 4096
#define FIELD_OFFSET_MAX (1u << 20) /* a PyInterpreterState has some 100 KB */
#define PATH_SIZE_MIN 64u
#define PATH_SIZE_MAX 65536u

/* In the order of the fields of PEP 768. */
enum { EVAL_BREAKER, REMOTE_SUPPORT, REMOTE_ENABLED, PENDING_CALL, SCRIPT_PATH, SCRIPT_PATH_SIZE, NFIELDS };

static bool is_pointer(uint64_t p) { return p >= 4096 && p < 1ull << 47 && !(p & 7); }

static int read_offset(struct mem *mem, uint64_t addr, uint64_t *out) {
    int rc = mem_read_u64(mem, addr, out);
    return rc ? rc : *out < FIELD_OFFSET_MAX ? 0 : -EINVAL;
}

/* Where the table has the offset of this field. */
static uint64_t at(uint64_t runtime, int minor, enum py_debug_field field) {
    return runtime + 8u * py_debug_words[field][minor - PY_DEBUG_OLDEST];
}

static int main_interpreter(struct mem *mem, uint64_t runtime, int minor, uint64_t *out) {
    uint64_t head, id_at, next_at, interpreter;
    int rc = read_offset(mem, at(runtime, minor, PY_DEBUG_INTERPRETERS), &head);
    if (!rc) rc = read_offset(mem, at(runtime, minor, PY_DEBUG_IS_ID), &id_at);
    if (!rc) rc = read_offset(mem, at(runtime, minor, PY_DEBUG_IS_NEXT), &next_at);
    if (!rc) rc = mem_read_u64(mem, runtime + head, &interpreter);
    /* the list starts with the newest: id 0 is the main one */
    for (unsigned i = 0; !rc && i < INTERPRETERS_MAX; i++) {
        uint64_t id;
        if (!interpreter) return -ENOENT;
        if (!is_pointer(interpreter)) return -EINVAL;
        rc = mem_read_u64(mem, interpreter + id_at, &id);
        if (!rc && id == 0) {
            *out = interpreter;
            return 0;
        }
        if (!rc) rc = mem_read_u64(mem, interpreter + next_at, &interpreter);
    }
    return rc ? rc : -EINVAL;
}

int debug_state_read(struct mem *mem, const struct py_runtime *py, struct debug_state *out) {
    *out = (struct debug_state){0};
    bool known = py->major == 3 && py->minor >= PY_DEBUG_OLDEST && py->minor < PY_DEBUG_OLDEST + PY_DEBUG_VERSIONS;
    if (!known || !py->has_offsets || py->free_threaded) return -ENOTSUP;
    if (!py_debug_words[PY_DEBUG_SUPPORT][py->minor - PY_DEBUG_OLDEST]) return -ENOTSUP;

    uint64_t field[NFIELDS], threads_main;
    for (unsigned i = 0; i < NFIELDS; i++) {
        int rc = read_offset(mem, at(py->runtime, py->minor, PY_DEBUG_SUPPORT) + 8u * i, &field[i]);
        if (rc) return rc;
    }
    if (field[SCRIPT_PATH_SIZE] < PATH_SIZE_MIN || field[SCRIPT_PATH_SIZE] > PATH_SIZE_MAX) return -EINVAL;
    int rc = read_offset(mem, at(py->runtime, py->minor, PY_DEBUG_IS_MAIN_THREAD), &threads_main);
    if (!rc) rc = main_interpreter(mem, py->runtime, py->minor, &out->interpreter);
    if (rc) return rc;
    uint32_t enabled;
    rc = mem_read_u32(mem, out->interpreter + field[REMOTE_ENABLED], &enabled);
    if (!rc) rc = mem_read_u64(mem, out->interpreter + threads_main, &out->thread);
    if (rc) return rc;
    if (!out->thread) return -ENOENT;
    if (!is_pointer(out->thread) || enabled > 1) return -EINVAL;
    out->enabled = enabled == 1;
    uint64_t support = out->thread + field[REMOTE_SUPPORT];
    out->eval_breaker = out->thread + field[EVAL_BREAKER];
    out->pending = support + field[PENDING_CALL];
    out->script_path = support + field[SCRIPT_PATH];
    out->script_path_size = field[SCRIPT_PATH_SIZE];
    return 0;
}
