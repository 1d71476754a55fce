/* Owns the clocks of the cores (cores.h): this thread goes to a core, where what the kernel says of itself is now. */
#include "outside/cores.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/base.h"

uint64_t cores_ran_ns(pid_t pid, pid_t tid) {
    char path[64], text[4096];
    double ms;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/sched", (int)pid, (int)tid);
    int rc = vt_read_file(path, text, sizeof(text), NULL);
    const char *at = rc && rc != -E2BIG ? NULL : strstr(text, "se.exec_start");
    if (at) at = strchr(at, ':');
    return at && sscanf(at + 1, "%lf", &ms) == 1 && ms > 0 && ms < 1e15 ? (uint64_t)(ms * 1e6) : 0;
}

#define TRIES 5
#define QUICK_NS 1000000 /* a reading that took longer was interrupted */

/* The yield makes the kernel account for this thread now: else it may do so at its next tick only. */
static int read_here(int64_t *ahead_ns) {
    uint64_t took_ns, least_ns = UINT64_MAX;
    for (int i = 0; i < TRIES && least_ns > QUICK_NS; i++) {
        sched_yield();
        uint64_t begin_ns = vt_mono_ns(), ran_ns = cores_ran_ns(getpid(), gettid());
        took_ns = vt_mono_ns() - begin_ns;
        if (!ran_ns) return -ENODATA;
        if (took_ns < least_ns) *ahead_ns = (int64_t)(ran_ns - begin_ns);
        if (took_ns < least_ns) least_ns = took_ns;
    }
    return 0;
}

static int measure(int core, int64_t *ahead_ns) {
    cpu_set_t before, one;
    if (sched_getaffinity(0, sizeof(before), &before)) return -errno;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    if (sched_setaffinity(0, sizeof(one), &one)) return -errno;
    int rc = read_here(ahead_ns);
    return sched_setaffinity(0, sizeof(before), &before) ? -errno : rc;
}

uint64_t cores_since_ns(struct cores *c, int core, uint64_t ran_ns) {
    if (core < 0 || core >= CORES_MAX || core >= CPU_SETSIZE || !ran_ns) return 0;
    if (!c->known[core] && !c->failed[core]) {
        c->failed[core] = measure(core, &c->ahead_ns[core]) != 0;
        c->known[core] = !c->failed[core];
    }
    int64_t since = (int64_t)vt_mono_ns() + c->ahead_ns[core] - (int64_t)ran_ns;
    return c->known[core] && since > 0 ? (uint64_t)since : 0;
}
