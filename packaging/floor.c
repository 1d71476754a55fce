/* Owns the oldest glibc that a wheel's programs run with: 2.17, although they are linked against a newer one. Each function that
 * a newer glibc added, or gave a new version, is defined here, hidden, and goes to the old version or to the kernel. A reference
 * in a static library finds it, too. packaging/check-glibc.sh names those that are missing. x86-64 only.
 *
 * Before 2.34 the functions of threads were in libpthread.so.0, so the programs name that library. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HIDDEN __attribute__((visibility("hidden")))
/* Declares old_NAME, which is NAME as glibc had it in VERSION. */
#define OLD(result, name, version, parameters)                                                                                   \
    result old_##name parameters;                                                                                                \
    __asm__(".symver old_" #name "," #name "@GLIBC_" version)

/* ---- to the kernel ---- */

HIDDEN int fstatat(int dir, const char *restrict path, struct stat *restrict st, int flags) {
    return (int)syscall(SYS_newfstatat, dir, path, st, flags);
}
HIDDEN int stat(const char *restrict path, struct stat *restrict st) { return fstatat(AT_FDCWD, path, st, 0); }
HIDDEN int lstat(const char *restrict path, struct stat *restrict st) { return fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW); }
HIDDEN int fstat(int fd, struct stat *st) { return (int)syscall(SYS_fstat, fd, st); }
HIDDEN int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}
HIDDEN int close_range(unsigned from, unsigned to, int flags) { return (int)syscall(SYS_close_range, from, to, flags); }
HIDDEN int memfd_create(const char *name, unsigned flags) { return (int)syscall(SYS_memfd_create, name, flags); }
HIDDEN ssize_t getrandom(void *buffer, size_t size, unsigned flags) { return syscall(SYS_getrandom, buffer, size, flags); }
HIDDEN pid_t gettid(void) { return (pid_t)syscall(SYS_gettid); }
/* Not declared by including <sys/pidfd.h>: an older glibc has no such header. */
HIDDEN int pidfd_open(pid_t pid, unsigned flags);
HIDDEN int pidfd_open(pid_t pid, unsigned flags) { return (int)syscall(SYS_pidfd_open, pid, flags); }
HIDDEN int pidfd_send_signal(int pidfd, int number, siginfo_t *info, unsigned flags);
HIDDEN int pidfd_send_signal(int pidfd, int number, siginfo_t *info, unsigned flags) {
    return (int)syscall(SYS_pidfd_send_signal, pidfd, number, info, flags);
}

/* ---- to the old version ---- */

OLD(int, pthread_create, "2.2.5", (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *));
HIDDEN int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes, void *(*start)(void *),
                          void *restrict argument) {
    return old_pthread_create(thread, attributes, start, argument);
}
OLD(int, pthread_join, "2.2.5", (pthread_t, void **));
HIDDEN int pthread_join(pthread_t thread, void **result) { return old_pthread_join(thread, result); }
OLD(int, pthread_sigmask, "2.2.5", (int, const sigset_t *, sigset_t *));
HIDDEN int pthread_sigmask(int how, const sigset_t *set, sigset_t *old) { return old_pthread_sigmask(how, set, old); }
OLD(int, pthread_attr_setstacksize, "2.2.5", (pthread_attr_t *, size_t));
HIDDEN int pthread_attr_setstacksize(pthread_attr_t *attributes, size_t size) {
    return old_pthread_attr_setstacksize(attributes, size);
}
OLD(int, pthread_setname_np, "2.12", (pthread_t, const char *));
HIDDEN int pthread_setname_np(pthread_t thread, const char *name) { return old_pthread_setname_np(thread, name); }
OLD(int, pthread_condattr_setclock, "2.3.3", (pthread_condattr_t *, clockid_t));
HIDDEN int pthread_condattr_setclock(pthread_condattr_t *attributes, clockid_t clock) {
    return old_pthread_condattr_setclock(attributes, clock);
}
OLD(int, glob, "2.2.5", (const char *, int, int (*)(const char *, int), glob_t *));
HIDDEN int glob(const char *restrict pattern, int flags, int (*failed)(const char *, int), glob_t *restrict found) {
    return old_glob(pattern, flags, failed, found);
}

/* ---- written anew ---- */

HIDDEN void *reallocarray(void *memory, size_t n, size_t size) {
    size_t all;
    if (__builtin_mul_overflow(n, size, &all)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(memory, all);
}

HIDDEN const char *sigabbrev_np(int number) {
#define NAME(name) [SIG##name] = #name
    static const char *const names[] = {NAME(HUP),  NAME(INT),    NAME(QUIT), NAME(ILL),  NAME(TRAP),   NAME(ABRT), NAME(BUS),
                                        NAME(FPE),  NAME(KILL),   NAME(USR1), NAME(SEGV), NAME(USR2),   NAME(PIPE), NAME(ALRM),
                                        NAME(TERM), NAME(STKFLT), NAME(CHLD), NAME(CONT), NAME(STOP),   NAME(TSTP), NAME(TTIN),
                                        NAME(TTOU), NAME(URG),    NAME(XCPU), NAME(XFSZ), NAME(VTALRM), NAME(PROF), NAME(WINCH),
                                        NAME(POLL), NAME(PWR),    NAME(SYS)};
    return number > 0 && (size_t)number < sizeof names / sizeof *names ? names[number] : NULL;
}

/* ---- the start of the program ---- */

/* A program that is linked with glibc 2.34 or newer leaves its constructors to __libc_start_main. An older one runs only the
 * function that it is handed. Linked with -Wl,--wrap=__libc_start_main. */
typedef void constructor(int, char **, char **);
typedef void destructor(void);
extern constructor *__preinit_array_start[] HIDDEN, *__preinit_array_end[] HIDDEN, *__init_array_start[] HIDDEN,
    *__init_array_end[] HIDDEN;
extern destructor *__fini_array_start[] HIDDEN, *__fini_array_end[] HIDDEN;
extern void _init(void) HIDDEN;
extern void _fini(void) HIDDEN;

static void run_constructors(int argc, char **argv, char **environment) {
    for (constructor **f = __preinit_array_start; f < __preinit_array_end; f++) (*f)(argc, argv, environment);
    _init();
    for (constructor **f = __init_array_start; f < __init_array_end; f++) (*f)(argc, argv, environment);
}

static void run_destructors(void) {
    for (destructor **f = __fini_array_end; f > __fini_array_start;) (*--f)();
    _fini();
}

typedef int program(int, char **, char **);
OLD(int, __libc_start_main, "2.2.5", (program *, int, char **, constructor *, destructor *, destructor *, void *));
HIDDEN int __wrap___libc_start_main(program *run, int argc, char **argv, constructor *first, destructor *last, destructor *loader,
                                    void *stack_end);
HIDDEN int __wrap___libc_start_main(program *run, int argc, char **argv, constructor *first, destructor *last, destructor *loader,
                                    void *stack_end) {
    (void)first, (void)last;
    return old___libc_start_main(run, argc, argv, run_constructors, run_destructors, loader, stack_end);
}
