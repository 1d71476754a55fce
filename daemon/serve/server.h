/* The daemon as a whole: its options, its loop, who is connected, what is traced. */
#ifndef VT_DAEMON_SERVER_H
#define VT_DAEMON_SERVER_H

#include <sys/queue.h>

#include "daemon/drain/calibrate.h"
#include "daemon/drain/lease.h"
#include "daemon/io/loop.h"
#include "proto/base.h"

struct peer;
struct session;

struct server_opts {
    const char *socket_path; /* listen here; NULL = private */
    int private_fd;          /* connection to the client that started us, or -1 */
    const char *spool_dir;   /* NULL = $VIZTRACERD_SPOOL, else /var/tmp/viztracerd-<uid> */
};

struct server {
    struct loop loop;
    struct clock_source clock;
    struct lease lease;
    struct loop_io listen_io, signal_io;
    struct loop_timer leave_timer;
    int listen_fd, signal_fd;
    char socket_path[108];
    char spool_dir[512];
    char agent_path[512];
    bool is_private;
    bool leaving; /* told to end: sessions are being closed */
    LIST_HEAD(, peer) peers;
    LIST_HEAD(, session) sessions;
};

VT_MUST_CHECK int server_run(const struct server_opts *opts, struct vt_err *err);
/* Something ended: a private daemon without client and sessions goes. */
void server_maybe_leave(struct server *s);

#endif
