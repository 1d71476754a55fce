/* make_trace MILLIONS OF CALLS [CHARACTERS OF ARGUMENTS PER CALL]: writes a large .vzt of an invented service to /tmp, for
 * other benchmarks, and prints its name. 33 512 makes 10 GB that are mostly texts; 2400 makes 10 GB of calls only. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/trace_service.h"

int main(int argc, char **argv) {
    struct trace_build trace;
    long millions = argc == 2 || argc == 3 ? atol(argv[1]) : 0, chars = argc == 3 ? atol(argv[2]) : 0;
    if (millions < 1 || millions > 10000 || chars < 0 || chars > TRACE_SERVICE_ARG_MAX) return 2;
    trace_service_make(&trace, (uint64_t)millions * 1000000, (uint32_t)chars);
    printf("%s\n", trace.path);
    return fflush(stdout) ? 1 : 0;
}
