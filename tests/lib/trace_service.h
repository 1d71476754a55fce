/* The .vzt of a made-up service, for benchmarks: 4 threads, 500 functions, calls nested up to 40 deep, most of them short. The
 * same number of calls gives the same trace. */
#ifndef VT_TESTS_TRACE_SERVICE_H
#define VT_TESTS_TRACE_SERVICE_H

#include "tests/lib/trace_build.h"

/* A new file, ended and closed. */
void trace_service_make(struct trace_build *b, uint64_t calls);

#endif
