/* All that depends on the CPU: the registers of a stopped thread, the signal frame that restores it without a tracer,
 * injected system calls and one injected function call. One file per CPU defines all functions.
 *
 * The frame. Before any register of the thread changes, a complete rt_sigreturn frame of its context is
 * written below its stack pointer, where the ABI lets a signal handler write at any time:
 *
 *     sp - 128          end of the red zone: nothing at or above is touched
 *     fp  (64-aligned)  extended state, standard format, then its end mark
 *     uc  (16-aligned)  struct ucontext (+ room for the siginfo that the kernel never reads)
 *     slot = uc - 8     address of libc's own "call rt_sigreturn" code
 *
 * A thread that is sent to a `syscall; ret` of its libc with sp = slot makes one system call, returns
 * into rt_sigreturn with sp = uc, and is back where it was: whether or not a tracer still lives. */
#ifndef VT_ATTACH_ARCH_H
#define VT_ATTACH_ARCH_H

#include <stdint.h>
#include <sys/user.h>

#include "attach/mem.h"
#include "proto/base.h"

#define ARCH_XSTATE_MAX 16384u
#define ARCH_FRAME_MAX 32768u

struct arch_regs {
    struct user_regs_struct gp;
};

struct arch_context { /* all of a thread that the ladder changes, as it was */
    struct arch_regs regs;
    uint64_t sigmask;
    size_t xstate_len;
    uint8_t xstate[ARCH_XSTATE_MAX];
};

struct arch_frame {
    uint64_t slot;    /* lowest address: stack pointer for a self-restoring system call */
    uint64_t context; /* stack pointer for rt_sigreturn */
    size_t len;
    uint8_t bytes[ARCH_FRAME_MAX]; /* to be written at slot */
};

/* Code of the target's libc that the ladder borrows; never written to. */
struct arch_gadgets {
    uint64_t syscall_ret; /* one system call, then return */
    uint64_t sigreturn;   /* rt_sigreturn with the stack pointer as it is */
};

/* Of a stopped thread. 0 or -errno (-ESRCH: not stopped, or gone). */
VT_MUST_CHECK int arch_regs_get(pid_t tid, struct arch_regs *r);
VT_MUST_CHECK int arch_regs_set(pid_t tid, const struct arch_regs *r);
VT_MUST_CHECK int arch_context_get(pid_t tid, struct arch_context *c);
/* Everything but the general registers. */
VT_MUST_CHECK int arch_xstate_set(pid_t tid, const struct arch_context *c);
/* -ENOTSUP with the cause when the thread has state that the frame cannot carry (shadow stack). */
VT_MUST_CHECK int arch_thread_supported(pid_t tid, struct vt_err *err);

uint64_t arch_pc(const struct arch_regs *r);
uint64_t arch_sp(const struct arch_regs *r);
/* Of thread-local storage: libc puts it at the top of a thread's own stack mapping. */
uint64_t arch_thread_pointer(const struct arch_regs *r);
/* Number of the system call the thread is in, or -1. */
long arch_syscall_nr(const struct arch_regs *r);
uint64_t arch_syscall_arg(const struct arch_regs *r, unsigned i);
/* At a syscall-exit stop or after an injected call. */
int64_t arch_result(const struct arch_regs *r);
/* True in a system call that the stop interrupted and that the kernel will restart. */
bool arch_interrupted(const struct arch_regs *r);
/* After arch_interrupted: the call fails with EINTR instead of being restarted. */
void arch_fail_interrupted(struct arch_regs *r);
/* Some calls (epoll_wait, semop, sigtimedwait) fail with EINTR on a mere ptrace stop. Makes them restart
 * unless a real handler runs. True when r was changed. */
bool arch_fix_restart(struct arch_regs *r);

/* mem: to look at the code around the program counter. -EOVERFLOW: state cannot be expressed. */
VT_MUST_CHECK int arch_frame_build(struct arch_frame *f, const struct arch_context *c, const struct arch_gadgets *g,
                                   struct mem *mem);
/* Registers that make the thread do system call nr and then restore itself. */
void arch_enter_syscall(struct arch_regs *r, const struct arch_context *c, const struct arch_frame *f,
                        const struct arch_gadgets *g, long nr, const uint64_t arg[6]);
/* Registers that make it run blob code at `entry` (see blob/blob.c) on `stack`, and then restore itself. */
void arch_enter_blob(struct arch_regs *r, const struct arch_context *c, const struct arch_frame *f, uint64_t entry, uint64_t arg,
                     uint64_t stack);
/* At the entry of a system call: makes it another one that every program makes and that does nothing. (-1, which is
 * how to skip it, is a call that a seccomp filter sees and may kill for, once it is no longer suspended by us.) */
void arch_defuse_syscall(struct arch_regs *r);

/* Byte patterns of the gadgets; a second spelling may follow. */
struct arch_pattern {
    const uint8_t *bytes;
    size_t len;
};
extern const struct arch_pattern arch_syscall_ret_patterns[], arch_sigreturn_patterns[]; /* end: len 0 */

/* System call numbers by meaning. */
extern const long arch_nr_mmap, arch_nr_munmap, arch_nr_mprotect, arch_nr_memfd_create, arch_nr_close, arch_nr_rt_sigreturn,
    arch_nr_futex, arch_nr_read;
extern const uint32_t arch_audit; /* what seccomp filters see as the architecture */
/* True for calls that no memory allocator and no dynamic loader makes: a thread that blocks in one holds none of their locks. */
bool arch_nr_is_wait(long nr);
/* True for calls that allocators make (mmap, brk, ...): such a call does not show that malloc has ended. */
bool arch_nr_is_memory(long nr);

/* A register by libunwind's number: 0 or -EINVAL. */
VT_MUST_CHECK int arch_unwind_reg(const struct arch_regs *r, int unwind_reg, uint64_t *value);
VT_MUST_CHECK int arch_unwind_set(struct arch_regs *r, int unwind_reg, uint64_t value);
/* Those that a function has to preserve, by libunwind's numbers; which of them may be a frame pointer; where the
 * return address is, counted from the frame's end (CFA). */
#define ARCH_SAVED_REGS 6
extern const int arch_unwind_saved[ARCH_SAVED_REGS];
#define ARCH_SAVED_FP 1
#define ARCH_RETURN_OFFSET (-8)
extern const int arch_unwind_ip, arch_unwind_sp;

#endif
