/* Owns what /proc says about threads (states.h): whether each runs, in which system call it is, since when it has not run, and
 * whether it waits for the GIL. */
#include "outside/states.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attach/target.h"

/* When the thread was last on a CPU, on the scheduler's clock; 0 = the kernel does not say. */
static uint64_t last_ran_ns(pid_t pid, pid_t tid) {
    char path[64], text[4096];
    double ms;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/sched", (int)pid, (int)tid);
    int rc = vt_read_file(path, text, sizeof(text), NULL);
    const char *at = rc && rc != -E2BIG ? NULL : strstr(text, "se.exec_start");
    if (at) at = strchr(at, ':');
    return at && sscanf(at + 1, "%lf", &ms) == 1 && ms > 0 && ms < 1e15 ? (uint64_t)(ms * 1e6) : 0;
}

/* A thread that waits for the GIL wakes every 5 ms to ask for it, so it may also be found running. */
static bool waits_for_gil(const struct gil_state *gils, size_t n, long nr, uint64_t address) {
    for (size_t i = 0; nr == SYS_futex && i < n; i++)
        if (address >= gils[i].address && address < gils[i].address + GIL_SIZE) return true;
    return false;
}

static char state_of(pid_t pid, pid_t tid) {
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)tid);
    const char *at = vt_read_file(path, text, sizeof(text), NULL) ? NULL : strrchr(text, ')');
    return at && at[1] == ' ' ? at[2] : 0;
}

static void name_thread(struct outside_thread *t) {
    char comm[64];
    if (t->name[0]) return;
    target_comm(t->tid, comm, sizeof(comm));
    vt_clean_line(t->name, sizeof(t->name), comm, strlen(comm));
}

static void read_one(struct inside *inside, pid_t pid, struct outside_thread *t, const struct gil_state *gils, size_t ngils,
                     uint64_t now_ns) {
    unsigned long arg[2] = {0, 0};
    long nr = -1;
    t->state = state_of(pid, t->tid);
    if (!t->state) return; /* it has ended */
    name_thread(t);
    int told = inside_call(pid, t->tid, &nr, arg);
    if (told == 1 && nr == SYS_futex) t->futex = arg[0];
    bool waits = told == 1 && waits_for_gil(gils, ngils, nr, arg[0]);
    if (waits && t->gil == OUTSIDE_GIL_NOT)
        t->gil = OUTSIDE_GIL_WAITS;
    else if (waits && t->state == 'S')
        t->state = 'R'; /* it held the GIL when its stack was read, and ran then */
    else if (told == 1 && (!inside || inside_look(inside, t->tid, t->call, sizeof(t->call)) != 1))
        t->call[0] = 0;
    if (t->state == 'R') return;
    uint64_t ran_ns = last_ran_ns(pid, t->tid);
    if (ran_ns && now_ns > ran_ns) t->since_ns = now_ns - ran_ns;
}

void states_read(pid_t pid, struct outside_thread *threads, size_t n, const struct gil_state *gils, size_t ngils) {
    struct inside *inside = inside_open(pid);
    uint64_t now_ns = last_ran_ns(getpid(), gettid()); /* we run: this is now */
    for (size_t i = 0; i < n; i++)
        if (threads[i].tid) read_one(inside, pid, &threads[i], gils, ngils, now_ns);
    inside_close(inside);
}

void states_read_running(pid_t pid, struct outside_thread *threads, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (threads[i].tid) threads[i].state = state_of(pid, threads[i].tid);
}

/* schedstat: nanoseconds on a CPU, nanoseconds waiting for one, times it was given one. */
static uint64_t cpu_ns_of(pid_t pid, pid_t tid) {
    char path[64], text[128];
    snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", (int)pid, (int)tid);
    return vt_read_file(path, text, sizeof(text), NULL) ? 0 : strtoull(text, NULL, 10);
}

void states_read_cpu_times(pid_t pid, struct outside_thread *threads, size_t n) {
    states_read_running(pid, threads, n);
    for (size_t i = 0; i < n; i++)
        if (threads[i].tid) threads[i].cpu_ns = cpu_ns_of(pid, threads[i].tid);
}
