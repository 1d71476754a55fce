/* Owns one traced thread: the state machine of ptrace.h, and the priority of the tracing process. Sources: ptrace(2),
 * kernel/ptrace.c, kernel/signal.c. */
#include "attach/ptrace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "attach/fault.h"

#ifndef PTRACE_O_SUSPEND_SECCOMP
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif
#define STATUS_EVENT(s) ((s) >> 16)
#define STATUS_SIGNAL(s) (((s) >> 8) & 0xff)
#define WAIT_SLICE_NS 2000000ull /* another thread of this process may have taken the SIGCHLD */
#define TRACER_PRIORITY 10
#define STOP_LATE_MS 20u
#define END_LATE_MS 200u

/* -- the tracing process -- */
void trace_begin(struct trace_env *env) {
    *env = (struct trace_env){0};
    sigset_t chld;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &chld, &env->old_mask);
    /* A stopped thread waits for us, which must not take a scheduling period on a loaded machine. The priority stays: giving
     * it up costs the CPU (0.3 s at load 6, seconds at load 9) while the new thread in the target waits for its agent. */
    if (!sched_getaffinity(0, sizeof(env->old_cpus), &env->old_cpus)) {
        struct sched_param high = {.sched_priority = TRACER_PRIORITY};
        env->boosted = !sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &high);
    }
    env->begun = true;
}

void trace_pin(struct trace_env *env, pid_t pid, pid_t tid) {
    char path[64], text[1024];
    size_t len;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)tid);
    if (!env->boosted || vt_read_file(path, text, sizeof(text), &len)) return;
    const char *field = strrchr(text, ')');
    for (int i = 2; field && i < 39; i++) field = strchr(field + 1, ' '); /* field 39: processor */
    if (!field) return;
    int cpu = atoi(field);
    cpu_set_t one;
    CPU_ZERO(&one);
    if (cpu < 0 || cpu >= CPU_SETSIZE) return;
    CPU_SET(cpu, &one);
    if (!sched_setaffinity(0, sizeof(one), &one)) env->pinned = true;
}

/* -- waiting -- */

/* Records a stop or end that waitid reported. */
static void digest(struct tracee *t, const siginfo_t *si) {
    t->signal = 0;
    if (si->si_code == CLD_EXITED || si->si_code == CLD_KILLED || si->si_code == CLD_DUMPED) {
        t->state = TRACEE_GONE;
        return;
    }
    int status = si->si_status << 8; /* as waitpid would give it, without the low byte */
    if (STATUS_EVENT(status) == PTRACE_EVENT_STOP) {
        t->state = TRACEE_EVENT;
    } else if (STATUS_SIGNAL(status) == (SIGTRAP | 0x80)) {
        t->state = TRACEE_SYSCALL;
    } else {
        t->state = TRACEE_SIGNAL;
        t->signal = STATUS_SIGNAL(status);
    }
}

int tracee_wait(struct tracee *t, uint64_t deadline_ns) {
    sigset_t chld;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    siginfo_t si;
    for (;;) {
        memset(&si, 0, sizeof(si));
        int rc = waitid(P_PID, (id_t)t->tid, &si, WSTOPPED | WEXITED | __WALL | WNOWAIT | WNOHANG);
        if (rc && errno != EINTR) {
            t->state = TRACEE_GONE;
            return -ESRCH;
        }
        if (!rc && si.si_pid == t->tid) break;
        uint64_t now = vt_mono_ns();
        if (now >= deadline_ns) return -ETIMEDOUT;
        uint64_t left = deadline_ns - now < WAIT_SLICE_NS ? deadline_ns - now : WAIT_SLICE_NS;
        struct timespec slice = {0, (long)left};
        sigtimedwait(&chld, NULL, &slice);
    }
    digest(t, &si);
    if (t->state == TRACEE_GONE) return -ESRCH;
    if (!t->stopped_at) t->stopped_at = vt_mono_ns();
    return 0;
}

#ifndef PTRACE_GET_RSEQ_CONFIGURATION
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif

bool tracee_in_rseq(const struct tracee *t, struct mem *mem, uint64_t pc) {
    struct { /* struct ptrace_rseq_configuration */
        uint64_t area;
        uint32_t size, signature, flags, pad;
    } rseq = {0};
    struct { /* struct rseq_cs */
        uint32_t version, flags;
        uint64_t start, length, abort;
    } cs;
    uint64_t cs_address;
    if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, t->tid, sizeof(rseq), &rseq) < 0 || !rseq.area) return false;
    if (mem_read_u64(mem, rseq.area + 8, &cs_address) || !cs_address) return false; /* it stays set after a sequence */
    if (mem->read(mem, cs_address, &cs, sizeof(cs))) return true;
    return pc - cs.start < cs.length;
}

/* -- stop and go -- */
int tracee_interrupt(struct tracee *t) { return ptrace(PTRACE_INTERRUPT, t->tid, 0, 0) ? -errno : 0; }

int tracee_resume(struct tracee *t, int request) {
    int signal = t->state == TRACEE_SIGNAL ? t->signal : 0;
    if (ptrace(request, t->tid, 0, signal)) {
        int rc = -errno;
        if (rc == -ESRCH) t->state = TRACEE_GONE;
        return rc;
    }
    t->state = TRACEE_RUNNING;
    t->signal = 0;
    return 0;
}

/* As soon as possible after a stop: until then our death would show as EINTR in the target. */
static int fix_interrupted_call(struct tracee *t) {
    struct arch_regs r;
    int rc = arch_regs_get(t->tid, &r);
    if (!rc && arch_fix_restart(&r)) rc = arch_regs_set(t->tid, &r);
    return rc;
}

/* Any stop cancels a pending interrupt, so each resume needs a new one. */
static int event_stop_by(struct tracee *t, uint64_t deadline_ns) {
    for (;;) {
        int rc = tracee_interrupt(t);
        (void)fault_point("interrupted");
        if (!rc && t->state != TRACEE_RUNNING) rc = tracee_resume(t, PTRACE_CONT);
        if (!rc) rc = tracee_wait(t, deadline_ns);
        if (rc || t->state == TRACEE_EVENT) return rc;
        if (t->state == TRACEE_SIGNAL) (void)fault_point("signal-stop");
    }
}

int tracee_to_event_stop(struct tracee *t, unsigned timeout_ms) {
    int rc = event_stop_by(t, vt_mono_ns() + (uint64_t)timeout_ms * 1000000);
    return rc ? rc : fix_interrupted_call(t);
}

static int seize(pid_t tid, bool *suspend_seccomp) {
    /* TRACESYSGOOD: without it an unseen syscall-stop is a real, deadly SIGTRAP when the tracer dies */
    long options = PTRACE_O_TRACESYSGOOD;
    if (*suspend_seccomp) {
        if (!ptrace(PTRACE_SEIZE, tid, 0, options | PTRACE_O_SUSPEND_SECCOMP)) return 0;
        if (errno != EPERM && errno != EINVAL) return -errno;
        *suspend_seccomp = false; /* we must not suspend the filter: we make only system calls that any program makes */
    }
    return ptrace(PTRACE_SEIZE, tid, 0, options) ? -errno : 0;
}

int tracee_seize(struct tracee *t, struct trace_env *env, pid_t tid, bool suspend_seccomp, unsigned timeout_ms) {
    *t = (struct tracee){.tid = tid, .suspend_seccomp = suspend_seccomp};
    int rc = seize(tid, &t->suspend_seccomp);
    if (rc) return rc;
    t->state = TRACEE_RUNNING;
    fault_seized();
    rc = fault_point("seized");
    t->stopped_at = vt_mono_ns();
    env->stats.stops++;
    if (!rc) rc = event_stop_by(t, t->stopped_at + (uint64_t)timeout_ms * 1000000);
    if (!rc) rc = fault_point("stopped");
    if (!rc) rc = fix_interrupted_call(t);
    if (!rc) rc = fault_point("fixed");
    return rc == -ETIMEDOUT ? -EBUSY : rc;
}

uint64_t tracee_release(struct tracee *t, struct trace_env *env) {
    if (t->state == TRACEE_NONE || t->state == TRACEE_GONE) {
        t->state = TRACEE_NONE;
        return 0;
    }
    if (t->state == TRACEE_RUNNING) { /* only a stopped tracee can be detached */
        int rc = tracee_interrupt(t);
        if (!rc) rc = tracee_wait(t, vt_mono_ns() + STOP_LATE_MS * 1000000ull);
        if (rc) {
            if (rc == -ETIMEDOUT && env->nlate < TRACE_LATE_MAX) env->late[env->nlate++] = t->tid;
            t->state = TRACEE_NONE;
            return 0;
        }
    }
    if (t->state == TRACEE_EVENT && fix_interrupted_call(t))
        vt_debug(VT_AREA_ATTACH, "thread %d: cannot fix its system call", (int)t->tid);
    int signal = t->state == TRACEE_SIGNAL ? t->signal : 0;
    (void)fault_point("detaching");
    if (ptrace(PTRACE_DETACH, t->tid, 0, signal)) vt_debug(VT_AREA_ATTACH, "detach from %d: %s", (int)t->tid, strerror(errno));
    uint64_t stopped = vt_mono_ns() - t->stopped_at;
    (void)fault_point("detached");
    if (stopped > env->stats.longest_ns) env->stats.longest_ns = stopped;
    t->state = TRACEE_NONE;
    t->stopped_at = 0;
    return stopped;
}

bool trace_is_late(const struct trace_env *env, pid_t tid) {
    for (unsigned i = 0; i < env->nlate; i++)
        if (env->late[i] == tid) return true;
    return false;
}

void trace_sweep(struct trace_env *env) {
    unsigned kept = 0;
    for (unsigned i = 0; i < env->nlate; i++) {
        struct tracee t = {.tid = env->late[i], .state = TRACEE_RUNNING};
        if (tracee_wait(&t, 0) == -ETIMEDOUT) {
            env->late[kept++] = env->late[i];
            continue;
        }
        if (t.state != TRACEE_GONE) tracee_release(&t, env);
    }
    env->nlate = kept;
}

void trace_end(struct trace_env *env) {
    if (!env->begun) return;
    for (uint64_t end = vt_mono_ns() + END_LATE_MS * 1000000ull; env->nlate && vt_mono_ns() < end;) {
        struct timespec slice = {0, 1000000};
        trace_sweep(env);
        if (env->nlate) nanosleep(&slice, NULL);
    }
    if (env->nlate) vt_log(VT_LOG_INFO, "%u threads do not stop: they are free when this process ends", env->nlate);
    if (env->pinned) sched_setaffinity(0, sizeof(env->old_cpus), &env->old_cpus);
    pthread_sigmask(SIG_SETMASK, &env->old_mask, NULL);
    env->begun = false;
}
