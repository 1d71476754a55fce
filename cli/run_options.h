/* The options of a launch: those that attach has, too, and what names the program. */
#ifndef VT_CLI_RUN_OPTIONS_H
#define VT_CLI_RUN_OPTIONS_H

#include "cli/attach_options.h"

struct run_options {
    struct attach_options trace; /* first: the shared rows fill it */
    int script;                  /* index in argv of the program and its arguments; 0 = none */
    const char *module, *code;   /* -m, -c; NULL = not given */
    int rest;                    /* index in argv of the arguments behind -m or -c */
    const char *python;          /* NULL = found on PATH */
    const char *rcfile;          /* NULL = .viztracerrc, if it is there */
    char *rctext;                /* words of the rcfile, to which fields point. Owned */
    bool unused;                 /* what options of VizTracer that change nothing here store */
};

/* The rows that only a launch has; ends with OPTION_END. */
extern const struct option_row run_option_rows[];
#define RUN_ROWS_MAX 48

/* Parses the rcfile, then the words. run_options_free has to follow in any case. CLI_OK, -1 or an exit code, as cli_parse. */
int run_options_parse(struct run_options *o, int argc, char **argv);
void run_options_free(struct run_options *o);

#endif
