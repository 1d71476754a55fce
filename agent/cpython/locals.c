/* Owns reading the variables of the frame that runs: where they are on this version, and the proof of it.
 *
 * Below 3.12 the types of the interpreter prove it: the locals are the last part of a frame object, so the size of its type says
 * where they begin. f_locals is no way there: it makes a dict, and with each object that the garbage collector knows a collection
 * may start in the hook, which runs code of the target.
 *
 * On 3.12+ collections wait until the hook is left. The proof uses the first calls of the program: their arguments are also read
 * through f_locals, which costs a dict each time, and must be the same objects. A single difference, and f_locals is used from
 * then on. (A frame of our own would prove it at once, but for that code would have to be compiled in the target, which audit
 * hooks see.) */
#include "agent/cpython/locals.h"

#include "agent/cpython/layout.h"
#include "agent/cpython/py_api.h"
#include "agent/cpython/value_put.h"
#include "proto/abi/arena.h"

enum { PROOFS = 16, STACK_MOST = 64 << 20, TSTATE_MOST = 4096, KIND_CELL = 0x40, TAGGED_INT = 3 };

/* For the life of the process, because layouts do not change. Threads with a GIL of their own use these, too. */
static uint32_t proofs, refuted;

static bool is_refuted(void) { return vt_load_relaxed(&refuted); }

bool locals_trusted(void) { return (layout.python < 0x30c || vt_load_relaxed(&proofs) >= PROOFS) && !is_refuted(); }

void locals_tried(const struct locals *locals, bool same) {
    if (!locals->slots) return;
    if (!same) vt_store_relaxed(&refuted, 1u);
    vt_fetch_add(&proofs, 1u);
}

static bool is_near(const void *at, const void *base, uint64_t most) { return (uint64_t)at - (uint64_t)base < most; }

/* 3.12+: the interpreter's own frame, to which the thread state points. NULL = not found. */
static const char *running_frame(void) {
    const void *tstate = py.PyThreadState_Get(), *holder = tstate;
    if (layout.ts_cframe) {
        holder = field(tstate, layout.ts_cframe); /* on the C stack, or in the thread state */
        bool likely = is_near(holder, &holder, STACK_MOST) || is_near(holder, tstate, TSTATE_MOST);
        if (!locals_trusted() && (!likely || (uint64_t)holder % 8)) return NULL;
    }
    const char *inner = field(holder, layout.ts_current_frame);
    if (locals_trusted()) return inner;
    const void *object = py.PyEval_GetFrame(); /* borrowed; must lead to the same frame */
    return object && field(object, FRAME_INNER) == inner ? inner : NULL;
}

/* Below 3.12. */
static bool is_known_frame(const void *frame) {
    const void *type = type_of(frame);
    return (uint64_t)field(type, TYPE_SIZEOF) == layout.frame_size && (uint64_t)field(type, TYPE_ITEM_SIZE) == sizeof(void *);
}

struct locals locals_of(void *code, const void *frame) {
    struct locals locals = {code, NULL};
    const char *at = frame;
    if (is_refuted()) return locals;
    if (layout.python >= 0x30c)
        at = running_frame();
    else if (!is_known_frame(frame))
        return locals;
    else if (layout.python == 0x30b)
        at = field(frame, FRAME_INNER);
    if (at && ((uint64_t)field(at, layout.frame_code) & ~(uint64_t)layout.reference_tags) == (uint64_t)code)
        locals.slots = (void *const *)(const void *)(at + layout.frame_locals);
    return locals;
}

/* Below 3.11 an argument that inner functions use lies in a cell behind the locals, and its own slot is empty. */
static void *cell_308(const struct locals *locals, int64_t i) {
    const int64_t *argument_of = field(locals->code, layout.co_cell2arg);
    void *const *cells = locals->slots + field32(locals->code, layout.co_nlocals);
    int64_t n = argument_of ? py.PyTuple_Size(field(locals->code, layout.co_cellvars)) : 0;
    for (int64_t k = 0; k < n; k++)
        if (argument_of[k] == i) return cells[k];
    return NULL;
}

static bool is_cell(const struct locals *locals, int64_t i, const void *value) {
    const uint8_t *kinds = field(locals->code, layout.co_kinds);
    return type_of(value) == py.PyCell_Type && type_of(kinds) == py.PyBytes_Type && kinds[BYTES_DATA + i] & KIND_CELL;
}

bool locals_value(const struct locals *locals, int64_t i, void **value) {
    uint64_t bits = (uint64_t)locals->slots[i];
    if (layout.reference_tags && (bits & layout.reference_tags) == TAGGED_INT) return false;
    void *found = (void *)(bits & ~(uint64_t)layout.reference_tags), *cell = NULL;
    if (!layout.co_kinds)
        cell = found ? NULL : cell_308(locals, i);
    else if (found && UNLIKELY(type_of(found) == py.PyCell_Type) && is_cell(locals, i, found))
        cell = found;
    *value = cell ? field(cell, CELL_VALUE) : found;
    return true;
}

/* Do the names of the arguments lie where they are expected? Seen on a method that every interpreter has: ModuleSpec.__init__. */
void locals_check(void) {
    void *spec = py.PySys_GetObject("__spec__"); /* borrowed */
    if (layout.python >= 0x30c || !spec) return;
    void *method = py.PyObject_GetAttrString(type_of(spec), "__init__");
    void *code = method ? py.PyObject_GetAttrString(method, "__code__") : NULL;
    void *names = code ? py.PyObject_GetAttrString(code, "co_varnames") : NULL, *here = NULL;
    if (names) here = field(code, layout.co_varnames);
    bool same = here && type_of(here) == py.PyTuple_Type && py.PyTuple_Size(names) > 1 && py.PyTuple_Size(here) > 1 &&
                py.PyTuple_GetItem(here, 1) == py.PyTuple_GetItem(names, 1) && value_str_is(py.PyTuple_GetItem(here, 1), "name");
    if (!same) vt_store_relaxed(&refuted, 1u);
    if (py.PyErr_Occurred()) py.PyErr_Clear();
    drop_ref(names);
    drop_ref(code);
    drop_ref(method);
}
