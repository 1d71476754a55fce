/* Profile functions of the target's own, beside ours. */
#ifndef VT_AGENT_PROFILERS_H
#define VT_AGENT_PROFILERS_H

#include "agent/cpython/py_api.h"

enum { TRACE_CALL = 0, TRACE_RETURN = 3, TRACE_C_CALL = 4, TRACE_C_EXCEPTION = 5, TRACE_C_RETURN = 6 };

/* What is kept of a thread state: one that has a profile function of the target's, or frames that were open at the start. */
struct beside {
    void *tstate;          /* NULL = the place is free */
    py_tracefunc theirs;   /* NULL = none */
    const void *open_from; /* innermost of the frames that were open at the start and still are; NULL = none matters */
    uint32_t c_calls;      /* C calls that `theirs` was told of and that have not returned */
    bool knows_all;        /* it was there before us, or came unseen: it knows all C calls that are open */
    bool seen;
};

/* A C function of the target's sets or removes a profile function; runs in its thread, with its GIL. */
struct profilers_hooks {
    /* Right before. True: ends of C calls that are open now will be events without us, too. NULL = they will not. */
    bool (*before)(void);
    /* Right after. `all`: it may have done so in every thread; `knows_all`: what `before` said. */
    void (*after)(bool all, bool knows_all);
};
void profilers_start(const struct profilers_hooks *hooks);
/* Puts every C function back as it was. */
void profilers_stop(void);
struct beside *beside_find(const void *tstate);
/* The same, made if need be; NULL = no place. */
struct beside *beside_make(void *tstate);
void beside_drop(struct beside *beside);
/* Forgets all thread states of which `alive` does not set `seen`. */
void beside_sweep(void (*alive)(void));
/* Notes that the thread has `theirs` from now on. False: no place. */
bool beside_set(void *tstate, py_tracefunc theirs, bool knows_all);
/* 3.12+: our function in place of those that the target has set in the current thread or in all; the target's own again. */
void profilers_stand_in(bool all, bool knows_all);
void profilers_stand_aside(void);
/* Hands an event of the current thread to the target's function, if it would have seen it without us. */
int beside_pass_on(void *tstate, void *object, void *frame, int what, void *argument);

#endif
