/* Owns the choice of the thread to hijack and of the moment (thread.h).
 *
 * Threads that wait in a system call come first: they are nearly always safe, and the program does not notice the pause. A
 * thread inside malloc or the loader runs on, for a few milliseconds, to its next system call that no allocator makes; then
 * the next thread is tried. A process that only calls malloc is sampled until a thread is found outside of it. */
#include "attach/thread.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <time.h>

#include "attach/advice.h"
#include "attach/attach_priv.h"
#include "attach/fault.h"
#include "attach/safety.h"

#define THREADS_MAX 4096
#define STOP_MS 200u
#define LATE_STOP_MS 500u
#define CHECK_BUDGET_NS 150000000ull /* limit for one backtrace */
#define TO_SYSCALL_MS 15u            /* how long to wait for a system call when there are other threads to try */
#define TO_SYSCALL_ALONE_MS 2u
#define REOPEN_EVERY 16u
#define DENIALS 5u /* rounds; a refusal from a single thread may mean that it is just ending */

enum rank { RANK_RUNNING = 0, RANK_CALL = 1, RANK_WAITING = 2, RANKS };

static int list_threads(pid_t pid, pid_t *tids, int max) {
    char path[64];
    int n = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (!dir) return 0;
    for (struct dirent *e; n < max && (e = readdir(dir));)
        if (e->d_name[0] != '.') tids[n++] = (pid_t)atoi(e->d_name);
    closedir(dir);
    return n;
}

/* Looks at the thread without stopping it. */
static enum rank rank_of(pid_t pid, pid_t tid) {
    char path[64], text[256];
    size_t len;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", (int)pid, (int)tid);
    if (vt_read_file(path, text, sizeof(text), &len) || text[0] < '0' || text[0] > '9') return RANK_RUNNING;
    long nr = atol(text);
    return arch_nr_is_wait(nr) || nr == arch_nr_futex || nr == arch_nr_read ? RANK_WAITING : RANK_CALL;
}

static int reopen(struct thread_search *s, struct vt_err *err) {
    struct mem *mem = s->img->mem;
    pid_t pid = s->img->pid;
    unwinder_close(s->unwinder);
    s->unwinder = NULL;
    image_close(s->img);
    int rc = image_open(s->img, pid, mem, err);
    if (!rc) rc = unwinder_open(&s->unwinder, s->img, mem);
    return rc;
}

static int check(struct thread_search *s, struct tracee *t, struct safety *out) {
    struct arch_regs regs;
    uint64_t begin = vt_mono_ns();
    int rc = arch_regs_get(t->tid, &regs);
    if (rc) return rc;
    if (tracee_in_rseq(t, s->img->mem, arch_pc(&regs))) {
        *out = (struct safety){.why = "inside a restartable sequence"};
        return 0;
    }
    safety_check(out, s->unwinder, s->img, &regs, begin + CHECK_BUDGET_NS);
    vt_debug(VT_AREA_ATTACH, "thread %d at %lx, system call %ld: %s: %s (%lu us)", (int)t->tid, (unsigned long)arch_pc(&regs),
             arch_syscall_nr(&regs), out->safe ? "safe" : "unsafe", out->why, (unsigned long)((vt_mono_ns() - begin) / 1000));
    return 0;
}

/* Runs an unsafe thread to the entry of a system call at which it is safe. 0: it is there, in an event-stop; -EAGAIN: none
 * came in time (event-stop, too). A syscall-stop ends with its tracer. */
static int run_to_syscall(struct thread_search *s, struct tracee *t, unsigned ms, struct safety *out) {
    uint64_t deadline = vt_mono_ns() + ms * 1000000ull;
    for (;;) {
        uint64_t stopped = vt_mono_ns() - t->stopped_at;
        if (stopped > s->env->stats.longest_ns) s->env->stats.longest_ns = stopped;
        int rc = tracee_resume(t, PTRACE_SYSCALL);
        if (rc) return rc;
        t->stopped_at = 0;
        (void)fault_point("tosyscall.run");
        rc = tracee_wait(t, deadline);
        if (rc == -ETIMEDOUT) {
            t->stopped_at = vt_mono_ns();
            s->env->stats.stops++;
            rc = tracee_to_event_stop(t, LATE_STOP_MS);
            return rc ? rc : -EAGAIN;
        }
        if (rc) return rc;
        s->env->stats.stops++;
        if (t->state != TRACEE_SYSCALL) continue;
        (void)fault_point("tosyscall.stop");
        struct arch_regs regs;
        rc = arch_regs_get(t->tid, &regs);
        if (rc) return rc;
        if (arch_nr_is_memory(arch_syscall_nr(&regs))) continue;
        rc = check(s, t, out);
        if (rc) return rc;
        if (out->safe) return tracee_to_event_stop(t, LATE_STOP_MS); /* no user code runs in between */
    }
}

/* Before anything of the thread changes. */
static int check_filters(struct thread_search *s, pid_t tid, uint32_t count) {
    char why[sizeof(s->forbidden)] = "";
    int rc = seccomp_check(tid, count, s->unread_most, &s->need, why, sizeof(why));
    if (rc == -EKEYREJECTED) memcpy(s->forbidden, why, sizeof(why));
    if (rc || !why[0] || s->unread_told) return rc;
    attach_log(s->o, "process %d: %s", (int)s->o->pid, why);
    s->unread_told = true;
    return 0;
}

/* Tries one thread. 0: hijackable. -EAGAIN: released again, unsafe at the moment. -EPERM, -ESRCH and the like: errors of this
 * thread. */
static int try_thread(struct thread_search *s, struct tracee *t, struct remote *r, const struct arch_gadgets *g, pid_t tid,
                      bool alone, struct safety *out, struct vt_err *err) {
    uint32_t filters = target_thread_filters(s->o->pid, tid);
    if (filters > s->filters_most) return -EKEYREJECTED;
    int rc = tracee_seize(t, s->env, tid, filters != 0, STOP_MS);
    if (!rc) trace_pin(s->env, s->o->pid, tid);
    if (!rc) rc = check_filters(s, tid, filters);
    if (!rc) rc = arch_thread_supported(tid, err);
    if (!rc) rc = check(s, t, out);
    if (!rc && !out->safe && out->unknown_code) rc = -EAGAIN; /* running on would not help */
    if (!rc && !out->safe) {
        rc = run_to_syscall(s, t, alone ? TO_SYSCALL_ALONE_MS : TO_SYSCALL_MS, out);
        if (!rc && !out->safe) rc = -EAGAIN;
    }
    if (!rc) rc = remote_begin(r, t, s->img, g);
    if (rc) tracee_release(t, s->env);
    return rc;
}

static void pause_between_rounds(void) {
    struct timespec ts = {0, 200000 + (long)(vt_mono_ns() / 7 % 2000000)}; /* irregular, to fall out of step with the target */
    nanosleep(&ts, NULL);
}

int thread_find_safe(struct thread_search *s, struct tracee *t, struct remote *r, const struct arch_gadgets *g,
                     struct vt_err *err) {
    pid_t *tids = malloc(THREADS_MAX * sizeof(*tids));
    struct safety safety = {0};
    int rc = tids ? -EAGAIN : vt_err_set(err, -ENOMEM, "out of memory");
    for (unsigned round = 0, denials = 0; rc == -EAGAIN; round++) {
        unsigned tried = 0, denied = 0, filtered = 0;
        bool unknown_code = false;
        trace_sweep(s->env);
        int n = list_threads(s->o->pid, tids, THREADS_MAX);
        if (!n) {
            rc = vt_err_set(err, -ESRCH, "process %d is gone", (int)s->o->pid);
            break;
        }
        for (int rank = RANK_WAITING; rank >= RANK_RUNNING && rc == -EAGAIN; rank--)
            for (int i = n - 1; i >= 0 && rc == -EAGAIN; i--) { /* the main thread, listed first, comes last */
                if (rank_of(s->o->pid, tids[i]) != (enum rank)rank || trace_is_late(s->env, tids[i])) continue;
                rc = try_thread(s, t, r, g, tids[i], n == 1, &safety, err);
                tried++;
                denied += rc == -EPERM;
                filtered += rc == -EKEYREJECTED;
                /* it ended or does not stop: another thread may work */
                if (rc == -ESRCH || rc == -EBUSY || rc == -ETIMEDOUT || rc == -EFAULT || rc == -EPERM || rc == -EKEYREJECTED)
                    rc = -EAGAIN;
                unknown_code |= safety.unknown_code;
                if (vt_mono_ns() > s->deadline_ns && rc == -EAGAIN) rc = -EBUSY;
            }
        if (rc != -EAGAIN) break;
        if (tried && filtered == tried) {
            rc = -EKEYREJECTED;
            break;
        }
        denials = tried && denied == tried ? denials + 1 : 0;
        if (denials >= DENIALS) {
            rc = -EPERM;
            break;
        }
        if (vt_mono_ns() > s->deadline_ns) {
            rc = -EBUSY;
            break;
        }
        if (unknown_code || round % REOPEN_EVERY == REOPEN_EVERY - 1) {
            if ((rc = reopen(s, err))) break;
            rc = -EAGAIN;
        }
        pause_between_rounds();
    }
    free(tids);
    if (rc == -EBUSY)
        vt_err_set(err, rc,
                   "process %d: no thread could be stopped where it is safe to start one (last: %s); try again, or --method "
                   "remote-exec on 3.14+",
                   (int)s->o->pid, safety.why[0] ? safety.why : "no thread stopped");
    else if (rc == -EKEYREJECTED && s->forbidden[0])
        vt_err_set(err, rc, "process %d: %s", (int)s->o->pid, s->forbidden);
    else if (rc == -EKEYREJECTED)
        vt_err_set(err, rc,
                   "process %d has put itself under a seccomp filter since the attach, which may kill it for a new thread",
                   (int)s->o->pid);
    else if (rc)
        vt_err_set(err, rc, "process %d cannot be stopped: %s%s", (int)s->o->pid, strerror(-rc), attach_advice(-rc));
    return rc;
}
