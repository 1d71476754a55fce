/* The lease of every traced process: its hooks leave by themselves when nobody renews it (agent/session.c), so that a
 * daemon that was killed leaves no target traced for ever. Renewed by a thread of its own: writing to a slow disk may hold the
 * event loop up for seconds, and that costs events, which are counted, but must not end the trace. A loop that is held up for
 * longer than LEASE_PATIENCE_NS is given up, as if the daemon had been killed. */
#ifndef VT_DAEMON_LEASE_H
#define VT_DAEMON_LEASE_H

#include <pthread.h>

#include "daemon/drain/arena_map.h"
#include "daemon/drain/calibrate.h"
#include "proto/base.h"

#define LEASE_FOR_NS 1500000000ull
#define LEASE_EVERY_NS 200000000ull
#define LEASE_PATIENCE_NS 30000000000ull

struct lease {
    struct clock_source clock; /* a copy */
    uint64_t patience_ns;
    uint64_t beat_ns; /* W the event loop, R the thread: when the loop was last seen to run */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool running, stop;
};

/* Starts the thread; it sleeps while no arena is kept. */
VT_MUST_CHECK int lease_start(struct lease *l, const struct clock_source *clock, uint64_t patience_ns);
void lease_stop(struct lease *l);
/* From now until arena_keep(a, false) or arena_close(a). */
void lease_keep(struct lease *l, struct arena *a);
/* The event loop runs. Returns for how long it did not, in ns. */
uint64_t lease_beat(struct lease *l, uint64_t now_ns);

#endif
