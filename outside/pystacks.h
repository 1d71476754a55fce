/* The interpreters, threads and frames of a target as they are in its memory. */
#ifndef VT_OUTSIDE_PYSTACKS_H
#define VT_OUTSIDE_PYSTACKS_H

#include "outside/codes.h"
#include "outside/layout.h"
#include "outside/remote.h"

struct raw_frame {
    uint64_t address, code, back, instr;
    bool shim;  /* belongs to no function */
    bool entry; /* 3.11, 3.12: the first frame of a loop of the interpreter */
};

struct raw_thread {
    uint64_t address, interpreter, ident, gil; /* gil: the address of the struct of the GIL that it needs */
    uint32_t native;                           /* id in the target's own namespace; 0 = unknown */
    uint64_t cframe, top;
    struct raw_frame *frames; /* innermost first */
    uint32_t nframes, room;
    uint32_t nsure; /* counted from the outermost */
    bool torn, cut, unread;
    uint64_t round; /* of the list in which it was seen */
};

struct gil_state {
    uint64_t address, holder; /* holder: thread state, 0 = nobody */
};

struct pystacks;

/* Called for a thread that may run Python code meanwhile. held = false: before it is read, to keep it from running, if that can
 * be done. held = true: afterwards; false says that it has run, so that equal readings prove nothing. */
typedef bool hold_fn(void *ctx, const struct raw_thread *t, bool held);

/* Borrows remote and layout. */
VT_MUST_CHECK int pystacks_new(struct pystacks **out, struct remote *remote, const struct py_layout *layout, uint64_t runtime,
                               hold_fn *hold, void *ctx);
void pystacks_free(struct pystacks *s);

/* Reads the list of threads, and who holds each GIL. Threads that were there before keep their place and their frames.
 * -EINVAL: what is there makes no sense; -ESRCH, -EPERM, -EFAULT. */
VT_MUST_CHECK int pystacks_list(struct pystacks *s);
struct raw_thread **pystacks_threads(const struct pystacks *s, size_t *n);
const struct gil_state *pystacks_gils(const struct pystacks *s, size_t *n);
bool pystacks_is_cut(const struct pystacks *s);

/* Reads the stack of one thread. 0: it is whole. -EAGAIN: it has changed meanwhile; what is known is in t. */
VT_MUST_CHECK int pystacks_read(struct pystacks *s, struct raw_thread *t);
/* Reads the ids of a thread and its innermost frame alone, once: it is right only if the thread does not run Python code. */
VT_MUST_CHECK int pystacks_innermost(struct pystacks *s, struct raw_thread *t, struct raw_frame *f);
/* Whether t has stood still since the last pystacks_read, which was of t and gave 0. If so, what was read meanwhile belongs to
 * its stack. */
bool pystacks_still(struct pystacks *s, struct raw_thread *t);
/* The thread of the last pystacks_read held the GIL: that it stood still is known from the scheduler only. */
bool pystacks_could_run(const struct pystacks *s);

#endif
