/* The table of the commands of `viztracer`. */
#ifndef VT_CLI_CLI_H
#define VT_CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/term/usage.h"

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

#endif
