/* Owns moving this thread to the core of another one (pin.h). */
#include "outside/pin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fields of /proc/PID/task/TID/stat behind the name (proc(5)), counted from the state. */
enum { FIELD_PROCESSOR = 36, FIELD_POLICY = 38 };

/* The core and the scheduling policy of a thread. */
static bool read_stat(pid_t pid, pid_t tid, int *core, int *policy) {
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)tid);
    if (tid <= 0 || vt_read_file(path, text, sizeof(text), NULL)) return false;
    char *at = strrchr(text, ')');
    for (int i = -1; at && i < FIELD_POLICY; i++) {
        if (i == FIELD_PROCESSOR) *core = atoi(at);
        at = strchr(at + 1, ' ');
    }
    if (at) *policy = atoi(at);
    return at != NULL;
}

/* How often the thread was put on a core (Documentation/scheduler/sched-stats.rst); 0 = not known. */
static uint64_t read_timeslices(pid_t pid, pid_t tid) {
    char path[64], text[128];
    unsigned long long ran = 0, waited = 0, n = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", (int)pid, (int)tid);
    if (vt_read_file(path, text, sizeof(text), NULL) || sscanf(text, "%llu %llu %llu", &ran, &waited, &n) != 3) return 0;
    return n;
}

/* Whether the thread is on our core, and so does not run. The count comes first: a start after it is seen later. */
static void look(struct pin *p, pid_t pid, pid_t tid) {
    int core = -1, policy;
    p->tid = tid;
    p->timeslices = read_timeslices(pid, tid);
    p->here = read_stat(pid, tid, &core, &policy) && core == p->core;
}

bool pin_has_held(const struct pin *p, pid_t pid, pid_t tid) {
    struct pin now = *p;
    if (!p->on || p->tid != tid) return true;
    look(&now, pid, tid);
    return p->here && now.here && now.timeslices == p->timeslices;
}

bool pin_to(struct pin *p, pid_t pid, pid_t tid) {
    int core = -1, policy = SCHED_OTHER;
    cpu_set_t only;
    p->tid = 0;
    if (!read_stat(pid, tid, &core, &policy) || core < 0 || core >= CPU_SETSIZE) return false;
    if (policy == SCHED_FIFO || policy == SCHED_RR) return false;
    if (p->on && p->core == core) {
        look(p, pid, tid);
        return true;
    }
    if (!p->on && sched_getaffinity(0, sizeof(p->own), &p->own)) return false;
    CPU_ZERO(&only);
    CPU_SET((size_t)core, &only);
    if (sched_setaffinity(0, sizeof(only), &only)) return false;
    p->on = true;
    p->core = core;
    look(p, pid, tid);
    return true;
}

void pin_release(struct pin *p) {
    if (p->on) sched_setaffinity(0, sizeof(p->own), &p->own);
    p->on = false;
}
