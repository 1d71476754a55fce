/* Several sessions into one trace: what an attach to several processes and a family of processes have in common. Each session has
 * a connection to a daemon of its own. What they stream is appended to one raw .vzt beside the output (raw_sections.h), which
 * is converted when the last session has ended. A session that is refused, or ends, does not end the others. Main thread.
 *
 *   several_open    makes the files, connects to a daemon
 *   several_attach  asks for a session on a running process: any number of them, also from look()
 *   several_run     until all sessions have ended
 *   several_save    writes the output, prints what was saved
 *   several_close */
#ifndef VT_CLI_SEVERAL_H
#define VT_CLI_SEVERAL_H

#include "cli/attach_options.h"
#include "cli/client/client.h"

struct several;

/* How a session ended. */
enum several_end {
    SEVERAL_SAVED,   /* its trace is in the raw file, or was empty */
    SEVERAL_EXEC,    /* the same, and the process goes on as another program */
    SEVERAL_REFUSED, /* there was no session: err says why */
    SEVERAL_LOST,    /* its daemon died; what had arrived is in the raw file */
};

struct several_user { /* any of them may be NULL */
    void *ctx;
    /* Called again and again while sessions run: adds processes. Returns for how many ms it need not be called. */
    int (*look)(void *ctx);
    /* Asked when no session is left: true = there will be more, go on. */
    bool (*more)(void *ctx);
    /* A session ended. True: say nothing of it, it is not counted as failed. */
    bool (*ended)(void *ctx, pid_t pid, enum several_end how, const struct vt_err *err);
    bool quiet_starts; /* no line for each session that begins */
};

/* o: of the command, and has to stay. 0, or -errno and err; several_close is needed in any case where *out is not NULL. */
VT_MUST_CHECK int several_open(struct several **out, struct attach_options *o, const struct several_user *user,
                               struct vt_err *err);
/* Asks for a session on pid as soon as fewer than a few are being begun. asked: the user named it, so that the exit code is 1 if
 * it cannot be traced. -ENOMEM; -E2BIG: the trace has as many processes as it can hold; -ESHUTDOWN: the end has begun. */
VT_MUST_CHECK int several_attach(struct several *s, pid_t pid, bool asked);
/* Until every session has ended: after Ctrl+C, -t, --max_size they are all asked to. -errno: not possible any longer, the raw
 * file has what came so far. */
VT_MUST_CHECK int several_run(struct several *s, struct vt_err *err);
/* Asks all to end. */
void several_stop(struct several *s);
/* 0 saved, and every process that was asked for was traced; else CLI_FAILED after a line. */
int several_save(struct several *s);
/* Where the trace was saved. */
const char *several_output(const struct several *s);
void several_close(struct several *s); /* NULL is fine */

#endif
