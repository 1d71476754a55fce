/* Owns the session that a program starts by itself: its start on the calling thread, and the hush in which the package's own
 * Python code runs. */
#include "agent/cpython/repr.h"
#include "agent/entry.h"
#include "agent/own.h"
#include "agent/session/session.h"

static uint32_t own_session; /* number of the program's own session, as agent.session after its start; 0 = none */

static bool is_mine(void) {
    bool on = agent.state == AGENT_TRACING || agent.state == AGENT_HELD;
    return on && agent.own && agent.session == own_session && agent.family->live;
}

int own_start(int32_t fd, uint64_t bytes, bool sparse, void *repr) {
    const struct vt_boot boot = {.arena_bytes = bytes, .arena_fd = fd, .agent_fd = -1};
    struct vt_ctl *ctl = NULL;
    int rc = arena_open(&boot, &ctl);
    agent_close_fds(&boot);
    if (rc) return rc;
    if (!agent_take(ctl, bytes)) return -VT_EBUSY;
    bool child = agent_is_child();
    rc = agent_prepare(0);
    if (rc) {
        agent_give_up("agent start failed");
        return rc;
    }
    if (child) agent_forget_parent(ctl);
    agent.own = true;
    agent.sparse = sparse;
    agent_start();
    if (agent.state != AGENT_TRACING) return -VT_ENOTSUP;
    repr_use(repr);
    own_session = agent.session;
    return 0;
}

void own_hold(void) {
    if (is_mine()) session_hold();
}

int own_go_on(void) {
    if (!is_mine()) return -VT_ECANCELED;
    return agent.state == AGENT_TRACING ? 0 : session_go_on();
}

bool own_go_on_possible(void) {
    if (!is_mine()) return false;
    struct vt_ctl *ctl = agent.ctl;
    if (vt_load_acquire(&ctl->enabled) && clock_full() < vt_load_relaxed(&ctl->lease)) return true;
    session_leave(vt_load_acquire(&ctl->enabled) ? VT_WHY_LEASE : VT_WHY_STOP);
    return false;
}

void own_leave(void) {
    if (is_mine()) session_leave(VT_WHY_STOP);
}

enum own_state own_state(void) {
    if (is_mine()) return agent.state == AGENT_HELD ? OWN_HELD : OWN_TRACING;
    return agent.state == AGENT_TRACING && agent.family->live ? OWN_OTHERS : OWN_NONE;
}

bool own_on_in_child(void) {
    if (!agent.launched || !agent.forked) return false;
    session_visit();
    return agent.state == AGENT_TRACING && agent.family->live;
}

/* ---- hush ---- */

struct thread *own_hush(void) {
    struct thread *thread = own_on() ? thread_current() : NULL;
    if (!thread) return NULL;
    thread->paused++;
    thread_send_slow(thread);
    return thread;
}

/* The session may have ended meanwhile, and another one begun. */
void own_listen(struct thread *hushed) {
    if (hushed && hushed == this_thread && thread_is_ours(hushed) && hushed->paused) hushed->paused--;
}
