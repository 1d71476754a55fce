/* Events of interpreters with a GIL of their own, which run while we hold ours. parallel.c has the rules. */
#ifndef VT_AGENT_PARALLEL_H
#define VT_AGENT_PARALLEL_H

#include "agent/hooks/detail.h"

/* In the interpreter of the event, with its GIL. */
void parallel_python(void *code, uint32_t type);
void parallel_c(void *callable, void *definition, uint32_t type);
/* The same in sessions with options; see detail_python and detail_c. */
enum detail_next parallel_detail_python(void *code, uint32_t type, void *value);
enum detail_next parallel_detail_c(void *code, void *callable, void *definition, uint32_t type);
/* A payload of the current thread's. `words`: zero up to the end of the last one, of a call that has run no code of the target;
 * false: go the other way, which is for any text. */
bool parallel_plain_payload(uint32_t kind, const uint64_t *words, uint32_t bytes);
void parallel_payload(uint32_t kind, const char *text, uint32_t bytes);
/* Frames that are open in the current interpreter. */
void parallel_stacks(void);
/* Is the current interpreter to be traced? */
bool parallel_wanted(void);
/* Takes the lock, whatever it says: is the session on that the current thread is known in? */
bool parallel_lock_known(void);
/* Nothing of the session may be taken away while it is held; never waits for a GIL. */
void parallel_lock(void);
void parallel_unlock(void);

#endif
