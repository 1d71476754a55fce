/* How fast a trace is converted: convert [MILLIONS OF CALLS]. A made-up service: 4 threads, 500 functions, calls nested up
 * to 40 deep, most of them short. One line per kind of output: CPU time, not that of the disk: everything goes to
 * /dev/null. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "cli/convert.h"
#include "tests/lib/trace_build.h"

enum { THREADS = 4, NAMES = 500, DEPTH = 40 };

static uint64_t state = 88172645463325252ull;
static uint32_t dice(uint32_t n) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (uint32_t)(state >> 33) % n;
}

static void make_trace(struct trace_build *b, uint64_t calls) {
    static struct vt_event ev[VT_BLOCK_EVENTS];
    static uint32_t stack[THREADS][DEPTH], depth[THREADS];
    static uint64_t ticks[THREADS];
    trace_build_open(b);
    for (uint32_t id = 1; id <= NAMES; id++) {
        char name[32];
        snprintf(name, sizeof name, "Class%u.method_%u", id % 50, id);
        trace_build_name(b, id, 0, name, "service/handlers.py", id * 7);
    }
    for (uint64_t made = 0, k = 0; made < calls; k++) {
        uint32_t t = (uint32_t)(k % THREADS);
        for (uint32_t i = 0; i < VT_BLOCK_EVENTS; i++) {
            bool enter = !depth[t] || (depth[t] < DEPTH && dice(2));
            uint32_t top = depth[t] ? stack[t][depth[t] - 1] : 0;
            ticks[t] += dice(256) ? 20 + dice(300) : dice(1000000);
            if (enter) { /* a function calls few others, again and again */
                stack[t][depth[t]++] = 1 + (top * 7 + dice(dice(8) ? 2 : 20)) % NAMES;
                made++;
            } else {
                depth[t]--;
            }
            ev[i] = (struct vt_event){
                .ticks = ticks[t], .type = enter ? VT_REC_CALL : VT_REC_RETURN, .id = enter ? stack[t][depth[t] - 1] : top};
        }
        trace_build_block(b, t, t + 1, 100 + t, ev, VT_BLOCK_EVENTS);
    }
    trace_build_end(b, 0, 0);
    trace_build_close(b);
}

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
    snprintf(out, sizeof out, "%s%s", trace, suffix);
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

int main(int argc, char **argv) {
    struct trace_build trace;
    long millions = argc > 1 ? atol(argv[1]) : 10;
    if (millions < 1 || millions > 1000) return 2;
    make_trace(&trace, (uint64_t)millions * 1000000);
    int rc = measure(trace.path, ".pftrace", 0);
    if (!rc) rc = measure(trace.path, ".pftrace", 100000);
    if (!rc) rc = measure(trace.path, ".json", 0);
    if (!rc) rc = measure(trace.path, ".json", 100000);
    trace_build_remove(&trace);
    return rc ? 1 : 0;
}
