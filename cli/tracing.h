/* A session of the daemon that this client waits for and saves: what attach and launch have in common. Main thread. */
#ifndef VT_CLI_TRACING_H
#define VT_CLI_TRACING_H

#include <stdio.h>

#include "cli/attach_options.h"
#include "cli/client/client.h"
#include "cli/output_place.h"
#include "cli/target_path.h"
#include "cli/term/progress.h"

struct tracing {
    struct attach_options *o; /* of the command; with a launch, req.pid becomes that of the interpreter when it has come */
    bool launched;            /* a program that we have started: nothing goes to its stdout, and there is no live line */
    /* The descriptor that wakes the wait for the daemon, and what is done then. */
    int wake_fd;
    void (*woken)(struct tracing *a);
    /* NULL, or: fills in how the process ended, before the end of the trace is written. */
    void (*ending)(struct tracing *a, Vt__End *end);
    struct target_path path;
    struct output_place place;
    struct client client;
    struct progress progress;
    FILE *raw;
    uint64_t raw_bytes;
    int raw_error;   /* the first error of writing it, -errno */
    pid_t asked_pid; /* of the request: the daemon's copy has it in its name */
    bool attached, pending, ended, stop_sent;
    /* Of a launch that follows all processes (proto/viztracerd.proto, CTL_LAUNCH). */
    bool first_ended; /* its first process has ended */
    uint32_t section; /* of the next frame: number + 1; 0 = the trace has no sections */
    Vt__End others;   /* the sums of those that have ended */
    uint32_t nothers;
    Vt__End *end; /* of the trace; with sums of all its processes */
    struct vt_err err;
    char empty[1024]; /* why the trace has no calls; "" = not known */
};

/* Makes the files and connects to a daemon. CLI_OK, or CLI_FAILED after a line; then tracing_close in any case. */
int tracing_open(struct tracing *a);
/* Ctrl+C, SIGTERM and SIGHUP stop the session: wake_fd, woken. 0 or -errno and err. */
VT_MUST_CHECK int tracing_catch_signals(struct tracing *a, struct vt_err *err);
/* Sends the request of a->o. */
VT_MUST_CHECK int tracing_request(struct tracing *a, uint32_t type);
/* Until END, an error (a->err), or the end of the daemon (-EPIPE). */
VT_MUST_CHECK int tracing_receive(struct tracing *a);
/* Asks the daemon to end the session; once. */
void tracing_stop(struct tracing *a);
/* After tracing_receive returned rc: saves. Exit code; a line was printed in any case. */
int tracing_finish(struct tracing *a, int rc);
void tracing_close(struct tracing *a);
/* A line for the user, unless --quiet. */
void tracing_say(const struct tracing *a, const char *text);
/* Becomes the viewer of the saved trace. Returns only when that fails, after a line. */
void tracing_open_viewer(const struct tracing *a);

#endif
