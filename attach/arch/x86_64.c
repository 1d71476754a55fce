/* Owns x86-64: registers, the rt_sigreturn frame, injected system calls. arch.h describes the method.
 * Sources: arch/x86/kernel/signal_64.c, fpu/signal.c, fpu/xstate.c, process of restart in signal.c. */
#include "attach/arch/arch.h"

#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <libunwind-x86_64.h>

#ifndef NT_X86_SHSTK
#define NT_X86_SHSTK 0x204
#endif

/* -- layouts of the kernel -- */
struct sigcontext_64 {
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15, di, si, bp, bx, dx, ax, cx, sp, ip, flags;
    uint16_t cs, gs, fs, ss;
    uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
};
struct ucontext_64 {
    uint64_t flags, link, stack_sp;
    int32_t stack_flags, stack_pad;
    uint64_t stack_size;
    struct sigcontext_64 mc;
    uint64_t sigmask;
};
struct fpx_sw { /* at byte 464 of the extended state */
    uint32_t magic1, extended_size;
    uint64_t xfeatures;
    uint32_t xstate_size, pad[7];
};
_Static_assert(sizeof(struct sigcontext_64) == 256, "sigcontext");
_Static_assert(sizeof(struct ucontext_64) == 304, "ucontext");
_Static_assert(sizeof(struct fpx_sw) == 48, "fpx_sw");

#define UC_FP_XSTATE 1u
#define UC_SIGCONTEXT_SS 2u
#define UC_STRICT_RESTORE_SS 4u
#define FP_MAGIC1 0x46505853u
#define FP_MAGIC2 0x46505845u
#define FP_SW_OFFSET 464u
#define XSTATE_BV_OFFSET 512u
#define XSTATE_LEGACY 576u         /* FXSAVE area and XSAVE header */
#define XFEATURES_AMX (3ull << 17) /* its size is refused without permission: only when in use */
#define SIGINFO_SIZE 128u
#define RED_ZONE 128u
#define NO_SUCH_STACK_MODE 7 /* ss_flags: the kernel ignores it and keeps the thread's sigaltstack */
#define EFLAGS_TF 0x100ull
#define EFLAGS_DF 0x400ull

/* -ERESTART*: only seen by tracers. */
#define KERNEL_ERESTARTSYS 512
#define KERNEL_ERESTARTNOINTR 513
#define KERNEL_ERESTARTNOHAND 514
#define KERNEL_ERESTART_RESTARTBLOCK 516

const long arch_nr_mmap = SYS_mmap, arch_nr_munmap = SYS_munmap, arch_nr_mprotect = SYS_mprotect,
           arch_nr_memfd_create = SYS_memfd_create, arch_nr_close = SYS_close, arch_nr_rt_sigreturn = SYS_rt_sigreturn,
           arch_nr_futex = SYS_futex, arch_nr_read = SYS_read;
const uint32_t arch_audit = AUDIT_ARCH_X86_64;

#define PATTERN(s)                                                                                                               \
    { (const uint8_t *)(s), sizeof(s) - 1 }
const struct arch_pattern arch_syscall_ret_patterns[] = {PATTERN("\x0f\x05\xc3"), {NULL, 0}};
const struct arch_pattern arch_sigreturn_patterns[] = {
    PATTERN("\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05"), /* mov $15,%rax; syscall */
    PATTERN("\xb8\x0f\x00\x00\x00\x0f\x05"),         /* mov $15,%eax; syscall */
    {NULL, 0}};

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

/* What is special about a system call. */
#define NR_WAIT 1u   /* blocks; made by no allocator or loader */
#define NR_MEMORY 2u /* made by allocators */
#define NR_EINTR 4u  /* fails with EINTR on a mere stop */
#define NR_TIMED 8u  /* uses the restart block */
static const struct {
    uint16_t nr;
    uint16_t what;
} calls[] = {
    {SYS_poll, NR_WAIT | NR_TIMED},
    {SYS_ppoll, NR_WAIT},
    {SYS_select, NR_WAIT},
    {SYS_pselect6, NR_WAIT},
    {SYS_epoll_wait, NR_WAIT | NR_EINTR},
    {SYS_epoll_pwait, NR_WAIT | NR_EINTR},
    {SYS_epoll_pwait2, NR_WAIT | NR_EINTR},
    {SYS_nanosleep, NR_WAIT | NR_TIMED},
    {SYS_clock_nanosleep, NR_WAIT | NR_TIMED},
    {SYS_accept, NR_WAIT},
    {SYS_accept4, NR_WAIT},
    {SYS_recvfrom, NR_WAIT},
    {SYS_recvmsg, NR_WAIT},
    {SYS_wait4, NR_WAIT},
    {SYS_waitid, NR_WAIT},
    {SYS_pause, NR_WAIT},
    {SYS_rt_sigtimedwait, NR_WAIT | NR_EINTR},
    {SYS_semop, NR_EINTR},
    {SYS_semtimedop, NR_EINTR},
    {SYS_io_getevents, NR_EINTR},
    {333 /* io_pgetevents */, NR_EINTR},
    {SYS_futex, NR_TIMED},
    {SYS_mmap, NR_MEMORY},
    {SYS_munmap, NR_MEMORY},
    {SYS_mprotect, NR_MEMORY},
    {SYS_brk, NR_MEMORY},
    {SYS_mremap, NR_MEMORY},
    {SYS_madvise, NR_MEMORY},
};

static unsigned call_is(long nr, unsigned what) {
    for (size_t i = 0; i < VT_ARRAY_LEN(calls); i++)
        if (calls[i].nr == nr) return calls[i].what & what;
    return 0;
}
bool arch_nr_is_wait(long nr) { return call_is(nr, NR_WAIT); }
bool arch_nr_is_memory(long nr) { return call_is(nr, NR_MEMORY); }

/* -- registers -- */
static int regset(enum __ptrace_request request, pid_t tid, long type, void *buf, size_t *len) {
    struct iovec v = {buf, *len};
    if (ptrace(request, tid, type, &v)) return -errno;
    *len = v.iov_len;
    return 0;
}

int arch_regs_get(pid_t tid, struct arch_regs *r) {
    size_t len = sizeof(r->gp);
    int rc = regset(PTRACE_GETREGSET, tid, NT_PRSTATUS, &r->gp, &len);
    if (rc) return rc;
    return len == sizeof(r->gp) && (r->gp.cs & 0xffff) == 0x33 ? 0 : -ENOTSUP; /* 32-bit code has another cs */
}

int arch_regs_set(pid_t tid, const struct arch_regs *r) {
    struct user_regs_struct copy = r->gp;
    size_t len = sizeof(copy);
    return regset(PTRACE_SETREGSET, tid, NT_PRSTATUS, &copy, &len);
}

int arch_context_get(pid_t tid, struct arch_context *c) {
    int rc = arch_regs_get(tid, &c->regs);
    if (rc) return rc;
    c->xstate_len = sizeof(c->xstate);
    rc = regset(PTRACE_GETREGSET, tid, NT_X86_XSTATE, c->xstate, &c->xstate_len);
    if (rc) return rc;
    if (ptrace(PTRACE_GETSIGMASK, tid, sizeof(c->sigmask), &c->sigmask)) return -errno;
    return 0;
}

int arch_xstate_set(pid_t tid, const struct arch_context *c) {
    size_t len = c->xstate_len;
    return regset(PTRACE_SETREGSET, tid, NT_X86_XSTATE, (void *)(uintptr_t)c->xstate, &len);
}

int arch_thread_supported(pid_t tid, struct vt_err *err) {
    uint64_t ssp = 0;
    size_t len = sizeof(ssp);
    /* answers only for a thread with its shadow stack on */
    if (regset(PTRACE_GETREGSET, tid, NT_X86_SHSTK, &ssp, &len) || !len) return 0;
    return vt_err_set(err, -ENOTSUP, "thread %d runs with a shadow stack (CET): not supported; use --method remote-exec on 3.14+",
                      (int)tid);
}

uint64_t arch_pc(const struct arch_regs *r) { return r->gp.rip; }
uint64_t arch_sp(const struct arch_regs *r) { return r->gp.rsp; }
uint64_t arch_thread_pointer(const struct arch_regs *r) { return r->gp.fs_base; }
long arch_syscall_nr(const struct arch_regs *r) { return (long)r->gp.orig_rax < 0 ? -1 : (long)r->gp.orig_rax; }
int64_t arch_result(const struct arch_regs *r) { return (int64_t)r->gp.rax; }

uint64_t arch_syscall_arg(const struct arch_regs *r, unsigned i) {
    const uint64_t arg[6] = {r->gp.rdi, r->gp.rsi, r->gp.rdx, r->gp.r10, r->gp.r8, r->gp.r9};
    return i < 6 ? arg[i] : 0;
}

bool arch_interrupted(const struct arch_regs *r) {
    int64_t rax = (int64_t)r->gp.rax;
    return arch_syscall_nr(r) >= 0 && (rax == -KERNEL_ERESTARTSYS || rax == -KERNEL_ERESTARTNOINTR ||
                                       rax == -KERNEL_ERESTARTNOHAND || rax == -KERNEL_ERESTART_RESTARTBLOCK);
}

void arch_fail_interrupted(struct arch_regs *r) { r->gp.rax = (uint64_t)-EINTR; }

bool arch_fix_restart(struct arch_regs *r) {
    if ((int64_t)r->gp.rax != -EINTR || !call_is(arch_syscall_nr(r), NR_EINTR)) return false;
    r->gp.rax = (uint64_t)-KERNEL_ERESTARTNOHAND;
    return true;
}

/* -- the frame -- */

/* A timed call that was interrupted before shows as restart_syscall, which rt_sigreturn would turn into
 * EINTR. The real number is in the `mov $nr,%eax` in front of the syscall instruction. */
static uint64_t real_syscall(const struct user_regs_struct *r, struct mem *mem) {
    uint8_t code[7]; /* b8 imm32 0f 05 */
    uint32_t nr;
    if (r->orig_rax != SYS_restart_syscall) return r->orig_rax;
    if (mem->read(mem, r->rip - sizeof(code), code, sizeof(code)) || code[0] != 0xb8 || code[5] != 0x0f || code[6] != 0x05)
        return r->orig_rax;
    memcpy(&nr, code + 1, sizeof(nr));
    return call_is(nr, NR_TIMED) ? nr : r->orig_rax;
}

/* The registers as user code would find them had the kernel already restarted the call: rt_sigreturn
 * clears orig_rax and the restart block. */
static void restart_in_user(struct user_regs_struct *r) {
    int64_t rax = (int64_t)r->rax;
    if ((int64_t)r->orig_rax < 0) return;
    if (rax == -KERNEL_ERESTARTSYS || rax == -KERNEL_ERESTARTNOINTR || rax == -KERNEL_ERESTARTNOHAND ||
        rax == -KERNEL_ERESTART_RESTARTBLOCK) {
        r->rip -= 2;
        r->rax = r->orig_rax;
    }
    r->orig_rax = (uint64_t)-1;
}

static size_t xstate_size(uint64_t features) {
    size_t size = XSTATE_LEGACY;
    for (unsigned i = 2; i < 63; i++) {
        unsigned len, offset, flags, unused;
        if (!(features >> i & 1)) continue;
        __cpuid_count(13, i, len, offset, flags, unused);
        if (!(flags & 1) && len && (size_t)len + offset > size) size = (size_t)len + offset; /* flag: supervisor state */
    }
    return size;
}

static uint64_t user_features(void) {
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

int arch_frame_build(struct arch_frame *f, const struct arch_context *c, const struct arch_gadgets *g, struct mem *mem) {
    if (c->xstate_len < XSTATE_LEGACY) return -EOVERFLOW;
    struct user_regs_struct r = c->regs.gp;
    r.orig_rax = real_syscall(&r, mem);
    restart_in_user(&r);

    uint64_t in_use;
    memcpy(&in_use, c->xstate + XSTATE_BV_OFFSET, sizeof(in_use));
    uint64_t features = (user_features() & ~XFEATURES_AMX) | in_use;
    size_t size = xstate_size(features);
    if (size > c->xstate_len) return -EOVERFLOW;

    uint64_t fp = (r.rsp - RED_ZONE - size - sizeof(uint32_t)) & ~63ull;
    f->context = (fp - sizeof(struct ucontext_64) - SIGINFO_SIZE) & ~15ull;
    f->slot = f->context - 8;
    f->len = (size_t)(fp + size + sizeof(uint32_t) - f->slot);
    if (f->len > sizeof(f->bytes) || r.rsp < f->len + 2 * RED_ZONE) return -EOVERFLOW;
    memset(f->bytes, 0, f->len);
    memcpy(f->bytes, &g->sigreturn, sizeof(g->sigreturn));

    struct ucontext_64 uc = {
        .flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
        .stack_flags = NO_SUCH_STACK_MODE,
        .sigmask = c->sigmask,
        .mc = {.r8 = r.r8,
               .r9 = r.r9,
               .r10 = r.r10,
               .r11 = r.r11,
               .r12 = r.r12,
               .r13 = r.r13,
               .r14 = r.r14,
               .r15 = r.r15,
               .di = r.rdi,
               .si = r.rsi,
               .bp = r.rbp,
               .bx = r.rbx,
               .dx = r.rdx,
               .ax = r.rax,
               .cx = r.rcx,
               .sp = r.rsp,
               .ip = r.rip,
               .flags = r.eflags,
               .cs = (uint16_t)r.cs,
               .ss = (uint16_t)r.ss,
               .fpstate = fp},
    };
    memcpy(f->bytes + (f->context - f->slot), &uc, sizeof(uc));

    uint8_t *image = f->bytes + (fp - f->slot);
    const struct fpx_sw sw = {.magic1 = FP_MAGIC1, /* a wrong one does not fault: it silently zeroes the vector registers */
                              .extended_size = (uint32_t)(size + sizeof(uint32_t)),
                              .xfeatures = features,
                              .xstate_size = (uint32_t)size};
    const uint32_t magic2 = FP_MAGIC2;
    memcpy(image, c->xstate, size);
    memcpy(image + FP_SW_OFFSET, &sw, sizeof(sw));
    memset(image + XSTATE_BV_OFFSET + 8, 0, XSTATE_LEGACY - XSTATE_BV_OFFSET - 8); /* rest of the XSAVE header */
    memcpy(image + size, &magic2, sizeof(magic2));
    return 0;
}

/* -- entering -- */
void arch_enter_syscall(struct arch_regs *r, const struct arch_context *c, const struct arch_frame *f,
                        const struct arch_gadgets *g, long nr, const uint64_t arg[6]) {
    *r = c->regs;
    r->gp.rax = (uint64_t)nr;
    r->gp.rdi = arg[0];
    r->gp.rsi = arg[1];
    r->gp.rdx = arg[2];
    r->gp.r10 = arg[3];
    r->gp.r8 = arg[4];
    r->gp.r9 = arg[5];
    r->gp.rip = g->syscall_ret;
    r->gp.rsp = f->slot;
    r->gp.orig_rax = (uint64_t)-1;
    r->gp.eflags &= ~(EFLAGS_TF | EFLAGS_DF);
}

void arch_enter_blob(struct arch_regs *r, const struct arch_context *c, const struct arch_frame *f, uint64_t entry, uint64_t arg,
                     uint64_t stack) {
    *r = c->regs;
    r->gp.rip = entry;
    r->gp.rdi = arg;
    r->gp.rbx = f->context;
    r->gp.rbp = 0;
    r->gp.rsp = stack & ~15ull;
    r->gp.orig_rax = (uint64_t)-1;
    r->gp.eflags &= ~(EFLAGS_TF | EFLAGS_DF);
}

void arch_defuse_syscall(struct arch_regs *r) {
    r->gp.orig_rax = SYS_munmap; /* of nothing: -EINVAL */
    r->gp.rdi = 0;
    r->gp.rsi = 0;
}

/* -- unwinding -- */
const int arch_unwind_saved[ARCH_SAVED_REGS] = {UNW_X86_64_RBX, UNW_X86_64_RBP, UNW_X86_64_R12,
                                                UNW_X86_64_R13, UNW_X86_64_R14, UNW_X86_64_R15};
const int arch_unwind_ip = UNW_X86_64_RIP, arch_unwind_sp = UNW_X86_64_RSP;

static int unwind_offset(int unwind_reg) {
    static const uint16_t offset[] = {
        [UNW_X86_64_RAX] = offsetof(struct user_regs_struct, rax), [UNW_X86_64_RDX] = offsetof(struct user_regs_struct, rdx),
        [UNW_X86_64_RCX] = offsetof(struct user_regs_struct, rcx), [UNW_X86_64_RBX] = offsetof(struct user_regs_struct, rbx),
        [UNW_X86_64_RSI] = offsetof(struct user_regs_struct, rsi), [UNW_X86_64_RDI] = offsetof(struct user_regs_struct, rdi),
        [UNW_X86_64_RBP] = offsetof(struct user_regs_struct, rbp), [UNW_X86_64_RSP] = offsetof(struct user_regs_struct, rsp),
        [UNW_X86_64_R8] = offsetof(struct user_regs_struct, r8),   [UNW_X86_64_R9] = offsetof(struct user_regs_struct, r9),
        [UNW_X86_64_R10] = offsetof(struct user_regs_struct, r10), [UNW_X86_64_R11] = offsetof(struct user_regs_struct, r11),
        [UNW_X86_64_R12] = offsetof(struct user_regs_struct, r12), [UNW_X86_64_R13] = offsetof(struct user_regs_struct, r13),
        [UNW_X86_64_R14] = offsetof(struct user_regs_struct, r14), [UNW_X86_64_R15] = offsetof(struct user_regs_struct, r15),
        [UNW_X86_64_RIP] = offsetof(struct user_regs_struct, rip),
    };
    return unwind_reg < 0 || (size_t)unwind_reg >= VT_ARRAY_LEN(offset) ? -EINVAL : offset[unwind_reg];
}

int arch_unwind_reg(const struct arch_regs *r, int unwind_reg, uint64_t *value) {
    int offset = unwind_offset(unwind_reg);
    if (offset < 0) return offset;
    memcpy(value, (const char *)&r->gp + offset, sizeof(*value));
    return 0;
}

int arch_unwind_set(struct arch_regs *r, int unwind_reg, uint64_t value) {
    int offset = unwind_offset(unwind_reg);
    if (offset < 0) return offset;
    memcpy((char *)&r->gp + offset, &value, sizeof(value));
    return 0;
}
