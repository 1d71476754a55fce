/* x86-64: the names that arch.h lists. */
#ifndef VT_AGENT_CPU_X86_64_H
#define VT_AGENT_CPU_X86_64_H

#include <stddef.h>
#include <stdint.h>

#include "proto/abi/clock.h"

enum {
    SYS_READ = 0,
    SYS_CLOSE = 3,
    SYS_MMAP = 9,
    SYS_MUNMAP = 11,
    SYS_SIGPROCMASK = 14,
    SYS_IOCTL = 16,
    SYS_FACCESSAT = 269,
    SYS_PREAD = 17,
    SYS_SCHED_YIELD = 24,
    SYS_MADVISE = 28,
    SYS_GETPID = 39,
    SYS_SOCKET = 41,
    SYS_CONNECT = 42,
    SYS_SENDTO = 44,
    SYS_RECVMSG = 47,
    SYS_SETSOCKOPT = 54,
    SYS_PRCTL = 157,
    SYS_GETTID = 186,
    SYS_FUTEX = 202,
    SYS_OPENAT = 257, /* instead of open: C libraries no longer call open, so a seccomp filter may kill for it */
    SYS_PROCESS_VM_READV = 310
};

#ifdef VT_CONSTANT_CLOCK /* for benchmarks that measure what reading the clock costs: such a trace has no times */
static inline uint64_t arch_ticks(void) { return 1; }
#else
static inline uint64_t arch_ticks(void) { return vt_tsc(); }
#endif
static inline void arch_pause(void) { __builtin_ia32_pause(); }

/* pthread_self() of glibc and musl: the word at fs:0 points to itself. */
static inline uint64_t arch_thread_pointer(void) {
    uint64_t self;
    __asm__ volatile("mov %%fs:0, %0" : "=r"(self));
    return self;
}
/* Offsets of `tid` in struct pthread: of glibc, of musl. */
#define ARCH_PTHREAD_TIDS                                                                                                        \
    { 720u, 48u }

static inline int64_t arch_syscall6(int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    int64_t result;
    register uint64_t r10 __asm__("r10") = d;
    register uint64_t r8 __asm__("r8") = e;
    register uint64_t r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
static inline int64_t arch_syscall3(int64_t number, uint64_t a, uint64_t b, uint64_t c) {
    return arch_syscall6(number, a, b, c, 0, 0, 0);
}

/* x86-64 makes stores of one thread visible in program order, so a plain store is enough. */
static inline void arch_publish(uint64_t *where, uint64_t value) { *(volatile uint64_t *)where = value; }

static inline void *arch_copy(void *to, const void *from, size_t n) {
    void *start = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    return start;
}
static inline void *arch_fill(void *to, int byte, size_t n) {
    void *start = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory");
    return start;
}

#endif
