/* The .vzt of an invented service, for benchmarks: 4 threads, 500 functions, calls up to 40 deep, most of them short. The same
 * arguments give the same trace. */
#ifndef VT_TESTS_TRACE_SERVICE_H
#define VT_TESTS_TRACE_SERVICE_H

#include "tests/lib/trace_build.h"

#define TRACE_SERVICE_ARG_MAX 30000u

/* Writes a new file, with its end. arg_chars: each call has one argument, a text of half to all of this many characters, as
 * --log_func_args --repr_limit gives; 0: no arguments. */
void trace_service_make(struct trace_build *b, uint64_t calls, uint32_t arg_chars);

#endif
