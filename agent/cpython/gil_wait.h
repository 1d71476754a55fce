/* Waiting for the GIL without entering take_gil, which nothing can call back. */
#ifndef VT_AGENT_GIL_WAIT_H
#define VT_AGENT_GIL_WAIT_H

#include "agent/cpython/base.h"

/* Waits until the GIL of the main interpreter is free or has gone from one thread to another: then take_gil gets it. Asks the
 * thread that holds it to drop it, as take_gil does. Without the GIL, on a thread that Python does not know. wanted is called
 * about every millisecond.
 * 0: take it, now. -VT_ECANCELED: wanted() was false; the request is withdrawn and nothing stays. -VT_ENOTSUP: the fields of this
 * build are not where they are expected; nothing was written. */
int gil_wait(bool (*wanted)(void *ctx), void *ctx);

#endif
