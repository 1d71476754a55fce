/* make_trace MILLIONS OF CALLS: a large .vzt in /tmp for other benchmarks, of a made-up service; prints its name. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/trace_service.h"

int main(int argc, char **argv) {
    struct trace_build trace;
    long millions = argc == 2 ? atol(argv[1]) : 0;
    if (millions < 1 || millions > 10000) return 2;
    trace_service_make(&trace, (uint64_t)millions * 1000000);
    printf("%s\n", trace.path);
    return fflush(stdout) ? 1 : 0;
}
