/* The helper: a process that works on the target with the credentials of the client, so that the kernel decides what it may
 * trace. The daemon never waits for it. It runs the daemon's program, executed anew, so it has neither memory nor descriptors of
 * the daemon. Event loop thread only, except helper_main. */
#ifndef VT_DAEMON_HELPER_H
#define VT_DAEMON_HELPER_H

#include "attach/attach.h"
#include "daemon/io/creds.h"
#include "daemon/io/loop.h"
#include "proto/abi/arena.h"

enum helper_op { HELPER_ATTACH = 1, HELPER_STOP = 2, HELPER_WAKE = 3, HELPER_HOLDER = 4 };

struct helper_req {
    uint32_t op; /* enum helper_op */
    pid_t pid;
    uint32_t method; /* enum attach_method */
    uint32_t force;
    uint32_t timeout_ms;
    uint32_t nchunks;
    uint64_t lease_ticks; /* how long the agent may run until the daemon renews the lease */
    char agent_path[512];
    struct vt_ctl ctl; /* the daemon's fields, filters included; the rest is 0 */
};

enum helper_kind { HELPER_LOG = 1, HELPER_ARENA = 2, HELPER_DONE = 3, HELPER_INSIDE = 4 };
struct helper_msg {
    uint32_t kind;     /* enum helper_kind */
    int32_t rc;        /* DONE */
    struct vt_err err; /* DONE; LOG: the line; INSIDE: the system call that a thread is in, and the thread's id as code;
                          DONE of HELPER_HOLDER: who holds the GIL (outside_tell_holder) */
    struct attach_info info;
    struct attach_result res;
};

struct helper {
    struct loop *loop;
    struct loop_io io;
    struct loop_timer deadline;
    pid_t pid; /* for messages: the daemon's loop reaps it, and the number may be of another process by then */
    int pidfd; /* the process itself; -1 on kernels without pidfd_open (5.3) */
    int fd;
    bool done;
    /* arena_fd: owned by the receiver, -1 unless msg->kind is HELPER_ARENA. A helper that ends without a word
     * is reported as DONE with an error. The helper may be freed from within, after DONE. */
    void (*fn)(void *ctx, const struct helper_msg *msg, int arena_fd);
    void *ctx;
};

VT_MUST_CHECK int helper_start(struct helper *h, struct loop *loop, const struct creds *creds, const struct helper_req *req,
                               void (*fn)(void *, const struct helper_msg *, int), void *ctx, struct vt_err *err);
/* Closes the connection; kills a helper that still runs (the target survives that at any instant). */
void helper_close(struct helper *h);

/* The main function of `viztracerd --helper`: reads the request from fd. Returns the exit code. */
int helper_main(int fd);

#endif
