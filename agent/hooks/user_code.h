/* The code of a launched program's __main__: where it ends, the program's own part of the trace ends (--log_exit: it goes on).
 * With the main interpreter's GIL. */
#ifndef VT_AGENT_USER_CODE_H
#define VT_AGENT_USER_CODE_H

#include "agent/cpython/base.h"
#include "agent/record/state.h"

/* `code` runs next, on this thread. It lives until it has returned. */
void user_code_set(void *code);
/* Records a call of builtins.exec, which ends with the code. */
void user_code_begin_exec(void);
/* After an event (VT_REC_*) of this code object was recorded or left out. */
void user_code_event(void *code, uint32_t type);
/* Is it the one? Cheap: hooks ask it in paths that are rare. */
ALWAYS_INLINE bool user_code_is(const void *code) { return UNLIKELY(code == agent.user_code); }

#endif
