/* `viztracer --compress FILE.json -o FILE.cvf` and `--decompress FILE.cvf -o FILE.json`, as VizTracer's. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/base/interrupt.h"
#include "cli/base/text.h"
#include "cli/cli.h"
#include "cli/format/cvf/cvf.h"

struct direction {
    const char *name, *usage, *output; /* output: without -o */
    const char *suffixes[2];
    int (*run)(const struct cvf_opts *opts, struct cvf_result *result, struct vt_err *err);
};

/* CLI_OK, CLI_USAGE, or -1 when help was asked for. */
static int parse(const struct direction *d, int argc, char **argv, struct cvf_opts *opts, bool *quiet) {
    static const struct option options[] = {
        {"output_file", required_argument, NULL, 'o'}, {"quiet", no_argument, NULL, 'q'}, {"help", no_argument, NULL, 'h'}, {0}};
    int c;
    optind = 0;
    while ((c = getopt_long(argc, argv, ":o:h", options, NULL)) != -1) {
        switch (c) {
        case 'o': opts->output = optarg; break;
        case 'q': *quiet = true; break;
        case 'h': return -1;
        case ':': return cli_usage("%s: %s needs a value", d->name, argv[optind - 1]);
        default: return cli_usage("%s: unknown option %s", d->name, argv[optind - 1]);
        }
    }
    if (optind + 1 != argc) return cli_usage("%s: one file, please: viztracer %s", d->name, d->usage);
    opts->input = argv[optind];
    if (!text_ends_with(opts->output, d->suffixes[0]) && (!d->suffixes[1] || !text_ends_with(opts->output, d->suffixes[1])))
        return cli_usage("%s: %s: the output is a %s file", d->name, opts->output, d->suffixes[0]);
    return CLI_OK;
}

static int run(const struct direction *d, int argc, char **argv) {
    struct cvf_opts opts = {.output = d->output, .stop = &interrupts_seen};
    struct cvf_result result;
    struct vt_err err = {0};
    bool quiet = false;
    int parsed = parse(d, argc, argv, &opts, &quiet);
    if (parsed < 0) {
        printf("usage: viztracer %s [--quiet]\n", d->usage);
        return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
    }
    if (parsed) return parsed;
    struct interrupt interrupt;
    interrupt_catch(&interrupt, 0);
    int rc = d->run(&opts, &result, &err);
    interrupt_release(&interrupt);
    if (rc) return cli_fail("%s", err.msg);
    if (result.damage[0])
        fprintf(stderr, "viztracer: %s: %s; what comes after that place is not in %s\n", opts.input, result.damage, opts.output);
    if (quiet) return CLI_OK;
    printf("%s: %llu events, %.1f MB\n", opts.output, (unsigned long long)result.events, (double)result.bytes / 1e6);
    return fflush(stdout) == 0 ? CLI_OK : cli_fail("cannot write to stdout: %s", strerror(errno));
}

int cmd_compress(int argc, char **argv) {
    static const struct direction d = {.name = "compress",
                                       .usage = "--compress FILE.json [-o FILE.cvf]",
                                       .output = "result.cvf",
                                       .suffixes = {".cvf"},
                                       .run = cvf_compress};
    return run(&d, argc, argv);
}

int cmd_decompress(int argc, char **argv) {
    static const struct direction d = {.name = "decompress",
                                       .usage = "--decompress FILE.cvf [-o FILE.json]",
                                       .output = "result.json",
                                       .suffixes = {".json", ".json.gz"},
                                       .run = cvf_decompress};
    return run(&d, argc, argv);
}
