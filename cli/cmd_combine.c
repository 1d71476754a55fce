/* Owns `viztracer --combine A B.. -o OUT` and `--align_combine`: joins several traces in one, as VizTracer does. */
#include "cli/cmd_convert.h"

static const struct option_row rows[] = {
    {"FILE...", NULL, OPTION_LIST, OPTION_AT(struct convert_line, opts.inputs),
     .count = offsetof(struct convert_line, opts.ninputs), .ask = "which traces?",
     .help = "the traces, of any format that can be read"},
    OPTION_END,
};

static int combine(int argc, char **argv) { return convert_command(&cli_combine, true, false, "result.json", argc, argv); }
static int align(int argc, char **argv) { return convert_command(&cli_align_combine, true, true, "result.json", argc, argv); }

const struct cli_cmd cli_combine = {
    .options = {.program = "viztracer",
                .name = "combine",
                .flag = "--combine",
                .args = "FILE... [-o OUT]",
                .summary = "puts several traces into one",
                .about = "Puts several traces into one. Times stay: traces of one machine line up by themselves. "
                         "Without -o the output is result.json.",
                .examples = "viztracer --combine slow.vzt other.vzt -o all.json.gz",
                .more = cli_help_written,
                .rows = rows,
                .shared = convert_rows},
    .group = CLI_CHANGING,
    .run = combine,
};
const struct cli_cmd cli_align_combine = {
    .options = {.program = "viztracer",
                .name = "align_combine",
                .flag = "--align_combine",
                .args = "FILE... [-o OUT]",
                .summary = "the same, shifted to begin together",
                .about = "Puts several traces into one, and shifts them: their sync markers, or their first events where a trace "
                         "has none, get the same time. Without -o the output is result.json.",
                .examples = "viztracer --align_combine monday.json tuesday.json -o both.json",
                .more = cli_help_written,
                .rows = rows,
                .shared = convert_rows},
    .group = CLI_CHANGING,
    .run = align,
};
