/* Owns a launch: `viztracer [options] program`. Asks a daemon for a session that waits for an interpreter, starts the program,
 * and saves when both have ended. The exit status is the program's own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/base/interrupt.h"
#include "cli/format/format.h"
#include "cli/program.h"
#include "cli/run_options.h"
#include "cli/tracing.h"

struct launch {
    struct tracing tracing; /* first: its callbacks get a pointer to it */
    struct run_options options;
    struct program program;
    char end_text[64];
};

/* Ctrl+C is the program's while it runs; afterwards it stops the session of a process that the program has left behind. */
static void woken(struct tracing *a) {
    struct launch *l = (struct launch *)a;
    bool stop = program_signals(&l->program);
    if (stop) interrupts_seen++;
    if (l->program.ended && (stop || !a->attached || a->first_ended)) tracing_stop(a);
}

/* The interpreter has ended. If it is our own child, its end is known in a moment. */
static void ending(struct tracing *a, Vt__End *end) {
    struct launch *l = (struct launch *)a;
    if (end->reason != VT__END_REASON__TARGET_EXIT || (pid_t)a->o->req.pid != l->program.pid) return;
    program_wait(&l->program);
    program_end_text(&l->program, l->end_text, sizeof(l->end_text));
    if (!l->end_text[0]) return;
    char *text = strdup(l->end_text); /* of protobuf-c, which uses malloc; freed with the message */
    if (text) end->exit = text;
}

/* The program is started when the daemon is ready for it. */
static int start(struct launch *l) {
    struct tracing *a = &l->tracing;
    ProtobufCMessage *reply;
    int rc = client_request(&a->client, VT_CTL_LAUNCH, &a->o->req.base, VT_CTL_LAUNCHED, &reply, &a->err);
    if (rc) return rc;
    const Vt__Launched *m = (const Vt__Launched *)reply;
    rc = program_start(&l->program, m->preload, m->key, a->o->req.follow, &a->err);
    vt_msg_free(reply);
    a->wake_fd = l->program.wake[0];
    a->woken = woken;
    a->ending = ending;
    return rc;
}

static int trace(struct launch *l) {
    struct tracing *a = &l->tracing;
    int rc = start(l);
    if (rc) return cli_fail("%s", a->err.msg);
    rc = tracing_receive(a);
    if (rc == -EPIPE && !a->attached) vt_err_set(&a->err, rc, "viztracerd ended");
    if (rc && !l->program.ended) {
        struct vt_err why = a->err;
        program_wait(&l->program); /* it runs on, whatever has become of its trace */
        a->err = why;
    }
    rc = tracing_finish(a, rc);
    program_wait(&l->program);
    return rc;
}

/* The command's name was forgotten. "-" is a program on stdin. */
static bool is_trace(const char *name) {
    const struct trace_format *format = strcmp(name, "-") ? format_by_name(name, NULL) : NULL;
    return format && format_has_use(format, FORMAT_READ);
}

static int run(int argc, char **argv) {
    struct launch *l = calloc(1, sizeof(*l));
    if (!l) return cli_fail("out of memory");
    struct tracing *a = &l->tracing;
    a->client.fd = a->path.raw_fd = l->program.wake[0] = l->program.wake[1] = l->program.witness.fd = -1;
    a->launched = true;
    a->o = &l->options.trace;
    int rc = run_options_parse(&l->options, argc, argv);
    if (!rc && !l->options.nwords && !l->options.module && !l->options.code)
        rc = cli_usage("which program? viztracer script.py, -m MODULE, -c CODE, or -- COMMAND; see viztracer --help");
    bool is_program = !l->options.module && !l->options.code;
    const char *script = !rc && is_program ? l->options.words[0] : NULL;
    if (script && is_trace(script))
        rc = cli_usage("%s is a trace, not a program: viztracer report %s shows where the time went, vizviewer %s opens it",
                       script, script, script);
    if (!rc && program_find(&l->program, &l->options, &a->err)) rc = cli_usage("%s", a->err.msg);
    if (rc) goto out;
    run_options_tell_older(&l->options);
    a->o->req.pid = (uint32_t)getpid();
    a->o->req.follow = !l->options.only_first;
    a->o->unique_name = l->program.name;
    client_silence_daemon();
    rc = tracing_open(a);
    if (!rc) rc = trace(l);
    tracing_close(a);
    if (l->program.pid && l->program.status) rc = program_exit(&l->program);
    if (!rc && a->o->open) tracing_open_viewer(a);
out:
    program_free(&l->program);
    run_options_free(&l->options);
    free(l);
    return CLI_RETURN(rc);
}

const struct cli_cmd cli_run = {
    .options = {.program = "viztracer",
                .name = "run",
                .args = "[options] PROGRAM [ARG...]",
                .summary = "starts a program under trace (run may be left out)",
                .about = "Starts a script, a module (-m), code (-c) or any command that runs Python, traces it and "
                         "the processes that it starts, from the first line on, and saves the trace when it ends. The program "
                         "has the terminal, the "
                         "signals and the environment that it would have without the trace. The exit status is its own.",
                .examples = "viztracer script.py --its-own-option\n"
                            "viztracer -o out.html -m pytest tests\n"
                            "viztracer -- gunicorn app:app",
                .more = cli_help_written,
                .rows = run_option_rows,
                .shared = attach_option_rows},
    .group = CLI_TRACING,
    .run = run,
};
