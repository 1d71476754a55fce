/* Owns the events of interpreters with a GIL of their own. Their threads run without the main interpreter's GIL, on which the
 * rest of the agent relies. Hence these rules:
 *
 *   - An event checks before it writes whether the session is on, and checks again afterwards. If the session has ended
 *     meanwhile, the thread forgets its block.
 *   - Every slow path runs under parallel_lock. The end of a session takes that lock before it takes anything away. Nothing
 *     under the lock gives up a GIL or waits for one.
 *   - A code object belongs to one interpreter, and so does its id. C functions belong to the process: these interpreters have
 *     a table of their own for them.
 *   - The arena of an ended session stays in place, as empty private memory, until each of these interpreters has been seen
 *     with its GIL held by the agent (session/interps.c). An event that was under way writes into that memory.
 *   - These threads neither end a session nor run visits.
 *   - Code of the target (a __repr__) runs without the lock. It may give up the GIL, and the interpreter may lose its hooks
 *     meanwhile. From then on the event writes only under the lock, and only into its own session.
 *
 * Sessions with --max_overhead do not trace such interpreters, because the account needs the main interpreter's GIL. */
#include "agent/hooks/parallel.h"

#include "agent/hooks/depth.h"
#include "agent/hooks/stacks.h"
#include "agent/hooks/task.h"
#include "agent/hooks/values.h"
#include "agent/names/filter.h"
#include "agent/names/ids.h"
#include "agent/record/parallel_write.h"
#include "agent/session/interps.h"

static struct function_slot slots[1u << FUNCTION_BITS]; /* written under parallel_lock */

/* ---- the ordinary event ---- */

/* Id and flags of a code object; 0 = it has no id of this session */
ALWAYS_INLINE uint64_t known_code(void *code) {
    const struct co_extra *extra = field(code, layout.co_extra);
    if (UNLIKELY(!extra || extra->size <= agent.extra_index)) return 0;
    uint64_t known = extra->value[agent.extra_index];
    return (uint32_t)known >= agent.base_id ? known : 0;
}

/* Ids are never reused: if the id is the same before and after, the slot was not rewritten in between. 0 = not known. */
ALWAYS_INLINE uint32_t known_function(const void *definition, bool *left_out) {
    struct function_slot *slot = &slots[function_slot_of(definition)];
    uint32_t id = vt_load_acquire(&slot->id);
    bool same =
        *(void *volatile *)&slot->definition == definition && *(volatile uint64_t *)&slot->check == function_check(definition);
    *left_out = *(volatile uint16_t *)&slot->left_out;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return same && id >= agent.base_id && vt_load_relaxed(&slot->id) == id ? id : 0;
}

/* ---- slow paths ---- */

static struct thread *thread_here(void) {
    struct thread *thread = thread_current();
    /* only the main interpreter's `threading` can know its name: do not look for it at each event */
    if (thread && thread->name_tries < NAME_TRIES_EACH_EVENT) thread->name_tries = NAME_TRIES_EACH_EVENT;
    return thread;
}

/* After giving the lock back. `on`: was the session on under it? */
static void looked(bool on) {
    if (on) return;
    parallel_forget_thread();
    interps_settle();
}

static NOINLINE void slow_event(void *code, void *callable, void *definition, uint32_t type) {
    parallel_lock();
    bool on = parallel_is_on_locked() && !agent.full; /* with agent.full these are hooks of an older session */
    if (on && thread_here()) emit_here((code ? name_code(code, NULL) : name_function(slots, callable, definition)) | type);
    parallel_unlock();
    looked(on);
}

void parallel_python(void *code, uint32_t type) {
    uint32_t id = (uint32_t)known_code(code);
    if (UNLIKELY(!id || !parallel_write_event(id | type, false))) slow_event(code, NULL, NULL, type);
}

void parallel_c(void *callable, void *definition, uint32_t type) {
    bool left_out;
    uint32_t id = known_function(definition, &left_out);
    if (UNLIKELY(!id || !parallel_write_event(id | type, false))) slow_event(NULL, callable, definition, type);
}

void parallel_stacks(void) {
    parallel_lock();
    if (parallel_is_on_locked() && thread_here()) stacks_emit_current();
    parallel_unlock();
}

/* ---- with options ---- */

static NOINLINE bool meet_code(void *code, uint64_t *known) {
    parallel_lock();
    bool on = parallel_is_on_locked() && agent.full, here = on && thread_here();
    if (here && name_code(code, NULL)) *known = known_code(code);
    parallel_unlock();
    looked(on);
    return here;
}

/* False: record nothing on this thread now. *known = 0: the code object could not be named. */
ALWAYS_INLINE bool met_code(void *code, uint64_t *known) {
    *known = known_code(code);
    if (UNLIKELY(!*known || !parallel_is_on() || !thread_is_ours(this_thread)) && !meet_code(code, known)) return false;
    return !this_thread->paused;
}

static NOINLINE uint32_t meet_function(void *callable, void *definition, bool *left_out) {
    uint32_t id = 0;
    parallel_lock();
    if (parallel_is_on_locked() && agent.full && thread_here()) id = name_function(slots, callable, definition);
    const struct function_slot *slot = id ? name_function_slot(slots, definition) : NULL;
    *left_out = slot && slot->left_out;
    parallel_unlock();
    return id;
}

static NOINLINE void late_event(uint64_t word) {
    uint64_t id = word >> VT_REC_TYPE_BITS << VT_REC_TYPE_BITS;
    parallel_lock();
    bool on = parallel_is_on_locked();
    if (on && thread_here() && (!id || id >= agent.base_id)) emit_here(word); /* an older id belongs to an older session */
    parallel_unlock();
    looked(on);
}

enum detail_next parallel_detail_python(void *code, uint32_t type, void *value) {
    bool enter = VT_REC_IS_ENTER(type);
    uint64_t known;
    if (!met_code(code, &known)) return DETAIL_KEEP;
    bool coroutine = task_wanted(code), target_ran = coroutine && enter;
    if (target_ran) {
        task_enter(code, NULL, type, WAY_PARALLEL);
        if (!met_code(code, &known)) return DETAIL_KEEP;
    }
    if (depth_passes(this_thread, code, enter, known)) {
        enum detail_way way = target_ran ? WAY_PARALLEL_LOCKED : WAY_PARALLEL;
        uint32_t id = (uint32_t)known;
        if (type == VT_REC_CALL && agent.flags & VT_F_ARGS) target_ran |= values_tell_arguments(code, NULL, way);
        if (value && agent.flags & VT_F_RETVAL) target_ran |= values_tell_result(value, way);
        if (target_ran || !id || UNLIKELY(!parallel_write_event(id | type, true))) late_event(id | type);
    }
    if (coroutine && !enter) task_leave(code, NULL, WAY_PARALLEL);
    return !coroutine && depth_is_unwanted(code, known) ? DETAIL_OFF : DETAIL_KEEP;
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
    bool wanted = depth_fits(this_thread, VT_REC_IS_ENTER(type));
    if (wanted && (!id || UNLIKELY(!parallel_write_event(id | type, true)))) late_event(id | type);
    return DETAIL_KEEP;
}
