/* The table of the commands of `viztracer`. */
#ifndef VT_CLI_CLI_H
#define VT_CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/term/usage.h"
#include "options/options.h"

/* Of each command: cmd_<name>.c defines cli_<name>. This list is their order in help. */
#define CLI_COMMANDS(X)                                                                                                          \
    X(run)                                                                                                                       \
    X(attach)                                                                                                                    \
    X(detach)                                                                                                                    \
    X(status)                                                                                                                    \
    X(uninstall)                                                                                                                 \
    X(dump) X(top) X(sample) X(report) X(diff) X(view) X(convert) X(combine) X(align_combine) X(compress) X(decompress)

struct cli_cmd {
    struct options_command options;
    const char *group;                 /* heading in --help; commands of one group follow each other */
    int (*run)(int argc, char **argv); /* argv[0] = name; returns enum cli_exit */
};
#define CLI_DECLARE(name) extern const struct cli_cmd cli_##name;
CLI_COMMANDS(CLI_DECLARE)
#undef CLI_DECLARE
extern const struct cli_cmd *const cli_cmds[];
extern const size_t cli_ncmds;

/* A row that every command which reads traces has: bytes, for memory_limit_usual. `at` as of a row. */
#define CLI_MAX_MEMORY_ROW(...)                                                                                                  \
    {                                                                                                                            \
        "--max_memory", NULL, OPTION_SIZE, __VA_ARGS__,                                                                          \
            .arg = "BYTES",                                                                                                      \
            .help = "ends with an error rather than use more memory for the trace: 500M, 2G (half of what there is)"             \
    }

#define CLI_TRACING "Tracing a process"
#define CLI_LOOKING "Looking at a trace"
#define CLI_CHANGING "Changing a trace"

/* Undoes what cli_main did to signals, for a program that is started. */
void cli_restore_signals(void);
/* `viztracer ARGS`, and `vizviewer ARGS` where argv[0] says so; returns enum cli_exit. */
int cli_main(int argc, char **argv);
void cli_print_help(void);
/* The version, and which libraries were built in, on two lines. */
void cli_print_version(const char *program);

/* `more` of commands, from the table of formats: "Formats: ..." in a line, or a row for each. */
void cli_help_written(void);
void cli_help_viewed(void);
void cli_help_formats(void);

/* Fills *to by the command's rows. CLI_OK: go on. Else -1 when --help or --version was printed, or CLI_USAGE after a line on
 * stderr: CLI_RETURN makes the exit code of it. */
int cli_parse(const struct cli_cmd *cmd, void *to, int argc, char **argv);
#define CLI_RETURN(rc) ((rc) < 0 ? CLI_OK : (rc))

#endif
