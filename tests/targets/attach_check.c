/* Checkers that run outside the GIL, called from attach_kinds.py by ctypes: a thread that keeps patterns in every
 * register, in the flags and in its red zone, and threads that measure their own waits. Anything that is not
 * as it should be counts in slot BAD, with bits or an errno in DETAIL.
 * Built by the tests: cc -O2 -fPIC -shared -march=native. x86-64. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum { COUNT = 0, BAD = 1, DETAIL = 3, EINTRS = 4, SIGNALS = 5, SIGNAL_SUM = 6 };

#if defined(__AVX512F__)
#define VECTORS 32
#define VREG "zmm"
#define VMOV "vmovdqu64"
#elif defined(__AVX__)
#define VECTORS 16
#define VREG "ymm"
#define VMOV "vmovdqu"
#else
#define VECTORS 16
#define VREG "xmm"
#define VMOV "movdqu"
#endif

/* Offsets are spelled in the assembly below. */
struct block {
    uint8_t vec_in[32 * 64];      /* 0 */
    uint8_t vec_out[32 * 64];     /* 2048 */
    uint64_t reg_in[13];          /* 4096 */
    uint64_t reg_out[13];         /* 4200 */
    uint64_t flags_or_zone;       /* 4304: set when the carry flag or the red zone was lost */
    double x87_in, x87_out;       /* 4312, 4320 */
    uint32_t mxcsr_in, mxcsr_out; /* 4328, 4332 */
};
_Static_assert(sizeof(struct block) == 4336, "block");

void check_spin(struct block *b, long n);
#define EACH_REG(X)                                                                                                              \
    X("rbx", 0)                                                                                                                  \
    X("rcx", 1)                                                                                                                  \
    X("rsi", 2)                                                                                                                  \
    X("rdi", 3) X("rbp", 4) X("r8", 5) X("r9", 6) X("r10", 7) X("r11", 8) X("r12", 9) X("r13", 10) X("r14", 11) X("r15", 12)
#define LOAD_REG(r, i) "mov 4096+8*" #i "(%rax), %" r "\n"
#define SAVE_REG(r, i) "mov %" r ", 4200+8*" #i "(%rax)\n"
#define LOAD_VEC(i) VMOV " 64*" #i "(%rax), %" VREG #i "\n"
#define SAVE_VEC(i) VMOV " %" VREG #i ", 2048+64*" #i "(%rax)\n"
#define LOW_VECS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#if VECTORS == 32
#define EACH_VEC(X) LOW_VECS(X) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31)
#else
#define EACH_VEC(X) LOW_VECS(X)
#endif
#define PUSH(r) "push %" r "\n.cfi_adjust_cfa_offset 8\n.cfi_rel_offset " r ", 0\n"
#define POP(r) "pop %" r "\n.cfi_adjust_cfa_offset -8\n.cfi_restore " r "\n"
__asm__(
    ".text\n.globl check_spin\n.type check_spin, @function\n"
    "check_spin:\n.cfi_startproc\n" PUSH("rbp") PUSH("rbx") PUSH("r12") PUSH("r13") PUSH("r14")
        PUSH("r15") "mov %rdi, %rax\n mov %rsi, %rdx\n ldmxcsr 4328(%rax)\n" EACH_VEC(LOAD_VEC) "fldl 4312(%rax)\n" EACH_REG(
            LOAD_REG) "movq %rbx, -8(%rsp)\n movq %rcx, -64(%rsp)\n movq %rsi, -120(%rsp)\n movq %rdi, -128(%rsp)\n stc\n"
                      "1: dec %rdx\n jnz 1b\n"
                      "jnc 8f\n cmpq %rbx, -8(%rsp)\n jne 8f\n cmpq %rcx, -64(%rsp)\n jne 8f\n cmpq %rsi, -120(%rsp)\n jne 8f\n"
                      "cmpq %rdi, -128(%rsp)\n jne 8f\n jmp 9f\n 8: movq $1, 4304(%rax)\n 9:\n" EACH_REG(
                          SAVE_REG) "fstpl 4320(%rax)\n stmxcsr 4332(%rax)\n" EACH_VEC(SAVE_VEC) POP("r15") POP("r14") POP("r13")
                          POP("r12") POP("rbx") POP("rbp") "ret\n.cfi_endproc\n.size check_spin, .-check_spin\n");

static void count(volatile uint64_t *slots, uint64_t detail) {
    if (detail) {
        slots[BAD]++;
        slots[DETAIL] |= detail;
    }
    slots[COUNT]++;
}

static uint64_t random_word(void) {
    static __thread uint64_t x = 0x9e3779b97f4a7c15ull;
    x ^= x << 13;
    x ^= x >> 7;
    return x ^= x << 17;
}

long check_registers(volatile uint64_t *slots, long n) {
    static __thread struct block b;
    stack_t stack_before;
    sigset_t mask_before;
    uint32_t mxcsr_before;
    __asm__("stmxcsr %0" : "=m"(mxcsr_before));
    sigaltstack(NULL, &stack_before);
    syscall(SYS_rt_sigprocmask, 0, NULL, &mask_before, 8);
    for (;;) {
        for (size_t i = 0; i < sizeof(b.vec_in); i += 8) {
            uint64_t w = random_word();
            memcpy(b.vec_in + i, &w, 8);
        }
        for (int i = 0; i < 13; i++) b.reg_in[i] = random_word();
        b.x87_in = 1.0 / 3 + (double)slots[COUNT];
        b.mxcsr_in = 0x1f80u | (uint32_t)(slots[COUNT] & 3) << 13;
        b.flags_or_zone = 0;
        check_spin(&b, n);
        __asm__ volatile("ldmxcsr %0" ::"m"(mxcsr_before));
        stack_t stack;
        sigset_t mask;
        sigaltstack(NULL, &stack);
        syscall(SYS_rt_sigprocmask, 0, NULL, &mask, 8);
        uint64_t bad = 0;
        size_t vec = VREG[0] == 'z' ? 64 : VREG[0] == 'y' ? 32 : 16;
        for (int i = 0; i < VECTORS; i++) bad |= memcmp(b.vec_in + 64 * i, b.vec_out + 64 * i, vec) ? 1 : 0;
        if (memcmp(b.reg_in, b.reg_out, sizeof(b.reg_in))) bad |= 2;
        if (memcmp(&b.x87_in, &b.x87_out, 8)) bad |= 4;
        if ((b.mxcsr_in & 0xffc0) != (b.mxcsr_out & 0xffc0)) bad |= 8;
        if (b.flags_or_zone) bad |= 16;
        if (stack.ss_sp != stack_before.ss_sp || stack.ss_size != stack_before.ss_size || stack.ss_flags != stack_before.ss_flags)
            bad |= 32;
        if (memcmp(&mask, &mask_before, 8)) bad |= 64;
        count(slots, bad);
    }
}

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int wait_once(int kind, long ms) {
    static int word, epoll_fd = -1;
    static int pipe_fds[2] = {-1, -1};
    struct timespec ts = {ms / 1000, ms % 1000 * 1000000}, left;
    struct epoll_event event;
    if (pipe_fds[0] < 0 && pipe(pipe_fds)) return errno;
    if (epoll_fd < 0) epoll_fd = epoll_create1(0);
    struct pollfd p = {pipe_fds[0], POLLIN, 0};
    switch (kind) {
    case 0: return clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &left);
    case 1: return poll(&p, 1, (int)ms) < 0 ? errno : 0;
    case 2: return syscall(SYS_futex, &word, 0, 0, &ts, 0, 0) && errno != ETIMEDOUT ? errno : 0;
    default: return epoll_wait(epoll_fd, &event, 1, (int)ms) < 0 ? errno : 0;
    }
}

/* Waits of ms again and again: none may end early. kind: 0 nanosleep, 1 poll, 2 futex, 3 epoll_wait */
long check_waits(volatile uint64_t *slots, long kind, long ms) {
    for (;;) {
        double begin = now_ms();
        int rc = wait_once((int)kind, ms);
        double took = now_ms() - begin;
        if (rc == EINTR) slots[EINTRS]++;
        count(slots, rc && rc != EINTR ? (uint64_t)rc : !rc && took < (double)ms - 0.5 ? 1000 : 0);
    }
}

static volatile uint64_t *signal_slots;
static void on_signal(int sig, siginfo_t *info, void *context) {
    (void)sig, (void)context;
    signal_slots[SIGNALS]++;
    signal_slots[SIGNAL_SUM] += (uint64_t)info->si_value.sival_int;
}

/* Registers, while queued real-time signals arrive, each of which has to be seen once. */
long check_signals(volatile uint64_t *slots, long n) {
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    signal_slots = slots;
    sigaction(SIGRTMIN + 1, &sa, NULL);
    return check_registers(slots, n);
}

/* A fiber with a small stack in the middle of memory that belongs to somebody else. */
#define FIBER_STACK 1024u
static struct {
    uint8_t below[16384];
    uint8_t stack[FIBER_STACK];
} fiber_memory __attribute__((aligned(64)));
static volatile uint64_t *fiber_slots;

static void fiber(void) {
    for (;;) {
        struct timespec ts = {0, 3000000};
        uint64_t bad = 0;
        syscall(SYS_nanosleep, &ts, NULL);
        for (size_t i = 0; i < sizeof(fiber_memory.below); i++) bad |= fiber_memory.below[i] != 0x5c ? 128 : 0;
        count(fiber_slots, bad);
    }
}

long check_fiber(volatile uint64_t *slots) {
    static ucontext_t here, there;
    fiber_slots = slots;
    memset(fiber_memory.below, 0x5c, sizeof(fiber_memory.below));
    getcontext(&there);
    there.uc_stack.ss_sp = fiber_memory.stack;
    there.uc_stack.ss_size = sizeof(fiber_memory.stack);
    makecontext(&there, fiber, 0);
    return swapcontext(&here, &there);
}
