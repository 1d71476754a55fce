/* Owns the thread that brings the hooks back below 3.12: while they are out nothing of ours is called. It lives as long as they
 * are out, sleeps, and has all signals blocked. It takes the GIL only when there is something to do, and when it is no longer
 * wanted it ends without touching anything of the session. */
#include "agent/governor.h"

enum { NAP_LEAST_MS = 2, NAP_MOST_MS = 50, LOOK_MS = 500, SIG_SETMASK = 2 };

static uint32_t wanted;            /* number of the thread that is; others end. Written with the GIL */
static uint64_t due_cpu, due_wall; /* ns: CPU time of the process, and clock ticks; whichever comes first */

static void set_due(uint64_t cpu_ns_from_now) {
    due_cpu = process_cpu_ns() + cpu_ns_from_now;
    due_wall = clock_full() + LOOK_MS * agent.ticks_per_ms;
}

static void nap(void) {
    uint64_t cpu = process_cpu_ns(), ms = due_cpu > cpu ? (due_cpu - cpu) / 1000000 : 0;
    if (ms < NAP_LEAST_MS) ms = NAP_LEAST_MS;
    if (ms > NAP_MOST_MS) ms = NAP_MOST_MS;
    int64_t time[2] = {0, (int64_t)ms * 1000000};
    arch_syscall6(SYS_CLOCK_NANOSLEEP, 1 /* CLOCK_MONOTONIC */, 0, (uint64_t)time, 0, 0, 0);
}

static bool is_wanted(uint32_t number) { return vt_load_acquire(&wanted) == number; }

static bool interpreter_runs(void) { return py.Py_IsInitialized() && !(py.Py_IsFinalizing && py.Py_IsFinalizing()); }

/* Without the GIL. */
static void *alarm_main(void *argument) {
    uint32_t number = (uint32_t)(uint64_t)argument;
    bool again = true;
    while (again && is_wanted(number)) {
        nap();
        if (!is_wanted(number)) break;
        if (process_cpu_ns() < due_cpu && clock_full() < due_wall) continue;
        if (!interpreter_runs()) break;
        int gil = py.PyGILState_Ensure();
        uint64_t more = 0;
        again = is_wanted(number) && window_look(&more);
        if (again) set_due(more);
        py.PyGILState_Release(gil);
    }
    return NULL;
}

/* Calls window_look after so much CPU time of the process. False: no thread is to be had. */
bool alarm_set(uint64_t cpu_ns_from_now) {
    uint64_t all_signals = ~0ull, before = 0, thread;
    uint32_t number = wanted + 1;
    if (!py.pthread_create || !py.pthread_detach) return false;
    set_due(cpu_ns_from_now);
    vt_store_release(&wanted, number);
    arch_syscall6(SYS_SIGPROCMASK, SIG_SETMASK, (uint64_t)&all_signals, (uint64_t)&before, 8, 0, 0);
    bool made = py.pthread_create(&thread, NULL, alarm_main, (void *)(uint64_t)number) == 0;
    arch_syscall6(SYS_SIGPROCMASK, SIG_SETMASK, (uint64_t)&before, 0, 8, 0, 0);
    if (made) py.pthread_detach(thread);
    return made;
}

void alarm_cancel(void) { vt_store_release(&wanted, wanted + 1); }
