/* `viztracer convert IN -o OUT`: the command around convert_trace. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/base/interrupt.h"
#include "cli/cli.h"
#include "cli/convert/convert.h"
#include "cli/format/format.h"
#include "cli/options.h"
#include "cli/term/progress.h"

static int help(const struct convert_kind *kind) {
    printf("usage: viztracer %s [options]\n\n"
           "IN: .vzt; .cvf; .pftrace of ours, Chrome JSON (VizTracer's too), both also gzipped\n%s\n"
           "  -o, --output_file FILE  what to write; how its name ends says the kind\n"
           "  --min_duration TIME     leave out shorter calls: 0.3ms, 13us; no unit = us\n"
           "  --tracer_entries N      only the newest N calls\n"
           "  --budget N              show the N longest calls, fold the others into the call around them: 500k, 5M\n"
           "  --slice FROM..TO        this window, in seconds from the first event; also 20ms..1.5s; either may be left out\n"
           "  --pid N, --tid N        only this process, this thread; may be given again for more\n"
           "  --match GLOB            only functions of this name and what they call; may be given again for more\n"
           "  --log_async             one track per asyncio task, where the trace has tasks\n"
           "  --no_file_info          without the source text of the functions\n"
           "  --per_thread            flame graphs (.svg, .folded, .pprof): each thread by itself\n"
           "  --quiet                 print nothing when all is well\n",
           kind->usage, kind->about);
    return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}

static void show_progress(void *arg, uint64_t done, uint64_t size) { progress_bar_show(arg, stderr, "Converting", done, size); }

static int report(const struct convert_opts *opts, const struct convert_result *r, bool quiet) {
    if (r->damage[0] && opts->inputs)
        ; /* show_note has named them all */
    else if (r->damage[0])
        fprintf(stderr, "viztracer: %s: %s; what comes after that place is not in %s\n", opts->input, r->damage, opts->output);
    else if (r->cut_off)
        fprintf(stderr, "viztracer: %s has no end: it holds what was written before its writer died\n",
                opts->inputs ? "one of these traces" : opts->input);
    if (quiet) return CLI_OK;
    printf("%s: %llu calls on %llu thread%s, %.1f MB", opts->output,
           (unsigned long long)(r->totals.calls + r->totals.open - r->totals.short_calls - r->totals.left_out - r->totals.folded -
                                r->totals.unselected),
           (unsigned long long)r->totals.threads, r->totals.threads == 1 ? "" : "s", (double)r->bytes / 1e6);
    if (r->totals.short_calls) printf(", %llu shorter calls left out", (unsigned long long)r->totals.short_calls);
    if (r->limit[0]) printf(", %s", r->limit);
    if (r->totals.left_out) printf(", %llu older calls left out", (unsigned long long)r->totals.left_out);
    if (r->totals.folded) printf(", %llu shorter calls folded into those around them", (unsigned long long)r->totals.folded);
    if (r->totals.unselected) printf(", %llu calls not in the chosen part", (unsigned long long)r->totals.unselected);
    if (r->totals.cut) printf(", %llu calls cut to the call around them", (unsigned long long)r->totals.cut);
    if (r->totals.dropped) printf(", %llu events were dropped in the target", (unsigned long long)r->totals.dropped);
    const struct writer_unheld *u = &r->unheld;
    if (u->marks || u->args || u->texts)
        printf(", without what a .vzt has no place for: %llu marks, arguments of %llu calls, source text of %llu files",
               (unsigned long long)u->marks, (unsigned long long)u->args, (unsigned long long)u->texts);
    printf("\n");
    return fflush(stdout) == 0 ? CLI_OK : cli_fail("cannot write to stdout: %s", strerror(errno));
}

static void show_note(void *arg, const char *text) {
    (void)arg;
    fprintf(stderr, "viztracer: %s\n", text);
}

/* Fills opts: CLI_OK, CLI_USAGE, or -1 when help was asked for. */
static int parse(const struct convert_kind *kind, int argc, char **argv, struct convert_opts *opts, bool *quiet) {
    enum {
        OPT_MIN_DURATION = 256,
        OPT_ENTRIES,
        OPT_BUDGET,
        OPT_ASYNC,
        OPT_NO_FILE_INFO,
        OPT_PER_THREAD,
        OPT_QUIET,
        OPT_SLICE,
        OPT_PID,
        OPT_TID,
        OPT_MATCH
    };
    static const struct option options[] = {
        {"output_file", required_argument, NULL, 'o'},
        {"min_duration", required_argument, NULL, OPT_MIN_DURATION},
        {"tracer_entries", required_argument, NULL, OPT_ENTRIES},
        {"budget", required_argument, NULL, OPT_BUDGET},
        {"log_async", no_argument, NULL, OPT_ASYNC},
        {"no_file_info", no_argument, NULL, OPT_NO_FILE_INFO},
        {"slice", required_argument, NULL, OPT_SLICE},
        {"pid", required_argument, NULL, OPT_PID},
        {"tid", required_argument, NULL, OPT_TID},
        {"match", required_argument, NULL, OPT_MATCH},
        {"per_thread", no_argument, NULL, OPT_PER_THREAD},
        {"quiet", no_argument, NULL, OPT_QUIET},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;
    optind = 0;
    while ((c = getopt_long(argc, argv, ":o:h", options, NULL)) != -1) {
        switch (c) {
        case 'o': opts->output = optarg; break;
        case OPT_MIN_DURATION:
            if (options_duration(optarg, &opts->min_duration_ns))
                return cli_usage("%s: can't convert %s to time; the format is 0.3ms or 13us", kind->name, optarg);
            break;
        case OPT_ENTRIES: {
            char *end;
            errno = 0;
            opts->newest_calls = strtoull(optarg, &end, 10);
            if (errno || *end || optarg[0] < '1' || optarg[0] > '9')
                return cli_usage("%s: --tracer_entries wants a number of calls, not %s", kind->name, optarg);
            break;
        }
        case OPT_BUDGET:
            if (options_count(optarg, &opts->budget) || !opts->budget)
                return cli_usage("%s: --budget wants a number of calls like 500k or 5M, not %s", kind->name, optarg);
            break;
        case OPT_ASYNC: opts->log_async = true; break;
        case OPT_NO_FILE_INFO: opts->no_file_info = true; break;
        case OPT_SLICE:
            if (select_parse_slice(optarg, &opts->select))
                return cli_usage("%s: --slice wants FROM..TO, like 1.5..2 or 20ms..30ms, not %s", kind->name, optarg);
            break;
        case OPT_PID:
            if (select_add_pid(&opts->select, optarg)) return cli_usage("%s: --pid: %s is not a process id", kind->name, optarg);
            break;
        case OPT_TID:
            if (select_add_tid(&opts->select, optarg)) return cli_usage("%s: --tid: %s is not a thread id", kind->name, optarg);
            break;
        case OPT_MATCH:
            if (select_add_match(&opts->select, optarg)) return cli_usage("%s: --match: too many, or an empty one", kind->name);
            break;
        case OPT_PER_THREAD: opts->per_thread = true; break;
        case OPT_QUIET: *quiet = true; break;
        case 'h': return -1;
        case ':': return cli_usage("%s: %s needs a value", kind->name, argv[optind - 1]);
        default: return cli_usage("%s: unknown option %s", kind->name, argv[optind - 1]);
        }
    }
    if (optind >= argc) return cli_usage("%s: which trace? viztracer %s", kind->name, kind->usage);
    if (!kind->many && optind + 1 < argc) return cli_usage("%s: one trace at a time; what is %s?", kind->name, argv[optind + 1]);
    if (opts->budget && opts->newest_calls) return cli_usage("%s: either --budget or --tracer_entries", kind->name);
    if (!opts->output) opts->output = kind->output;
    if (!opts->output) return cli_usage("%s: where to? Give -o FILE", kind->name);
    if (format_is_native(opts->output) && (opts->newest_calls || opts->budget))
        return cli_usage("%s: a .vzt holds all calls of its part; --%s is for .json and .pftrace", kind->name,
                         opts->budget ? "budget" : "tracer_entries");
    if (kind->many) {
        opts->inputs = (const char *const *)(argv + optind);
        opts->ninputs = (size_t)(argc - optind);
        opts->align = kind->align;
        opts->note = show_note;
    }
    opts->input = argv[optind];
    return CLI_OK;
}

int convert_command(const struct convert_kind *kind, int argc, char **argv) {
    struct convert_opts opts = {.stop = &interrupts_seen};
    bool quiet = false;
    struct progress_bar bar = {0};
    int parsed = parse(kind, argc, argv, &opts, &quiet);
    if (parsed < 0) return help(kind);
    if (parsed) return parsed;
    struct vt_err err = {0};
    if (format_check_output(opts.output, &err)) return cli_usage("%s: %s", kind->name, err.msg);
    if (!quiet && isatty(STDERR_FILENO)) {
        opts.progress = show_progress;
        opts.progress_arg = &bar;
    }
    struct interrupt interrupt;
    interrupt_catch(&interrupt, 0);
    struct convert_result result;
    int rc = convert_trace(&opts, &result, &err);
    interrupt_release(&interrupt);
    progress_bar_clear(&bar, stderr);
    if (rc) return cli_fail("%s", err.msg);
    return report(&opts, &result, quiet);
}

int cmd_convert(int argc, char **argv) {
    static const struct convert_kind kind = {.name = "convert", .usage = "convert IN -o OUT", .about = ""};
    return convert_command(&kind, argc, argv);
}
