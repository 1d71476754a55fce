/* Owns what happens on an event of an interpreter with a GIL of its own. Its threads run while ours hold the GIL that everything
 * else here relies on, so:
 *
 *   - an event looks first whether the session is on, and afterwards whether it still is: then nothing of it stays behind
 *   - whatever is not ordinary happens under parallel_lock, which the end of a session takes before it takes anything away;
 *     nothing under it gives up the GIL or waits for one
 *   - code objects belong to one interpreter, and so does what they carry; C functions do not: a table of their own
 *   - the arena of a session that is over stays in place as empty private memory until each of these interpreters has
 *     been seen with its GIL held by us (interps.c): an event that was under way writes into nothing
 *   - they never end a session, and visit nothing: that is up to the others
 *
 * Only in lean sessions: what options do per event uses objects of the target, and may run its code. */
#include "agent/parallel.h"

#include "agent/emit.h"
#include "agent/interps.h"

static struct function_slot slots[1u << FUNCTION_BITS]; /* written under parallel_lock */

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

/* With the lock, unless only a guess is needed. */
static bool is_on(void) { return vt_load_acquire(&agent.state) == AGENT_TRACING && agent.parallel; }

static bool is_on_locked(void) {
    return is_on() && agent.family->live && vt_load_acquire(&agent.ctl->enabled) &&
           clock_full() < vt_load_relaxed(&agent.ctl->lease) && !(py.Py_IsFinalizing && py.Py_IsFinalizing());
}

bool parallel_wanted(void) {
    parallel_lock();
    bool on = is_on_locked();
    parallel_unlock();
    return on;
}

/* This thread's own, so it may be asked and changed at any time. */
static void forget_thread(void) { this_thread = &thread_nobody; }

/* ---- the ordinary event ---- */

ALWAYS_INLINE bool write_event(uint64_t word) {
    struct thread *thread = this_thread;
    uint32_t session = vt_load_acquire(&agent.session);
    if (UNLIKELY(!is_on() || !thread_is_ours(thread))) return false;
    uint64_t *cursor = *(uint64_t *volatile *)&thread->cursor;
    uint64_t now = arch_ticks();
    if (UNLIKELY(((uint64_t)cursor & VT_CHUNK_MASK) == 0 ||
                 now >= vt_load_relaxed(&((struct vt_chunk *)((uint64_t)cursor & ~VT_CHUNK_MASK))->limit)))
        return false;
    arch_publish(cursor, now << VT_REC_TS_SHIFT | word);
    *(uint64_t *volatile *)&thread->cursor = cursor + 1;
    vt_full_fence(); /* pairs with the end of a session: either it sees our cursor, or we see that it ends */
    if (UNLIKELY(vt_load_relaxed(&agent.state) != AGENT_TRACING || vt_load_relaxed(&agent.session) != session)) forget_thread();
    return true;
}

/* 0: not known in this session */
ALWAYS_INLINE uint32_t known_code(void *code) {
    const struct co_extra *extra = field(code, layout.co_extra);
    if (UNLIKELY(!extra || extra->size <= agent.extra_index)) return 0;
    uint32_t id = (uint32_t)extra->value[agent.extra_index];
    return id >= agent.base_id ? id : 0;
}

/* Ids are never used twice: the same one before and after means that nothing was written in between. */
ALWAYS_INLINE uint32_t known_function(const void *definition) {
    struct function_slot *slot = &slots[function_slot_of(definition)];
    uint32_t id = vt_load_acquire(&slot->id);
    bool same =
        *(void *volatile *)&slot->definition == definition && *(volatile uint64_t *)&slot->check == function_check(definition);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return same && id >= agent.base_id && vt_load_relaxed(&slot->id) == id ? id : 0;
}

/* ---- the others ---- */

static struct thread *thread_here(void) {
    struct thread *thread = thread_current();
    /* its name is in the main interpreter's `threading`, if at all: no look for it at each event */
    if (thread && thread->name_tries < NAME_TRIES_EACH_EVENT) thread->name_tries = NAME_TRIES_EACH_EVENT;
    return thread;
}

static NOINLINE void slow_event(void *code, void *callable, void *definition, uint32_t type) {
    parallel_lock();
    bool on = is_on_locked();
    if (on && thread_here()) emit_here((code ? name_code(code, NULL) : name_function(slots, callable, definition)) | type);
    parallel_unlock();
    if (on) return;
    forget_thread();
    interps_settle();
}

void parallel_python(void *code, uint32_t type) {
    uint32_t id = known_code(code);
    if (UNLIKELY(!id || !write_event(id | type))) slow_event(code, NULL, NULL, type);
}

void parallel_c(void *callable, void *definition, uint32_t type) {
    uint32_t id = known_function(definition);
    if (UNLIKELY(!id || !write_event(id | type))) slow_event(NULL, callable, definition, type);
}

void parallel_stacks(void) {
    parallel_lock();
    if (is_on_locked() && thread_here()) stacks_emit_current();
    parallel_unlock();
}
