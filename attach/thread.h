/* Chooses the thread to hijack and brings it to a safe point. Never more than one thread is stopped. */
#ifndef VT_ATTACH_THREAD_H
#define VT_ATTACH_THREAD_H

#include "attach/attach.h"
#include "attach/image.h"
#include "attach/ptrace.h"
#include "attach/remote.h"
#include "attach/seccomp.h"
#include "attach/unwind.h"

struct thread_search {
    const struct attach_opts *o;
    struct image *img; /* opened again when the target has loaded code meanwhile */
    struct trace_env *env;
    struct unwinder *unwinder;
    uint32_t filters_most;    /* no thread with more seccomp filters is used: what we start there inherits them */
    uint32_t unread_most;     /* nor one with more than this, if its filters cannot be read */
    struct seccomp_need need; /* no thread is used whose filters are dangerous for these calls */
    uint64_t deadline_ns;
    /* of the search itself */
    char forbidden[256]; /* why the filters of some thread forbid it; "" = none do */
    bool unread_told;    /* that filters cannot be read has been logged */
};

/* On success t is in an event-stop, safe, and remote_begin(r) has been done. -EBUSY: none was safe in time. */
VT_MUST_CHECK int thread_find_safe(struct thread_search *s, struct tracee *t, struct remote *r, const struct arch_gadgets *g,
                                   struct vt_err *err);

#endif
