/* The hot path. One event: load the cursor, read the clock, compare it with the chunk's limit, store one word.
 * All other cases (no chunk, a full chunk, a stopped session, a forked child, a clock wrap, an expired lease, a
 * visit that is due) go through emit_slow in session/slow.h.
 *
 * On the current thread, with the GIL of an interpreter that shares the main interpreter's. */
#ifndef VT_AGENT_EMIT_H
#define VT_AGENT_EMIT_H

#include "agent/record/state.h"
#include "agent/record/thread.h"

/* word = id << VT_REC_TYPE_BITS | type. `now`: the clock, read since the last record of this thread. False: nothing was written,
 * call emit_slow. */
ALWAYS_INLINE bool emit_at(uint64_t now, uint64_t word) {
    struct thread *thread = this_thread;
    uint64_t *cursor = thread->cursor;
    if (UNLIKELY(((uint64_t)cursor & VT_CHUNK_MASK) == 0 ||
                 now >= vt_load_relaxed(&((struct vt_chunk *)((uint64_t)cursor & ~VT_CHUNK_MASK))->limit)))
        return false;
    arch_publish(cursor, now << VT_REC_TS_SHIFT | word);
    thread->cursor = cursor + 1;
    return true;
}
/* A short payload, while tracing. kind: enum vt_payload_kind; `words` holds `bytes` bytes, and zeros up to the end of the last
 * word. False: nothing was written, use payload_reserve. */
static inline bool emit_payload(uint32_t kind, const uint64_t *words, uint32_t bytes) {
    struct thread *thread = this_thread;
    uint64_t *cursor = thread->cursor, at = (uint64_t)cursor & VT_CHUNK_MASK, n = 1 + (bytes + 7) / 8;
    if (UNLIKELY(!at || (VT_CHUNK_SIZE - at) / 8 < n)) return false;
    uint64_t now = clock_full();
    if (UNLIKELY(now >= vt_load_relaxed(&((struct vt_chunk *)((uint64_t)cursor & ~VT_CHUNK_MASK))->limit))) return false;
    for (uint64_t i = 1; i < n; i++) cursor[i] = words[i - 1];
    arch_publish(cursor, vt_rec_make(now, vt_rec_payload_id(kind, bytes), VT_REC_PAYLOAD));
    thread->cursor = cursor + n;
    return true;
}

#endif
