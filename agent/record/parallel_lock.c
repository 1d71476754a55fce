/* Owns the lock between the session and the threads of interpreters with a GIL of their own. */
#include "agent/record/parallel_lock.h"

#include "agent/record/thread.h"

static uint32_t session_lock, last_number;

/* A number that no ancestor of this process has. The pid would be one as well, but the target may have put itself under a seccomp
 * filter that kills for getpid. A forked child inherits `last_number` and finds family->number wiped. */
static uint32_t number_here(void) {
    uint32_t none = 0, number = vt_load_acquire(&agent.family->number);
    if (LIKELY(number)) return number;
    number = vt_fetch_add(&last_number, 1u) + 1;
    return vt_cas_acqrel(&agent.family->number, &none, number) ? number : none;
}

void process_lock(uint32_t *lock) {
    uint32_t me = number_here();
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
