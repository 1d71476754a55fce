/* Owns `viztracer --uninstall PID`: removes the tracer from a target, whatever state it is in. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client/client.h"

struct uninstall {
    pid_t pid;
    bool ended; /* a daemon had a session on the target, which has ended */
    struct vt_err err;
};

/* A daemon that has a session on the target ends it first: it writes and saves. */
static int end_session(void *ctx, struct client *c) {
    struct uninstall *u = ctx;
    Vt__PidReq req = VT__PID_REQ__INIT;
    struct vt_err err = {0};
    req.pid = (uint32_t)u->pid;
    int rc = client_request(c, VT_CTL_DETACH, &req.base, VT_CTL_DETACHED, NULL, &err);
    if (!rc) u->ended = true;
    if (rc == -EPERM) u->err = err;
    return 0;
}

static int run(int argc, char **argv) {
    struct uninstall u = {0};
    Vt__PidReq req = VT__PID_REQ__INIT;
    struct client c;

    int rc = cli_parse(&cli_uninstall, &u, argc, argv);
    if (rc) return CLI_RETURN(rc);
    if (kill(u.pid, 0) && errno == ESRCH) return cli_fail("process %d does not exist; pgrep -af python lists what runs", u.pid);
    client_each(end_session, &u);
    if (u.err.msg[0]) return cli_fail("%s", u.err.msg);
    if (client_open(&c, &u.err)) return cli_fail("%s", u.err.msg);
    req.pid = (uint32_t)u.pid;
    rc = client_request(&c, VT_CTL_UNINSTALL, &req.base, VT_CTL_OK, NULL, &u.err);
    client_close(&c);
    if (rc) return cli_fail("%s", u.err.msg);
    printf("%d is clear%s\n", u.pid, u.ended ? "; a session was ended" : "");
    return CLI_OK;
}

static const struct option_row rows[] = {
    {"PID", NULL, OPTION_PID, OPTION_AT(struct uninstall, pid), .ask = "which process?", .wants = "one process at a time",
     .help = "the process to clear"},
    OPTION_END,
};

const struct cli_cmd cli_uninstall = {
    .options = {.program = "viztracer",
                .name = "uninstall",
                .flag = "--uninstall",
                .args = "PID",
                .summary = "takes viztracer out of a process",
                .about =
                    "Ends a trace if there is one, and takes out whatever is left in the process. It is safe on any process.",
                .examples = "viztracer --uninstall 1234",
                .rows = rows},
    .group = CLI_TRACING,
    .run = run,
};
