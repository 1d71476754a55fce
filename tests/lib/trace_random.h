/* A native trace of some thousand random calls; the same seed gives the same trace. */
#ifndef VT_TESTS_TRACE_RANDOM_H
#define VT_TESTS_TRACE_RANDOM_H

#include <stdbool.h>

#include "tests/lib/trace_build.h"

/* One thread; Python and C functions up to 60 deep; two frames open at the attach and some at the end. gaps: adds gaps with
 * lost ends. */
void trace_random_build(struct trace_build *b, uint32_t seed, bool gaps);
struct trace_random {
    uint32_t seed, pid;
    uint32_t threads; /* the last one has only frames that were open at the attach */
    uint64_t from_ns; /* when tracing began */
    uint64_t idle_ns; /* from the last event until tracing ended */
    bool gaps;
    bool cut_off; /* has no end */
};
/* Threads of a few hundred calls; of each some are open at the end. */
void trace_random_threads(struct trace_build *b, const struct trace_random *how);
/* convert_trace without source text; ends the test when it fails. */
void trace_random_convert(const char *from, const char *to);

#endif
