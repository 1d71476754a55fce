/* Owns what a session with options does at each event: filters, depth, --max_overhead, tasks, arguments and return values. Lean
 * sessions never come here. */
#include "agent/hooks/detail.h"

#include "agent/hooks/depth.h"
#include "agent/hooks/hooks.h"
#include "agent/hooks/task.h"
#include "agent/hooks/values.h"
#include "agent/limit/governor.h"
#include "agent/session/slow.h"

enum { UNRECORDED_VISIT = 1024 };

bool detail_wanted(const struct vt_ctl *ctl) {
    const uint32_t flags = VT_F_ARGS | VT_F_RETVAL | VT_F_ASYNC | VT_F_IGNORE_FROZEN;
    return ctl->clock != VT_CLOCK_TSC || ctl->flags & flags || ctl->max_stack_depth >= 0 || ctl->include_bytes ||
           ctl->exclude_bytes || ctl->glob_bytes[0] || ctl->glob_bytes[1] || ctl->glob_bytes[2] || ctl->glob_bytes[3];
}

/* This thread's block; NULL = record nothing on it now. A block that is all zero belongs to an older session, or to the parent of
 * a forked child. */
static struct thread *detail_thread(void) {
    struct thread *thread = this_thread;
    if (UNLIKELY(!thread->tid)) {
        if (!session_visit()) return NULL;
        thread = this_thread;
    }
    return thread->paused ? NULL : thread;
}

/* A thread that records nothing comes to no slow path by itself, so it looks after the session at every 1024th event, and at once
 * when the session has ended. */
static void unrecorded(struct thread *thread) {
    bool ended = agent.state == AGENT_TRACING && !vt_load_relaxed(&agent.ctl->enabled);
    if (UNLIKELY(++thread->unrecorded % UNRECORDED_VISIT == 0 || ended)) session_visit();
}

/* ---- events ---- */

/* With --max_overhead: record this event? `pinned`: a coroutine, whose events show which task runs and are never switched off. */
static enum governor_verdict govern(uint32_t id, void *frame, uint32_t type, bool pinned) {
    bool enter = VT_REC_IS_ENTER(type);
    if (agent.hooks->pause) {
        if (!account.off) window_event(frame, enter && type != VT_REC_C_CALL);
        if (!account.off) account.events++;
        governor_looks();
        return account.off ? GOVERNOR_PASS : GOVERNOR_RECORD;
    }
    governor_looks(); /* may end the session */
    if (!pinned) return throttle_event(id, enter, type >= VT_REC_C_CALL);
    account.events++;
    return GOVERNOR_RECORD;
}

enum detail_next detail_python(void *code, uint32_t type, void *value, void *frame) {
    struct thread *thread = detail_thread();
    bool enter = VT_REC_IS_ENTER(type);
    if (!thread) return DETAIL_KEEP;
    uint32_t id = code_id(code, layout.co_extra);
    uint64_t flags = filter_flags_of(code);
    bool coroutine = task_wanted(code);
    if (coroutine && enter) task_enter(code, frame, type, WAY_MAIN);
    thread = detail_thread();
    enum governor_verdict verdict = GOVERNOR_RECORD;
    if (agent.governed && thread && !(flags & FILTER_LEFT_OUT) && id) {
        verdict = govern(id, frame, type, coroutine);
        if (!agent.governed || !(thread = detail_thread())) return DETAIL_KEEP;
    }
    if (verdict >= GOVERNOR_PASS) return verdict == GOVERNOR_OFF ? DETAIL_OFF : DETAIL_KEEP;
    if (thread && depth_passes(thread, code, enter, flags) && verdict == GOVERNOR_RECORD) {
        uint64_t begun = agent.governed ? clock_full() : 0;
        if (type == VT_REC_CALL && agent.flags & VT_F_ARGS) values_tell_arguments(code, frame, WAY_MAIN);
        if (value && (type == VT_REC_RETURN || type == VT_REC_YIELD) && agent.flags & VT_F_RETVAL)
            values_tell_result(value, WAY_MAIN);
        if (begun && agent.flags & (VT_F_ARGS | VT_F_RETVAL)) throttle_values(id, clock_full() - begun);
        if (type == VT_REC_YIELD && coroutine && value) task_awaits(value);
        /* repr may have run code of the target: the trace may have ended, and another one begun */
        if (id == 0 || id >= agent.base_id) emit_any_clock(id | type);
    } else if (thread) {
        unrecorded(thread);
    }
    if (coroutine && !enter) task_leave(code, frame, WAY_MAIN);
    if (type == VT_REC_RETURN && UNLIKELY(task_is_early(value))) task_named(value);
    return thread && !coroutine && depth_is_unwanted(code, flags) ? DETAIL_OFF : DETAIL_KEEP;
}

enum detail_next detail_c(void *code, void *callable, void *definition, uint32_t type) {
    if (!detail_thread()) return DETAIL_KEEP;
    code_id(code, layout.co_extra);
    struct thread *thread = detail_thread();
    if (!thread) return DETAIL_KEEP;
    bool left_out = filter_flags_of(code) & FILTER_LEFT_OUT;
    if (left_out || thread->ignored) {
        unrecorded(thread);
        return left_out ? DETAIL_OFF : DETAIL_KEEP;
    }
    uint32_t id = function_id(callable, definition);
    const struct function_slot *slot = name_function_slot(function_slots, definition);
    thread = detail_thread();
    if (!thread) return DETAIL_KEEP;
    if (slot && slot->left_out) {
        unrecorded(thread);
        return DETAIL_OFF_CALLEE;
    }
    if (agent.governed && id) {
        enum governor_verdict verdict = govern(id, code, type, false);
        if (verdict != GOVERNOR_RECORD) return verdict == GOVERNOR_OFF ? DETAIL_OFF : DETAIL_KEEP;
        if (!detail_thread()) return DETAIL_KEEP;
    }
    if (depth_fits(this_thread, VT_REC_IS_ENTER(type))) emit_any_clock(id | type);
    return DETAIL_KEEP;
}
