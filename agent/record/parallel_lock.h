/* The lock between the session and the threads of interpreters with a GIL of their own, which run while others hold the main
 * interpreter's GIL. Whoever ends a session takes it before anything is taken away. Nothing under it gives up a GIL or waits
 * for one. Any thread. */
#ifndef VT_AGENT_PARALLEL_LOCK_H
#define VT_AGENT_PARALLEL_LOCK_H

#include "agent/record/state.h"

/* A spin lock that contains the number of the process that holds it: a forked child treats a lock that it inherited as open. From
 * threads_start on. */
void process_lock(uint32_t *lock);
static inline void process_unlock(uint32_t *lock) { vt_store_release(lock, 0u); }

void parallel_lock(void);
void parallel_unlock(void);

/* Is the session on, and are such interpreters traced in it? Without the lock this is a guess. */
static inline bool parallel_is_on(void) { return vt_load_acquire(&agent.state) == AGENT_TRACING && agent.parallel; }

/* The same with the lock, and for certain: the daemon still wants it, and the interpreter is not ending. */
bool parallel_is_on_locked(void);
/* Takes the lock, asks, gives it back. */
bool parallel_wanted(void);
/* Takes the lock and keeps it, whatever the answer: is the session on in which this thread has its block? */
bool parallel_lock_known(void);

#endif
