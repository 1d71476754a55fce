/* Owns `viztracer dump PID...`: what the threads of processes do right now, read from outside. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/base/interrupt.h"
#include "cli/cli.h"
#include "cli/dump/dump.h"
#include "cli/term/term.h"
#include "options/options.h"

enum { PROCESSES_MAX = 4096 };

struct line {
    char **pids;
    size_t npids;
    bool json, subprocesses, locals, async;
    const char *core;
    uint64_t watch_ns;
};

struct looks {
    const struct line *line;
    pid_t *pids;
    uint32_t n, room;
};

static int take_interval(void *at, const char *text) {
    uint64_t ns;
    bool number = strspn(text, "0123456789.") == strlen(text);
    int rc = options_duration(text, &ns);
    if (!rc && number) ns *= 1000000; /* seconds, where options_duration takes microseconds */
    if (rc || !ns) return -EINVAL;
    memcpy(at, &ns, sizeof(ns));
    return 0;
}

static int add(struct looks *l, pid_t pid) {
    for (uint32_t i = 0; i < l->n; i++)
        if (l->pids[i] == pid) return 0;
    int rc = vt_grow(&l->pids, &l->room, l->n + 1u, sizeof(*l->pids), PROCESSES_MAX);
    if (!rc) l->pids[l->n++] = pid;
    return rc;
}

static int add_child(void *ctx, pid_t pid) { return add(ctx, pid); }

/* The processes that were named, and those below them; again at each look, because they come and go. */
static int find_processes(struct looks *l) {
    int rc = 0;
    l->n = 0;
    if (l->line->core) return add(l, 0); /* whose id is in the core file */
    for (size_t i = 0; !rc && i < l->line->npids; i++) rc = add(l, (pid_t)strtol(l->line->pids[i], NULL, 10));
    for (size_t i = 0, named = l->n; !rc && l->line->subprocesses && i < named; i++)
        rc = outside_each_below(l->pids[i], add_child, l);
    return rc;
}

/* Appends one process; its refusal goes to stderr. */
static int look(struct buf *out, const struct line *line, pid_t pid, bool first, struct vt_err *err) {
    struct outside *o;
    bool json = line->json;
    int rc = line->core ? outside_open_core(&o, line->core, line->npids ? line->pids[0] : NULL, err) : outside_open(&o, pid, err);
    if (rc) return rc;
    if (line->locals) outside_want_values(o);
    rc = outside_read(o, err);
    if (!rc && line->async) rc = outside_read_tasks(o, err);
    if (!rc) {
        outside_read_states(o);
        if (!first) buf_literal(out, json ? ", " : "\n");
        if (json)
            dump_json(out, o, line->async);
        else
            dump_text(out, o);
        if (line->async && !json) dump_tasks_text(out, o);
    }
    outside_close(o);
    return rc;
}

static void put_time(struct buf *out, bool json) {
    char text[64];
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    if (json) {
        snprintf(text, sizeof(text), "{\"time\": %.6f, \"processes\": [", (double)now.tv_sec + (double)now.tv_nsec / 1e9);
    } else {
        localtime_r(&now.tv_sec, &tm);
        strftime(text, sizeof(text), "---- %H:%M:%S ----\n", &tm);
    }
    buf_literal(out, text);
}

/* One look at all processes. Each that is refused gets a line on stderr; descendants that are not Python get none. */
static int look_at_all(struct looks *l, unsigned *refused) {
    const struct line *line = l->line;
    struct buf out = {0};
    uint32_t told = 0;
    int rc = find_processes(l);
    if (rc) return cli_fail("dump: %s", rc == -ENOMEM ? "there are too many processes: name fewer" : strerror(-rc));
    if (line->json || line->watch_ns) put_time(&out, line->json);
    for (uint32_t i = 0; i < l->n; i++) {
        struct vt_err err = {0};
        rc = look(&out, line, l->pids[i], !told, &err);
        if (!rc) {
            told++;
        } else if (line->core || i < line->npids || (rc != -ENOEXEC && rc != -ESRCH)) {
            cli_fail("%s", err.msg);
            ++*refused;
        }
    }
    if (line->json) buf_literal(&out, "]}\n");
    if (line->watch_ns && !line->json) buf_literal(&out, "\n");
    if (!out.failed && out.len) fwrite(out.data, 1, out.len, stdout);
    rc = out.failed ? cli_fail("dump: out of memory") : cli_flush();
    buf_free(&out);
    return rc ? rc : told ? CLI_OK : CLI_FAILED;
}

static int check(const struct line *line) {
    if (line->core && (line->npids > 1 || line->watch_ns || line->subprocesses))
        return cli_usage(
            "dump: --core takes one file and the program it was; it cannot be combined with --watch or --subprocesses");
    if (line->core) return CLI_OK;
    if (!line->npids) return cli_usage("dump: which process? dump PID..., or dump --core FILE");
    for (size_t i = 0; i < line->npids; i++) {
        char *end;
        long pid = strtol(line->pids[i], &end, 10);
        if (*end || pid <= 0 || pid > INT32_MAX) return cli_usage("dump: %s is not a process id", line->pids[i]);
    }
    return CLI_OK;
}

static int run(int argc, char **argv) {
    struct line line = {0};
    struct looks looks = {.line = &line};
    struct interrupt interrupt;
    unsigned refused = 0;
    int rc = cli_parse(&cli_dump, &line, argc, argv);
    rc = rc ? CLI_RETURN(rc) : check(&line);
    if (!rc && (line.npids || line.core)) {
        if (line.watch_ns) interrupt_catch(&interrupt, 0);
        rc = look_at_all(&looks, &refused);
        while (!rc && line.watch_ns && !interrupts_seen) {
            struct timespec nap = {(time_t)(line.watch_ns / 1000000000u), (long)(line.watch_ns % 1000000000u)};
            nanosleep(&nap, NULL);
            if (!interrupts_seen) rc = look_at_all(&looks, &refused);
        }
        if (line.watch_ns) interrupt_release(&interrupt);
    }
    free(looks.pids);
    options_free(&cli_dump.options, &line);
    return !rc && refused ? CLI_FAILED : rc;
}

#define AT(field) OPTION_AT(struct line, field)
static const struct option_row rows[] = {
    {"PID...", NULL, OPTION_LIST, AT(pids), .count = offsetof(struct line, npids), .help = "the processes to look at"},
    {"--json", NULL, OPTION_FLAG, AT(json), .help = "prints it for programs (fields: docs/dump.md)"},
    {"--locals", NULL, OPTION_FLAG, AT(locals), .help = "tells the variables of each function, without running its code"},
    {"--async", NULL, OPTION_FLAG, AT(async),
     .help = "tells the tasks of asyncio, too: where each is, and which task waits for which"},
    {"--core", NULL, OPTION_TEXT, AT(core), .arg = "FILE",
     .help = "reads a core file instead of a process; a word behind it names the program, where that has moved"},
    {"--watch", NULL, OPTION_CUSTOM, AT(watch_ns), .take = take_interval, .wants = "a time like 1s or 500ms", .arg = "TIME",
     .help = "looks again after each TIME, until Ctrl+C: 1s, 500ms; no unit = seconds"},
    {"--subprocesses", NULL, OPTION_FLAG, AT(subprocesses), .help = "looks at the Python processes below each one too"},
    OPTION_END,
};

const struct cli_cmd cli_dump = {
    .options =
        {.program = "viztracer",
         .name = "dump",
         .args = "PID... | --core FILE [EXE]",
         .summary = "shows what a process does right now, without touching it",
         .about =
             "Prints the Python stack of every thread, innermost frame first, and what each thread does: whether it holds the "
             "GIL "
             "or waits for it, is on a CPU, or is in a system call, and on what.\n"
             "The memory of the process is read from outside. Nothing in it stops or changes. It may hang, be stopped or traced, "
             "hold the GIL for ever, or be deadlocked.",
         .examples = "viztracer dump 4711\nviztracer dump 4711 --subprocesses --json\nviztracer dump 4711 --watch 1s\nviztracer "
                     "dump --core core.4711",
         .rows = rows},
    .group = CLI_TRACING,
    .run = run,
};
