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
/* A coroutine of the target is entered or left on this thread. task_enter may run code of the target, which may end the session.
 */
void task_enter(enum detail_way way);
void task_leave(enum detail_way way);

#endif
