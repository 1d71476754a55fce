/* Greenlets: each has a stack of its own, and a thread runs now the one and now the other. The back ends look before each event
 * whether the thread has changed its stack; the record then says which stack it runs. Only where the module greenlet is loaded.
 * Not in interpreters with a GIL of their own, where greenlet cannot be loaded. With the main interpreter's GIL. */
#ifndef VT_AGENT_GREENLETS_H
#define VT_AGENT_GREENLETS_H

#include "agent/cpython/layout.h"
#include "agent/record/state.h"
#include "agent/record/thread.h"

/* The module is loaded: the back ends have to use the callbacks that look. */
extern HIDDEN bool greenlets_on;
/* At a visit. True, once in a session: the module has been loaded since the session began. */
bool greenlets_appeared(void);
/* The open frames of a thread are told: they are those of its own stack. */
void greenlets_note(void *tstate);

/* Where an event is: at the begin of a Python frame, at its end, or in between. */
enum greenlets_at { GREENLETS_ENTER, GREENLETS_LEAVE, GREENLETS_INSIDE };
static inline enum greenlets_at greenlets_at(uint32_t type) {
    return type >= VT_REC_C_CALL ? GREENLETS_INSIDE : VT_REC_IS_ENTER(type) ? GREENLETS_ENTER : GREENLETS_LEAVE;
}

/* 3.11+: a greenlet has memory of its own for its frames. May end the session. */
void greenlets_memory_changed(void *tstate, enum greenlets_at at);
ALWAYS_INLINE void greenlets_look(void *tstate, enum greenlets_at at) {
    if (UNLIKELY((uint64_t)field(tstate, layout.ts_datastack) != this_thread->stack_at)) greenlets_memory_changed(tstate, at);
}

/* Below 3.11: the frame of the event, or its caller where the frame begins, is the one that was left running on the stack. */
enum { GREENLETS_CALLER = 24 }; /* f_back of a frame object */
void greenlets_frame_changed(void *frame, enum greenlets_at at);
ALWAYS_INLINE void greenlets_look_frame(void *frame, enum greenlets_at at) {
    struct thread *thread = this_thread;
    uint64_t runs = at == GREENLETS_ENTER ? (uint64_t)field(frame, GREENLETS_CALLER) : (uint64_t)frame;
    if (UNLIKELY(!runs || runs != thread->stack_at))
        greenlets_frame_changed(frame, at);
    else if (at != GREENLETS_INSIDE)
        thread->stack_at = at == GREENLETS_ENTER ? (uint64_t)frame : (uint64_t)field(frame, GREENLETS_CALLER);
}

#endif
