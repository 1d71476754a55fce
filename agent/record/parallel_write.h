/* Writing a record on a thread of an interpreter with a GIL of its own, without the lock: hooks/parallel.c has the rules. */
#ifndef VT_AGENT_PARALLEL_WRITE_H
#define VT_AGENT_PARALLEL_WRITE_H

#include "agent/record/parallel_lock.h"
#include "agent/record/thread.h"

/* Only this thread uses its pointer, so no lock is needed. */
static inline void parallel_forget_thread(void) { this_thread = &thread_nobody; }

/* Where this thread may write `words` at the time `now`; NULL = only with the lock. */
ALWAYS_INLINE uint64_t *parallel_room(uint64_t words, uint64_t now) {
    struct thread *thread = this_thread;
    if (UNLIKELY(!parallel_is_on() || !thread_is_ours(thread))) return NULL;
    uint64_t *cursor = *(uint64_t *volatile *)&thread->cursor, at = (uint64_t)cursor & VT_CHUNK_MASK;
    if (UNLIKELY(!at || (VT_CHUNK_SIZE - at) / 8 < words)) return NULL;
    if (UNLIKELY(now >= vt_load_relaxed(&((struct vt_chunk *)((uint64_t)cursor & ~VT_CHUNK_MASK))->limit))) return NULL;
    return cursor;
}

/* Ends a write that began in `session` (agent.session, read before it). */
ALWAYS_INLINE void parallel_wrote(uint64_t *next, uint32_t session) {
    *(uint64_t *volatile *)&this_thread->cursor = next;
    vt_full_fence(); /* pairs with the end of a session: either the end sees our cursor, or we see the end */
    if (UNLIKELY(vt_load_relaxed(&agent.state) != AGENT_TRACING || vt_load_relaxed(&agent.session) != session))
        parallel_forget_thread();
}

/* False: nothing was written. */
ALWAYS_INLINE bool parallel_write_event(uint64_t word, bool any_clock) {
    uint32_t session = vt_load_acquire(&agent.session);
    uint64_t now = any_clock ? clock_full() : arch_ticks(), *cursor = parallel_room(1, now);
    if (UNLIKELY(!cursor)) return false;
    arch_publish(cursor, now << VT_REC_TS_SHIFT | word);
    parallel_wrote(cursor + 1, session);
    return true;
}

/* A payload on this thread. `words` is zero up to the end of the last word, and no code of the target has run since the event
 * began. False: nothing was written, use parallel_payload. */
bool parallel_plain_payload(uint32_t kind, const uint64_t *words, uint32_t bytes);
/* Takes the lock for it; nothing happens if the session is over. */
void parallel_payload(uint32_t kind, const char *text, uint32_t bytes);

#endif
