/* Renews the leases of all traced processes. The agent removes its hooks when its lease has run out (agent/session/session.c),
 * so no target stays traced after its daemon was killed. A separate thread renews them: a slow disk may hold up the event loop
 * for seconds, which costs events (they are counted) but must not end the trace. When the loop is held up for longer than
 * LEASE_PATIENCE_NS the thread stops renewing, as if the daemon had been killed. */
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
/* Renews the lease of `a` from now until arena_keep(a, false) or arena_close(a). */
void lease_keep(struct lease *l, struct arena *a);
/* Tells that the event loop runs. Returns the time since the last call, in ns. */
uint64_t lease_beat(struct lease *l, uint64_t now_ns);

#endif
