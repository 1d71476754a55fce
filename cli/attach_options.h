/* The options of attach, in VizTracer's spelling: one row each, parsed straight into the message that a daemon gets. */
#ifndef VT_CLI_ATTACH_OPTIONS_H
#define VT_CLI_ATTACH_OPTIONS_H

#include "cli/cli.h"
#include "viztracerd.pb-c.h"

struct attach_options {
    Vt__AttachReq req; /* req.options points to trace; all texts are borrowed from argv, or are the struct's own */
    Vt__Options trace;
    /* what stays with the client */
    int64_t tracer_entries;  /* 0 = not given: everything is kept */
    const char *output_file; /* NULL = not given */
    const char *output_dir;
    bool unique, quiet, open;
    int script;      /* launch: index in argv of the program; 0 = none */
    char text[1024]; /* as typed, for the trace's header */
};

/* As cli_parse, which it calls; CLI_USAGE also for options that exclude one another. Then attach_options_free, always. */
int attach_options_parse(struct attach_options *o, int argc, char **argv);
void attach_options_free(struct attach_options *o);

/* All zero but for the defaults; o must not move afterwards. */
void attach_options_init(struct attach_options *o);
extern const struct option_row attach_option_rows[]; /* ends with OPTION_END */

#endif
