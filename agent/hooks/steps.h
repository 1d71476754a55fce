/* Frames of coroutines: which coroutine runs in one, and who has called it. With the GIL of the current interpreter. */
#ifndef VT_AGENT_STEPS_H
#define VT_AGENT_STEPS_H

#include "agent/cpython/base.h"

/* The frame that runs `code`: the frame object up to 3.10, the interpreter's own frame from 3.11 on. `object`: the frame object;
 * may be NULL on 3.12+. NULL = not known in this process. */
const void *steps_frame(void *code, const void *object);
/* The address of the coroutine object whose frame this is; to be compared, not followed. */
uint64_t steps_coroutine(const void *frame);
/* Has no coroutine called it, so that a step of a task begins here? */
bool steps_is_outermost(const void *frame);

#endif
