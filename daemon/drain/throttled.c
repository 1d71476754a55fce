/* Owns the list of throttled functions of a session. */
#include "daemon/drain/throttled.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"

#define FUNCTIONS_MAX 16384u

/* Payloads name the functions in the order in which they were throttled, so `hint` is nearly always right. */
static struct vt_pl_throttled *find(const struct throttled *t, uint32_t id, uint32_t hint) {
    if (hint < t->n && t->of[hint].id == id) return &t->of[hint];
    for (uint32_t i = 0; i < t->n; i++)
        if (t->of[i].id == id) return &t->of[i];
    return NULL;
}

int throttled_take(struct throttled *t, const uint8_t *p, uint32_t len) {
    struct vt_pl_throttled one;
    uint32_t hint = 0;
    if (len % sizeof(one)) return -EPROTO;
    for (uint32_t at = 0; at < len; at += sizeof(one), hint++) {
        memcpy(&one, p + at, sizeof(one));
        struct vt_pl_throttled *known = find(t, one.id, hint);
        if (!known && t->n == FUNCTIONS_MAX) return -EPROTO;
        if (!known && vt_grow(&t->of, &t->room, t->n + 1, sizeof(*t->of), FUNCTIONS_MAX)) return -ENOMEM;
        if (!known) known = &t->of[t->n++];
        *known = one;
        hint = (uint32_t)(known - t->of);
    }
    return 0;
}

void throttled_free(struct throttled *t) {
    free(t->of);
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
        of[i].off = t->of[i].off != 0;
        ptr[i] = &of[i];
    }
    m.functions = ptr;
    m.n_functions = t->n;
    if (!rc) rc = put(ctx, VT_FRAME_THROTTLED, &m.base);
    free(of);
    free(ptr);
    return rc;
}
