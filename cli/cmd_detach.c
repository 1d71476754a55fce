/* Owns `viztracer --detach PID`: ends a session from another terminal, or saves a trace that a daemon kept. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/base/figures.h"
#include "cli/cli.h"
#include "cli/client/client.h"
#include "cli/client/kept.h"
#include "cli/convert/convert.h"
#include "cli/format/format.h"
#include "cli/output_place.h"
#include "proto/abi/boot.h"

struct detach {
    pid_t pid;
    const char *output;
    bool found; /* a daemon had a session */
    Vt__Detached *answer;
    struct vt_err err;
};

/* Root asks the daemons of all users. The answer of another user's daemon counts only for that user's processes, and only if
 * it says that it traces this one. Otherwise such a daemon could claim any process, or make root wait. */
static bool may_be_there(const struct detach *d, struct client *c) {
    char path[64];
    struct stat st;
    ProtobufCMessage *reply;
    bool listed = false;
    if (c->owner == 0 || c->owner == geteuid()) return true;
    snprintf(path, sizeof(path), "/proc/%d", d->pid);
    if (stat(path, &st) || st.st_uid != c->owner) return false;
    if (client_request(c, VT_CTL_STATUS, NULL, VT_CTL_STATUS_REP, &reply, NULL)) return false;
    const Vt__StatusRep *m = (const Vt__StatusRep *)reply;
    for (size_t i = 0; i < m->n_sessions; i++) listed |= (pid_t)m->sessions[i]->pid == d->pid;
    vt_msg_free(reply);
    return listed;
}

static int ask(void *ctx, struct client *c) {
    struct detach *d = ctx;
    Vt__PidReq req = VT__PID_REQ__INIT;
    ProtobufCMessage *reply;
    struct vt_err err = {0};
    if (!may_be_there(d, c)) return 0;
    req.pid = (uint32_t)d->pid;
    int rc = client_request(c, VT_CTL_DETACH, &req.base, VT_CTL_DETACHED, &reply, &err);
    if (rc == -ESRCH) return 0;                      /* not this one */
    if (rc == -EPIPE || rc == -ECONNRESET) return 0; /* the daemon is just ending, and its sessions with it */
    d->found = true;
    if (rc)
        d->err = err;
    else
        d->answer = (Vt__Detached *)reply;
    return 1;
}

/* Saves a trace that a daemon kept as `output`. */
static int save_kept(const struct spooldir_file *k, const char *output) {
    struct convert_result result;
    struct convert_opts opts = {.input = k->path, .output = output};
    struct vt_err err = {0};
    struct output_place place;
    char bytes[32], calls[48], threads[48], folder[PATH_MAX + 32];
    output_place_look(&place, output);
    if (convert_trace(&opts, &result, &err))
        return cli_fail("%s; the kept trace stays in %s until you remove it", err.msg, k->path);
    unlink(k->path);
    const char *next = format_by_name(output, NULL)->next_step;
    printf("Saved %s (%s%s): %s on %s, from the trace that was kept\n", output, format_bytes(bytes, sizeof(bytes), result.bytes),
           output_place_text(&place, folder), format_things(calls, sizeof(calls), convert_calls(&result), "call"),
           format_things(threads, sizeof(threads), result.totals.threads, "thread"));
    if (next && !output_is_stdout(output)) printf("%s%s\n", next, output);
    return CLI_OK;
}

/* Is the arena of a session in the process? 1 or 0, -1 = its memory map is not ours to read. */
static int has_arena(pid_t pid) {
    char path[64], *line = NULL;
    size_t room = 0;
    int found = 0;
    snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "re");
    if (!maps) return -1;
    while (!found && getline(&line, &room, maps) > 0) found = strstr(line, VT_ARENA_MEMFD) || strstr(line, VT_ARENA_FILE);
    free(line);
    fclose(maps);
    return found;
}

/* No daemon that we may ask has a session on it. Those of other users may not be asked. */
static int fail_untraced(pid_t pid) {
    char path[64];
    struct stat st;
    struct passwd *owner;
    int arena = has_arena(pid);
    snprintf(path, sizeof(path), "/proc/%d", pid);
    if (stat(path, &st))
        return cli_fail("process %d does not exist, and no trace of it is kept; viztracer status lists all", pid);
    if (arena > 0 && geteuid())
        return cli_fail("process %d is traced by another user: only that user or root may end it; use sudo viztracer --detach %d",
                        pid, pid);
    if (arena < 0 && geteuid() && st.st_uid != geteuid()) {
        owner = getpwuid(st.st_uid);
        return cli_fail("process %d is another user's (%s), who traces it is not for you to see; use sudo viztracer --detach %d",
                        pid, owner ? owner->pw_name : "no name", pid);
    }
    return cli_fail("process %d is not being traced, and no trace of it is kept; viztracer status lists what there is", pid);
}

static int run(int argc, char **argv) {
    struct detach d = {0};
    struct spooldir_file k;

    int rc = cli_parse(&cli_detach, &d, argc, argv);
    if (rc) return CLI_RETURN(rc);
    const char *output = d.output;
    if (output && format_check_output(output, &d.err)) return cli_usage("%s", d.err.msg);
    client_each(ask, &d);
    if (d.err.msg[0]) return cli_fail("%s", d.err.msg);
    if (d.answer && d.answer->nothing) {
        printf("Detached from %d before tracing had begun; nothing is saved\n", d.pid);
        vt_msg_free(&d.answer->base);
        return cli_flush();
    }
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
    for (int i = 0; rc && detached && i < 40; i++) { /* its daemon is about to release the file */
        usleep(50000);
        rc = kept_find(d.pid, &k);
    }
    if (rc && detached) return printf("Detached from %d\n", d.pid), CLI_OK;
    if (rc) return fail_untraced(d.pid);
    if (output) return save_kept(&k, output);
    printf("%s%s of %d is kept as %s; save it with: viztracer --detach %d -o FILE\n",
           detached ? "Detached; the" : "Not traced now; a", " trace", d.pid, k.path, d.pid);
    return cli_flush();
}

static const struct option_row rows[] = {
    {"PID", NULL, OPTION_PID, OPTION_AT(struct detach, pid), .ask = "which process?", .wants = "one process at a time",
     .help = "the traced process"},
    {"--output_file", "-o", OPTION_TEXT, OPTION_AT(struct detach, output), .arg = "OUT",
     .help = "saves here a trace that was kept because its client had gone"},
    OPTION_END,
};

const struct cli_cmd cli_detach = {
    .options = {.program = "viztracer",
                .name = "detach",
                .flag = "--detach",
                .args = "PID [-o OUT]",
                .summary = "ends a trace from another terminal",
                .about =
                    "Ends a trace from another terminal: the client that attached saves it. Only the user who attached, or root, "
                    "may do it. A trace whose client had gone is kept; -o saves it.",
                .examples = "viztracer --detach 1234\nviztracer --detach 1234 -o kept.json",
                .rows = rows},
    .group = CLI_TRACING,
    .run = run,
};
