/* Owns counting a thread's instructions (steps.h). x86-64: after a step over a system call, orig_rax is its number; after any
 * other instruction it is negative (ptrace(2), arch/x86/entry). */
#include "tests/lib/steps.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/lib/target.h"

#define WAIT_MS 20000u

/* The next stop, or -errno. */
static int next_stop(pid_t tid, int *status) {
    for (uint64_t end = now_ms() + WAIT_MS; now_ms() < end;) {
        pid_t got = waitpid(tid, status, __WALL | WNOHANG);
        if (got < 0) return -errno;
        if (got == tid) return WIFSTOPPED(*status) ? 0 : -ESRCH;
        struct timespec pause = {0, 20000};
        nanosleep(&pause, NULL);
    }
    return -ETIMEDOUT;
}

/* Goes on with `how` until the next stop that is not a signal's; signals are delivered. While single-stepping spins: a step takes
 * less than a nap. */
static int go_on(pid_t tid, enum __ptrace_request how, bool spin) {
    for (int sig = 0;;) {
        int status, rc = 0;
        if (ptrace(how, tid, NULL, (void *)(long)sig) < 0) return -errno;
        if (spin) {
            pid_t got = waitpid(tid, &status, __WALL);
            rc = got < 0 ? -errno : WIFSTOPPED(status) ? 0 : -ESRCH;
        } else {
            rc = next_stop(tid, &status);
        }
        if (rc) return rc;
        sig = WSTOPSIG(status);
        if (sig == (SIGTRAP | 0x80) || sig == SIGTRAP || status >> 16) return 0;
    }
}

static int step_to_mark(pid_t tid, long mark_nr, uint64_t *steps) {
    for (*steps = 0; *steps < STEPS_MAX; ++*steps) {
        struct user_regs_struct regs;
        int rc = go_on(tid, PTRACE_SINGLESTEP, true);
        if (rc) return rc;
        if (ptrace(PTRACE_GETREGS, tid, NULL, &regs) < 0) return -errno;
        if ((long)regs.orig_rax == mark_nr) return 0;
    }
    return -E2BIG;
}

/* Runs at full speed until the thread has left the system call. */
static int run_to_mark(pid_t tid, long mark_nr) {
    for (bool inside = false;;) {
        struct user_regs_struct regs;
        int rc = go_on(tid, PTRACE_SYSCALL, false);
        if (rc) return rc;
        if (ptrace(PTRACE_GETREGS, tid, NULL, &regs) < 0) return -errno;
        if ((long)regs.orig_rax != mark_nr) continue;
        if (inside) return 0;
        inside = true;
    }
}

int steps_count(pid_t tid, long mark_nr, int rounds, void (*go)(void *arg), void *arg, uint64_t *fewest) {
    int status, rc = ptrace(PTRACE_SEIZE, tid, NULL, (void *)(long)PTRACE_O_TRACESYSGOOD) < 0 ? -errno : 0;
    if (rc) return rc;
    *fewest = UINT64_MAX;
    rc = ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0 ? -errno : next_stop(tid, &status);
    if (!rc) go(arg);
    for (int i = 0; i < rounds && !rc; i++) {
        uint64_t steps;
        rc = run_to_mark(tid, mark_nr);
        if (!rc) rc = step_to_mark(tid, mark_nr, &steps);
        if (!rc && steps < *fewest) *fewest = steps;
    }
    if (ptrace(PTRACE_DETACH, tid, NULL, NULL) < 0 && !rc) rc = -errno;
    return rc;
}
