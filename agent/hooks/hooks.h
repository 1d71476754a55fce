/* What a hook back end is. Exactly one is chosen at start. All with the GIL held. */
#ifndef VT_AGENT_HOOKS_H
#define VT_AGENT_HOOKS_H

#include "agent/agent_priv.h"

struct hook_ops {
    uint32_t kind; /* enum vt_hook_kind */
    /* Puts the hooks into every interpreter and thread. 0, or -errno with nothing left behind. */
    int (*install)(char *why, size_t why_size);
    /* Takes out what is still ours. May be called from inside a callback; runs no Python code. */
    void (*remove)(void);
    /* About every 20 ms while something runs, from inside a callback: threads and hooks that changed. */
    void (*visit)(void);
    /* The session is over: true = the arena was taken over by what may still write into it. NULL = nothing may. */
    bool (*keep)(void *arena, uint64_t bytes);
    /* At each slow path between two visits, so nearly free: is there a new interpreter? NULL = found otherwise. */
    void (*news)(void);
    /* From a callback that is called although no session is on: takes it out. NULL = remove takes out all there is. */
    void (*leftover)(void);
    /* Out and in again within a session, for the governor; NULL = functions are switched off one by one. */
    void (*pause)(void);
    void (*resume)(void);
};
extern const struct hook_ops hook_monitoring, hook_profile, hook_eval;

#endif
