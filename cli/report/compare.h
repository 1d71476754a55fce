/* Two profiles side by side: functions joined by name and file, and the ways to print them. */
#ifndef VT_CLI_COMPARE_H
#define VT_CLI_COMPARE_H

#include "cli/profile/profile.h"

struct compare_opts {
    const char *files[2];               /* as typed: before, after */
    const char *limits[2];              /* what --max_overhead did to each (trace_info.limit); NULL or "" = nothing */
    const struct left_out *left_out[2]; /* what the reader of each left out */
    enum profile_sort sort;             /* self, total, calls, mean or name */
    uint32_t limit;                     /* 0 = 20 rows; all for JSON */
    const char *match;                  /* NULL = all */
    bool json;
    uint64_t max_memory;
};

struct compare_side {
    const struct trace_name *name;                      /* NULL: not there */
    uint64_t pieces, calls, self_ns, total_ns, mean_ns; /* of several functions with one name and file: together */
    uint64_t sum_ns, wait_ns;                           /* wait_ns: of self_ns, as in profile_function */
    double calls_per_s, self_per_s, total_per_s;        /* per second of the trace, ns */
    double work_per_s, wait_per_s;                      /* the two parts of self_per_s */
};

struct compare_row {
    struct compare_side side[2]; /* before, after */
    double change;               /* of the figure that rows are sorted by; of self: without waiting */
};

/* Rows with the largest change first, up or down; the caller frees *out. */
VT_MUST_CHECK int compare_make(const struct profile *before, const struct profile *after, const struct compare_opts *opts,
                               struct compare_row **out, size_t *n);
/* On stdout, as text or JSON. 0 or -errno. */
VT_MUST_CHECK int compare_print(const struct profile *before, const struct profile *after, const struct compare_opts *opts);

#endif
