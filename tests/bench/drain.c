/* Measures the cost of draining and the size of a trace: drain [SECONDS [WORKLOAD]...]. A target at full speed is traced for
 * that long (60) into a .vzt. One line for each interpreter and workload (of tests/targets/bench_work.py; fib and service):
 * events in the trace, bytes per call, events dropped, CPU time of the daemon per event from its start to its end, compression
 * included, and its peak memory, the arena included. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/interp.h"
#include "tests/lib/target.h"
#include "tests/lib/tool.h"

static const char *const usual[] = {"fib", "service"};

/* The number that ends before `unit` in a text, written with commas; 0 = none. */
static double number_before(const char *text, const char *unit) {
    const char *end = strstr(text, unit), *p = end;
    double v = 0, place = 1;
    for (; p && p > text && ((p[-1] >= '0' && p[-1] <= '9') || p[-1] == ','); p--) {
        if (p[-1] == ',') continue;
        v += place * (p[-1] - '0');
        place *= 10;
    }
    return v;
}

static double cpu_ns(pid_t pid) {
    clockid_t clock;
    struct timespec now;
    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &now)) return -1;
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

struct daemon {
    double cpu;
    uint64_t kb;
};

/* What there is to see of it until the client has ended, or until ms have gone by. */
static void watch(pid_t pid, struct tool *tool, unsigned ms, struct daemon *d) {
    struct census census;
    for (uint64_t end = now_ms() + ms; now_ms() < end && tool->exit_code < 0; sleep_ms(20)) {
        double cpu = cpu_ns(pid);
        if (cpu < 0) return;
        d->cpu = cpu;
        if (!census_take(pid, &census) && census.rss_kb > d->kb) d->kb = census.rss_kb;
    }
}

static int measure(const struct interp *ip, const char *workload, unsigned seconds) {
    const char *args[] = {workload, "bare", "1", NULL}, *out = temp_path(".vzt");
    struct daemon daemon = {0};
    struct target t;
    struct tool tool;
    struct stat st = {0};
    if (target_spawn(&t, ip, "bench_work.py", args, &(struct target_opts){.no_ready = true})) return -ENOENT;
    int rc = target_expect(&t, "ready", 20000);
    if (!rc) rc = target_send(&t, "1000000000\n");
    if (!rc) rc = tool_startf(&tool, "--attach %d -o %s", (int)t.pid, out);
    if (rc) goto done;
    rc = tool_expect(&tool, "racing", 20000);
    pid_t pid = rc ? -1 : process_below(tool.pid, "viztracerd");
    if (pid > 0) watch(pid, &tool, seconds * 1000, &daemon);
    kill(tool.pid, SIGINT);
    if (pid > 0) watch(pid, &tool, 300, &daemon);
    if (tool_wait(&tool, 120000) || stat(out, &st)) rc = -EIO;
    double calls = number_before(tool.out, " calls"), dropped = number_before(tool.out, " events dropped");
    if (rc || pid <= 0 || calls <= 0) {
        fprintf(stderr, "drain: %s %s: %s%s\n", ip->version, workload, tool.out, tool.err);
        rc = -EIO;
        goto done;
    }
    printf(
        "%-8s %-8s %8.1f M calls  %5.2f bytes per call  %5.1f ns of the daemon per event  %.0f events dropped (%.2f %%)  at most "
        "%llu MB\n",
        ip->version, workload, calls / 1e6, (double)st.st_size / calls, daemon.cpu / calls / 2, dropped,
        dropped / (dropped + 2 * calls) * 100, (unsigned long long)daemon.kb / 1024);
    fflush(stdout);
done:
    target_kill(&t);
    unlink(out);
    return rc;
}

int main(int argc, char **argv) {
    size_t n;
    const struct interp *ip = interp_list(&n);
    int seconds = argc > 1 ? atoi(argv[1]) : 60, failed = 0;
    const char *const *workloads = argc > 2 ? (const char *const *)argv + 2 : usual;
    int nworkloads = argc > 2 ? argc - 2 : (int)(sizeof usual / sizeof *usual);
    if (seconds < 1) return 2;
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < n; i++)
        for (int w = 0; w < nworkloads; w++) failed |= measure(&ip[i], workloads[w], (unsigned)seconds) != 0;
    return failed;
}
