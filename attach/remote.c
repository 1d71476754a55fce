/* Owns hijacking a thread (remote.h): self-restoring system calls, and one call of the blob.
 * The order of each step matters, because we may be killed between any two ptrace requests: frame written -> registers ->
 * signal mask. The frame restores all of it. On the way out: extended state, mask, registers. Until the registers are set, the
 * frame would still restore the thread. */
#include "attach/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include "attach/fault.h"
#include "proto/abi/boot.h"

#define STEP_MS 3000u
#define STACK_GROWTH_MAX 65536u

static int name_point(const char *name, const char *what) {
#ifdef VT_FAULTS
    char point[64];
    snprintf(point, sizeof(point), "%s.%s", name, what);
    return fault_point(point);
#else
    (void)name, (void)what;
    return 0;
#endif
}

/* All signals except those that the kernel raises for a faulting instruction: if such a signal is blocked, the kernel resets
 * the program's handler. */
static uint64_t hijack_mask(void) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
    uint64_t mask = ~0ull;
    for (size_t i = 0; i < VT_ARRAY_LEN(faults); i++) mask &= ~(1ull << (faults[i] - 1));
    return mask;
}

/* Of a thread while libc makes another one, which inherits it. setuid and the like send VT_SIGSETXID to every thread and wait for
 * each of them, with a lock held that pthread_create takes. */
static uint64_t create_mask(void) { return hijack_mask() & ~VT_SIGSETXID_BIT; }

/* There may be no page below a main thread's stack pointer yet. The kernel grows a stack for accesses through /proc/PID/mem,
 * but not for process_vm_writev. Accesses through /proc/PID/mem also ignore page protection, so the mapping is checked first. */
static int write_below_stack(struct remote *r) {
    const struct map_line *stack = maps_find_line(&r->img->maps, arch_sp(&r->saved.regs));
    if (!stack || strcmp(stack->path, "[stack]") || !stack->w) return -EFAULT;
    if (r->frame.slot + STACK_GROWTH_MAX < stack->start) return -EFAULT;
    for (uint64_t at = r->frame.slot; at < stack->start; at += 4096) /* a guard or a neighbour? */
        if (maps_find_line(&r->img->maps, at)) return -EFAULT;
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)r->img->pid);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return -errno;
    ssize_t n = pwrite(fd, r->frame.bytes, r->frame.len, (off_t)r->frame.slot);
    int rc = n == (ssize_t)r->frame.len ? 0 : n < 0 ? -errno : -EFAULT;
    close(fd);
    return rc;
}

int remote_begin(struct remote *r, struct tracee *t, const struct image *img, const struct arch_gadgets *g) {
    r->t = t;
    r->img = img;
    r->mem = img->mem;
    r->gadgets = *g;
    r->mask = 0;
    r->begun = r->dirty = r->at_exit = r->in_blob = r->blob_ran = false;
    int rc = arch_context_get(t->tid, &r->saved);
    if (rc) return rc;
    arch_fix_restart(&r->saved.regs);
    rc = arch_frame_build(&r->frame, &r->saved, g, r->mem);
    if (rc) return rc;
    rc = r->mem->write(r->mem, r->frame.slot, r->frame.bytes, r->frame.len);
    if (rc == -EFAULT) rc = write_below_stack(r);
    if (rc) return rc == -EFAULT ? -EAGAIN : rc;
    r->begun = true;
    return fault_point("framed");
}

static int set_regs(struct remote *r, const char *name, const struct arch_regs *regs, uint64_t mask) {
    int rc = arch_regs_set(r->t->tid, regs);
    if (rc) return rc;
    r->dirty = true;
    rc = name_point(name, "regs");
    if (!rc && r->mask != mask) {
        if (ptrace(PTRACE_SETSIGMASK, r->t->tid, sizeof(mask), &mask)) return -errno;
        r->mask = mask;
        rc = name_point(name, "mask");
    }
    return rc;
}

/* Runs to the next entry or exit of a system call. */
static int to_syscall_stop(struct remote *r, const char *name, uint64_t deadline) {
    r->at_exit = false;
    for (;;) {
        int rc = tracee_resume(r->t, PTRACE_SYSCALL);
        if (rc) return rc;
        (void)name_point(name, "run");
        rc = tracee_wait(r->t, deadline);
        if (rc) return rc;
        if (r->t->state == TRACEE_SYSCALL) return 0;
        if (r->t->state == TRACEE_EVENT) continue;  /* a job control stop: our work must be finished first */
        if (r->t->signal == SIGSTOP) continue;      /* it cannot be blocked; we pass it on, and it takes effect when we let go */
        if (r->t->signal == VT_SIGSETXID) continue; /* see create_mask */
        /* A fault in our code does not concern the program. */
        r->t->signal = 0;
        return -EFAULT;
    }
}

int remote_syscall(struct remote *r, const char *name, long nr, const uint64_t arg[6], int64_t *result) {
    struct arch_regs regs;
    uint64_t deadline = vt_mono_ns() + STEP_MS * 1000000ull;
    if (r->t->state != TRACEE_EVENT && !r->at_exit) return -EIO; /* an earlier step was interrupted */
    arch_enter_syscall(&regs, &r->saved, &r->frame, &r->gadgets, nr, arg);
    int rc = set_regs(r, name, &regs, hijack_mask());
    if (!rc) rc = to_syscall_stop(r, name, deadline);
    if (rc) return rc;
    (void)name_point(name, "entry");
    rc = to_syscall_stop(r, name, deadline);
    if (rc) return rc;
    r->at_exit = true;
    (void)name_point(name, "exit");
    rc = arch_regs_get(r->t->tid, &regs);
    if (!rc) *result = arch_result(&regs);
    return rc;
}

int remote_blob(struct remote *r, uint64_t code, uint64_t code_len, uint64_t arg, uint64_t stack, unsigned timeout_ms) {
    struct arch_regs regs;
    uint64_t deadline = vt_mono_ns() + timeout_ms * 1000000ull;
    arch_enter_blob(&regs, &r->saved, &r->frame, code, arg, stack);
    int rc = set_regs(r, "create", &regs, create_mask());
    if (rc) return rc;
    r->blob_ran = r->in_blob = true;
    for (;;) {
        rc = to_syscall_stop(r, "create", deadline);
        if (rc == -EFAULT) r->in_blob = false; /* there is no call to wait for */
        if (!rc) rc = arch_regs_get(r->t->tid, &regs);
        if (rc) return rc;
        rc = name_point("create", "syscall");
        if (rc) return rc;
        if (arch_syscall_nr(&regs) == arch_nr_rt_sigreturn && arch_pc(&regs) - code < code_len) break;
    }
    /* From here on the handler of libc may not begin: it would be cut off when the thread gets its registers back. */
    uint64_t mask = hijack_mask();
    if (ptrace(PTRACE_SETSIGMASK, r->t->tid, sizeof(mask), &mask)) return -errno;
    r->mask = mask;
    /* The blob is about to restore the thread by itself. This prevents it, so that the restart block survives. If we died now,
     * the blob would try again. */
    arch_defuse_syscall(&regs);
    rc = arch_regs_set(r->t->tid, &regs);
    r->in_blob = rc != 0;
    if (!rc) rc = name_point("create", "defused");
    return rc ? rc : tracee_to_event_stop(r->t, STEP_MS);
}

int remote_end(struct remote *r) {
    if (!r->begun) return 0;
    r->begun = false;
    if (!r->dirty) return 0;
    if (r->in_blob) return -EINPROGRESS;
    int rc = 0, worst = 0;
    /* Only after an event-stop does the kernel use our registers to restart a system call. The stop for a fault of ours works
     * as well, once the signal is dropped; resuming from it would fault again. */
    if (r->t->state == TRACEE_SIGNAL) {
        r->t->signal = 0;
    } else if (r->t->state != TRACEE_EVENT) {
        (void)name_point("restore", "interrupt");
        rc = tracee_to_event_stop(r->t, STEP_MS);
        if (rc) return rc;
    }
    (void)name_point("restore", "stopped");
    rc = arch_xstate_set(r->t->tid, &r->saved);
    if (rc) worst = rc;
    (void)name_point("restore", "xstate");
    if (ptrace(PTRACE_SETSIGMASK, r->t->tid, sizeof(r->saved.sigmask), &r->saved.sigmask)) worst = -errno;
    (void)name_point("restore", "mask");
    rc = arch_regs_set(r->t->tid, &r->saved.regs);
    if (rc) worst = rc;
    (void)name_point("restore", "regs");
    return worst;
}
