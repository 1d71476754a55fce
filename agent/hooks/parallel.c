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
 *   - code of the target (a __repr__) runs without the lock; it may give up the GIL, and its interpreter lose its hooks
 *     meanwhile: from then on the event writes under the lock only, and only into the session that it belongs to
 *
 * Not in sessions with --max_overhead: its account is kept by those who hold the main interpreter's GIL. */
#include "agent/hooks/parallel.h"

#include "agent/record/emit.h"
#include "agent/session/interps.h"

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

/* Where this thread may write `words` at the time `now`; NULL = not without the lock. */
ALWAYS_INLINE uint64_t *room_here(uint64_t words, uint64_t now) {
    struct thread *thread = this_thread;
    if (UNLIKELY(!is_on() || !thread_is_ours(thread))) return NULL;
    uint64_t *cursor = *(uint64_t *volatile *)&thread->cursor, at = (uint64_t)cursor & VT_CHUNK_MASK;
    if (UNLIKELY(!at || (VT_CHUNK_SIZE - at) / 8 < words)) return NULL;
    if (UNLIKELY(now >= vt_load_relaxed(&((struct vt_chunk *)((uint64_t)cursor & ~VT_CHUNK_MASK))->limit))) return NULL;
    return cursor;
}

ALWAYS_INLINE void wrote(uint64_t *next, uint32_t session) {
    *(uint64_t *volatile *)&this_thread->cursor = next;
    vt_full_fence(); /* pairs with the end of a session: either it sees our cursor, or we see that it ends */
    if (UNLIKELY(vt_load_relaxed(&agent.state) != AGENT_TRACING || vt_load_relaxed(&agent.session) != session)) forget_thread();
}

ALWAYS_INLINE bool write_event(uint64_t word, bool any_clock) {
    uint32_t session = vt_load_acquire(&agent.session);
    uint64_t now = any_clock ? clock_full() : arch_ticks(), *cursor = room_here(1, now);
    if (UNLIKELY(!cursor)) return false;
    arch_publish(cursor, now << VT_REC_TS_SHIFT | word);
    wrote(cursor + 1, session);
    return true;
}

/* Id and flags of a code object; 0: not known in the session */
ALWAYS_INLINE uint64_t known_code(void *code) {
    const struct co_extra *extra = field(code, layout.co_extra);
    if (UNLIKELY(!extra || extra->size <= agent.extra_index)) return 0;
    uint64_t known = extra->value[agent.extra_index];
    return (uint32_t)known >= agent.base_id ? known : 0;
}

/* Ids are never used twice: the same one before and after means that nothing was written in between. */
ALWAYS_INLINE uint32_t known_function(const void *definition, bool *left_out) {
    struct function_slot *slot = &slots[function_slot_of(definition)];
    uint32_t id = vt_load_acquire(&slot->id);
    bool same =
        *(void *volatile *)&slot->definition == definition && *(volatile uint64_t *)&slot->check == function_check(definition);
    *left_out = *(volatile uint16_t *)&slot->left_out;
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

/* After a look under the lock; `on`: what it saw. */
static void looked(bool on) {
    if (on) return;
    forget_thread();
    interps_settle();
}

static NOINLINE void slow_event(void *code, void *callable, void *definition, uint32_t type) {
    parallel_lock();
    bool on = is_on_locked() && !agent.full; /* else these are the hooks of an older session */
    if (on && thread_here()) emit_here((code ? name_code(code, NULL) : name_function(slots, callable, definition)) | type);
    parallel_unlock();
    looked(on);
}

void parallel_python(void *code, uint32_t type) {
    uint32_t id = (uint32_t)known_code(code);
    if (UNLIKELY(!id || !write_event(id | type, false))) slow_event(code, NULL, NULL, type);
}

void parallel_c(void *callable, void *definition, uint32_t type) {
    bool left_out;
    uint32_t id = known_function(definition, &left_out);
    if (UNLIKELY(!id || !write_event(id | type, false))) slow_event(NULL, callable, definition, type);
}

void parallel_stacks(void) {
    parallel_lock();
    if (is_on_locked() && thread_here()) stacks_emit_current();
    parallel_unlock();
}

/* ---- with options ---- */

static NOINLINE bool meet_code(void *code, uint64_t *known) {
    parallel_lock();
    bool on = is_on_locked() && agent.full, here = on && thread_here();
    if (here && name_code(code, NULL)) *known = known_code(code);
    parallel_unlock();
    looked(on);
    return here;
}

/* False: nothing is to be recorded on this thread now. 0 when the code object could not be named. */
ALWAYS_INLINE bool met_code(void *code, uint64_t *known) {
    *known = known_code(code);
    if (UNLIKELY(!*known || !is_on() || !thread_is_ours(this_thread)) && !meet_code(code, known)) return false;
    return !this_thread->paused;
}

static NOINLINE uint32_t meet_function(void *callable, void *definition, bool *left_out) {
    uint32_t id = 0;
    parallel_lock();
    if (is_on_locked() && agent.full && thread_here()) id = name_function(slots, callable, definition);
    const struct function_slot *slot = id ? name_function_slot(slots, definition) : NULL;
    *left_out = slot && slot->left_out;
    parallel_unlock();
    return id;
}

static NOINLINE void late_event(uint64_t word) {
    uint64_t id = word >> VT_REC_TYPE_BITS << VT_REC_TYPE_BITS;
    parallel_lock();
    bool on = is_on_locked();
    if (on && thread_here() && (!id || id >= agent.base_id)) emit_here(word); /* not one of an older session */
    parallel_unlock();
    looked(on);
}

bool parallel_plain_payload(uint32_t kind, const uint64_t *words, uint32_t bytes) {
    uint32_t session = vt_load_acquire(&agent.session);
    uint64_t now = clock_full(), n = 1 + (bytes + 7) / 8, *cursor = room_here(n, now);
    if (UNLIKELY(!cursor)) return false;
    for (uint64_t i = 1; i < n; i++) cursor[i] = words[i - 1];
    arch_publish(cursor, vt_rec_make(now, vt_rec_payload_id(kind, bytes), VT_REC_PAYLOAD));
    wrote(cursor + n, session);
    return true;
}

bool parallel_lock_known(void) {
    parallel_lock();
    return is_on_locked() && thread_is_ours(this_thread);
}

void parallel_payload(uint32_t kind, const char *text, uint32_t bytes) {
    uint8_t *to = parallel_lock_known() ? payload_reserve(bytes) : NULL;
    if (to) {
        memcpy(to, text, bytes);
        payload_commit(kind, bytes);
    }
    parallel_unlock();
}

enum detail_next parallel_detail_python(void *code, uint32_t type, void *value) {
    bool enter = VT_REC_IS_ENTER(type);
    uint64_t known;
    if (!met_code(code, &known)) return DETAIL_KEEP;
    bool coroutine = task_wanted(code), target_ran = coroutine && enter;
    if (target_ran) {
        task_enter(WAY_PARALLEL);
        if (!met_code(code, &known)) return DETAIL_KEEP;
    }
    if (detail_passes(this_thread, code, enter, known)) {
        enum detail_way way = target_ran ? WAY_PARALLEL_LOCKED : WAY_PARALLEL;
        uint32_t id = (uint32_t)known;
        if (type == VT_REC_CALL && agent.flags & VT_F_ARGS) target_ran |= values_tell_arguments(code, NULL, way);
        if (value && agent.flags & VT_F_RETVAL) target_ran |= values_tell_result(value, way);
        if (target_ran || !id || UNLIKELY(!write_event(id | type, true))) late_event(id | type);
    }
    if (coroutine && !enter) task_leave(WAY_PARALLEL);
    return !coroutine && detail_unwanted(code, known) ? DETAIL_OFF : DETAIL_KEEP;
}

enum detail_next parallel_detail_c(void *code, void *callable, void *definition, uint32_t type) {
    uint64_t known;
    bool left_out;
    if (!met_code(code, &known)) return DETAIL_KEEP;
    if (known & FILTER_LEFT_OUT) return DETAIL_OFF;
    if (this_thread->ignored) return DETAIL_KEEP;
    uint32_t id = known_function(definition, &left_out);
    if (!id) id = meet_function(callable, definition, &left_out);
    if (id && left_out) return DETAIL_OFF_CALLEE;
    bool wanted = detail_deep_enough(this_thread, VT_REC_IS_ENTER(type));
    if (wanted && (!id || UNLIKELY(!write_event(id | type, true)))) late_event(id | type);
    return DETAIL_KEEP;
}
