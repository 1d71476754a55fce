/* The cyclic garbage collector of the current interpreter. With its GIL. */
#ifndef VT_AGENT_COLLECTOR_H
#define VT_AGENT_COLLECTOR_H

#include "agent/cpython/base.h"

/* Below 3.12 a new object may start a collection, which runs finalizers and callbacks of the target. True: it was on and is off
 * now: collector_on is due. False: it was off, or this build cannot switch it off. */
bool collector_off(void);
void collector_on(void);

#endif
