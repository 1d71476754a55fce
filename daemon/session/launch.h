/* The socket on which the processes of a launched program ask for the session's arena (proto/abi/launch.h). Any process of the
 * machine may connect; only one that knows the token is heard. Event loop thread only. */
#ifndef VT_DAEMON_LAUNCH_H
#define VT_DAEMON_LAUNCH_H

#include "attach/attach.h"
#include "daemon/drain/arena_map.h"
#include "daemon/io/loop.h"
#include "proto/abi/launch.h"

#define LAUNCH_WAITING 64 /* connections that have said nothing yet; one more closes the oldest */

struct launch;
struct launch_waiting {
    struct launch *launch;
    struct loop_io io;
    int fd; /* -1 = not in use */
    uint64_t since_ns;
};

struct launch { /* embedded in its owner; fd is -1 while not in use */
    struct loop *loop;
    struct loop_io io;
    int fd;
    char key[2 * VT_LAUNCH_KEY + 1]; /* socket and token in the value of VT_LAUNCH_VARIABLE */
    struct launch_waiting waiting[LAUNCH_WAITING];
    /* A process that knows the token, in our pid namespace. True: it gets the arena of *arena_fd. Must not call launch_close. */
    bool (*fn)(void *ctx, const struct vt_launch_hello *hello, pid_t pid, int *arena_fd, uint64_t *arena_bytes);
    void *ctx;
};

/* Makes a key and listens. 0, or -errno and err. */
VT_MUST_CHECK int launch_listen(struct launch *l, struct loop *loop,
                                bool (*fn)(void *ctx, const struct vt_launch_hello *hello, pid_t pid, int *arena_fd,
                                           uint64_t *arena_bytes),
                                void *ctx, struct vt_err *err);
/* Takes what has arrived until now. */
void launch_take(struct launch *l);
void launch_close(struct launch *l);

/* A new arena with these options (the daemon's fields of vt_ctl), sealed against resizing: its descriptor, or -errno and err. */
VT_MUST_CHECK int launch_make_arena(const struct vt_ctl *request, uint32_t nchunks, uint64_t lease, struct vt_err *err);
/* What a preflight tells of a target that is attached to, as far as it is known of a process that came by itself. */
void launch_describe(pid_t pid, uint32_t ns_pid, struct attach_info *info);

#endif
