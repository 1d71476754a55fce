/* Owns the lock between the session and the threads of interpreters with a GIL of their own. */
#include "agent/record/parallel_lock.h"

#include "agent/record/thread.h"

static uint32_t session_lock;

void process_lock(uint32_t *lock) {
    uint32_t me = (uint32_t)arch_syscall3(SYS_GETPID, 0, 0, 0);
    for (;;) {
        uint32_t holder = 0;
        if (vt_cas_acqrel(lock, &holder, me)) return;
        if (holder != me && holder && vt_cas_acqrel(lock, &holder, me)) return;
        arch_pause();
    }
}

void parallel_lock(void) { process_lock(&session_lock); }
void parallel_unlock(void) { process_unlock(&session_lock); }

bool parallel_is_on_locked(void) {
    return parallel_is_on() && agent.family->live && vt_load_acquire(&agent.ctl->enabled) &&
           clock_full() < vt_load_relaxed(&agent.ctl->lease) && !(py.Py_IsFinalizing && py.Py_IsFinalizing());
}

bool parallel_wanted(void) {
    parallel_lock();
    bool on = parallel_is_on_locked();
    parallel_unlock();
    return on;
}

bool parallel_lock_known(void) {
    parallel_lock();
    return parallel_is_on_locked() && thread_is_ours(this_thread);
}
