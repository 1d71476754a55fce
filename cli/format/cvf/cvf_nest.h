/* Keeps calls nested that become equal when their times are rounded: a .cvf holds the calls of each function by themselves, so
 * that of two equal calls nobody can tell which was the outer one. The inner one then begins a unit later. */
#ifndef VT_CLI_CVF_NEST_H
#define VT_CLI_CVF_NEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base.h"

struct cvf_span {
    uint64_t pid, tid;
    uint64_t start, end; /* in units */
    uint64_t seq;        /* in the order of the file: callers follow what they call */
    size_t group, nth;   /* the caller's own */
    bool moved;          /* start or end are others now */
};

/* spans: of all threads, in any order; they are sorted. 0 or -ENOMEM. */
VT_MUST_CHECK int cvf_nest(struct cvf_span *spans, size_t n);

#endif
