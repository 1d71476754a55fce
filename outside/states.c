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
#include "outside/cores.h"

/* A thread that waits for the GIL wakes every 5 ms to ask for it, so it may also be found running. */
static bool waits_for_gil(const struct gil_state *gils, size_t n, long nr, uint64_t address) {
    for (size_t i = 0; nr == SYS_futex && i < n; i++)
        if (address >= gils[i].address && address < gils[i].address + GIL_SIZE) return true;
    return false;
}

#define STAT_CORE 39 /* number of the field of /proc/PID/stat; the state is field 3 */

/* 0 = the thread has ended. *core: where it ran last; -1 = not known. */
static char state_of(pid_t pid, pid_t tid, int *core) {
    char path[64], text[1024];
    *core = -1;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)tid);
    const char *at = vt_read_file(path, text, sizeof(text), NULL) ? NULL : strrchr(text, ')');
    if (!at || at[1] != ' ') return 0;
    char state = at[2];
    at += 2;
    for (int field = 3; at && field < STAT_CORE; field++) at = strchr(at + 1, ' ');
    if (at && sscanf(at, "%d", core) != 1) *core = -1;
    return state;
}

static void name_thread(struct outside_thread *t) {
    char comm[64];
    if (t->name[0]) return;
    target_comm(t->tid, comm, sizeof(comm));
    vt_clean_line(t->name, sizeof(t->name), comm, strlen(comm));
}

static void read_one(struct inside *inside, pid_t pid, struct outside_thread *t, const struct gil_state *gils, size_t ngils,
                     struct cores *cores) {
    unsigned long arg[2] = {0, 0};
    long nr = -1;
    int core;
    t->state = state_of(pid, t->tid, &core);
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
    t->since_ns = cores_since_ns(cores, core, cores_ran_ns(pid, t->tid));
}

void states_read(pid_t pid, struct outside_thread *threads, size_t n, const struct gil_state *gils, size_t ngils) {
    struct inside *inside = inside_open(pid);
    struct cores cores = {.known = {false}};
    for (size_t i = 0; i < n; i++)
        if (threads[i].tid) read_one(inside, pid, &threads[i], gils, ngils, &cores);
    inside_close(inside);
}

void states_read_calls(pid_t pid, struct outside_thread *threads, size_t n, const struct gil_state *gils, size_t ngils) {
    for (size_t i = 0; i < n; i++) {
        struct outside_thread *t = &threads[i];
        unsigned long arg[2] = {0, 0};
        long nr = -1;
        int core;
        if (!t->tid) continue;
        t->state = state_of(pid, t->tid, &core);
        if (t->state == 'R' || t->gil == OUTSIDE_GIL_HOLDS || inside_call(pid, t->tid, &nr, arg) != 1) continue;
        const char *name = inside_call_name(nr);
        if (waits_for_gil(gils, ngils, nr, arg[0]))
            t->gil = OUTSIDE_GIL_WAITS;
        else
            snprintf(t->call, sizeof(t->call), "%s", name ? name : "system call");
    }
}

void states_read_running(pid_t pid, struct outside_thread *threads, size_t n) {
    int core;
    for (size_t i = 0; i < n; i++)
        if (threads[i].tid) threads[i].state = state_of(pid, threads[i].tid, &core);
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
