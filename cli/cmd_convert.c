/* Owns `viztracer convert IN -o OUT`: the command line around convert_trace. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/base/figures.h"
#include "cli/base/interrupt.h"
#include "cli/base/memory.h"
#include "cli/cmd_convert.h"
#include "cli/format/format.h"
#include "cli/output_place.h"
#include "cli/term/progress.h"

int convert_take_slice(void *select, const char *text) { return select_parse_slice(text, select); }
static int take_pid(void *select, const char *text) { return select_add_pid(select, text); }
static int take_tid(void *select, const char *text) { return select_add_tid(select, text); }
static int take_match(void *select, const char *text) { return select_add_match(select, text); }

#define AT(field) OPTION_AT(struct convert_line, field)
const struct option_row convert_rows[] = {
    {"--output_file", "-o", OPTION_TEXT, AT(opts.output), .arg = "OUT",
     .help = "what to write; the name's ending chooses the format; - or -.folded, -.vzt ...: stdout"},
    {"--slice", NULL, OPTION_CUSTOM, AT(opts.select), .take = convert_take_slice, .wants = CONVERT_SLICE_WANTS, .arg = "FROM..TO",
     .help = "only this window: seconds from the first event, or 20ms..1.5s; either side may be empty"},
    {"--pid", NULL, OPTION_CUSTOM, AT(opts.select), .take = take_pid, .wants = "a process id", .arg = "N",
     .help = "only this process; may be given several times"},
    {"--tid", NULL, OPTION_CUSTOM, AT(opts.select), .take = take_tid, .wants = "a thread id", .arg = "N",
     .help = "only this thread; may be given several times"},
    {"--match", NULL, OPTION_CUSTOM, AT(opts.select), .take = take_match, .wants = "a glob, or there are more than 64",
     .arg = "GLOB",
     .help = "only functions of this name and what they call: 'Store.*', '*views.py:*'; may be given several times"},
    {"--budget", NULL, OPTION_COUNT, AT(opts.budget), .arg = "N",
     .help = "shows the N longest calls and folds the others into the call around them: 500k, 5M"},
    {"--min_duration", NULL, OPTION_DURATION, AT(opts.min_duration_ns), .arg = "TIME",
     .help = "leaves out shorter calls: 0.3ms, 13us; no unit = microseconds"},
    {"--tracer_entries", NULL, OPTION_INT, AT(opts.newest_calls), .min = 1, .max = INT64_MAX, .arg = "N",
     .help = "only the newest N calls"},
    {"--log_async", NULL, OPTION_FLAG, AT(opts.log_async),
     .help = "makes one track for each asyncio task, where the trace has tasks"},
    {"--no_file_info", NULL, OPTION_FLAG, AT(opts.no_file_info), .help = "leaves out the source text of the functions"},
    {"--per_thread", NULL, OPTION_FLAG, AT(opts.per_thread),
     .help = "flame graphs (.svg, .folded, .pprof): each thread by itself"},
    CLI_MAX_MEMORY_ROW(AT(max_memory)),
    {"--quiet", NULL, OPTION_FLAG, AT(quiet), .help = "prints nothing when all is well"},
    OPTION_END,
};

static void show_progress(void *arg, uint64_t done, uint64_t size) { progress_bar_show(arg, stderr, "Converting", done, size); }

/* Prints a part of the sentence, unless n is 0. */
static void say_some(const char *fmt, uint64_t n, const char *noun) {
    char things[64];
    const char *place = strstr(fmt, "%s");
    if (!n) return;
    format_things(things, sizeof things, n, noun);
    printf("%.*s%s%s", (int)(place - fmt), fmt, things, place + 2);
}

static void say_left_out(const struct convert_opts *opts, const struct convert_result *r, bool quiet) {
    char text[LEFT_OUT_TEXT];
    if (opts->inputs) return; /* show_note has named them already */
    if (r->left_out.wrong_checksum) fprintf(stderr, "viztracer: %s: %s\n", opts->input, LEFT_OUT_WRONG_CHECKSUM);
    if (left_out_events(&r->left_out, text)[0]) fprintf(stderr, "viztracer: %s: left out: %s\n", opts->input, text);
    if (!quiet && left_out_parts(&r->left_out, text)[0])
        fprintf(stderr, "viztracer: %s has what is not carried over: %s\n", opts->input, text);
}

static int report(const struct convert_opts *opts, const struct convert_result *r, const struct output_place *place, bool quiet) {
    if (r->damage[0] && opts->inputs)
        ; /* show_note has named them already */
    else if (r->damage[0])
        fprintf(stderr, "viztracer: %s: %s; what comes after that place is not in %s\n", opts->input, r->damage, opts->output);
    else if (r->cut_off)
        fprintf(stderr, "viztracer: %s has no end: it holds what was written before its writer died\n",
                opts->inputs ? "one of these traces" : opts->input);
    say_left_out(opts, r, quiet);
    int code = r->files_left_out ? CLI_FAILED : CLI_OK;       /* the output lacks what was named */
    if (quiet || output_is_stdout(opts->output)) return code; /* nothing but the trace goes to stdout */
    const struct trace_totals *t = &r->totals;
    char calls[48], threads[48], bytes[32], folder[PATH_MAX + 32];
    printf("%s%s: %s on %s, %s", opts->output, output_place_text(place, folder),
           format_things(calls, sizeof calls, convert_calls(r), "call"),
           format_things(threads, sizeof threads, t->threads, "thread"), format_bytes(bytes, sizeof bytes, r->bytes));
    say_some(", %s left out", t->short_calls, "shorter call");
    if (r->limit[0]) printf(", %s", r->limit);
    say_some(", %s left out", t->left_out, "older call");
    say_some(", %s folded into those around them", t->folded, "shorter call");
    say_some(", %s not in the chosen part", t->unselected, "call");
    say_some(", %s cut to the call around them", t->cut, "call");
    say_some(", %s dropped in the target", t->dropped, "event");
    say_some(", without %s", r->unheld.marks, "mark");
    say_some(", without arguments of %s", r->unheld.args, "call");
    say_some(", without the source text of %s", r->unheld.texts, "file");
    if (r->unheld.marks || r->unheld.args || r->unheld.texts) printf(": a .vzt has no place for that");
    printf("\n");
    int flushed = cli_flush();
    return flushed ? flushed : code;
}

static void show_note(void *arg, const char *text) {
    (void)arg;
    fprintf(stderr, "viztracer: %s\n", text);
}

/* Checks what the rows cannot express: options that do not go together. CLI_OK or CLI_USAGE. */
static int check(const char *name, const struct convert_opts *opts) {
    if (opts->budget && opts->newest_calls) return cli_usage("%s: either --budget or --tracer_entries", name);
    if (!opts->output) return cli_usage("%s: where to? Give -o FILE", name);
    if (format_is_native(opts->output) && (opts->newest_calls || opts->budget))
        return cli_usage("%s: a .vzt holds all calls of its part; --%s is for .json and .pftrace", name,
                         opts->budget ? "budget" : "tracer_entries");
    struct vt_err err = {0};
    if (format_check_output(opts->output, &err)) return cli_usage("%s: %s", name, err.msg);
    return CLI_OK;
}

static int convert(const struct convert_opts *given, bool unnamed, bool quiet) {
    struct convert_opts opts = *given;
    struct progress_bar bar = {0};
    struct vt_err err = {0};
    opts.stop = &interrupts_seen;
    if (!quiet) opts.note = show_note;
    if (!quiet && isatty(STDERR_FILENO)) {
        opts.progress = show_progress;
        opts.progress_arg = &bar;
    }
    struct output_place place;
    struct interrupt interrupt;
    output_place_look(&place, opts.output);
    if (unnamed) output_place_note_replaced(opts.output);
    interrupt_catch(&interrupt, 0);
    struct convert_result result;
    int rc = convert_trace(&opts, &result, &err);
    interrupt_release(&interrupt);
    progress_bar_clear(&bar, stderr);
    if (rc) return cli_fail("%s", err.msg);
    return report(&opts, &result, &place, quiet);
}

int convert_command(const struct cli_cmd *cmd, bool many, bool align, const char *output, int argc, char **argv) {
    struct convert_line line = {0};
    int rc = cli_parse(cmd, &line, argc, argv);
    if (!rc) {
        bool unnamed = !line.opts.output;
        if (unnamed) line.opts.output = output;
        line.opts.align = align;
        line.opts.note = many ? show_note : NULL;
        memory_limit_usual(line.max_memory);
        rc = check(cmd->options.name, &line.opts);
        if (!rc) rc = convert(&line.opts, unnamed, line.quiet);
    }
    options_free(&cmd->options, &line);
    return CLI_RETURN(rc);
}

static const struct option_row rows[] = {
    {"FILE", NULL, OPTION_TEXT, AT(opts.input), .ask = "which trace?", .wants = "one trace at a time",
     .help = "the trace, of any format that can be read"},
    OPTION_END,
};

static int run(int argc, char **argv) { return convert_command(&cli_convert, false, false, NULL, argc, argv); }

const struct cli_cmd cli_convert = {
    .options = {.program = "viztracer",
                .name = "convert",
                .args = "FILE -o OUT",
                .summary = "writes a trace, or a part, in another format",
                .about =
                    "Turns a trace, or a part of it, into another format. The first bytes of FILE say what it is, the ending of "
                    "OUT what is written.",
                .examples = "viztracer convert slow.vzt -o slow.json\n"
                            "viztracer convert slow.vzt --slice 0.5..1s --match 'Store.*' -o part.pftrace\n"
                            "viztracer convert slow.vzt -o slow.svg",
                .more = cli_help_formats,
                .rows = rows,
                .shared = convert_rows},
    .group = CLI_CHANGING,
    .run = run,
};
