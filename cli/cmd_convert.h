/* What convert, combine, align_combine share, and values of options that view has too. */
#ifndef VT_CLI_CMD_CONVERT_H
#define VT_CLI_CMD_CONVERT_H

#include "cli/cli.h"
#include "cli/convert/convert.h"

struct convert_line {
    struct convert_opts opts;
    bool quiet;
    uint64_t max_memory;
};
extern const struct option_row convert_rows[]; /* for struct convert_line; ends with OPTION_END */
/* Runs a command of this family; output: without -o, NULL = -o has to be given. */
int convert_command(const struct cli_cmd *cmd, bool many, bool align, const char *output, int argc, char **argv);

#define CONVERT_SLICE_WANTS "FROM..TO, like 1.5..2 or 20ms..30ms"
int convert_take_slice(void *select, const char *text); /* take of a row, at a struct trace_select */

#endif
