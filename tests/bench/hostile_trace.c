/* hostile_trace KIND N: writes a .vzt that asks its reader for as much memory as it can (tests/lib/trace_hostile.h), and prints
 * its name; "json N" writes Chrome JSON to stdout. */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/trace_hostile.h"

int main(int argc, char **argv) {
    struct trace_build trace;
    long n = argc == 3 ? atol(argv[2]) : 0;
    if (n < 1 || n > 100000000) return 2;
    if (!strcmp(argv[1], "json"))
        trace_hostile_json(stdout, (uint32_t)n);
    else if (trace_hostile_make(&trace, argv[1], (uint32_t)n))
        return 2;
    else
        puts(trace.path);
    return fflush(stdout) ? 1 : 0;
}
