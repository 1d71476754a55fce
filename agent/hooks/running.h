/* The asyncio task that runs in this thread. With the GIL of the current interpreter. */
#ifndef VT_AGENT_RUNNING_H
#define VT_AGENT_RUNNING_H

#include "agent/cpython/base.h"

/* New reference, or NULL without an exception. May run code of asyncio. `main_gil`: what was found of asyncio is kept until
 * running_forget. */
void *running_task(bool main_gil);
void running_forget(void);

#endif
