/* Ids of functions: a code object carries its id in co_extra, a C function in a hash table on its method definition. Ids are
 * shifted by VT_REC_TYPE_BITS, as a record needs them; they are never used twice in a process, and those of this session are
 * agent.base_id and above. 0 = the function could not be named now, and its event counts as dropped.
 *
 * With the main interpreter's GIL, or that of the code's interpreter and parallel_lock. */
#ifndef VT_AGENT_IDS_H
#define VT_AGENT_IDS_H

#include "agent/cpython/layout.h"
#include "agent/cpython/py_api.h"
#include "agent/cpython/text.h"
#include "agent/record/state.h"

/* What a code object carries: its id in the low half, flags of names/filter.h in the high half. Below 3.12 the low half of
 * generators and coroutines has this bit too: it makes the number negative, so that the hot path does not find an id and leaves
 * their events to a path of their own. Other functions pay nothing for that. */
#define CODE_IN_PIECES (1u << 31)
ALWAYS_INLINE uint32_t code_word_id(uint64_t word) { return (uint32_t)word & ~CODE_IN_PIECES; }

/* The id of a code object. False: it has none yet, or CODE_IN_PIECES. */
ALWAYS_INLINE bool code_id_known(const void *code, size_t extra_offset, uint32_t *id) {
    const struct co_extra *extra = field(code, extra_offset);
    int64_t index = agent.extra_index;
    if (UNLIKELY(!extra || extra->size <= index)) return false;
    *id = (uint32_t)extra->value[index];
    return LIKELY((int32_t)*id >= (int32_t)agent.base_id);
}
/* The id of one with CODE_IN_PIECES. False: it has none yet. */
static inline bool code_id_in_pieces(const void *code, uint32_t *id) {
    const struct co_extra *extra = field(code, layout.co_extra);
    if (!extra || extra->size <= agent.extra_index) return false;
    *id = code_word_id(extra->value[agent.extra_index]);
    return *id >= agent.base_id;
}
#define CODE_MAKES_GENERATOR 0x2a0u /* in co_flags: CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR */
/* Does it run in pieces, and the interpreter does not tell which? */
ALWAYS_INLINE bool code_in_pieces(const void *code) {
    return layout.python < 0x30c && field32(code, layout.co_flags) & CODE_MAKES_GENERATOR;
}
/* A slot of the table of C functions. The hot path looks at the home slot of a method definition only. A definition may be on the
 * heap and be reused, so its name and its function are part of the key. */
#define FUNCTION_BITS 13
struct function_slot {
    void *definition;
    uint64_t check; /* ml_name ^ ml_meth */
    uint32_t id;
    uint16_t special;  /* enum function_special */
    uint16_t left_out; /* by a filter */
};
/* C functions after which a back end must look at threads again. */
enum function_special {
    FUNCTION_PLAIN = 0,
    FUNCTION_STARTS_THREAD,
    FUNCTION_SETS_PROFILE,
    FUNCTION_SETS_PROFILES /* of all threads */
};
/* Called before the first call in the session of a C function that sets profile functions; NULL = nothing is called. */
extern HIDDEN void (*name_profile_setter)(void *definition, bool all);
/* Of interpreters that share the main GIL. */
extern HIDDEN struct function_slot function_slots[1u << FUNCTION_BITS];
ALWAYS_INLINE uint32_t function_slot_of(const void *definition) {
    return (uint32_t)(((uint64_t)definition >> 4) * 0x9E3779B1u) >> (32 - FUNCTION_BITS);
}
ALWAYS_INLINE uint64_t function_check(const void *definition) {
    const uint64_t *words = definition;
    return words[DEF_NAME / 8] ^ words[DEF_FUNCTION / 8];
}
/* The method definition of a C function; NULL = `callable` is something else. PyCFunction, PyCMethod and method descriptors count
 * as C functions; types, slot wrappers and other callables do not. The set is the same on every version. */
ALWAYS_INLINE void *function_definition(void *callable) {
    void *type = type_of(callable);
    if (LIKELY(type == py.PyCFunction_Type)) return field(callable, CFUNCTION_DEF);
    if (type == py.PyMethodDescr_Type) return field(callable, DESCR_DEF);
    if (type == py.PyCMethod_Type) return field(callable, CFUNCTION_DEF);
    if (type == py.PyClassMethodDescr_Type) return field(callable, DESCR_DEF);
    return NULL;
}
/* False: it has no id yet, or is not in its home slot, or `definition` is NULL. */
ALWAYS_INLINE bool function_id_known(const void *definition, uint32_t *id) {
    const struct function_slot *slot = &function_slots[function_slot_of(definition)];
    *id = slot->id;
    return LIKELY(slot->definition == definition && *id >= agent.base_id && slot->check == function_check(definition));
}
/* The C function that was called last, until it returns or another one is called: its return needs no look-up. It cannot be freed
 * in that time, so its address identifies it. */
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

/* names.c. Called once per session; 0, or -errno with the cause appended to `why`. */
int names_start(char *why, size_t why_size);
/* The id of a code object, given now if it has none, while tracing or with the hooks not yet in. `frame`: an open frame of it;
 * NULL = the one that runs. */
uint32_t name_code(void *code, void *frame);
/* Gives a code object an id that has none, while tracing. `globals`: the namespace of the function, borrowed; NULL = that of the
 * frame that runs. */
uint32_t name_code_new(void *code, void *globals);
/* Makes the events of a code object, which has an id, go through the rare paths of the hooks. */
void name_code_watch(void *code);
/* The id of a C function, given now if it has none. `slots`: function_slots, or a table of the same size. */
uint32_t name_function(struct function_slot *slots, void *callable, void *definition);
/* The id that it has in the table; 0 = none yet. */
uint32_t name_function_known(struct function_slot *slots, const void *definition);
/* The slot that name_function used or filled; NULL = it found no room for it. */
const struct function_slot *name_function_slot(const struct function_slot *slots, const void *definition);
/* A new id for a text: a span of the program's own, which readers show like a C function. While tracing. */
uint32_t name_text(const struct text *name);

/* stack_ids.c. Numbers (not shifted) of the innermost `most` open frames of a thread, outermost first; returns how many.
 * Functions that are left out are not among them. `without_first`: nor is the innermost frame. */
uint32_t stack_ids(void *tstate, uint32_t *ids, uint32_t most, bool without_first);

#endif
