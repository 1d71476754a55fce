/* Prints profiles on stdout for `report` and `diff`: the options, and a function for each form. */
#ifndef VT_CLI_REPORT_H
#define VT_CLI_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/profile/profile.h"

struct report_opts {
    const char *file; /* as typed */
    enum profile_sort sort;
    uint32_t limit;     /* rows of a table; 0 = as fits the view */
    uint32_t slowest;   /* single calls; 0 = as fits the view, of each function one */
    const char *match;  /* NULL = all functions */
    double min_percent; /* of the tree */
    bool tree, threads, gaps, json;
};

/* "self", "total" ...: CLI_OK, or CLI_USAGE after a line on stderr. */
int report_parse_sort(const char *command, const char *text, enum profile_sort *sort);
/* A number above 0: the same. what: "--limit". */
int report_parse_number(const char *command, const char *what, const char *text, uint32_t *to);
/* Offsets from the start of a trace, as --slice takes them: "1234.567ms". into buf[32]; returns buf. */
char *report_offset(char *buf, uint64_t ns);

/* Both return 0 or -errno (no memory); whether stdout took it the caller asks. */
VT_MUST_CHECK int report_text(const struct profile *p, struct trace_source *source, const struct report_opts *opts);
/* One JSON object; docs/formats.md describes it. Fields are added, never renamed or taken away. */
VT_MUST_CHECK int report_json(const struct profile *p, struct trace_source *source, const struct report_opts *opts);

#endif
