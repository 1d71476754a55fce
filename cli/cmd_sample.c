/* Owns `viztracer sample`: a sampling profile, read from outside. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/base/figures.h"
#include "cli/base/interrupt.h"
#include "cli/base/output.h"
#include "cli/cli.h"
#include "cli/convert/convert.h"
#include "cli/format/format.h"
#include "cli/sample/sample.h"
#include "cli/sample/sampler.h"
#include "cli/sample_program.h"

#define SECOND_NS 1000000000ull

struct line {
    uint32_t pid;
    uint64_t duration_ns;
    uint32_t rate;
    const char *output;
    bool gil, idle, quiet;
    char **words; /* of the program to be started; NULL = none */
    size_t nwords;
};

struct run {
    const struct line *line;
    struct sampler sampler;
    struct sample_calls *calls;
    uint64_t begin_ns, end_ns;
    uint64_t stacks;        /* taken */
    bool ended;             /* the process has */
    struct program program; /* that was started; pid 0 = none */
    FILE *out;              /* what is said goes there: stdout is the program's own */
};

static int take_sample(struct run *r, struct vt_err *err) {
    size_t n;
    int rc = sampler_take(&r->sampler, err);
    if (rc) return rc;
    const struct outside_thread *threads = outside_threads(r->sampler.o, &n);
    uint64_t now_ns = vt_mono_ns();
    for (size_t i = 0; !rc && i < n; i++) {
        if (!sampler_wants(&r->sampler, &threads[i])) continue;
        rc = sample_calls_take(r->calls, &threads[i], now_ns);
        r->stacks++;
    }
    sample_calls_round(r->calls, now_ns);
    return rc ? vt_err_set(err, rc, "out of memory") : 0;
}

static void wait_for_next(struct run *r) {
    uint64_t wait_ns = sampler_wait_ns(&r->sampler), next_ns = r->sampler.next_ns;
    struct timespec until = {(time_t)(next_ns / SECOND_NS), (long)(next_ns % SECOND_NS)};
    if (r->program.pid)
        sample_program_wait(&r->program, wait_ns);
    else if (wait_ns)
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* A program that was started gets the signals, and its end ends the samples. */
static bool is_over(const struct run *r) {
    if (r->program.pid ? r->program.ended : interrupts_seen) return true;
    return r->line->duration_ns && vt_mono_ns() - r->begin_ns >= r->line->duration_ns;
}

static int take_samples(struct run *r, struct vt_err *err) {
    struct interrupt interrupt;
    int rc = 0;
    if (!r->program.pid) interrupt_catch(&interrupt, 0);
    r->begin_ns = vt_mono_ns();
    while (!rc && !is_over(r)) {
        rc = take_sample(r, err);
        if (!rc) wait_for_next(r);
    }
    r->end_ns = vt_mono_ns();
    if (!r->program.pid) interrupt_release(&interrupt);
    /* memory goes away a moment before the process */
    bool gone = rc == -ESRCH || (rc && r->program.pid && sample_program_wait(&r->program, SECOND_NS));
    r->ended = gone && r->sampler.samples;
    return r->ended ? 0 : rc;
}

/* Writes the samples as JSON into an unnamed file, from which the output is made. */
static int sample_into(struct run *r, int fd, struct vt_err *err) {
    int copy = dup(fd);
    FILE *f = copy >= 0 ? fdopen(copy, "w") : NULL;
    r->calls = f ? sample_calls_new(f, outside_info(r->sampler.o)) : NULL;
    int rc = r->calls ? take_samples(r, err) : vt_err_set(err, -ENOMEM, "out of memory");
    if (!rc) {
        uint64_t took_ns = r->end_ns - r->begin_ns;
        rc = sample_calls_end(r->calls, r->end_ns, (double)r->sampler.samples * 1e9 / (double)(took_ns ? took_ns : 1));
        if (rc) vt_err_set(err, rc, "cannot write a temporary file: %s; set TMPDIR", strerror(-rc));
    }
    sample_calls_free(r->calls);
    if (f)
        fclose(f);
    else
        vt_close(&copy);
    return rc;
}

/* To the user who asked for a profile and gets an empty one. */
static void say_empty(const struct run *r) {
    const struct line *line = r->line;
    char samples[32];
    format_count(samples, sizeof(samples), r->sampler.samples);
    fprintf(stderr, "viztracer: %s is empty: no thread %s in any of %s samples%s\n", line->output,
            line->gil    ? "held the GIL"
            : line->idle ? "was in Python code"
                         : "ran",
            samples, line->idle ? "" : "; --idle counts threads that wait, too");
}

static void say(const struct run *r, const struct convert_result *result) {
    const struct outside_counts *c = outside_counts(r->sampler.o);
    char samples[32], bytes[32], took[32];
    double seconds = (double)(r->end_ns - r->begin_ns) / 1e9;
    if (r->ended && !r->program.pid) fprintf(r->out, "The process has ended.\n");
    fprintf(r->out, "Saved %s (%s): %s samples in %s, %.4g per second", r->line->output,
            format_bytes(bytes, sizeof(bytes), result->bytes), format_count(samples, sizeof(samples), r->sampler.samples),
            format_ns(took, sizeof(took), r->end_ns - r->begin_ns), (double)r->sampler.samples / (seconds > 0 ? seconds : 1));
    if (r->sampler.late) fprintf(r->out, " (%u were wanted)", r->line->rate);
    fprintf(r->out, "; %.2f %% of the stacks changed while they were read and are left out.\n",
            c->stacks ? 100.0 * (double)c->lost / (double)c->stacks : 0.0);
}

static int open_target(struct run *r, struct vt_err *err) {
    const struct line *line = r->line;
    int rc;
    if (!line->words) {
        rc = outside_open(&r->sampler.o, (pid_t)line->pid, err);
    } else {
        rc = sample_program_start(&r->program, err);
        if (!rc) rc = sample_program_open(&r->program, &r->sampler.o, err);
    }
    if (rc || line->quiet) return rc;
    int pid = (int)outside_info(r->sampler.o)->pid;
    fprintf(r->out, "Sampling %d, %u times a second%s.\n", pid, line->rate, line->words ? "" : "; Ctrl+C to stop and save");
    fflush(r->out);
    return 0;
}

static int sample(struct run *r, struct vt_err *err) {
    const struct line *line = r->line;
    struct convert_result result;
    char path[64];
    int rc = open_target(r, err);
    if (rc) return rc;
    int fd = output_temp();
    if (fd < 0) rc = vt_err_set(err, fd, "no temporary file: %s; set TMPDIR", strerror(-fd));
    if (!rc) rc = sample_into(r, fd, err);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct convert_opts opts = {.input = path, .output = line->output, .no_file_info = true};
    if (!rc) rc = convert_trace(&opts, &result, err);
    if (!rc && !line->quiet) say(r, &result);
    if (!rc && !r->stacks) say_empty(r);
    vt_close(&fd);
    outside_close(r->sampler.o);
    return rc;
}

static int run_line(const struct line *line) {
    struct vt_err err = {0};
    struct run r = {.line = line, .sampler = {.rate = line->rate, .gil = line->gil, .idle = line->idle}};
    r.program.wake[0] = r.program.wake[1] = -1;
    r.out = line->words ? stderr : stdout;
    int rc = line->words ? sample_program_find(&r.program, line->words, line->nwords, &err) : 0;
    if (rc) {
        program_free(&r.program);
        return cli_usage("sample: %s", err.msg);
    }
    rc = sample(&r, &err);
    rc = rc ? cli_fail("%s", err.msg) : cli_flush();
    program_wait(&r.program); /* -t: it runs on */
    if (r.program.pid && r.program.status) rc = program_exit(&r.program);
    program_free(&r.program);
    return rc;
}

/* The words behind "--" are a program. */
static int take_program(struct line *line, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--") != 0) continue;
        line->words = argv + i + 1;
        line->nwords = (size_t)(argc - i - 1);
        return i;
    }
    return argc;
}

static int run(int argc, char **argv) {
    struct line line = {.rate = SAMPLER_RATE_USUAL, .output = "result.svg"};
    int rc = cli_parse(&cli_sample, &line, take_program(&line, argc, argv), argv);
    if (rc) return CLI_RETURN(rc);
    if (line.words && !line.nwords) return cli_usage("sample: which program? sample -- COMMAND");
    if (line.words && line.pid) return cli_usage("sample: a process or a program, not both");
    if (!line.words && !line.pid) return cli_usage("sample: which process? sample PID, or sample -- COMMAND");
    if (line.gil && line.idle) return cli_usage("sample: --gil and --idle cannot be combined");
    struct vt_err err = {0};
    if (format_check_output(line.output, &err)) return cli_usage("sample: %s", err.msg);
    return run_line(&line);
}

#define AT(field) OPTION_AT(struct line, field)
static const struct option_row rows[] = {
    {"PID", NULL, OPTION_PID, AT(pid), .wants = "one process at a time; a program comes behind --", .help = "the process"},
    {"--output_file", "-o", OPTION_TEXT, AT(output), .arg = "OUT",
     .help = "where the profile goes; the name's ending chooses the format (result.svg)"},
    {"--t", "-t", OPTION_SECONDS, AT(duration_ns), .arg = "SEC",
     .help = "stops after SEC seconds; no -t: until Ctrl+C, or the end of COMMAND"},
    {"--rate", "-r", OPTION_INT, AT(rate), .min = 1, .max = SAMPLER_RATE_MAX, .arg = "N", .help = "samples per second (100)"},
    {"--gil", NULL, OPTION_FLAG, AT(gil), .help = "counts only the thread that holds the GIL"},
    {"--idle", NULL, OPTION_FLAG, AT(idle), .help = "counts threads that wait, too"},
    {"--quiet", NULL, OPTION_FLAG, AT(quiet), .help = "prints errors only"},
    OPTION_END,
};

const struct cli_cmd cli_sample = {
    .options =
        {.program = "viztracer",
         .name = "sample",
         .args = "PID | -- COMMAND",
         .summary = "makes a sampling profile of a process, without touching it",
         .about = "Reads the stacks of the process from outside many times a second, and writes a profile: a flame graph, or any "
                  "other format. Threads that wait are not counted, unless --idle is given.\n"
                  "-- COMMAND starts a script or any command that runs Python, and samples its first interpreter until it ends. "
                  "The exit status is its own.\n"
                  "Its numbers are samples: a call that is shorter than the time between two samples is seen by chance.",
         .more = cli_help_written,
         .examples = "viztracer sample 4711 -t 10 -o slow.svg\nviztracer sample 4711 -t 10 -r 1000 --idle -o slow.vzt\nviztracer "
                     "sample -o slow.svg -- app.py --its-own-option",
         .rows = rows},
    .group = CLI_TRACING,
    .run = run,
};
