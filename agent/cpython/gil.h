/* The GIL for a thread that Python does not know yet. */
#ifndef VT_AGENT_GIL_H
#define VT_AGENT_GIL_H

#include "agent/cpython/base.h"

struct gil {
    int ensured;
    void *tstate;
};
/* Waits for the GIL. False: no memory for a thread state, and the GIL is not held. */
bool gil_take(struct gil *gil);
/* Gives back what gil_take took, on the same thread. */
void gil_give(const struct gil *gil);

#endif
