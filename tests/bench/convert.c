/* Measures how fast a trace is converted: convert [MILLIONS OF CALLS | FILE.vzt...], of an invented service, or of these
 * files. One line per output format. It is CPU time without disk time: all output goes to /dev/null. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "cli/convert/convert.h"
#include "tests/lib/trace_service.h"

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int measure(const char *trace, const char *suffix, uint64_t budget) {
    char out[128];
    struct convert_result result;
    struct vt_err err = {0};
    struct rusage usage;
    double best = 0;
    snprintf(out, sizeof out, "/tmp/convert-%d%s", (int)getpid(), suffix);
    if (symlink("/dev/null", out) < 0) return -1;
    int rc = 0;
    for (int round = 0; round < 3 && !rc; round++) {
        struct convert_opts opts = {.input = trace, .output = out, .budget = budget, .no_file_info = true};
        double before = cpu_seconds();
        rc = convert_trace(&opts, &result, &err);
        double took = cpu_seconds() - before;
        if (!round || took < best) best = took;
    }
    unlink(out);
    if (rc) {
        fprintf(stderr, "convert: %s\n", err.msg);
        return rc;
    }
    double calls = (double)(result.totals.calls + result.totals.open);
    char name[64];
    snprintf(name, sizeof name, budget ? "%s, budget %llu" : "%s", suffix, (unsigned long long)budget);
    getrusage(RUSAGE_SELF, &usage);
    printf("%-24s %6.1f ns of CPU per call, %5.1f M calls/s, %6.1f bytes per call; peak memory so far %ld MB\n", name,
           best * 1e9 / calls, calls / best / 1e6, (double)result.bytes / calls, usage.ru_maxrss / 1024);
    return 0;
}

static int measure_all(const char *trace) {
    int rc = measure(trace, ".pftrace", 0);
    if (!rc) rc = measure(trace, ".pftrace", 100000);
    if (!rc) rc = measure(trace, ".json", 0);
    if (!rc) rc = measure(trace, ".json", 100000);
    return rc;
}

int main(int argc, char **argv) {
    struct trace_build trace;
    long millions = argc > 1 ? atol(argv[1]) : 10;
    int rc = 0;
    if (argc > 1 && strstr(argv[1], ".vzt")) {
        for (int i = 1; i < argc && !rc; i++) {
            printf("%s\n", argv[i]);
            rc = measure_all(argv[i]);
        }
        return rc ? 1 : 0;
    }
    if (millions < 1 || millions > 1000) return 2;
    trace_service_make(&trace, (uint64_t)millions * 1000000, 0);
    rc = measure_all(trace.path);
    trace_build_remove(&trace);
    return rc ? 1 : 0;
}
