/* The target's own profile functions, beside ours. */
#ifndef VT_AGENT_PROFILERS_H
#define VT_AGENT_PROFILERS_H

#include "agent/cpython/py_api.h"

enum { TRACE_CALL = 0, TRACE_RETURN = 3, TRACE_C_CALL = 4, TRACE_C_EXCEPTION = 5, TRACE_C_RETURN = 6 };

/* One entry per thread state that has a profile function of the target, or frames that were open at the start. */
struct beside {
    void *tstate;          /* NULL = the slot is free */
    py_tracefunc theirs;   /* NULL = none */
    const void *open_from; /* innermost frame that was open at the start and still is; NULL = none that we record */
    uint32_t c_calls;      /* C calls that `theirs` saw begin and that have not returned */
    bool knows_all;        /* set before us, or set unseen: it saw all open C calls begin */
    bool seen;
};

/* Called around a C function of the target that sets or removes a profile function; runs in its thread, with its GIL. */
struct profilers_hooks {
    /* Before the call. True: without us, too, the ends of the C calls that are open now would be events. NULL = they would
     * not. */
    bool (*before)(void);
    /* After the call. `all`: it may have changed every thread; `knows_all`: the answer of `before`. */
    void (*after)(bool all, bool knows_all);
};
void profilers_start(const struct profilers_hooks *hooks);
/* Restores the entry of every C function. */
void profilers_stop(void);
struct beside *beside_find(const void *tstate);
/* The same, created if there is none; NULL = no free slot. */
struct beside *beside_make(void *tstate);
void beside_drop(struct beside *beside);
/* Forgets every thread state that `alive` did not mark as `seen`. */
void beside_sweep(void (*alive)(void));
/* Records that the thread has `theirs` from now on. False: no free slot. */
bool beside_set(void *tstate, py_tracefunc theirs, bool knows_all);
/* 3.12+: puts our function in place of those that the target has set, in the current thread or in all; or restores them. */
void profilers_stand_in(bool all, bool knows_all);
void profilers_stand_aside(void);
/* Passes an event of the current thread to the target's function, if it would have got the event without us. */
int beside_pass_on(void *tstate, void *object, void *frame, int what, void *argument);

#endif
