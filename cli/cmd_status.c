/* Owns `viztracer status`: the sessions on this host and the traces that wait to be saved. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/base/clean_text.h"
#include "cli/base/figures.h"
#include "cli/base/json.h"
#include "cli/base/text.h"
#include "cli/cli.h"
#include "cli/client/client.h"
#include "cli/client/kept.h"
#include "proto/texts.h"

struct status {
    bool json;
    unsigned rows;
    Vt__SessionInfo *kept; /* found so far; the texts are owned */
    size_t nkept;
};

/* Cleans text of another user's daemon: no control characters may reach our terminal. */
static void clean(char *to, size_t size, const char *from) { text_one_line(to, size, from, strlen(from), '?'); }

static void put_json_string(const char *key, const char *text, char end) {
    char *buf = malloc(JSON_TEXT_MAX(strlen(text)) + 3);
    if (!buf) return;
    char *p = json_put_string(buf, text, strlen(text));
    printf("\"%s\": %.*s%c", key, (int)(p - buf), buf, end);
    free(buf);
}

static void show_json(struct status *s, const Vt__SessionInfo *i, const char *state) {
    char events[24] = "null", dropped[24] = "null"; /* of kept traces nobody has counted them */
    if (!i->spool[0]) {
        snprintf(events, sizeof events, "%llu", (unsigned long long)i->events);
        snprintf(dropped, sizeof dropped, "%llu", (unsigned long long)i->dropped);
    }
    printf("%s\n  {\"pid\": %u, ", s->rows ? "," : "", i->pid);
    put_json_string("state", state, ',');
    printf(" \"owner_uid\": %u, \"owner_pid\": %u, \"start\": %.3f, \"events\": %s, \"dropped\": %s, \"bytes\": %llu, ",
           i->owner_uid, i->owner_pid, (double)i->start_real_ns / 1e9, events, dropped, (unsigned long long)i->bytes);
    printf("\"max_overhead\": %.2f, ", i->max_overhead / 100.0);
    put_json_string("cmdline", i->cmdline, ',');
    put_json_string("output", i->output, ',');
    put_json_string("spool", i->spool, '}');
}

/* Two or three lines of at most 80 columns. Names of files are printed whole, however long. */
static void show(struct status *s, const Vt__SessionInfo *i) {
    char who[64], when[32], events[32], bytes[32], cmdline[CLEAN_TEXT_MAX], file[PATH_MAX];
    time_t start = (time_t)(i->start_real_ns / 1000000000u);
    struct passwd *pw = getpwuid(i->owner_uid);
    struct tm tm;
    char limited[48];
    const char *state = i->spool[0] ? "kept" : vt_session_state_text(i->state);

    if (s->json) {
        show_json(s, i, state);
        s->rows++;
        return;
    }
    if (i->max_overhead && !i->spool[0]) {
        snprintf(limited, sizeof limited, "%s, max %g %%", state, i->max_overhead / 100.0);
        state = limited;
    }
    if (pw)
        snprintf(who, sizeof(who), "%s", pw->pw_name);
    else
        snprintf(who, sizeof(who), "%u", i->owner_uid);
    localtime_r(&start, &tm);
    strftime(when, sizeof(when), "%F %H:%M", &tm);
    const char *command = clean_command(i->cmdline);
    clean_shorten(clean_text(cmdline, command, strlen(command)), 71);
    clean(file, sizeof(file), i->spool[0] ? i->spool : i->output);
    if (!s->rows++) printf("%-8s %-19s %-9s %-16s %14s %9s\n", "PID", "STATE", "BY", "SINCE", "EVENTS", "SIZE");
    printf("%-8u %-19s %-9s %-16s %14s %9s\n", i->pid, state, who, when,
           i->spool[0] ? "-" : format_count(events, sizeof(events), i->events), format_bytes(bytes, sizeof(bytes), i->bytes));
    if (cmdline[0]) printf("         %s\n", cmdline);
    if (file[0]) printf("         %s %s\n", i->spool[0] ? "kept as" : "to", file);
}

/* A kept trace is found in its folder and at a daemon that has it. Without memory for its row it is shown at once. */
static void find_kept(struct status *s, const Vt__SessionInfo *i) {
    for (size_t k = 0; k < s->nkept; k++)
        if (!strcmp(s->kept[k].spool, i->spool)) return;
    Vt__SessionInfo *grown = realloc(s->kept, (s->nkept + 1) * sizeof *grown);
    char *cmdline = strdup(i->cmdline), *output = strdup(i->output), *spool = strdup(i->spool);
    if (grown) s->kept = grown;
    if (!grown || !cmdline || !output || !spool) {
        free(cmdline);
        free(output);
        free(spool);
        show(s, i);
        return;
    }
    Vt__SessionInfo *new = &s->kept[s->nkept++];
    *new = *i;
    new->cmdline = cmdline;
    new->output = output;
    new->spool = spool;
}

/* The list of kept traces does not name their targets; the headers of the files do. */
static void find_kept_of(struct status *s, const Vt__SessionInfo *i) {
    Vt__SessionInfo told = *i;
    char cmdline[4096];
    pid_t pid = kept_header(told.spool, cmdline, sizeof cmdline);
    if (pid) told.pid = (uint32_t)pid;
    if (!told.cmdline[0]) told.cmdline = cmdline;
    find_kept(s, &told);
}

static int by_age(const void *a, const void *b) {
    const Vt__SessionInfo *x = a, *y = b;
    if (x->start_real_ns != y->start_real_ns) return x->start_real_ns < y->start_real_ns ? -1 : 1;
    return strcmp(x->spool, y->spool);
}

/* The newest one last, where a terminal shows it. */
static void show_kept(struct status *s) {
    if (s->nkept) qsort(s->kept, s->nkept, sizeof *s->kept, by_age);
    for (size_t i = 0; i < s->nkept; i++) {
        Vt__SessionInfo *k = &s->kept[i];
        show(s, k);
        free(k->cmdline);
        free(k->output);
        free(k->spool);
    }
    free(s->kept);
}

static int ask(void *ctx, struct client *c) {
    struct status *s = ctx;
    ProtobufCMessage *reply;
    struct vt_err err = {0};
    if (client_request(c, VT_CTL_STATUS, NULL, VT_CTL_STATUS_REP, &reply, &err))
        return fprintf(stderr, "viztracer: %s\n", err.msg), 0;
    const Vt__StatusRep *m = (const Vt__StatusRep *)reply;
    for (size_t i = 0; i < m->n_sessions; i++) {
        if (!m->sessions[i]->spool[0])
            show(s, m->sessions[i]);
        else
            find_kept_of(s, m->sessions[i]);
    }
    if (m->left_out) fprintf(stderr, "viztracer: %u more sessions of process %d are not shown\n", m->left_out, c->daemon_pid);
    vt_msg_free(reply);
    return 0;
}

static int on_kept(void *ctx, const struct spooldir_file *k) {
    struct status *s = ctx;
    Vt__SessionInfo i = VT__SESSION_INFO__INIT;
    i.pid = (uint32_t)k->pid;
    i.owner_uid = k->uid;
    i.start_real_ns = k->saved_ns;
    i.bytes = k->bytes;
    i.spool = (char *)k->path;
    find_kept_of(s, &i);
    return 0;
}

static int run(int argc, char **argv) {
    struct status s = {0};
    int rc = cli_parse(&cli_status, &s, argc, argv);
    if (rc) return CLI_RETURN(rc);
    if (s.json) printf("[");
    client_each(ask, &s);
    kept_each(on_kept, &s);
    show_kept(&s);
    if (s.json)
        printf("%s]\n", s.rows ? "\n" : "");
    else if (!s.rows)
        puts(geteuid() ? "You trace nothing. What other users trace, only they and root see (sudo viztracer status)."
                       : "Nothing is being traced.");
    return cli_flush();
}

static const struct option_row rows[] = {
    {"--json", NULL, OPTION_FLAG, OPTION_AT(struct status, json), .help = "prints it for programs"},
    OPTION_END,
};

const struct cli_cmd cli_status = {
    .options =
        {.program = "viztracer",
         .name = "status",
         .flag = "--status",
         .args = "[--json]",
         .summary = "lists traced processes and kept traces",
         .about =
             "Lists who traces what on this host, and the traces that were kept because nobody saved them, the newest last: pid, "
             "state, who, since when (a kept one: until when), events and size; below it the command line and the file. "
             "viztracer --detach PID -o OUT saves a kept trace.",
         .rows = rows},
    .group = CLI_TRACING,
    .run = run,
};
