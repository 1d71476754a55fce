/* Events of interpreters with a GIL of their own, which run while we hold ours. parallel.c has the rules. */
#ifndef VT_AGENT_PARALLEL_H
#define VT_AGENT_PARALLEL_H

#include "agent/agent_priv.h"

/* In the interpreter of the event, with its GIL. */
void parallel_python(void *code, uint32_t type);
void parallel_c(void *callable, void *definition, uint32_t type);
/* Frames that are open in the current interpreter. */
void parallel_stacks(void);
/* Is the current interpreter to be traced? */
bool parallel_wanted(void);
/* Nothing of the session may be taken away while it is held; never waits for a GIL. */
void parallel_lock(void);
void parallel_unlock(void);

#endif
