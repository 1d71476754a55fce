/* The open frames of a thread, innermost first. With the GIL that the thread needs to run. */
#ifndef VT_AGENT_FRAMES_H
#define VT_AGENT_FRAMES_H

#include "agent/cpython/base.h"

/* The innermost frame object, a new reference; NULL = none is open. */
void *frames_first(void *tstate);
/* The frame that called this one, a new reference, or NULL. Drops the reference to `frame`. */
void *frames_next(void *frame);
/* Its code object, borrowed from the frame. */
void *frames_code(void *frame);
bool frames_any(void *tstate);
/* How many are open; stops counting at `most`. */
uint64_t frames_depth(void *tstate, uint64_t most);
/* pthread_self() of the thread. */
uint64_t frames_ident(const void *tstate);

#endif
