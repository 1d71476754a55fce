/* A victim: a Python program that a test starts and watches from outside. It ends with the test. */
#ifndef VT_TESTS_TARGET_H
#define VT_TESTS_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/lib/interp.h"

#define TARGET_SLOTS 64

struct target {
    pid_t pid;                /* the Python process, as the test sees it */
    pid_t leader;             /* the spawned process: the same, or a wrapper (unshare, launcher); leads a process group */
    int in, out;              /* we write to in, read from out; -1 = closed */
    volatile uint64_t *slots; /* shared with the target: it counts its progress there (tests/targets/progress.py) */
    char text[65536];         /* its output so far (stdout and stderr) */
    size_t text_len;
};

struct target_opts {
    const char *const *wrapper; /* argv prefix, NULL-terminated: {"unshare", "-p", …, NULL} */
    const char *const *env;     /* "NAME=value", NULL-terminated; added to the environment */
    const char *const *flags;   /* options of the interpreter, before the script */
    const char *comm;           /* process name to look for below a wrapper; default "python" */
    uid_t uid;                  /* != 0: run as this user */
    bool no_ready;              /* do not wait for the line "ready" */
};

/* Starts tests/targets/SCRIPT and waits for its line "ready" (20 s). 0 or -errno; after an error nothing is left running. */
int target_spawn(struct target *t, const struct interp *ip, const char *script, const char *const *args,
                 const struct target_opts *o);
/* Makes a file available to a target: copies it if the target has another root. inside: its path as the target sees it. 0 or
 * -errno. */
int target_copy_in(const struct interp *ip, const char *from, char *inside, size_t size);
/* Starts any command, under the same watch. */
int target_spawn_argv(struct target *t, const char *const *argv, const struct target_opts *o);
/* Kills its process group and forgets it. Safe to call twice. */
void target_kill(struct target *t);
/* Waits for exit: 0 with *status as of waitpid, or -ETIMEDOUT. */
int target_wait(struct target *t, unsigned ms, int *status);

/* Reads output until text appears (searches from the last match on): 0 or -ETIMEDOUT, -EPIPE. */
int target_expect(struct target *t, const char *text, unsigned ms);
int target_send(struct target *t, const char *line);
/* Alive, and slots 0..n-1 all grow: 0, -ESRCH, -ETIMEDOUT. */
int target_progresses(struct target *t, unsigned n, unsigned ms);

/* State of a process that a guest must not change. */
struct census {
    unsigned threads, fds, maps;
    uint64_t rss_kb, anon_kb;                /* resident; the part that is neither shared nor of a file */
    char sigblk[20], sigcgt[20], sigign[20]; /* of /proc/PID/status */
    char state;
    pid_t tracer;
};
int census_take(pid_t pid, struct census *c);
/* Thread ids of pid, ascending; returns how many (bounded by max), or -errno. */
int thread_ids(pid_t pid, pid_t *ids, int max);
/* The process itself or the first one below it whose name starts with comm; or -1. */
pid_t process_below(pid_t pid, const char *comm);
/* True when the path of any mapping contains text. */
bool maps_have(pid_t pid, const char *text);

/* SIGSTOP, and waits until the process stands still: on a loaded machine it may run on for a moment. 0 or -ETIMEDOUT. */
int process_stop(pid_t pid);

void sleep_ms(unsigned ms);
uint64_t now_ms(void);

#endif
