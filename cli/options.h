/* Options of attach in VizTracer's spelling: one table for parsing, help and refusing by name. */
#ifndef VT_CLI_OPTIONS_H
#define VT_CLI_OPTIONS_H

#include "cli/cli.h"

#define OPTIONS_FILES_MAX 256

struct attach_options {
    pid_t pid;
    uint32_t flags;          /* VT_F_* */
    int64_t max_stack_depth; /* -1 = no limit */
    uint64_t min_duration_ns;
    int64_t tracer_entries; /* 0 = not given: everything is kept */
    int64_t repr_limit;
    uint64_t duration_ns;    /* 0 = until told */
    uint64_t max_size;       /* bytes of trace, 0 = no limit */
    const char *output_file; /* NULL = not given */
    const char *output_dir;
    const char *method;
    bool unique, quiet, open, force;
    const char *include[OPTIONS_FILES_MAX], *exclude[OPTIONS_FILES_MAX];
    size_t ninclude, nexclude;
    char text[1024]; /* as typed, for the trace's header */
};

/* 0, or CLI_USAGE after a line on stderr. */
int options_parse(struct attach_options *o, int argc, char **argv);
void options_help(void);
/* "0.3ms", "13us", "5" (us): 0 or -EINVAL. */
VT_MUST_CHECK int options_duration(const char *text, uint64_t *ns);
/* "100", "64K", "2G": 0 or -EINVAL. */
VT_MUST_CHECK int options_size(const char *text, uint64_t *bytes);
/* A number of calls, "50000", "500k", "5M": 0 or -EINVAL. */
VT_MUST_CHECK int options_count(const char *text, uint64_t *count);

#endif
