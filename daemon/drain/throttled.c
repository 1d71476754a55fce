/* Owns the list of throttled functions of a session. */
#include "daemon/drain/throttled.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "proto/frame.h"

#define SLOTS (2 * VT_THROTTLED_FUNCTIONS_MAX) /* a power of two: the table is half full at most */

static int make_slots(struct throttled *t) {
    if (t->slots) return 0;
    t->slots = calloc(SLOTS, sizeof(*t->slots));
    if (!t->slots) return -ENOMEM;
    if (getrandom(&t->seed, sizeof(t->seed), GRND_NONBLOCK) != sizeof(t->seed)) t->seed = (uintptr_t)t->slots;
    return 0;
}

/* Each half of the product depends on the whole seed: a target cannot choose ids that share a slot. */
static uint32_t hash(const struct throttled *t, uint32_t id) {
    __extension__ unsigned __int128 product = (unsigned __int128)(t->seed ^ id) * 0x9e3779b97f4a7c15ull;
    uint64_t mixed = (uint64_t)product ^ (uint64_t)(product >> 64);
    product = (unsigned __int128)(mixed ^ t->seed) * 0xc2b2ae3d27d4eb4full;
    return (uint32_t)((uint64_t)product ^ (uint64_t)(product >> 64));
}

/* The slot of id, or the free slot for it. */
static uint32_t *slot_of(const struct throttled *t, uint32_t id) {
    uint32_t at = hash(t, id) & (SLOTS - 1);
    while (t->slots[at] && t->of[t->slots[at] - 1].id != id) at = (at + 1) & (SLOTS - 1);
    return &t->slots[at];
}

int throttled_take(struct throttled *t, const uint8_t *p, uint32_t len) {
    struct vt_pl_throttled one;
    if (len % sizeof(one)) return -EPROTO;
    int rc = make_slots(t);
    for (uint32_t at = 0; at < len && !rc; at += sizeof(one)) {
        memcpy(&one, p + at, sizeof(one));
        uint32_t *slot = slot_of(t, one.id);
        if (!*slot) {
            if (t->n == VT_THROTTLED_FUNCTIONS_MAX) return -EPROTO;
            rc = vt_grow(&t->of, &t->room, t->n + 1, sizeof(*t->of), VT_THROTTLED_FUNCTIONS_MAX);
            if (rc) return rc;
            *slot = ++t->n;
        }
        t->of[*slot - 1] = one;
    }
    return rc;
}

void throttled_free(struct throttled *t) {
    free(t->of);
    free(t->slots);
    *t = (struct throttled){0};
}

int throttled_put(const struct throttled *t, struct vt_ctl *ctl, uint64_t now,
                  int (*put)(void *ctx, uint32_t type, const ProtobufCMessage *msg), void *ctx) {
    Vt__Throttled m = VT__THROTTLED__INIT;
    uint64_t off_since = vt_load_relaxed(&ctl->off_since);
    m.max_overhead = vt_load_relaxed(&ctl->max_overhead);
    m.windows = vt_load_relaxed(&ctl->windows);
    m.off_ticks = vt_load_relaxed(&ctl->off_ticks) + (off_since && off_since < now ? now - off_since : 0);
    if (!t->n && !m.windows) return 0;
    Vt__ThrottledFunction *of = calloc(t->n + 1, sizeof(*of)), **ptr = calloc(t->n + 1, sizeof(Vt__ThrottledFunction *));
    int rc = of && ptr ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < t->n && !rc; i++) {
        vt__throttled_function__init(&of[i]);
        of[i].id = t->of[i].id;
        of[i].counted = t->of[i].counted;
        of[i].estimated = t->of[i].estimated;
        of[i].since_ticks = t->of[i].since;
        of[i].off = t->of[i].flags & VT_THROTTLED_OFF;
        of[i].at_least = t->of[i].flags & VT_THROTTLED_AT_LEAST;
        ptr[i] = &of[i];
    }
    m.functions = ptr;
    m.n_functions = t->n;
    if (!rc) rc = put(ctx, VT_FRAME_THROTTLED, &m.base);
    free(of);
    free(ptr);
    return rc;
}
