/* Owns `viztracer --detach PID`: ends a session from another terminal, or saves a trace that a daemon kept. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/base/figures.h"
#include "cli/cli.h"
#include "cli/client/client.h"
#include "cli/client/kept.h"
#include "cli/convert/convert.h"
#include "cli/format/format.h"

struct detach {
    pid_t pid;
    bool found; /* some daemon had a session */
    Vt__Detached *answer;
    struct vt_err err;
};

static int ask(void *ctx, struct client *c) {
    struct detach *d = ctx;
    Vt__PidReq req = VT__PID_REQ__INIT;
    ProtobufCMessage *reply;
    struct vt_err err = {0};
    req.pid = (uint32_t)d->pid;
    int rc = client_request(c, VT_CTL_DETACH, &req.base, VT_CTL_DETACHED, &reply, &err);
    if (rc == -ESRCH) return 0;                      /* not this one */
    if (rc == -EPIPE || rc == -ECONNRESET) return 0; /* it ends in this moment, and its sessions with it */
    d->found = true;
    if (rc)
        d->err = err;
    else
        d->answer = (Vt__Detached *)reply;
    return 1;
}

/* A trace that nobody saved becomes `output`. */
static int save_kept(const struct spooldir_file *k, const char *output) {
    struct convert_result result;
    struct convert_opts opts = {.input = k->path, .output = output};
    struct vt_err err = {0};
    char bytes[32], calls[32];
    if (convert_trace(&opts, &result, &err)) return cli_fail("%s; the trace stays in %s", err.msg, k->path);
    unlink(k->path);
    const char *next = format_by_name(output, NULL)->next_step;
    printf("Saved %s (%s): %s calls on %llu threads, from the trace that was kept%s%s%s\n", output,
           format_bytes(bytes, sizeof(bytes), result.bytes), format_count(calls, sizeof(calls), result.totals.calls),
           (unsigned long long)result.totals.threads, next ? ". " : "", next ? next : "", next ? output : "");
    return CLI_OK;
}

int cmd_detach(int argc, char **argv) {
    const char *output = NULL, *pid = NULL;
    struct detach d = {0};
    struct spooldir_file k;

    for (int i = 1; i < argc; i++) {
        if (cli_is_help(argv[i])) return puts("usage: viztracer detach PID [-o FILE]   (or viztracer --detach PID)"), CLI_OK;
        if ((!strcmp(argv[i], "-o") || !strcmp(argv[i], "--output_file")) && i + 1 < argc)
            output = argv[++i];
        else if (!strncmp(argv[i], "--output_file=", 14))
            output = argv[i] + 14;
        else if (argv[i][0] == '-' && !(argv[i][1] >= '0' && argv[i][1] <= '9'))
            return cli_usage("detach: %s: no such option, or no value", argv[i]);
        else if (pid)
            return cli_usage("detach: one process at a time");
        else
            pid = argv[i];
    }
    if (!pid) return cli_usage("detach: which process? viztracer --detach PID");
    int rc = cli_parse_pid("detach", pid, &d.pid);
    if (rc) return rc;
    if (output && format_check_output(output, &d.err)) return cli_usage("%s", d.err.msg);
    client_each(ask, &d);
    if (d.err.msg[0]) return cli_fail("%s", d.err.msg);
    if (d.answer && d.answer->output[0]) {
        if (output)
            printf("Detached from %d; the client that attached saves %s (-o is for traces that nobody saves).\n", d.pid,
                   d.answer->output);
        else
            printf("Detached from %d; the client that attached saves %s\n", d.pid, d.answer->output);
        vt_msg_free(&d.answer->base);
        return CLI_OK;
    }
    bool detached = d.answer != NULL;
    if (d.answer) vt_msg_free(&d.answer->base);
    rc = kept_find(d.pid, &k);
    for (int i = 0; rc && detached && i < 40; i++) { /* its daemon is letting go of the file */
        usleep(50000);
        rc = kept_find(d.pid, &k);
    }
    if (rc && detached) return printf("Detached from %d\n", d.pid), CLI_OK;
    if (rc) return cli_fail("process %d is not being traced, and no trace of it is kept", d.pid);
    if (output) return save_kept(&k, output);
    printf("%s%s of %d is kept as %s; save it with: viztracer --detach %d -o FILE\n",
           detached ? "Detached; the" : "Not traced now; a", " trace", d.pid, k.path, d.pid);
    return CLI_OK;
}
