/* Owns reading _Py_DebugOffsets, the table at the start of _PyRuntime (PEP 768). It gives the debugger fields of the main
 * interpreter and its main thread. The layout of the table differs between minor versions, and the table does not describe it.
 * Only the versions listed here are read. */
#include "attach/attach_priv.h"

#include <errno.h>

#define INTERPRETERS_MAX 4096
#define FIELD_OFFSET_MAX (1u << 20) /* a PyInterpreterState has some 100 KB */
#define PATH_SIZE_MIN 64u
#define PATH_SIZE_MAX 65536u

/* Byte offsets inside the table. Include/internal/pycore_debug_offsets.h of each version. */
static const struct layout {
    int minor;
    uint32_t interpreters_head, interpreter_id, interpreter_next, threads_head, threads_main, thread_next, debugger_support;
} layouts[] = {
    {14, 40, 56, 64, 72, 80, 192, 712},
    {15, 40, 56, 64, 72, 80, 192, 840},
};

/* In the order of debugger_support's fields. */
enum { EVAL_BREAKER, REMOTE_SUPPORT, REMOTE_ENABLED, PENDING_CALL, SCRIPT_PATH, SCRIPT_PATH_SIZE, NFIELDS };

static bool is_pointer(uint64_t p) { return p >= 4096 && p < 1ull << 47 && !(p & 7); }

static int read_offset(struct mem *mem, uint64_t addr, uint64_t *out) {
    int rc = mem_read_u64(mem, addr, out);
    return rc ? rc : *out < FIELD_OFFSET_MAX ? 0 : -EINVAL;
}

static int main_interpreter(struct mem *mem, uint64_t runtime, const struct layout *l, uint64_t *out) {
    uint64_t head, id_at, next_at, interpreter;
    int rc = read_offset(mem, runtime + l->interpreters_head, &head);
    if (!rc) rc = read_offset(mem, runtime + l->interpreter_id, &id_at);
    if (!rc) rc = read_offset(mem, runtime + l->interpreter_next, &next_at);
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
    const struct layout *l = NULL;
    for (size_t i = 0; i < VT_ARRAY_LEN(layouts); i++)
        if (py->major == 3 && py->minor == layouts[i].minor) l = &layouts[i];
    if (!l || !py->has_offsets || py->free_threaded) return -ENOTSUP;

    uint64_t field[NFIELDS], threads_main;
    for (unsigned i = 0; i < NFIELDS; i++) {
        int rc = read_offset(mem, py->runtime + l->debugger_support + 8u * i, &field[i]);
        if (rc) return rc;
    }
    if (field[SCRIPT_PATH_SIZE] < PATH_SIZE_MIN || field[SCRIPT_PATH_SIZE] > PATH_SIZE_MAX) return -EINVAL;
    int rc = read_offset(mem, py->runtime + l->threads_main, &threads_main);
    if (!rc) rc = main_interpreter(mem, py->runtime, l, &out->interpreter);
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
