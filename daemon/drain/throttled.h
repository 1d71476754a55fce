/* Functions that --max_overhead throttled: the newest report of the agent on each of them. */
#ifndef VT_DAEMON_THROTTLED_H
#define VT_DAEMON_THROTTLED_H

#include "proto/abi/arena.h"
#include "proto/msg.h"

struct throttled {
    struct vt_pl_throttled *of; /* one per function */
    uint32_t n, room;
    uint32_t *slots; /* hash table by id: place in `of` + 1. NULL = none yet */
    uint64_t seed;   /* of the hash: the target chooses the ids */
};

/* Takes a THROTTLED payload in time that grows with len only. 0, -ENOMEM, or -EPROTO when it makes no sense. */
VT_MUST_CHECK int throttled_take(struct throttled *t, const uint8_t *p, uint32_t len);
/* Hands the frame to `put`, unless it would be empty. `now`: ticks, to count the time of hooks that are still out. */
VT_MUST_CHECK int throttled_put(const struct throttled *t, struct vt_ctl *ctl, uint64_t now,
                                int (*put)(void *ctx, uint32_t type, const ProtobufCMessage *msg), void *ctx);
void throttled_free(struct throttled *t);

#endif
