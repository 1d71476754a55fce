/* The options of a launch: those that attach has, too, and what names the program. */
#ifndef VT_CLI_RUN_OPTIONS_H
#define VT_CLI_RUN_OPTIONS_H

#include "cli/attach_options.h"

struct run_options {
    struct attach_options trace; /* first: the shared rows fill it */
    const char *module, *code;   /* -m, -c; NULL = not given */
    char **words;                /* the program and its arguments; those of -m or -c. Texts are borrowed */
    size_t nwords;
    const char *python; /* NULL = found on PATH */
    const char *rcfile; /* NULL = .viztracerrc, if it is there */
    char *rctext;       /* words of the rcfile, to which fields point. Owned */
    bool only_first;    /* --ignore_multiprocess */
    struct {            /* what Python files in the agent do; lists of regular expressions */
        char **var, **number, **attr, **func_exec, **func_entry, **audit, **plugins, **report_server;
        size_t n_var, n_number, n_attr, n_func_exec, n_func_entry, n_audit, n_plugins, n_report_server;
        bool exception, magic_comment, print, objprint;
    } log;
    char **instrument;           /* what of it the daemon gets: trace.trace.instrument. Owned, and its texts too */
    bool unused;                 /* what options of VizTracer that change nothing here store */
    const char *report_endpoint; /* taken, and not needed */
    uint32_t older;              /* RUN_OLDER_*: names that VizTracer had once */
};

enum { RUN_OLDER_MULTIPROCESS = 1, RUN_OLDER_SUBPROCESS = 2, RUN_OLDER_CHILDREN = 4 };

/* The rows that only a launch has; ends with OPTION_END. */
extern const struct option_row run_option_rows[];
#define RUN_ROWS_MAX 56

/* Parses the rcfile, then the words. run_options_free has to follow in any case. CLI_OK, -1 or an exit code, as cli_parse. */
int run_options_parse(struct run_options *o, int argc, char **argv);
/* One line on stderr for each older name that was given: what it does now. */
void run_options_tell_older(const struct run_options *o);
void run_options_free(struct run_options *o);

#endif
