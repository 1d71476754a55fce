/* Work on a hijacked thread. From remote_begin to remote_end the thread can restore itself after any step if this process
 * dies: a signal frame with its context is on its stack before any register changes. */
#ifndef VT_ATTACH_REMOTE_H
#define VT_ATTACH_REMOTE_H

#include "attach/image.h"
#include "attach/ptrace.h"

struct remote {
    struct tracee *t;
    struct mem *mem;
    const struct image *img;
    struct arch_gadgets gadgets;
    uint64_t mask; /* that we have set; 0 = none */
    bool begun;
    bool dirty;    /* has left the event-stop of remote_begin */
    bool at_exit;  /* at the end of an injected system call */
    bool blob_ran; /* pthread_create was begun */
    bool in_blob;  /* inside pthread_create: must not be interrupted */
    struct arch_context saved;
    struct arch_frame frame;
};

/* Thread in an event-stop. Reads its context and writes the frame; changes no register. -EAGAIN: not possible where the
 * thread is now. */
VT_MUST_CHECK int remote_begin(struct remote *r, struct tracee *t, const struct image *img, const struct arch_gadgets *g);
/* One system call: 0 and its result (-errno included) in *result, or -errno when it could not be made. `name` for fault points.
 */
VT_MUST_CHECK int remote_syscall(struct remote *r, const char *name, long nr, const uint64_t arg[6], int64_t *result);
/* Runs blob code until it is about to restore the thread. code: address range of the blob. */
VT_MUST_CHECK int remote_blob(struct remote *r, uint64_t code, uint64_t code_len, uint64_t arg, uint64_t stack,
                              unsigned timeout_ms);
/* Restores the thread exactly. -EINPROGRESS: it is inside pthread_create and will restore itself later, so the scratch
 * mapping must stay. After other errors the thread restores itself through its frame, too. */
int remote_end(struct remote *r);

#endif
