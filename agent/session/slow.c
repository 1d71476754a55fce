/* Owns the slow paths that hooks take: each looks after the session first. */
#include "agent/session/slow.h"

#include "agent/session/session.h"

NOINLINE bool emit_slow(uint64_t word) { return !this_thread->paused && session_visit() && emit_here(word); }

NOINLINE uint32_t name_code_entered(void *code, void *globals) {
    uint64_t begun = agent.governed ? clock_full() : 0;
    uint32_t id = session_visit() ? name_code_new(code, globals) : 0;
    if (begun) agent.naming += clock_full() - begun;
    return id;
}

uint32_t name_code_slow(void *code) { return name_code_entered(code, NULL); }

/* Most calls come here because the function is not in its home slot: these need no visit. */
NOINLINE uint32_t name_function_slow(void *callable, void *definition) {
    uint32_t id = name_function_known(function_slots, definition);
    if (id) return id;
    return session_visit() ? name_function(function_slots, callable, definition) : 0;
}
