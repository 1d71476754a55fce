/* Owns `viztracer --compress FILE.json -o FILE.cvf` and `--decompress FILE.cvf -o FILE.json`, as VizTracer has them. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/base/figures.h"
#include "cli/base/interrupt.h"
#include "cli/base/text.h"
#include "cli/cli.h"
#include "cli/format/cvf/cvf.h"
#include "cli/format/format.h"
#include "cli/output_place.h"

struct line {
    struct cvf_opts opts;
    bool quiet;
};

struct direction {
    const struct cli_cmd *cmd;
    const char *output; /* used when there is no -o */
    const char *suffixes[2];
    const char *reads; /* a name of the format that it reads; its suffix is shown */
    int (*run)(const struct cvf_opts *opts, struct cvf_result *result, struct vt_err *err);
};

/* Another kind of trace: convert takes that. A stream cannot be looked at twice. */
static int check_input(const struct direction *d, const char *input, const char *output) {
    const struct trace_format *format, *wanted = format_by_name(d->reads, NULL);
    struct vt_err err = {0};
    struct stat st;
    if (stat(input, &st) || !S_ISREG(st.st_mode)) return CLI_OK; /* reading it says what is wrong */
    if (format_of_file(input, &format, &err)) return cli_fail("%s: %s", d->cmd->options.name, err.msg);
    if (format == wanted) return CLI_OK;
    const char *name = d->cmd->options.name;
    if (format && format->source)
        return cli_fail("%s: %s is a %s, and this takes a %s; use viztracer convert %s -o %s", name, input,
                        format->suffixes[0].text, d->reads + 1, input, output);
    return cli_fail("%s: %s is no %s; name a trace of that kind", name, input, d->reads + 1);
}

static int run(const struct direction *d, int argc, char **argv) {
    struct line line = {.opts = {.stop = &interrupts_seen}};
    struct output_place place;
    const struct cvf_opts *opts = &line.opts;
    struct cvf_result result;
    struct vt_err err = {0};
    int rc = cli_parse(d->cmd, &line, argc, argv);
    if (rc) return CLI_RETURN(rc);
    bool unnamed = !opts->output;
    if (unnamed) line.opts.output = d->output;
    if (!text_ends_with(opts->output, d->suffixes[0]) && (!d->suffixes[1] || !text_ends_with(opts->output, d->suffixes[1])))
        return cli_usage("%s: %s: the output is a %s file; name it so with -o", d->cmd->options.name, opts->output,
                         d->suffixes[0]);
    rc = check_input(d, opts->input, opts->output);
    if (rc) return rc;
    struct interrupt interrupt;
    output_place_look(&place, opts->output);
    if (unnamed) output_place_note_replaced(opts->output);
    interrupt_catch(&interrupt, 0);
    rc = d->run(opts, &result, &err);
    interrupt_release(&interrupt);
    if (rc) return cli_fail("%s", err.msg);
    if (result.damage[0])
        fprintf(stderr, "viztracer: %s: %s; what comes after that place is not in %s\n", opts->input, result.damage,
                opts->output);
    if (line.quiet) return CLI_OK;
    char events[48], bytes[32], folder[PATH_MAX + 32];
    printf("%s%s: %s, %s\n", opts->output, output_place_text(&place, folder),
           format_things(events, sizeof events, result.events, "event"), format_bytes(bytes, sizeof bytes, result.bytes));
    return cli_flush();
}

static const struct option_row rows[] = {
    {"FILE", NULL, OPTION_TEXT, OPTION_AT(struct line, opts.input), .ask = "one file, please:", .wants = "one file at a time",
     .help = "the file to read"},
    {"--output_file", "-o", OPTION_TEXT, OPTION_AT(struct line, opts.output), .arg = "OUT",
     .help = "the file to write (of compress result.cvf, of decompress result.json)"},
    {"--quiet", NULL, OPTION_FLAG, OPTION_AT(struct line, quiet), .help = "prints nothing when all is well"},
    OPTION_END,
};

static int compress(int argc, char **argv) {
    static const struct direction d = {
        .cmd = &cli_compress, .output = "result.cvf", .suffixes = {".cvf"}, .reads = "x.json", .run = cvf_compress};
    return run(&d, argc, argv);
}

static int decompress(int argc, char **argv) {
    static const struct direction d = {.cmd = &cli_decompress,
                                       .output = "result.json",
                                       .suffixes = {".json", ".json.gz"},
                                       .reads = "x.cvf",
                                       .run = cvf_decompress};
    return run(&d, argc, argv);
}

const struct cli_cmd cli_compress = {
    .options = {.program = "viztracer",
                .name = "compress",
                .flag = "--compress",
                .args = "FILE [-o OUT]",
                .summary = "writes VizTracer's compressed format",
                .about = "Turns JSON into VizTracer's compressed format, .cvf.",
                .examples = "viztracer --compress slow.json -o slow.cvf",
                .rows = rows},
    .group = CLI_CHANGING,
    .run = compress,
};
const struct cli_cmd cli_decompress = {
    .options = {.program = "viztracer",
                .name = "decompress",
                .flag = "--decompress",
                .args = "FILE [-o OUT]",
                .summary = "reads it back",
                .about = "Turns VizTracer's compressed format back into JSON.",
                .examples = "viztracer --decompress slow.cvf -o slow.json",
                .rows = rows},
    .group = CLI_CHANGING,
    .run = decompress,
};
