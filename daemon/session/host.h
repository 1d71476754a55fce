/* What every session gets from the daemon around it: the event loop, the clock, the lease thread, the paths, and the list of
 * its fellow sessions. Made by serve/server.c before the first session, and kept until the last one has ended. */
#ifndef VT_DAEMON_HOST_H
#define VT_DAEMON_HOST_H

#include <sys/queue.h>

#include "daemon/drain/calibrate.h"
#include "daemon/drain/lease.h"
#include "daemon/io/loop.h"

struct session;

struct host {
    struct loop loop;
    struct clock_source clock;
    struct lease lease;
    char agent_path[512]; /* the agent library, on our side */
    char spool_dir[512];
    bool is_private; /* serves the user who started it only */
    LIST_HEAD(, session) sessions;
};

#endif
