/* The daemon as a whole: server_run() is all of it, until SIGTERM or, for a private one, until its client and its sessions are
 * gone. Call it once, from the main thread. */
#ifndef VT_DAEMON_SERVER_H
#define VT_DAEMON_SERVER_H

#include "proto/base.h"

struct server_opts {
    const char *socket_path; /* where a system daemon listens; not used by a private one */
    int private_fd;          /* connection to the client that started us (taken), or -1: a system daemon */
    const char *spool_dir;   /* NULL: spooldir_default() */
};

/* 0 after an orderly end; else -errno and a line in err. */
VT_MUST_CHECK int server_run(const struct server_opts *opts, struct vt_err *err);

#endif
