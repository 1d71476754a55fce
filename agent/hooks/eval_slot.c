/* Owns the frame evaluation functions of the interpreters below 3.12: where they are stored, and when we may set ours. */
#include "agent/hooks/eval_slot.h"

#include "agent/cpython/frames.h"
#include "agent/cpython/layout.h"

enum { SLOTS_SEARCHED = 256, RECURSION_LIMIT_MAX = 5000, DEPTH_MAX = 2000 };

/* 3.8 has no getter: the slot is found by its value. */
static void **slot_308(void *interpreter, const void *value) {
    void **words = interpreter;
    for (uint32_t i = 0; i < SLOTS_SEARCHED; i++)
        if (words[i] == value) return &words[i];
    return NULL;
}

static bool is_set(void *interpreter, void *function) {
    if (layout.python == 0x308) return slot_308(interpreter, function) != NULL;
    return (void *)py._PyInterpreterState_GetEvalFrameFunc(interpreter) == function;
}

static void replace(void *from, void *to) {
    for (void *it = py.PyInterpreterState_Head(); it; it = py.PyInterpreterState_Next(it)) {
        if (!is_set(it, from)) continue;
        if (layout.python == 0x308)
            *slot_308(it, from) = to;
        else
            py._PyInterpreterState_SetEvalFrameFunc(it, (py_evalfunc)to);
    }
}

void eval_slot_put(void *function) { replace((void *)py._PyEval_EvalFrameDefault, function); }
void eval_slot_take(void *function) { replace(function, (void *)py._PyEval_EvalFrameDefault); }

bool eval_slot_too_deep(void) { return layout.python == 0x30b && py.Py_GetRecursionLimit() > RECURSION_LIMIT_MAX; }

/* 3.11 counts down what is left of the recursion limit, at each frame. That spares the walk over thousands of stacks. The
 * counters are where we expect them if the limit is the interpreter's. */
enum { TS_RECURSION_LEFT_311 = 32, TS_RECURSION_LIMIT_311 = 36 };
static bool is_deep(void *tstate, int64_t limit) {
    int64_t left = (int32_t)field32(tstate, TS_RECURSION_LEFT_311), whole = (int32_t)field32(tstate, TS_RECURSION_LIMIT_311);
    if (whole == limit && left > 0 && left <= whole && whole - left < DEPTH_MAX) return false;
    return frames_depth(tstate, DEPTH_MAX) >= DEPTH_MAX;
}

static bool any_deep_stack(void) {
    if (layout.python != 0x30b) return false;
    int64_t limit = py.Py_GetRecursionLimit();
    for (void *it = py.PyInterpreterState_Head(); it; it = py.PyInterpreterState_Next(it))
        for (void *tstate = py.PyInterpreterState_ThreadHead(it); tstate; tstate = py.PyThreadState_Next(tstate))
            if (is_deep(tstate, limit)) return true;
    return false;
}

/* We do not replace an evaluation function that another tool has set (a debugger, a compiler). */
bool eval_slot_possible(void) {
    if (layout.python >= 0x30c || !py._PyEval_EvalFrameDefault) return false;
    if (layout.python > 0x308 && (!py._PyInterpreterState_GetEvalFrameFunc || !py._PyInterpreterState_SetEvalFrameFunc))
        return false;
    for (void *it = py.PyInterpreterState_Head(); it; it = py.PyInterpreterState_Next(it))
        if (!is_set(it, (void *)py._PyEval_EvalFrameDefault)) return false;
    return !eval_slot_too_deep() && !any_deep_stack();
}
