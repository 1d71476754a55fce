/* The options of attach, in VizTracer's spelling: one row each, parsed straight into the message that a daemon gets. */
#ifndef VT_CLI_ATTACH_OPTIONS_H
#define VT_CLI_ATTACH_OPTIONS_H

#include "cli/cli.h"
#include "viztracerd.pb-c.h"

struct attach_options {
    Vt__AttachReq req; /* req.options points to trace; all texts are borrowed from argv, or are the struct's own */
    Vt__Options trace;
    /* what stays with the client */
    char **pid_words; /* as typed */
    size_t npid_words;
    pid_t pids[OPTION_LIST_MAX]; /* each once; req.pid is the first */
    size_t npids;
    bool subprocesses;
    int64_t tracer_entries;  /* 0 = not given: everything is kept */
    const char *output_file; /* NULL = not given */
    const char *output_dir;
    const char *unique_name; /* launch: what -u names begin with; NULL = python */
    bool unique, quiet, open, pid_suffix, flamegraph;
    char text[1024]; /* as typed, for the trace's header */
};

/* As cli_parse, which it calls; CLI_USAGE also for options that exclude one another. Then attach_options_free, always. */
int attach_options_parse(struct attach_options *o, int argc, char **argv);
void attach_options_free(struct attach_options *o);

/* The part of it that a launch shares: CLI_OK, or CLI_USAGE after a line. */
int attach_options_check(const struct attach_options *o);
/* Keeps the words in o->text. */
void attach_options_text(struct attach_options *o, int argc, char **argv);

/* All zero but for the defaults; o must not move afterwards. */
void attach_options_init(struct attach_options *o);
extern const struct option_row attach_option_rows[];  /* what a launch has, too; ends with OPTION_END */
extern const struct option_row attach_command_rows[]; /* the rest */

#endif
