/* One traced thread: seized, stopped, resumed, let go. Every wait is bounded. Stops are looked at, never
 * consumed (waitid with WNOWAIT): should we die in a signal-delivery-stop the signal is still delivered.
 *
 * The kernel sends a tracer SIGCHLD for every stop; it is blocked while a thread is traced and waited for
 * with sigtimedwait, so no handler is needed. A process that traces should have no other use of it. */
#ifndef VT_ATTACH_PTRACE_H
#define VT_ATTACH_PTRACE_H

#include <sched.h>
#include <signal.h>
#include <sys/types.h>

#include "attach/arch/arch.h"

enum tracee_state {
    TRACEE_NONE = 0, /* not traced by us */
    TRACEE_RUNNING,  /* seized; cannot be let go before it stops */
    TRACEE_EVENT,    /* event-stop: where the kernel decides about restarting system calls after us */
    TRACEE_SYSCALL,  /* entry or exit of a system call */
    TRACEE_SIGNAL,   /* about to get `signal`, which the next resume passes on */
    TRACEE_GONE
};

struct tracee {
    pid_t tid;
    enum tracee_state state;
    int signal;
    uint64_t stopped_at; /* ns: when the present stop was asked for, or was seen */
    bool suspend_seccomp;
};

/* What a climb leaves of stops, for the caller. */
struct trace_stats {
    uint64_t longest_ns;
    uint32_t stops;
};

#define TRACE_LATE_MAX 32

/* The tracing process itself: signal mask, priority, CPU. Between trace_begin and trace_end all calls
 * below come from the same thread. Real-time priority is taken where that is allowed and stays until the process ends; its
 * children do not have it. */
struct trace_env {
    sigset_t old_mask;
    cpu_set_t old_cpus;
    bool begun, boosted, pinned;
    struct trace_stats stats;
    pid_t late[TRACE_LATE_MAX]; /* seized, asked to stop, and stuck in the kernel: to be let go when they do stop */
    unsigned nlate;
};
void trace_begin(struct trace_env *env);
void trace_end(struct trace_env *env);
/* Lets go of late threads that have stopped meanwhile. */
void trace_sweep(struct trace_env *env);
bool trace_is_late(const struct trace_env *env, pid_t tid);
/* On the CPU of the tracee a stop is a plain context switch instead of a wake-up of another core. */
void trace_pin(struct trace_env *env, pid_t pid, pid_t tid);

/* Seizes and stops the thread. On success it is in an event-stop with interrupted calls fixed up. -EBUSY: it does
 * not stop (uninterruptible); then it is TRACEE_RUNNING and has to be passed to tracee_release. */
VT_MUST_CHECK int tracee_seize(struct tracee *t, struct trace_env *env, pid_t tid, bool suspend_seccomp, unsigned timeout_ms);
VT_MUST_CHECK int tracee_interrupt(struct tracee *t);
/* PTRACE_CONT or PTRACE_SYSCALL; passes on the signal of a signal-delivery-stop. */
VT_MUST_CHECK int tracee_resume(struct tracee *t, int request);
/* 0 with the new state; -ETIMEDOUT; -ESRCH gone. */
VT_MUST_CHECK int tracee_wait(struct tracee *t, uint64_t deadline_ns);
/* Inside a restartable sequence (rseq(2))? The kernel restarts one that is interrupted, but would no longer know of it once
 * the thread has been elsewhere. */
bool tracee_in_rseq(const struct tracee *t, struct mem *mem, uint64_t pc);
/* Resumes from a stop that was not an event-stop until one comes; no user instruction runs in between when
 * the thread is inside a system call. Signals that come first are delivered. */
VT_MUST_CHECK int tracee_to_event_stop(struct tracee *t, unsigned timeout_ms);
/* Lets go; only a stopped thread can be, so another one is left for trace_sweep. Returns how long it had been stopped. */
uint64_t tracee_release(struct tracee *t, struct trace_env *env);

#endif
