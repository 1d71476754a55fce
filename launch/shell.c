/* Owns the functions that stand in front of system(), popen(), pclose() and execl(): inside the C library these call the kernel
 * or its own spawn function, so what exec.c does would not be done. The work is done here as POSIX describes it, by way of
 * exec.c, where programs are followed; else the call is passed on. */
#include <stdarg.h>

#include "agent/cpython/arch.h"
#include "agent/cpython/symbols.h"
#include "launch/launch.h"

enum {
    CHILD_SIGNAL = 17,
    INTERRUPT = 2,
    QUIT = 3,
    BLOCK = 0,             /* SIG_BLOCK */
    SET_MASK = 2,          /* SIG_SETMASK */
    SPAWN_SIGNALS = 4 | 8, /* POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK */
    SET_FD_FLAGS = 2,      /* F_SETFD */
    CLOSE_ON_EXEC = 02000000,
    INTERRUPTED = 4,
    NOT_FOUND = 127 << 8, /* a wait status */
    PIPES = 256,
    LOCK_TRIES = 1000
};
#define IGNORE ((void *)1) /* SIG_IGN */

struct signals { /* sigset_t */
    uint64_t bits[16];
};
struct action { /* struct sigaction of glibc and musl */
    void *handler;
    struct signals mask;
    int32_t flags;
    void *restorer;
};
struct spawn_part { /* has room for posix_spawnattr_t and posix_spawn_file_actions_t of glibc and musl */
    uint64_t words[64];
};

typedef int (*open_function)(void *);
static const char *const needed[] = {"posix_spawnattr_init",
                                     "posix_spawnattr_setflags",
                                     "posix_spawnattr_setsigmask",
                                     "posix_spawnattr_setsigdefault",
                                     "posix_spawnattr_destroy",
                                     "posix_spawn_file_actions_init",
                                     "posix_spawn_file_actions_adddup2",
                                     "posix_spawn_file_actions_addclose",
                                     "posix_spawn_file_actions_destroy",
                                     "sigaction",
                                     "pthread_sigmask",
                                     "waitpid",
                                     "__errno_location",
                                     "pipe2",
                                     "fcntl",
                                     "close",
                                     "fdopen",
                                     "fclose"};
static struct {
    int (*attr_init)(void *);
    int (*attr_setflags)(void *, short);
    int (*attr_setsigmask)(void *, const struct signals *);
    int (*attr_setsigdefault)(void *, const struct signals *);
    int (*attr_destroy)(void *);
    int (*actions_init)(void *);
    int (*actions_adddup2)(void *, int, int);
    int (*actions_addclose)(void *, int);
    int (*actions_destroy)(void *);
    int (*sigaction)(int, const struct action *, struct action *);
    int (*sigmask)(int, const struct signals *, struct signals *);
    int (*waitpid)(int, int *, int);
    int *(*errno_location)(void);
    int (*pipe2)(int *, int);
    int (*fcntl)(int, int, ...);
    int (*close)(int);
    void *(*fdopen)(int, const char *);
    int (*fclose)(void *);
} libc;
_Static_assert(sizeof libc == sizeof needed, "one row in needed for each function");

/* Other threads may do the same at the same time: they find the same. */
static bool follows(void) {
    if (!own.carries || !own.active) return false;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        void **slot = (void **)(void *)((char *)&libc + i * sizeof(void *));
        if (!*slot && !(*slot = symbol_find_next(needed[i]))) return false;
    }
    return true;
}

EXPORT int posix_spawn(int *pid, const char *program, const void *actions, const void *attributes, char *const *arguments,
                       char *const *environment);

static int spawn_shell(int *pid, const char *line, const void *actions, const void *attributes) {
    char *const words[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", (char *)(uintptr_t)line, NULL};
    return posix_spawn(pid, "/bin/sh", actions, attributes, words, exec_environment());
}

/* The status of a child, or -1 and errno. */
static int wait_for(int pid) {
    int status = -1;
    while (libc.waitpid(pid, &status, 0) < 0)
        if (*libc.errno_location() != INTERRUPTED) return -1;
    return status;
}

static void set_errno(int code) {
    if (code) *libc.errno_location() = code;
}

/* ---- system ---- */

static uint32_t ignoring_lock;
static unsigned ignoring; /* calls of system that are running */
static struct action had_interrupt, had_quit;

/* False: another thread has the lock for long; in a forked child that is one that is not here. */
static bool lock(void) {
    uint32_t free = 0;
    for (int i = 0; i < LOCK_TRIES; i++, free = 0) {
        if (__atomic_compare_exchange_n(&ignoring_lock, &free, 1u, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return true;
        arch_syscall3(SYS_SCHED_YIELD, 0, 0, 0);
    }
    return false;
}
static void unlock(void) { __atomic_store_n(&ignoring_lock, 0u, __ATOMIC_RELEASE); }

/* While commands run, the terminal's signals are theirs alone. */
static bool ignore_signals(void) {
    const struct action ignore = {.handler = IGNORE};
    if (!lock()) return false;
    if (!ignoring++) {
        libc.sigaction(INTERRUPT, &ignore, &had_interrupt);
        libc.sigaction(QUIT, &ignore, &had_quit);
    }
    unlock();
    return true;
}

static void take_signals_again(void) {
    while (!lock()) continue; /* whoever has it is about to give it back; without it the signals would stay ignored */
    if (!--ignoring) {
        libc.sigaction(INTERRUPT, &had_interrupt, NULL);
        libc.sigaction(QUIT, &had_quit, NULL);
    }
    unlock();
}

EXPORT int system(const char *line);
int system(const char *line) {
    int (*next)(const char *) = symbol_find_next("system");
    /* newer C libraries put a -- before such a line */
    if (!line || line[0] == '-' || line[0] == '+' || !follows() || !ignore_signals()) return next ? next(line) : exec_fail(2);
    struct signals child = {{1u << (CHILD_SIGNAL - 1)}}, had, defaults = {{0}};
    struct spawn_part attributes;
    int pid = 0;
    libc.sigmask(BLOCK, &child, &had);
    if (had_interrupt.handler != IGNORE) defaults.bits[0] |= 1u << (INTERRUPT - 1);
    if (had_quit.handler != IGNORE) defaults.bits[0] |= 1u << (QUIT - 1);
    libc.attr_init(&attributes);
    libc.attr_setflags(&attributes, SPAWN_SIGNALS);
    libc.attr_setsigmask(&attributes, &had);
    libc.attr_setsigdefault(&attributes, &defaults);
    int why = spawn_shell(&pid, line, NULL, &attributes), status = why ? NOT_FOUND : wait_for(pid);
    int saved = status < 0 ? *libc.errno_location() : why;
    libc.attr_destroy(&attributes);
    take_signals_again();
    libc.sigmask(SET_MASK, &had, NULL);
    set_errno(saved);
    return status;
}

/* ---- popen ---- */

static struct {
    void *stream; /* NULL = free, TAKEN = being filled */
    int pid, fd;
} pipes[PIPES];
#define TAKEN ((void *)1)

static int take_place(void) {
    for (int i = 0; i < PIPES; i++) {
        void *free = NULL;
        if (__atomic_compare_exchange_n(&pipes[i].stream, &free, TAKEN, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return i;
    }
    return -1;
}

static void give_place(int at, void *stream) { __atomic_store_n(&pipes[at].stream, stream, __ATOMIC_RELEASE); }

/* A stream that was closed by fclose has left its place behind: a new one may have the same address. */
static int find_place(const void *stream) {
    for (int i = 0; i < PIPES; i++)
        if (__atomic_load_n(&pipes[i].stream, __ATOMIC_ACQUIRE) == stream) return i;
    return -1;
}

/* "r" or "w", with an "e" before or behind it. */
static bool is_mode(const char *mode, bool *reads, bool *closes) {
    size_t reading = 0, writing = 0, closing = 0, n = 0;
    for (; mode && mode[n]; n++) {
        reading += mode[n] == 'r';
        writing += mode[n] == 'w';
        closing += mode[n] == 'e';
    }
    *reads = reading;
    *closes = closing;
    return reading + writing == 1 && closing <= 1 && n == 1 + closing;
}

/* POSIX: streams of earlier calls are closed in the child. */
static void close_others(void *actions) {
    for (int i = 0; i < PIPES; i++) {
        void *stream = __atomic_load_n(&pipes[i].stream, __ATOMIC_ACQUIRE);
        if (stream && stream != TAKEN) libc.actions_addclose(actions, pipes[i].fd);
    }
}

/* These descriptors are new: a place that has one is of a stream that fclose has closed. */
static void forget_closed(const int ends[2]) {
    for (int i = 0; i < PIPES; i++) {
        void *stream = __atomic_load_n(&pipes[i].stream, __ATOMIC_ACQUIRE);
        if (stream && stream != TAKEN && (pipes[i].fd == ends[0] || pipes[i].fd == ends[1])) give_place(i, NULL);
    }
}

static void *open_pipe(int at, const char *line, bool reads, bool closes) {
    struct spawn_part actions;
    int ends[2], pid = 0;
    if (libc.pipe2(ends, CLOSE_ON_EXEC)) return NULL;
    int mine = ends[!reads], theirs = ends[reads];
    forget_closed(ends);
    libc.actions_init(&actions);
    close_others(&actions);
    libc.actions_adddup2(&actions, theirs, reads);
    void *stream = libc.fdopen(mine, reads ? "r" : "w");
    int why = stream ? spawn_shell(&pid, line, &actions, NULL) : *libc.errno_location();
    libc.actions_destroy(&actions);
    libc.close(theirs);
    if (why) {
        if (stream)
            libc.fclose(stream);
        else
            libc.close(mine);
        set_errno(why);
        return NULL;
    }
    if (!closes) libc.fcntl(mine, SET_FD_FLAGS, 0);
    pipes[at].pid = pid;
    pipes[at].fd = mine;
    return stream;
}

EXPORT void *popen(const char *line, const char *mode);
EXPORT int pclose(void *stream);

void *popen(const char *line, const char *mode) {
    void *(*next)(const char *, const char *) = symbol_find_next("popen");
    bool reads, closes;
    int at = is_mode(mode, &reads, &closes) && line && line[0] != '-' && line[0] != '+' && follows() ? take_place() : -1;
    if (at < 0) return next ? next(line, mode) : NULL;
    void *stream = open_pipe(at, line, reads, closes);
    int left_behind = stream ? find_place(stream) : -1;
    if (left_behind >= 0) give_place(left_behind, NULL);
    give_place(at, stream);
    return stream;
}

int pclose(void *stream) {
    int (*next)(void *) = symbol_find_next("pclose");
    int at = stream ? find_place(stream) : -1;
    if (at < 0) return next ? next(stream) : exec_fail(10 /* ECHILD */);
    int pid = pipes[at].pid;
    give_place(at, NULL);
    libc.fclose(stream);
    return wait_for(pid);
}

/* ---- execl ---- */

EXPORT int execl(const char *program, const char *first, ...);
EXPORT int execlp(const char *name, const char *first, ...);
EXPORT int execle(const char *program, const char *first, ...);
EXPORT int execv(const char *program, char *const *arguments);
EXPORT int execvp(const char *name, char *const *arguments);
EXPORT int execve(const char *program, char *const *arguments, char *const *environment);

/* The arguments of the caller as a list on its stack; `list` stands behind the NULL. */
#define GATHER(first)                                                                                                            \
    va_list list;                                                                                                                \
    size_t n = 1;                                                                                                                \
    va_start(list, first);                                                                                                       \
    if (first)                                                                                                                   \
        while (va_arg(list, char *)) n++;                                                                                        \
    va_end(list);                                                                                                                \
    char *words[n + 1];                                                                                                          \
    words[0] = (char *)(uintptr_t)first;                                                                                         \
    va_start(list, first);                                                                                                       \
    for (size_t i = 1; i <= n; i++) words[i] = first ? va_arg(list, char *) : NULL;

int execl(const char *program, const char *first, ...) {
    GATHER(first)
    va_end(list);
    return execv(program, words);
}

int execlp(const char *name, const char *first, ...) {
    GATHER(first)
    va_end(list);
    return execvp(name, words);
}

int execle(const char *program, const char *first, ...) {
    GATHER(first)
    char *const *environment = va_arg(list, char *const *);
    va_end(list);
    return execve(program, words, environment);
}
