/* Owns `viztracer --attach PID` in the foreground. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/attach_many.h"
#include "cli/base/interrupt.h"
#include "cli/tracing.h"

#define LEASE_WAIT_MS 2400
#define LEASE_STEP_MS 300

/* Does this daemon trace the pid? */
static int has_session(void *ctx, struct client *c) {
    const uint32_t *pid = ctx;
    ProtobufCMessage *reply;
    int found = 0;
    if (client_request(c, VT_CTL_STATUS, NULL, VT_CTL_STATUS_REP, &reply, NULL)) return 0;
    const Vt__StatusRep *m = (const Vt__StatusRep *)reply;
    for (size_t i = 0; i < m->n_sessions; i++)
        if (m->sessions[i]->pid == *pid && !m->sessions[i]->spool[0]) found = 1;
    vt_msg_free(reply);
    return found;
}

static int trace(struct tracing *a) {
    int rc = tracing_request(a, VT_CTL_ATTACH);
    if (!rc) rc = tracing_receive(a);
    /* Busy with a session whose daemon was killed: its lease expires soon. */
    for (int ms = 0;
         rc == -EBUSY && !a->attached && !interrupts_seen && ms < LEASE_WAIT_MS && !client_each(has_session, &a->o->req.pid);
         ms += LEASE_STEP_MS) {
        usleep(LEASE_STEP_MS * 1000);
        memset(&a->err, 0, sizeof(a->err));
        rc = tracing_request(a, VT_CTL_ATTACH);
        if (!rc) rc = tracing_receive(a);
    }
    return tracing_finish(a, rc);
}

static int run(int argc, char **argv) {
    struct tracing *a = calloc(1, sizeof(*a));
    struct attach_options o;
    if (!a) return cli_fail("out of memory");
    a->client.fd = a->path.raw_fd = -1;
    a->o = &o;
    int rc = attach_options_parse(&o, argc, argv);
    if (!rc && (o.npids > 1 || o.subprocesses)) {
        rc = attach_many(&o);
        goto out;
    }
    if (!rc && kill((pid_t)o.req.pid, 0) && errno == ESRCH)
        rc = cli_fail("process %u does not exist; pgrep -af python lists what runs", o.req.pid);
    if (!rc && tracing_catch_signals(a, &a->err)) rc = cli_fail("%s", a->err.msg);
    if (!rc) rc = tracing_open(a);
    if (!rc) rc = trace(a);
    tracing_close(a);
    if (!rc && o.open) tracing_open_viewer(a);
out:
    attach_options_free(&o);
    free(a);
    return CLI_RETURN(rc);
}

const struct cli_cmd cli_attach = {
    .options =
        {.program = "viztracer",
         .name = "attach",
         .flag = "--attach",
         .args = "PID... [options]",
         .summary = "traces processes until Ctrl+C, then saves",
         .about = "Traces a running Python process until Ctrl+C, SIGTERM, SIGHUP, -t, --max_size, viztracer --detach PID from "
                  "another terminal, or the end of the process. The trace is saved in each of these cases.\n"
                  "Several processes become one trace. They are ended together; one that cannot be traced, or ends, does not end "
                  "the others. The exit code is 0 only if each process that was named was traced.",
         .examples = "viztracer --attach 1234 -t 2 -o slow.vzt\n"
                     "viztracer --attach 1234 1240 1241 -t 2 -o workers.html\n"
                     "viztracer --attach 1234 --subprocesses -t 10 -o pool.vzt\n"
                     "viztracer --attach 1234 --ignore_c_function --min_duration 100us\n"
                     "viztracer --attach 1234 --include_functions 'Store.*' --log_func_args",
         .more = cli_help_written,
         .rows = attach_command_rows,
         .shared = attach_option_rows},
    .group = CLI_TRACING,
    .run = run,
};
