/* The frame evaluation function of every interpreter below 3.12 (PEP 523). With the GIL. */
#ifndef VT_AGENT_EVAL_SLOT_H
#define VT_AGENT_EVAL_SLOT_H

#include "agent/cpython/py_api.h"

/* Nobody else has it, and our use of the C stack is within what the program's recursion allows. */
bool eval_slot_possible(void);
/* 3.11: a hook makes Python calls use the C stack. The program asked for a deeper recursion than that allows. */
bool eval_slot_too_deep(void);
/* Puts `function` in wherever the interpreter's own is, also in new interpreters; takes it out wherever it is. */
void eval_slot_put(void *function);
void eval_slot_take(void *function);
/* Evaluates a frame as the interpreter does. `tstate` is not used on 3.8. */
ALWAYS_INLINE void *eval_default(void *tstate, void *frame, int throwing, uint32_t python) {
    if (python == 0x308) return ((void *(*)(void *, int))(void *)py._PyEval_EvalFrameDefault)(frame, throwing);
    return py._PyEval_EvalFrameDefault(tstate, frame, throwing);
}

#endif
