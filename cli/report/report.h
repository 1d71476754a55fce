/* Prints profiles on stdout for `report` and `diff`: the options, and a function for each form. */
#ifndef VT_CLI_REPORT_H
#define VT_CLI_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/profile/profile.h"

/* Rows of the tables in text, unless the options say otherwise. */
#define REPORT_FUNCTIONS 20u
#define REPORT_WAITING 8u
#define REPORT_THREADS 8u
#define REPORT_SLOWEST 5u
#define REPORT_AS_FITS UINT32_MAX
struct report_opts {
    const char *file; /* as typed */
    enum profile_sort sort;
    uint32_t limit;     /* rows of a table; 0 = as fits the view */
    uint32_t slowest;   /* single calls; REPORT_AS_FITS: of each function one in text, all that are known in JSON */
    const char *match;  /* NULL = all functions */
    double min_percent; /* of the tree */
    bool tree, threads, gaps, json;
};

/* "self", "total" ...: 0 or -EINVAL. */
VT_MUST_CHECK int report_sort_of(const char *text, enum profile_sort *sort);
/* Offsets from the start of a trace, as --slice takes them: "1234.567ms". into buf[32]; returns buf. */
char *report_offset(char *buf, uint64_t ns);

/* Both return 0 or -errno (no memory); whether stdout took it the caller asks. */
VT_MUST_CHECK int report_text(const struct profile *p, struct trace_source *source, const struct report_opts *opts);
/* One JSON object; docs/formats.md describes it. Fields are added, never renamed or taken away. */
VT_MUST_CHECK int report_json(const struct profile *p, struct trace_source *source, const struct report_opts *opts);

#endif
