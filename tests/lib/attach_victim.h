/* A victim of the ladder (tests/targets/attach_kinds.py), and an injector in a process of its own that may be killed. */
#ifndef VT_TESTS_ATTACH_VICTIM_H
#define VT_TESTS_ATTACH_VICTIM_H

#include "attach/attach.h"
#include "tests/lib/interp.h"
#include "tests/lib/target.h"

struct victim_kind {
    const char *name;
    bool checker;    /* needs the C checker: not in a chroot */
    bool progresses; /* slot 0 grows by itself */
    bool echoes;     /* answers a byte */
};
extern const struct victim_kind victim_kinds[];
extern const unsigned victim_nkinds;

#define VICTIM_THREADS 16
struct thread_state {
    pid_t tid;
    char sigblk[20], name[32];
};

/* All that a guest must not change and that can be seen from outside. */
struct victim_state {
    struct thread_state threads[VICTIM_THREADS];
    int nthreads;
    char fds[4096];     /* number -> link, one a line, without what is always in motion */
    char maps[65536];   /* lines of files and of unnamed memory, without our agent */
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

/* Builds the test agent and the checker, once; NULL or what went wrong. */
const char *victim_tools(void);
/* The real agent from now on, if it is built; or the test agent. */
void victim_use_real_agent(bool real);
int victim_start(struct victim *v, const struct interp *ip, const struct victim_kind *kind);
void victim_stop(struct victim *v);
/* Attaches from a child process with these variables ("NAME=value", NULL-terminated) set in it. log_fd >= 0: its stderr. */
void victim_inject(struct victim *v, const char *const *env, int log_fd, struct injection *out);
/* As it was, and running on? NULL or what is wrong. Waits for what ends by itself (a bootstrap thread). */
const char *victim_check(struct victim *v);
void victim_state_take(const struct victim *v, struct victim_state *s);
/* Descriptors and mappings too: NULL or the first difference. */
const char *victim_compare(const struct victim_state *before, const struct victim_state *after);

#endif
