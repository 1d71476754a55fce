/* The hot path: one event = load the cursor, read the clock, compare with the chunk's limit, one store.
 * Everything that is not ordinary (no chunk, full, stopped, forked child, clock wrap, lease, a visit is
 * due) goes through emit_slow. */
#ifndef VT_AGENT_EMIT_H
#define VT_AGENT_EMIT_H

#include "agent/agent_priv.h"

/* word = id << VT_REC_TYPE_BITS | type. False: nothing was written, it is a matter for emit_slow. `now` is the clock, and
 * nothing was written since it was read. */
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

/* A short payload of one that is certainly tracing, or false: go the long way. `bytes` is read, and must be zero, up to the
 * next word. */
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

/* Name id of a code object, shifted for a record. False: it has none yet. */
ALWAYS_INLINE bool code_id_known(const void *code, size_t extra_offset, uint32_t *id) {
    const struct co_extra *extra = field(code, extra_offset);
    int64_t index = agent.extra_index;
    if (UNLIKELY(!extra || extra->size <= index)) return false;
    *id = (uint32_t)extra->value[index];
    return LIKELY(*id >= agent.base_id);
}
/* 0 = could not be named now (the event counts as dropped). */
ALWAYS_INLINE uint32_t code_id(void *code, size_t extra_offset) {
    uint32_t id;
    return LIKELY(code_id_known(code, extra_offset, &id)) ? id : name_code_slow(code);
}

/* C functions: a direct-mapped look at the home slot of a hash on the method definition. A definition
 * may be on the heap and reused, so name and function are part of the key. */
#define FUNCTION_BITS 13
struct function_slot {
    void *definition;
    uint64_t check; /* ml_name ^ ml_meth */
    uint32_t id;
    uint16_t special;  /* enum function_special */
    uint16_t left_out; /* by a filter */
};
/* Functions after which threads must be looked at again. */
enum function_special {
    FUNCTION_PLAIN = 0,
    FUNCTION_STARTS_THREAD,
    FUNCTION_SETS_PROFILE,
    FUNCTION_SETS_PROFILES /* of all threads */
};
/* Called before the first call in the session of a C function that sets profile functions; NULL = nobody wants to know. */
extern HIDDEN void (*name_profile_setter)(void *definition, bool all);
const struct function_slot *name_function_slot(const struct function_slot *slots, const void *definition);
extern HIDDEN struct function_slot function_slots[1u << FUNCTION_BITS];
uint32_t name_function(struct function_slot *slots, void *callable, void *definition);

ALWAYS_INLINE uint32_t function_slot_of(const void *definition) {
    return (uint32_t)(((uint64_t)definition >> 4) * 0x9E3779B1u) >> (32 - FUNCTION_BITS);
}
ALWAYS_INLINE uint64_t function_check(const void *definition) {
    const uint64_t *words = definition;
    return words[DEF_NAME / 8] ^ words[DEF_FUNCTION / 8];
}
/* NULL when `callable` is not a C function as we count them: PyCFunction, PyCMethod, PyMethodDescr.
 * Types, slot wrappers and other callables are not: the same set on every version. */
ALWAYS_INLINE void *function_definition(void *callable) {
    void *type = type_of(callable);
    if (LIKELY(type == py.PyCFunction_Type)) return field(callable, CFUNCTION_DEF);
    if (type == py.PyMethodDescr_Type) return field(callable, DESCR_DEF);
    if (type == py.PyCMethod_Type) return field(callable, CFUNCTION_DEF);
    if (type == py.PyClassMethodDescr_Type) return field(callable, DESCR_DEF);
    return NULL;
}
/* False: it has no id yet, or is not in its home slot, or is NULL. */
ALWAYS_INLINE bool function_id_known(const void *definition, uint32_t *id) {
    const struct function_slot *slot = &function_slots[function_slot_of(definition)];
    *id = slot->id;
    return LIKELY(slot->definition == definition && *id >= agent.base_id && slot->check == function_check(definition));
}
ALWAYS_INLINE uint32_t function_id(void *callable, void *definition) {
    uint32_t id;
    return LIKELY(function_id_known(definition, &id)) ? id : name_function_slow(callable, definition);
}

/* The C function that was called last, as long as it has not returned and nothing else was called: its return needs no
 * look-up. It is alive all that time, so its address says enough. */
struct c_open {
    const void *callable; /* NULL = none */
    uint32_t id;
};
extern HIDDEN struct c_open c_open;
ALWAYS_INLINE void c_entered_known(const void *callable, uint32_t id) { c_open = (struct c_open){callable, id}; }
ALWAYS_INLINE void c_entered(const void *callable, uint32_t id) { c_entered_known(id ? callable : NULL, id); }
ALWAYS_INLINE bool c_leaves(const void *callable, uint32_t *id) {
    *id = c_open.id;
    if (UNLIKELY(c_open.callable != callable)) return false;
    c_open.callable = NULL;
    return true;
}

#endif
