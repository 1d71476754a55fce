/* Would the target's seccomp filters kill it for what an attach makes it do? Asked of a stopped thread, before anything changes.
 */
#ifndef VT_ATTACH_SECCOMP_H
#define VT_ATTACH_SECCOMP_H

#include "attach/bpf.h"
#include "attach/image.h"

/* What an attach does inside the target. */
enum seccomp_step {
    SECCOMP_THREAD = 1, /* starts a thread, which works under the GIL and ends */
    SECCOMP_LOAD = 2,   /* loads the agent as a library */
    SECCOMP_START = 4,  /* the agent starts a session */
    SECCOMP_SCRIPT = 8, /* Python runs our script (PEP 768) */
};

/* The system calls to ask about. */
struct seccomp_need {
    unsigned steps, libc; /* libc: properties of the target's C library, private to seccomp.c */
    uint64_t ip;          /* an address from which such calls come */
};
struct seccomp_need seccomp_need_of(const struct image *img, unsigned steps);

/* Asks one filter after the other, the way the kernel does. */
struct seccomp_answers {
    uint32_t actions[64]; /* one for each row of the table */
};
void seccomp_begin(struct seccomp_answers *a);
/* -EINVAL: no filter that the kernel would take. */
VT_MUST_CHECK int seccomp_ask(struct seccomp_answers *a, const struct seccomp_need *need, const struct sock_filter *code,
                              size_t len);
/* 0, or -EKEYREJECTED with `why`: which call, what happens, what it is for, what to do. */
VT_MUST_CHECK int seccomp_verdict(const struct seccomp_answers *a, const struct seccomp_need *need, char *why, size_t size);

/* All filters of a thread that is in a ptrace stop; it has `count`. 0: allowed, or (with a note in `why`) they cannot be read
 * but are not more than `most_unread`; -EKEYREJECTED with `why`: refused. */
VT_MUST_CHECK int seccomp_check(pid_t tid, uint32_t count, uint32_t most_unread, const struct seccomp_need *need, char *why,
                                size_t size);
/* So many filters that cannot be read may a thread have. With `force` any number, else as many as this process has: in a
 * container both are under the same filters, and this process lives. */
uint32_t seccomp_most_unread(bool force);
/* As seccomp_check, for filters that cannot be read because of `cause` (-errno): it takes CAP_SYS_ADMIN. */
VT_MUST_CHECK int seccomp_unread(uint32_t count, uint32_t most_unread, int cause, char *why, size_t size);

#endif
