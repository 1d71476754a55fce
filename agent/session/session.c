/* Owns the end of a session and what happens now and then during it: the visit that every slow path
 * starts with, leaving, the forked child, interpreter shutdown. */
#include "agent/hooks/hooks.h"
#include "agent/hooks/parallel.h"
#include "agent/limit/governor.h"

struct agent agent = {.extra_index = -1};

static bool interpreter_ends(void) { return py.Py_IsFinalizing && py.Py_IsFinalizing(); }

/* The interpreter is going: its objects are no longer ours to touch. The arena stays mapped, what is in it
 * stays readable, every later event is ignored. */
static void go_inert(void) {
    agent.state = AGENT_INERT;
    parallel_lock();
    agent_lock();
    struct vt_ctl *ctl = agent.ctl;
    agent.ctl = NULL;
    for (uint32_t i = 0; i < agent.nthreads; i++) {
        agent.threads[i].cursor = NULL;
        agent.threads[i].tid = 0; /* sends also what records nothing to session_visit */
    }
    agent_unlock();
    parallel_unlock();
    ctl->t_hooks_off = clock_full();
    vt_store_relaxed(&ctl->why, (uint32_t)VT_WHY_FINALIZE);
    vt_store_release(&ctl->state, (uint32_t)VT_AGENT_GONE);
}

static void forget_objects(void) {
    tasks_stop();
    drop_ref(agent.threading_active);
    agent.threading_active = NULL;
}

void agent_not_busy(void) {
    vt_store_release(&vt_agent_info.ctl, 0ull);
    vt_store_release(&vt_agent_info.busy, 0u);
}

/* Takes everything out and gives the arena back. Nothing that runs after it touches the arena. */
void session_leave(uint32_t why) {
    struct pending_error error;
    struct vt_ctl *ctl = agent.ctl;
    if (agent.state != AGENT_TRACING) return;
    uint64_t start = clock_full();
    error_save(&error);
    thread_names_tell_all();
    if (agent.governed) throttle_tell();
    agent.state = AGENT_LEAVING;
    vt_store_release(&ctl->state, (uint32_t)VT_AGENT_LEAVING);
    agent.hooks->remove();
    governor_stop();
    gc_log_stop();
    forget_objects();
    parallel_lock(); /* whoever gets it next sees that we are leaving */
    threads_stop();
    parallel_unlock();
    uint64_t end = clock_full();
    ctl->t_hooks_off = start;
    ctl->hold_off = end - start;
    agent.state = AGENT_IDLE;
    vt_store_relaxed(&ctl->why, why);
    vt_store_release(&ctl->state, (uint32_t)VT_AGENT_GONE);
    if (!agent.hooks->keep || !agent.hooks->keep(ctl, agent.arena_bytes))
        arch_syscall3(SYS_MUNMAP, (uint64_t)ctl, agent.arena_bytes, 0);
    agent_not_busy();
    error_restore(&error);
}

/* In a forked child of the traced process: only the forking thread is here, the arena is not. */
void session_child(void) {
    struct pending_error error;
    agent.lock = 0;
    agent.parallel = false;
    agent.state = AGENT_LEAVING;
    agent.ctl = NULL;
    this_thread = &thread_nobody;
    error_save(&error);
    agent.hooks->remove();
    governor_stop();
    gc_log_stop();
    forget_objects();
    if (agent.key_made) py.pthread_key_delete(agent.key);
    agent.key_made = false;
    agent.state = AGENT_IDLE;
    agent_not_busy();
    error_restore(&error);
}

static void periodic(uint64_t now) {
    struct pending_error error;
    agent.visit_at = now + agent.ctl->span;
    error_save(&error);
    thread_names_find_module();
    agent.hooks->visit();
    error_restore(&error);
}

/* In a thread that is not the program's: no hooked thread comes here by itself. */
void session_wake(void) {
    if (agent.state != AGENT_TRACING || !agent.family->live) return;
    uint64_t now = clock_full();
    bool stop = !vt_load_acquire(&agent.ctl->enabled);
    if (stop || now >= vt_load_relaxed(&agent.ctl->lease))
        session_leave(stop ? VT_WHY_STOP : VT_WHY_LEASE);
    else if (!interpreter_ends())
        periodic(now);
}

static void name_this_thread(struct thread *thread) {
    struct pending_error error;
    error_save(&error);
    thread->name_tries++;
    if (thread_name_tell(thread)) thread->name_tries = NAME_TRIES;
    error_restore(&error);
}

/* Start of every slow path: are we still to trace, and is this thread known? True = go on. */
bool session_visit(void) {
    if (UNLIKELY(agent.state != AGENT_TRACING)) {
        if (agent.state == AGENT_IDLE && agent.hooks && agent.hooks->leftover) agent.hooks->leftover();
        return false;
    }
    if (UNLIKELY(!agent.family->live)) {
        session_child();
        return false;
    }
    struct vt_ctl *ctl = agent.ctl;
    if (UNLIKELY(!vt_load_acquire(&ctl->enabled))) {
        session_leave(VT_WHY_STOP);
        return false;
    }
    uint64_t now = clock_full();
    if (UNLIKELY(now >= vt_load_relaxed(&ctl->lease))) {
        session_leave(VT_WHY_LEASE);
        return false;
    }
    if (now >= agent.visit_at) {
        if (interpreter_ends()) {
            go_inert();
            return false;
        }
        periodic(now);
        if (agent.state != AGENT_TRACING) return false;
    } else if (agent.hooks->news) {
        agent.hooks->news();
    }
    struct thread *thread = thread_current();
    if (!thread) {
        vt_fetch_add(&ctl->dropped, 1ull);
        return false;
    }
    if (UNLIKELY(thread->name_tries < NAME_TRIES) && !thread->starved) name_this_thread(thread);
    return agent.state == AGENT_TRACING;
}
