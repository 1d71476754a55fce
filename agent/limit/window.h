/* --max_overhead below Python 3.12: all hooks out, and in again; window.c has the rules. With the main interpreter's GIL. */
#ifndef VT_AGENT_WINDOW_H
#define VT_AGENT_WINDOW_H

#include "agent/cpython/base.h"

void window_start(void);
/* Takes the hooks out, and tells the daemon when to send a thread. */
void window_close(void);
/* In that thread: puts the hooks in again if they are paid for, else says when to come back. now: clock. */
void window_look(uint64_t now);

#endif
