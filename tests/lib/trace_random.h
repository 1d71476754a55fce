/* A native trace of some thousand random calls; the same seed gives the same trace. */
#ifndef VT_TESTS_TRACE_RANDOM_H
#define VT_TESTS_TRACE_RANDOM_H

#include <stdbool.h>

#include "tests/lib/trace_build.h"

/* One thread; Python and C functions up to 60 deep; two frames open at the attach and some at the end. gaps: adds gaps with
 * lost ends. */
void trace_random_build(struct trace_build *b, uint32_t seed, bool gaps);
/* convert_trace without source text; ends the test when it fails. */
void trace_random_convert(const char *from, const char *to);

#endif
