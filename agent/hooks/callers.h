/* Who called the function that was just entered, 3.12+. With the GIL of the current interpreter. */
#ifndef VT_AGENT_CALLERS_H
#define VT_AGENT_CALLERS_H

#include "agent/cpython/base.h"

/* Can callers be found in this process? Asked once per session, when `code` runs. If so, events of functions that are left
 * out may be switched off. */
bool callers_known(void *code);
/* The interpreter's own frame that runs. Needs callers_known; NULL = there is none. */
const void *callers_frame(void);
/* Does a Python function that called the running one silence what it calls? Needs callers_known. */
bool callers_silence(void);
/* Is the nearest Python function with a say that called the running one recorded? Slow; needs nothing. */
bool callers_recorded(void);

#endif
