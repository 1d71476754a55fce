/* The open frames of a thread, innermost first. With the GIL that the thread needs to run. */
#ifndef VT_AGENT_FRAMES_H
#define VT_AGENT_FRAMES_H

#include "agent/cpython/base.h"

/* The innermost frame object, a new reference; NULL = none is open. */
void *frames_first(void *tstate);
/* The frame that called this one, a new reference, or NULL. Drops the reference to `frame`. */
void *frames_next(void *frame);
/* Its code object, borrowed from the frame. */
/* The line that it is at, 0 = not known. Runs no code of the target. */
uint32_t frames_line(void *frame);
void *frames_code(void *frame);
/* 3.12+: marks an open frame, for as long as it is open. Its byte behind f_trace_lines, a bool, is 3 instead of 1: neither the
 * interpreter nor Python code can tell. False: this frame cannot be marked. */
bool frames_mark(void *frame);
/* Of the interpreter's own frame. */
bool frames_is_marked(const void *inner);
bool frames_any(void *tstate);
/* How many are open; stops counting at `most`. */
uint64_t frames_depth(void *tstate, uint64_t most);
/* pthread_self() of the thread. */
uint64_t frames_ident(const void *tstate);

#endif
