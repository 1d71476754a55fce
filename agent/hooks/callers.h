/* Who called the function that was just entered, 3.12+. With the GIL of the current interpreter. */
#ifndef VT_AGENT_CALLERS_H
#define VT_AGENT_CALLERS_H

#include "agent/cpython/base.h"

/* Can callers be found in this process? Asked once per session, when `code` runs. If so, events of functions that are left
 * out may be switched off. */
bool callers_known(void *code);
/* Is the Python function that called the running one left out with all that it calls? Needs callers_known. */
bool callers_silence(void);

#endif
