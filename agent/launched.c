/* Owns the way in of a launch: the launch library calls vt_agent_launch in a process that is about to run the first line of its
 * program, on the thread that runs it, with the GIL. Owns also the session of a child that such a process forks. */
#include "agent/cpython/repr.h"
#include "agent/entry.h"
#include "agent/extras.h"
#include "agent/hooks/user_code.h"
#include "agent/instrument.h"
#include "proto/abi/launch.h"

static int (*connect_child)(int *fd, uint64_t *arena_bytes);
static void *command; /* the str of -c until the session starts; owned */

static int start_session(const struct vt_launch *launch) {
    const struct vt_boot boot = {.arena_bytes = launch->arena_bytes, .arena_fd = launch->arena_fd, .agent_fd = -1};
    struct vt_ctl *ctl = NULL;
    int rc = arena_open(&boot, &ctl);
    agent_close_fds(&boot);
    if (rc) return rc;
    if (!agent_take(ctl, boot.arena_bytes)) return -VT_EBUSY;
    rc = agent_prepare(0);
    if (rc) {
        agent_give_up("agent start failed");
        return rc;
    }
    if (extras_start() || instrument_start()) {
        agent_give_up("agent start failed");
        return -VT_ENOTSUP;
    }
    void *code = launch->flags & VT_LAUNCH_EXEC ? instrument_main(launch->user_code, command) : NULL;
    drop_ref(command);
    command = NULL;
    agent_start();
    if (agent.state != AGENT_TRACING) return -VT_ENOTSUP;
    repr_use(extras_repr());
    if (launch->user_code) user_code_set(code ? code : launch->user_code);
    if (launch->flags & VT_LAUNCH_EXEC) user_code_begin_exec();
    return 0;
}

/* In a forked child, at its first event: the parent's session has been taken out. The child's begins with the frames that it has
 * inherited. */
static void forked(void) {
    struct vt_launch launch = {.arena_fd = -1, .user_code = agent.user_code};
    struct pending_error error;
    int fd = -1;
    if (connect_child(&fd, &launch.arena_bytes)) return;
    launch.arena_fd = fd;
    error_save(&error);
    agent.joined = !start_session(&launch); /* if not, the arena says why */
    error_restore(&error);
}

EXPORT int vt_agent_launch(const struct vt_launch *launch);
int vt_agent_launch(const struct vt_launch *launch) {
    struct pending_error error;
    int rc = 0;
    if (launch->op == VT_LAUNCH_START) {
        agent.launched = true;
        connect_child = launch->connect;
        agent.forked = connect_child ? forked : NULL;
        return start_session(launch);
    }
    if (launch->op == VT_LAUNCH_RUN) return instrument_run();
    if (launch->op == VT_LAUNCH_COMMAND) {
        command = launch->user_code;
        return 0;
    }
    if (launch->op != VT_LAUNCH_USER_CODE) return -VT_EINVAL;
    error_save(&error);
    if (agent.state == AGENT_TRACING) {
        void *code = instrument_main(launch->user_code, NULL);
        user_code_set(code ? code : launch->user_code);
    } else {
        rc = -VT_ECANCELED;
    }
    error_restore(&error);
    return rc;
}
