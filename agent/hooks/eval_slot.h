/* The frame evaluation function of every interpreter below 3.12 (PEP 523). With the GIL. */
#ifndef VT_AGENT_EVAL_SLOT_H
#define VT_AGENT_EVAL_SLOT_H

#include "agent/cpython/py_api.h"

/* True when nobody else has set one, and the program's recursion limit fits our use of the C stack. */
bool eval_slot_possible(void);
/* 3.11: with a hook, Python calls use the C stack. True when the program's recursion limit is too deep for that. */
bool eval_slot_too_deep(void);
/* Puts `function` in where an interpreter has its own one, in new interpreters, too. NULL takes ours out everywhere. */
void eval_slot_put(void *function);
void eval_slot_take(void *function);
/* Evaluates a frame as the interpreter does. `tstate` is not used on 3.8. */
ALWAYS_INLINE void *eval_default(void *tstate, void *frame, int throwing, uint32_t python) {
    if (python == 0x308) return ((void *(*)(void *, int))(void *)py._PyEval_EvalFrameDefault)(frame, throwing);
    return py._PyEval_EvalFrameDefault(tstate, frame, throwing);
}

#endif
