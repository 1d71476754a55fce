/* --log_async: which asyncio task a thread runs. With the GIL of the current interpreter. */
#ifndef VT_AGENT_TASK_H
#define VT_AGENT_TASK_H

#include "agent/cpython/layout.h"
#include "agent/hooks/detail.h"
#include "agent/record/state.h"

#define CODE_IS_COROUTINE 0x280u /* CO_COROUTINE, CO_ASYNC_GENERATOR */
/* Does the session follow tasks, and is this the code of a coroutine? */
ALWAYS_INLINE bool task_wanted(const void *code) {
    return agent.flags & VT_F_ASYNC && field32(code, layout.co_flags) & CODE_IS_COROUTINE;
}
/* A coroutine of the target is entered or left on this thread. `frame`: its frame object; may be NULL on 3.12+. type: enum
 * vt_rec_type. task_enter may run code of the target, which may end the session. */
void task_enter(void *code, const void *frame, uint32_t type, enum detail_way way);
void task_leave(void *code, const void *frame, enum detail_way way);

/* A coroutine of the target is about to be suspended with this value, whose event is not recorded yet: tells a task that is
 * awaited, or a gather(). Main GIL only. Runs no code of the target. */
void task_awaits(const void *value);

/* The task of the main GIL's interpreters that began inside a step of another one, and may not have its name yet; NULL = none. */
extern HIDDEN const void *task_early;
ALWAYS_INLINE bool task_is_early(const void *value) { return value && value == task_early; }
/* A function returns it. May run code of the target, as task_enter. */
void task_named(void *task);

#endif
