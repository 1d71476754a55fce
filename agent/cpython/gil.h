/* The GIL for a thread that Python does not know yet. */
#ifndef VT_AGENT_GIL_H
#define VT_AGENT_GIL_H

#include "agent/cpython/base.h"

enum { GIL_PROXY_WORDS = 128, GIL_PROXY_FRAME = 96 }; /* more than any thread state; behind it the C frame that it points to */
struct gil {
    int ensured;
    void *tstate;
    uint32_t key;
    uint64_t proxy[GIL_PROXY_WORDS];
};
/* Waits for the GIL while wanted(), which is called about every millisecond. 0, or the GIL is not held: -VT_ECANCELED (it was not
 * wanted any more), -VT_ENOTSUP (the fields of the GIL are not where they are expected: a wait could not be ended) or -VT_ENOMEM
 * (no thread state). *gil stays where it is until gil_give. */
int gil_take(struct gil *gil, bool (*wanted)(void *ctx), void *ctx);
/* Gives back what gil_take took, on the same thread. */
void gil_give(struct gil *gil);

#endif
