/* What the commands of `viztracer` share: the table of commands, exit codes, the ways to speak to the user. */
#ifndef VT_CLI_CLI_H
#define VT_CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/base.h"

enum cli_exit {
    CLI_OK = 0,     /* done; for attach: a trace was saved */
    CLI_FAILED = 1, /* one line on stderr said what, why and what to do */
    CLI_USAGE = 2
};

struct cli_cmd {
    const char *name;
    const char *flag; /* VizTracer's spelling, "--attach"; its value becomes the first argument. NULL = none */
    const char *args; /* for help */
    const char *help;
    int (*run)(int argc, char **argv); /* argv[0] = name; returns enum cli_exit */
    void (*more_help)(void);           /* options; may be NULL */
};
extern const struct cli_cmd cli_cmds[];
extern const size_t cli_ncmds;

/* cmd_<name>.c */
int cmd_attach(int argc, char **argv);
void cmd_attach_help(void);
int cmd_detach(int argc, char **argv);
int cmd_uninstall(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_compress(int argc, char **argv);
int cmd_decompress(int argc, char **argv);
int cmd_combine(int argc, char **argv);
int cmd_align_combine(int argc, char **argv);
int cmd_view(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_diff(int argc, char **argv);

/* "viztracer: ..." on stderr; return the exit code. */
int cli_fail(const char *fmt, ...) VT_PRINTF(1, 2);
int cli_usage(const char *fmt, ...) VT_PRINTF(1, 2);
/* A pid from the command line: 0 or a usage error that was printed. what: "--attach". */
int cli_parse_pid(const char *what, const char *text, pid_t *pid);
/* True when text[0..] begins the name of exactly this long option (argparse's unique prefixes are in options.c). */
bool cli_is_help(const char *arg);

#endif
