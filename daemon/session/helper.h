/* The process that goes into the target, with the credentials of whoever asked: the kernel decides what it
 * may trace. The daemon never waits for it. It is the daemon's own program, started afresh so that
 * nothing of the daemon's memory or descriptors is in it. */
#ifndef VT_DAEMON_HELPER_H
#define VT_DAEMON_HELPER_H

#include "attach/attach.h"
#include "daemon/io/creds.h"
#include "daemon/io/loop.h"
#include "proto/abi/arena.h"

enum helper_op { HELPER_ATTACH = 1, HELPER_STOP = 2, HELPER_WAKE = 3 };

struct helper_req {
    uint32_t op; /* enum helper_op */
    pid_t pid;
    uint32_t method; /* enum attach_method */
    uint32_t force;
    uint32_t timeout_ms;
    uint32_t nchunks;
    uint64_t lease_ticks; /* how long the agent may run before the daemon has taken over */
    char agent_path[512];
    struct vt_ctl ctl; /* what the daemon writes of it, filters included; the rest is 0 */
};

enum helper_kind { HELPER_LOG = 1, HELPER_ARENA = 2, HELPER_DONE = 3 };
struct helper_msg {
    uint32_t kind;     /* enum helper_kind */
    int32_t rc;        /* DONE */
    struct vt_err err; /* DONE; LOG: the line */
    struct attach_info info;
    struct attach_result res;
};

struct helper {
    struct loop *loop;
    struct loop_io io;
    struct loop_timer deadline;
    pid_t pid;
    int fd;
    bool done;
    /* arena_fd: owned by the receiver, -1 unless msg->kind is HELPER_ARENA. A helper that ends without a word
     * is reported as DONE with an error. The helper may be freed from within, after DONE. */
    void (*fn)(void *ctx, const struct helper_msg *msg, int arena_fd);
    void *ctx;
};

VT_MUST_CHECK int helper_start(struct helper *h, struct loop *loop, const struct creds *creds, const struct helper_req *req,
                               void (*fn)(void *, const struct helper_msg *, int), void *ctx, struct vt_err *err);
/* Forgets the helper; a running one is killed (the target survives that at any instant). */
void helper_close(struct helper *h);

/* What `viztracerd --helper` runs: the request comes by fd. Exit code. */
int helper_main(int fd);

#endif
