/* Owns the life of a session after its start: the visit that every slow path begins with, leaving, the forked child, and the
 * shutdown of the interpreter. */
#include "agent/session/session.h"

#include "agent/record/parallel_lock.h"
#include "agent/record/thread.h"
#include "agent/session/threads.h"

static const struct session_part *parts;
static size_t nparts;

/* ---- parts ---- */

void session_start_parts(const struct session_part *with, size_t n) {
    parts = with;
    nparts = n;
    for (size_t i = 0; i < nparts; i++)
        if (parts[i].start) parts[i].start();
}

void session_stop_parts(void) {
    for (size_t i = 0; i < nparts; i++)
        if (parts[i].stop) parts[i].stop();
    thread_names_forget();
}

static void tell_parts(void) {
    for (size_t i = 0; i < nparts; i++)
        if (parts[i].tell) parts[i].tell();
}

static void end_parts_in_child(void) {
    for (size_t i = 0; i < nparts; i++)
        if (parts[i].child) parts[i].child();
    thread_names_forget();
}

/* ---- the end ---- */

static bool interpreter_ends(void) { return py.Py_IsFinalizing && py.Py_IsFinalizing(); }

/* The interpreter is shutting down: its objects must not be touched any more. The arena stays mapped and readable, and later
 * events are ignored. */
static void go_inert(void) {
    agent.state = AGENT_INERT;
    parallel_lock();
    agent_lock();
    struct vt_ctl *ctl = agent.ctl;
    agent.ctl = NULL;
    for (uint32_t i = 0; i < agent.nthreads; i++) {
        agent.threads[i].cursor = NULL;
        agent.threads[i].tid = 0; /* a thread that records nothing then comes to session_visit, too */
    }
    agent_unlock();
    parallel_unlock();
    ctl->t_hooks_off = clock_full();
    vt_store_relaxed(&ctl->why, (uint32_t)VT_WHY_FINALIZE);
    vt_store_release(&ctl->state, (uint32_t)VT_AGENT_GONE);
}

void session_not_busy(void) {
    vt_store_release(&vt_agent_info.ctl, 0ull);
    vt_store_release(&vt_agent_info.busy, 0u);
}

void session_leave(uint32_t why) {
    struct pending_error error;
    struct vt_ctl *ctl = agent.ctl;
    bool held = agent.state == AGENT_HELD;
    if (agent.state != AGENT_TRACING && !held) return;
    uint64_t start = clock_full();
    error_save(&error);
    if (!held) thread_names_tell_all();
    if (!held) tell_parts();
    agent.state = AGENT_LEAVING;
    vt_store_release(&ctl->state, (uint32_t)VT_AGENT_LEAVING);
    if (!held) agent.hooks->remove();
    session_stop_parts();
    parallel_lock(); /* the next holder of the lock sees that we are leaving */
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
    session_not_busy();
    error_restore(&error);
}

/* Only the forking thread is here, and the arena is not mapped. */
void session_child(void) {
    struct pending_error error;
    agent.lock = 0;
    agent.parallel = false;
    bool held = agent.state == AGENT_HELD;
    agent.state = AGENT_LEAVING;
    agent.ctl = NULL;
    this_thread = &thread_nobody;
    error_save(&error);
    if (!held) agent.hooks->remove();
    end_parts_in_child();
    if (agent.key_made) py.pthread_key_delete(agent.key);
    agent.key_made = false;
    agent.state = AGENT_IDLE;
    session_not_busy();
    error_restore(&error);
}

/* ---- stopped, and going on ---- */

/* The calls that readers take to be open end here. */
static void end_open_calls(void) {
    const struct vt_pl_window nothing = {.nframes = 0, .cause = VT_WINDOW_LIMIT};
    struct thread *me = this_thread;
    for (uint32_t i = 0; i < agent.nthreads; i++) {
        if (!agent.threads[i].tid) continue;
        this_thread = &agent.threads[i];
        uint8_t *to = payload_reserve(sizeof nothing);
        if (!to) continue;
        memcpy(to, &nothing, sizeof nothing);
        payload_commit(VT_PL_WINDOW, sizeof nothing);
    }
    this_thread = me;
}

void session_hold(void) {
    struct pending_error error;
    if (agent.state != AGENT_TRACING || !agent.family->live) return;
    error_save(&error);
    agent.state = AGENT_LEAVING;
    agent.hooks->remove();
    end_open_calls();
    vt_store_release(&agent.ctl->wake_cpu_ns, 0ull);
    agent.state = AGENT_HELD;
    error_restore(&error);
}

int session_go_on(void) {
    struct pending_error error;
    struct vt_ctl *ctl = agent.ctl;
    if (agent.state != AGENT_HELD || !agent.family->live) return -VT_ECANCELED;
    uint64_t now = clock_full();
    bool stop = !vt_load_acquire(&ctl->enabled);
    if (stop || now >= vt_load_relaxed(&ctl->lease)) {
        session_leave(stop ? VT_WHY_STOP : VT_WHY_LEASE);
        return -VT_ECANCELED;
    }
    error_save(&error);
    agent.state = AGENT_STARTING;
    agent.visit_at = now + ctl->span;
    agent.rearm_at = now + agent.rearm_ticks;
    int rc = agent.hooks->install(ctl->err, sizeof ctl->err);
    agent.state = rc ? AGENT_HELD : AGENT_TRACING;
    if (rc) session_leave(VT_WHY_ERROR);
    error_restore(&error);
    return rc;
}

/* ---- the visit ---- */

static void periodic(uint64_t now) {
    struct pending_error error;
    agent.visit_at = now + agent.ctl->span;
    error_save(&error);
    thread_names_find_module();
    agent.hooks->visit();
    error_restore(&error);
}

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

/* At each visit: one comes with every function that is called for the first time, so also between the moment at which a child of
 * multiprocessing gets its name and the first function that it was made for. */
static void name_this_process(void) {
    struct pending_error error;
    if (!py.Py_IsFinalizing || py.Py_IsFinalizing()) return; /* the modules may be gone */
    error_save(&error);
    process_name_tell();
    error_restore(&error);
}

bool session_visit(void) {
    if (UNLIKELY(agent.state != AGENT_TRACING)) {
        if (agent.state == AGENT_IDLE && agent.hooks && agent.hooks->leftover) agent.hooks->leftover();
        return false;
    }
    if (UNLIKELY(!agent.family->live)) {
        session_child();
        if (agent.forked) agent.forked();
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
    if (agent.launched && !thread->starved) name_this_process();
    return agent.state == AGENT_TRACING;
}
