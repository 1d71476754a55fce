/* Options of attach in VizTracer's spelling: one table for parsing, help and refusing by name. */
#ifndef VT_CLI_OPTIONS_H
#define VT_CLI_OPTIONS_H

#include "cli/cli.h"

#define OPTIONS_FILES_MAX 256

struct options_list {
    size_t n;
    const char *item[OPTIONS_FILES_MAX];
};

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
    int64_t max_overhead;                                     /* 1/10000 of the CPU time, 0 = no limit */
    struct options_list include, exclude;                     /* prefixes of files */
    struct options_list include_functions, exclude_functions; /* globs */
    struct options_list include_modules, exclude_modules;
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

/* "5%", "0.05": 1/10000, from 1 to 10000; 0 or -EINVAL. */
VT_MUST_CHECK int options_overhead(const char *text, int64_t *out);

#endif
