/* One traced thread: seized, stopped, resumed, released. Every wait is bounded. Stops are read but not consumed (waitid
 * with WNOWAIT), so that a signal is delivered even if this process dies in a signal-delivery-stop.
 *
 * The kernel sends a tracer SIGCHLD for every stop. The signal is blocked while a thread is traced, and sigtimedwait waits
 * for it, so no handler is needed. The process should not use SIGCHLD for anything else. */
#ifndef VT_ATTACH_PTRACE_H
#define VT_ATTACH_PTRACE_H

#include <sched.h>
#include <signal.h>
#include <sys/types.h>

#include "attach/arch/arch.h"

enum tracee_state {
    TRACEE_NONE = 0, /* not traced by us */
    TRACEE_RUNNING,  /* seized; can be released only after it has stopped */
    TRACEE_EVENT,    /* event-stop: the kernel decides about restarting a system call after we have resumed the thread */
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

/* Statistics of the stops of one climb. */
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
    pid_t late[TRACE_LATE_MAX]; /* seized and asked to stop, but stuck in the kernel: released when they stop */
    unsigned nlate;
};
void trace_begin(struct trace_env *env);
void trace_end(struct trace_env *env);
/* Releases late threads that have stopped meanwhile. */
void trace_sweep(struct trace_env *env);
bool trace_is_late(const struct trace_env *env, pid_t tid);
/* Moves this process to the tracee's CPU: a stop is then a plain context switch and wakes no other core. */
void trace_pin(struct trace_env *env, pid_t pid, pid_t tid);

/* Seizes and stops the thread. On success it is in an event-stop with interrupted calls fixed up. -EBUSY: it does
 * not stop (uninterruptible); then it is TRACEE_RUNNING and has to be passed to tracee_release. */
VT_MUST_CHECK int tracee_seize(struct tracee *t, struct trace_env *env, pid_t tid, bool suspend_seccomp, unsigned timeout_ms);
VT_MUST_CHECK int tracee_interrupt(struct tracee *t);
/* PTRACE_CONT or PTRACE_SYSCALL; passes on the signal of a signal-delivery-stop. */
VT_MUST_CHECK int tracee_resume(struct tracee *t, int request);
/* Waits for the next stop: 0 with the new state, -ETIMEDOUT, or -ESRCH when the thread is gone. */
VT_MUST_CHECK int tracee_wait(struct tracee *t, uint64_t deadline_ns);
/* Inside a restartable sequence (rseq(2))? The kernel restarts one that is interrupted, but would no longer know of it once
 * the thread has been elsewhere. */
bool tracee_in_rseq(const struct tracee *t, struct mem *mem, uint64_t pc);
/* Resumes from a stop that was not an event-stop until one comes; no user instruction runs in between when
 * the thread is inside a system call. Signals that come first are delivered. */
VT_MUST_CHECK int tracee_to_event_stop(struct tracee *t, unsigned timeout_ms);
/* Releases the thread. One that has not stopped yet is left to trace_sweep. Returns for how long it was stopped, in ns. */
uint64_t tracee_release(struct tracee *t, struct trace_env *env);

#endif
