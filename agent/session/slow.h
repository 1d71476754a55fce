/* What a hook calls: the hot paths of record/emit.h and names/ids.h, with their slow paths. In interpreters that share the main
 * interpreter's GIL, with that GIL; for other interpreters see hooks/parallel.c.
 *
 * A slow path begins with session_visit, which may end the session. */
#ifndef VT_AGENT_SLOW_H
#define VT_AGENT_SLOW_H

#include "agent/names/ids.h"
#include "agent/record/emit.h"

/* An event that the hot path could not write: writes it, or counts it as dropped. False: it was not written. */
bool emit_slow(uint64_t word);
/* Gives the function an id if the session is on. */
uint32_t name_code_slow(void *code);
/* `globals`: of the frame that is about to run `code`. */
uint32_t name_code_entered(void *code, void *globals);
uint32_t name_function_slow(void *callable, void *definition);

/* Records an event of a session whose clock is the TSC: word = id << VT_REC_TYPE_BITS | type. */
ALWAYS_INLINE void emit(uint64_t word) {
    if (!emit_at(arch_ticks(), word)) emit_slow(word);
}

/* The same with whatever clock the session uses. */
static inline void emit_any_clock(uint64_t word) {
    struct thread *thread = this_thread;
    uint64_t *cursor = thread->cursor;
    if (LIKELY(((uint64_t)cursor & VT_CHUNK_MASK) != 0)) {
        uint64_t now = clock_full();
        if (LIKELY(now < vt_load_relaxed(&((struct vt_chunk *)((uint64_t)cursor & ~VT_CHUNK_MASK))->limit))) {
            arch_publish(cursor, now << VT_REC_TS_SHIFT | word);
            thread->cursor = cursor + 1;
            return;
        }
    }
    emit_slow(word);
}

/* 0 = could not be named now (the event counts as dropped). */
ALWAYS_INLINE uint32_t code_id(void *code, size_t extra_offset) {
    uint32_t id;
    if (LIKELY(code_id_known(code, extra_offset, &id)) || code_id_in_pieces(code, &id)) return id;
    return name_code_slow(code);
}

ALWAYS_INLINE uint32_t function_id(void *callable, void *definition) {
    uint32_t id;
    return LIKELY(function_id_known(definition, &id)) ? id : name_function_slow(callable, definition);
}

#endif
