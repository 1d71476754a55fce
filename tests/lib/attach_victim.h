/* A victim of the ladder (tests/targets/attach_kinds.py), and an injector in its own process, which may be killed. */
#ifndef VT_TESTS_ATTACH_VICTIM_H
#define VT_TESTS_ATTACH_VICTIM_H

#include "attach/attach.h"
#include "tests/lib/interp.h"
#include "tests/lib/target.h"

struct victim_kind {
    const char *name;
    bool checker;    /* has the C checker: not in a chroot */
    bool progresses; /* slot 0 grows without input */
    bool echoes;     /* answers each byte */
};
extern const struct victim_kind victim_kinds[];
extern const unsigned victim_nkinds;

#define VICTIM_THREADS 16
struct thread_state {
    pid_t tid;
    char sigblk[20], name[32];
};

/* Everything that a guest must not change and that is visible from outside. */
struct victim_state {
    struct thread_state threads[VICTIM_THREADS];
    int nthreads;
    char fds[4096];     /* "number -> link" lines, without those that always change */
    char maps[65536];   /* lines of files and of anonymous memory, without our agent */
    char handlers[128]; /* SigCgt, SigIgn */
    unsigned long anonymous_kb;
};

struct victim {
    struct target t;
    const struct victim_kind *kind;
    const struct interp *ip;
    struct victim_state before;
};

enum injector_end { INJECTOR_OK, INJECTOR_ERROR, INJECTOR_KILLED, INJECTOR_HANGS };
struct injection {
    enum injector_end end;
    int rc;
    struct attach_result result; /* arena_fd is not valid here */
    struct vt_err err;
};

/* Builds the test agent and the checker, once; NULL or the error. */
const char *victim_tools(void);
/* true: uses the real agent from now on, if it is built; false: the test agent. */
void victim_use_real_agent(bool real);
int victim_start(struct victim *v, const struct interp *ip, const struct victim_kind *kind);
void victim_stop(struct victim *v);
/* Attaches from a child process with these variables ("NAME=value", NULL-terminated) set in it. log_fd >= 0: its stderr. */
void victim_inject(struct victim *v, const char *const *env, int log_fd, struct injection *out);
/* Is the victim as it was, and does it run on? NULL or what is wrong. Waits for things that end by themselves (a bootstrap
 * thread). */
const char *victim_check(struct victim *v);
void victim_state_take(const struct victim *v, struct victim_state *s);
/* Compares descriptors and mappings, too: NULL or the first difference. */
const char *victim_compare(const struct victim_state *before, const struct victim_state *after);

#endif
