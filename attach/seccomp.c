/* Owns the table of the system calls that an attach makes in the target, and the question what the target's seccomp filters do
 * to them (seccomp.h). While we trace a thread its filters can be suspended, but not those of the thread that it starts; and if
 * we die its filters are active again. So the table holds the calls of both.
 *
 * A call that fails (SECCOMP_RET_ERRNO) is no danger: libc goes another way, or the attach fails and is undone. A call that
 * kills, raises SIGSYS, or goes to a tracer or a supervisor, which may do anything and may never answer, is one.
 *
 * Filters see numbers and arguments. Those of ours that are not known before (addresses, descriptors) are examples. */
#include "attach/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attach/target.h"

#ifndef PTRACE_SECCOMP_GET_FILTER
#define PTRACE_SECCOMP_GET_FILTER 0x420c
#endif
#define FILTERS_MAX 32768 /* in a chain: the kernel allows fewer (MAX_INSNS_PER_PATH) */

/* -- the table -- */
enum { /* C libraries that make the call */
       GLIBC = 1,
       MUSL = 2,
       CLONE3 = 4,   /* glibc 2.34 and later */
       RSEQ = 8,     /* glibc 2.35 and later */
       FSTAT = 16,   /* fstat is a system call of its own, */
       FSTATAT = 32, /* or is made by newfstatat: glibc 2.33 to 2.38 */
       GUARD = 64    /* glibc 2.42 and later */
};
#define ANY_LIBC (~0u)
#define EVERY (SECCOMP_THREAD | SECCOMP_LOAD | SECCOMP_START | SECCOMP_SCRIPT)

#define P 0x7f5a3c001000ull /* some address */
#define FD 5                /* some descriptor */
#define SOME 16384          /* some length */
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
/* CLONE_VM, _FS, _FILES, _SIGHAND, _THREAD, _SYSVSEM, _SETTLS, _PARENT_SETTID, _CHILD_CLEARTID */
#define THREAD_FLAGS 0x3d0f00
#define GUARD_INSTALL 102
#define WIPE_ON_FORK 18

static const struct call {
    const char *name, *what_for;
    int nr;
    unsigned steps, libc;
    uint64_t arg[6];
    bool fallback; /* only made if the row above fails or is not made */
} calls[] = {
#define ROW(call, what_for, steps, libc, ...)                                                                                    \
    { #call, what_for, SYS_##call, steps, libc, {__VA_ARGS__ }, false }
#define ELSE(call, what_for, steps, libc, ...)                                                                                   \
    { #call, what_for, SYS_##call, steps, libc, {__VA_ARGS__ }, true }
    /* the thread that we stop */
    ROW(mmap, "memory for the code that is sent in", SECCOMP_THREAD, ANY_LIBC, 0, SOME, PROT_READ | PROT_WRITE, ANON, ~0ull, 0),
    ROW(mprotect, "the code that is sent in", SECCOMP_THREAD, ANY_LIBC, P, 4096, PROT_READ | PROT_EXEC),
    ROW(rt_sigaction, "starting a thread", SECCOMP_THREAD, ANY_LIBC, 33, P, 0, 8),
    ROW(rt_sigprocmask, "starting a thread", SECCOMP_THREAD, ANY_LIBC, SIG_BLOCK, P, P, 8),
    ROW(mmap, "the stack of a thread", SECCOMP_THREAD, ANY_LIBC, 0, 528384, PROT_NONE, ANON | MAP_STACK, ~0ull, 0),
    ROW(mmap, "the stack of a thread", SECCOMP_THREAD, GUARD, 0, 528384, PROT_READ | PROT_WRITE, ANON | MAP_STACK, ~0ull, 0),
    ROW(mprotect, "the stack of a thread", SECCOMP_THREAD, ANY_LIBC, P, 524288, PROT_READ | PROT_WRITE),
    ROW(madvise, "the stack of a thread", SECCOMP_THREAD, GUARD, P, 4096, GUARD_INSTALL),
    ROW(clone3, "starting a thread", SECCOMP_THREAD, CLONE3, P, 88),
    ELSE(clone, "starting a thread", SECCOMP_THREAD, ANY_LIBC, THREAD_FLAGS, P, P, P, P),
    ROW(rt_sigreturn, "letting the program go on if viztracer dies", SECCOMP_THREAD, ANY_LIBC, 0),
    /* the new thread */
    ROW(rseq, "starting a thread", SECCOMP_THREAD, RSEQ, P, 32, 0, 0x53053053),
    ROW(set_robust_list, "starting a thread", SECCOMP_THREAD, GLIBC, P, 24),
    ROW(rt_sigprocmask, "starting a thread", SECCOMP_THREAD, ANY_LIBC, SIG_SETMASK, P, 0, 8),
    ROW(mmap, "the memory of malloc", EVERY, ANY_LIBC, 0, 1u << 27, PROT_NONE, ANON | MAP_NORESERVE, ~0ull, 0),
    /* Python 3.14 and later asks libc for the limits of the stack; malloc asks in the ninth thread that allocates */
    ROW(sched_getaffinity, "starting a thread", SECCOMP_THREAD, GLIBC, 77, 32, P),
    ROW(brk, "the memory of malloc", EVERY, ANY_LIBC, P),
    ROW(futex, "locks and waiting", EVERY, ANY_LIBC, P, FUTEX_WAIT_PRIVATE, 0, P),
    ROW(futex, "locks and waiting", EVERY, ANY_LIBC, P, FUTEX_WAKE_PRIVATE, 1),
    ROW(futex, "Python's lock", EVERY, ANY_LIBC, P, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 0, 0, 0, ~0u),
    ROW(munmap, "giving memory back", EVERY, ANY_LIBC, P, SOME),
    ROW(madvise, "the end of a thread", SECCOMP_THREAD, GLIBC, P, 503808, MADV_DONTNEED),
    ROW(exit, "the end of a thread", SECCOMP_THREAD, ANY_LIBC, 0),
    /* the dynamic loader */
    ROW(openat, "loading the agent", SECCOMP_LOAD | SECCOMP_SCRIPT, GLIBC, (uint64_t)AT_FDCWD, P, O_RDONLY | O_CLOEXEC),
    ROW(open, "loading the agent", SECCOMP_LOAD | SECCOMP_SCRIPT, MUSL, P, O_RDONLY | O_CLOEXEC),
    ROW(read, "loading the agent", SECCOMP_LOAD | SECCOMP_SCRIPT, ANY_LIBC, FD, P, 832),
    ROW(fstat, "loading the agent", SECCOMP_LOAD | SECCOMP_SCRIPT, FSTAT, FD, P),
    ROW(newfstatat, "loading the agent", SECCOMP_LOAD | SECCOMP_SCRIPT, FSTATAT, FD, P, P, AT_EMPTY_PATH),
    ROW(mmap, "loading the agent", SECCOMP_LOAD, ANY_LIBC, 0, SOME, PROT_READ, MAP_PRIVATE | MAP_DENYWRITE, FD, 0),
    ROW(mmap, "the code of the agent", SECCOMP_LOAD, ANY_LIBC, P, SOME, PROT_READ | PROT_EXEC,
        MAP_PRIVATE | MAP_FIXED | MAP_DENYWRITE, FD, 4096),
    ROW(mmap, "the data of the agent", SECCOMP_LOAD, ANY_LIBC, P, SOME, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_FIXED | MAP_DENYWRITE, FD, 4096),
    ROW(mmap, "the data of the agent", SECCOMP_LOAD, ANY_LIBC, P, SOME, PROT_READ | PROT_WRITE, ANON | MAP_FIXED, ~0ull, 0),
    ROW(mprotect, "the data of the agent", SECCOMP_LOAD, ANY_LIBC, P, SOME, PROT_READ),
    ROW(close, "loading the agent", SECCOMP_LOAD | SECCOMP_START | SECCOMP_SCRIPT, ANY_LIBC, FD),
    /* the agent */
    ROW(rt_sigprocmask, "the agent's thread", SECCOMP_THREAD, ANY_LIBC, SIG_SETMASK, P, 0, 8),
    ROW(openat, "the shared memory", SECCOMP_START, ANY_LIBC, (uint64_t)AT_FDCWD, P, O_RDWR | O_CLOEXEC),
    ROW(mmap, "the shared memory", SECCOMP_START, ANY_LIBC, P, 1u << 25, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, FD, 0),
    ROW(madvise, "the shared memory", SECCOMP_START, ANY_LIBC, P, 1u << 25, MADV_DONTFORK),
    ROW(openat, "finding symbols (/proc/self/auxv)", SECCOMP_START, ANY_LIBC, (uint64_t)AT_FDCWD, P, O_RDONLY | O_CLOEXEC),
    ROW(read, "finding symbols (/proc/self/auxv)", SECCOMP_START, ANY_LIBC, FD, P, 1008),
    ROW(getpid, "knowing forked children", SECCOMP_START, ANY_LIBC, 0),
    ROW(gettid, "naming threads", SECCOMP_START, ANY_LIBC, 0),
    ROW(mmap, "the agent's memory", SECCOMP_START, ANY_LIBC, 0, SOME, PROT_READ | PROT_WRITE, ANON, ~0ull, 0),
    ROW(mmap, "the agent's memory", SECCOMP_START, ANY_LIBC, 0, 100667392, PROT_READ | PROT_WRITE, ANON | MAP_NORESERVE, ~0ull,
        0),
    ROW(madvise, "the agent's memory", SECCOMP_START, ANY_LIBC, P, 100667392, WIPE_ON_FORK),
    /* Python, for our script */
    ROW(lseek, "reading the script", SECCOMP_SCRIPT, ANY_LIBC, FD, 0, SEEK_CUR),
    ROW(openat, "telling how the script went", SECCOMP_SCRIPT, ANY_LIBC, (uint64_t)AT_FDCWD, P, O_WRONLY | O_TRUNC | O_CLOEXEC),
    ROW(write, "telling how the script went", SECCOMP_SCRIPT, ANY_LIBC, FD, P, 60),
};
_Static_assert(VT_ARRAY_LEN(calls) <= VT_ARRAY_LEN(((struct seccomp_answers *)0)->actions), "one answer for each row");

struct seccomp_need seccomp_need_of(const struct image *img, unsigned steps) {
    unsigned libc;
    if (!image_symbol(img, MAP_LIBC, "gnu_get_libc_version")) {
        libc = MUSL | FSTAT;
    } else { /* a symbol tells the version of glibc that brought it */
        bool since_2_33 = image_symbol(img, MAP_LIBC, "fstat64"), since_2_34 = image_symbol(img, MAP_LIBC, "dlopen");
        bool since_2_35 = image_symbol(img, MAP_LD, "__rseq_offset"), since_2_39 = image_symbol(img, MAP_LIBC, "pidfd_spawn");
        bool since_2_42 = image_symbol(img, MAP_LIBC, "pthread_gettid_np");
        libc = GLIBC | (since_2_33 && !since_2_39 ? FSTATAT : FSTAT);
        libc |= (since_2_34 ? CLONE3 : 0) | (since_2_35 ? RSEQ : 0) | (since_2_42 ? GUARD : 0);
    }
    return (struct seccomp_need){steps, libc, image_find_code(img, arch_syscall_ret_patterns)};
}

/* -- the question -- */
void seccomp_begin(struct seccomp_answers *a) {
    for (size_t i = 0; i < VT_ARRAY_LEN(a->actions); i++) a->actions[i] = SECCOMP_RET_ALLOW;
}

static bool is_made(const struct seccomp_need *need, size_t row) {
    return calls[row].steps & need->steps && calls[row].libc & need->libc;
}

int seccomp_ask(struct seccomp_answers *a, const struct seccomp_need *need, const struct sock_filter *code, size_t len) {
    if (bpf_check(code, len)) return -EINVAL;
    for (size_t i = 0; i < VT_ARRAY_LEN(calls); i++) {
        struct seccomp_data data = {.nr = calls[i].nr, .arch = arch_audit, .instruction_pointer = need->ip};
        if (!is_made(need, i)) continue;
        memcpy(data.args, calls[i].arg, sizeof(data.args));
        a->actions[i] = bpf_stricter(a->actions[i], bpf_run(code, len, &data));
    }
    return 0;
}

/* What a filter does with a call; NULL: nothing dangerous. */
static const char *danger(uint32_t action) {
    switch (action & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
    case SECCOMP_RET_ERRNO: return NULL;
    case SECCOMP_RET_TRAP: return "its seccomp filter would send it SIGSYS for";
    case SECCOMP_RET_TRACE: return "its seccomp filter leaves to a tracer what happens at";
    case SECCOMP_RET_USER_NOTIF: return "its seccomp filter leaves to a supervisor what happens at";
    default: return "its seccomp filter would kill it for"; /* unknown actions kill, too */
    }
}

int seccomp_verdict(const struct seccomp_answers *a, const struct seccomp_need *need, char *why, size_t size) {
    for (size_t i = 0; i < VT_ARRAY_LEN(calls); i++) {
        bool instead = calls[i].fallback && is_made(need, i - 1);
        if (!is_made(need, i) || !danger(a->actions[i])) continue;
        if (instead && (a->actions[i - 1] & SECCOMP_RET_ACTION_FULL) != SECCOMP_RET_ERRNO) continue;
        snprintf(why, size, "%s %s, which an attach needs for %s: allow that call, or start the program with viztracer",
                 danger(a->actions[i]), calls[i].name, calls[i].what_for);
        return -EKEYREJECTED;
    }
    return 0;
}

/* The oldest filter is number 0, so one that comes meanwhile changes no number. */
static long read_filter(pid_t tid, uint64_t number, struct sock_filter *code) {
    long len = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, number, NULL);
    if (len < 0) return -errno;
    if (!len || len > (long)BPF_FILTER_MAX) return -EINVAL;
    long again = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, number, code);
    return again < 0 ? -errno : again == len ? len : -EINVAL;
}

uint32_t seccomp_most_unread(bool force) { return force ? UINT32_MAX : target_thread_filters(getpid(), getpid()); }

int seccomp_unread(uint32_t count, uint32_t most, int cause, char *why, size_t size) {
    if (count <= most) {
        snprintf(why, size, "its seccomp filters cannot be read (%s): it is not known what they do", strerror(-cause));
        return 0;
    }
    snprintf(why, size,
             "its seccomp filters cannot be read (%s) and may kill it for what an attach needs: attach as root, or --force if "
             "they kill for nothing",
             strerror(-cause));
    return -EKEYREJECTED;
}

int seccomp_check(pid_t tid, uint32_t count, uint32_t most_unread, const struct seccomp_need *need, char *why, size_t size) {
    struct seccomp_answers answers;
    struct sock_filter *code = malloc(BPF_FILTER_MAX * sizeof(*code));
    if (!code) return -ENOMEM;
    long len = 0;
    int rc = 0;
    seccomp_begin(&answers);
    for (uint64_t i = 0; !rc && i < FILTERS_MAX; i++) {
        len = read_filter(tid, i, code);
        if (len < 0 && (len == -ENOENT || !count)) break; /* that were all */
        if (len < 0) {
            rc = len == -ESRCH ? -ESRCH : seccomp_unread(count, most_unread, (int)len, why, size);
            break;
        }
        if (seccomp_ask(&answers, need, code, (size_t)len)) {
            snprintf(why, size, "one of its seccomp filters is not understood: start the program with viztracer");
            rc = -EKEYREJECTED;
        }
    }
    free(code);
    int verdict = seccomp_verdict(&answers, need, why, size); /* also when not all could be read */
    return verdict ? verdict : rc;
}
