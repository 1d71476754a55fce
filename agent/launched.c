/* Owns the way in of a launch: the launch library calls vt_agent_launch in a process that is about to run the first line of its
 * program, on the thread that runs it, with the GIL. */
#include "agent/entry.h"
#include "agent/hooks/user_code.h"
#include "proto/abi/launch.h"

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
    agent_start();
    if (agent.state != AGENT_TRACING) return -VT_ENOTSUP;
    if (launch->user_code) user_code_set(launch->user_code);
    if (launch->flags & VT_LAUNCH_EXEC) user_code_begin_exec();
    return 0;
}

EXPORT int vt_agent_launch(const struct vt_launch *launch);
int vt_agent_launch(const struct vt_launch *launch) {
    struct pending_error error;
    int rc = 0;
    if (launch->op == VT_LAUNCH_START) return start_session(launch);
    if (launch->op != VT_LAUNCH_USER_CODE) return -VT_EINVAL;
    error_save(&error);
    if (agent.state == AGENT_TRACING)
        user_code_set(launch->user_code);
    else
        rc = -VT_ECANCELED;
    error_restore(&error);
    return rc;
}
