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
    /* Out and in again within a session, for the governor; NULL = functions are switched off one by one. */
    void (*pause)(void);
    void (*resume)(void);
};
extern const struct hook_ops hook_monitoring, hook_profile, hook_eval;
bool hook_eval_possible(void);

#endif
