/* Owns the frame evaluation function (PEP 523) that helps the profile function below 3.12: each Python call checks whether the
 * thread has the right profile function for that frame, and otherwise sets it for the frame.
 *
 *   GUARD   ours in every frame: finds new threads, and threads whose function was removed
 *   SWITCH  ours in frames of functions that are recorded, not in others. An excluded function then costs one comparison.
 *           Exactly the same is recorded as with the profile function alone.
 *
 * Frames that are open when we leave still return through our function, which then only passes the call on. */
#include "agent/cpython/layout.h"
#include "agent/hooks/eval_slot.h"
#include "agent/hooks/hook_profile.h"
#include "agent/hooks/user_code.h"
#include "agent/names/filter.h"
#include "agent/record/thread.h"
#include "agent/session/session.h"
#include "agent/session/slow.h"

/* Offsets in a frame: a frame object up to 3.10, the interpreter's own frame from 3.11 on. */
enum { FRAME_CODE = 32, GLOBALS_308 = 48, GLOBALS_311 = 8, CFRAME_FRAME = 8, TS_FRAME = 24 };
enum { BACK_308 = 24, PREVIOUS_311 = 48, FRAMES_MAX = 256 };
enum { PROFILE_308 = 56, PROFILE_311 = 64 };

static py_tracefunc lean;
static enum profile_mode mode;
static bool subtrees; /* a function that is left out may also leave out its callees */
/* Counts the hooks going in or out: a frame that was entered under another generation must not change anything. */
static uint32_t generation;
static void *installed;

/* The frame that runs now: the new frame is not yet the thread's frame. */
static void *caller_of(const void *tstate) {
    return layout.python == 0x30b ? field(field(tstate, layout.ts_cframe), CFRAME_FRAME) : field(tstate, TS_FRAME);
}

ALWAYS_INLINE bool known_flags(const void *code, size_t extra_offset, uint64_t *flags) {
    const struct co_extra *extra = field(code, extra_offset);
    if (UNLIKELY(!extra || extra->size <= agent.extra_index)) return false;
    *flags = extra->value[agent.extra_index];
    return LIKELY(code_word_id(*flags) >= agent.base_id);
}

static uint64_t flags_of(const void *frame) {
    void *code = field(frame, FRAME_CODE);
    uint64_t flags = 0;
    if (!known_flags(code, layout.co_extra, &flags)) {
        name_code_entered(code, field(frame, layout.python == 0x30b ? GLOBALS_311 : GLOBALS_308));
        if (!known_flags(code, layout.co_extra, &flags)) flags = 0;
    }
    return flags & (FILTER_LEFT_OUT | FILTER_SUBTREE);
}

static const void *caller_frame(const void *frame) { return field(frame, layout.python == 0x30b ? PREVIOUS_311 : BACK_308); }

/* Is the nearest function with a say among `frame` and its callers recorded? */
static bool recorded_from(const void *frame) {
    for (uint32_t walked = 0; frame && walked < FRAMES_MAX; frame = caller_frame(frame), walked++) {
        uint64_t flags = 0;
        if (!known_flags(field(frame, FRAME_CODE), layout.co_extra, &flags)) return false;
        if (!(flags & FILTER_LEFT_OUT)) return true;
        if (flags & FILTER_SUBTREE) return false;
    }
    return false;
}

/* Must ours be on in this frame? */
static bool wanted(uint64_t flags) { return mode == PROFILE_GUARD || !(flags & FILTER_LEFT_OUT || this_thread->ignored); }

bool switch_on_here(const void *tstate) {
    const void *frame = caller_of(tstate);
    return mode == PROFILE_GUARD || (frame && wanted(flags_of(frame)));
}

static bool begins_silence(const void *tstate, uint64_t flags) {
    if (!(flags & FILTER_SUBTREE) || this_thread->ignored || mode == PROFILE_GUARD) return false;
    if (flags & FILTER_OUTSIDE && !recorded_from(caller_of(tstate))) return false;
    return this_thread->tid || (session_visit() && this_thread->tid);
}

/* The frame needs a profile function other than the one that is set. */
static void *changed(void *tstate, void *frame, int throwing) {
    if (agent.state != AGENT_TRACING || field32(tstate, layout.ts_tracing)) goto pass_on;
    if (!agent.family->live || !vt_load_relaxed(&agent.ctl->enabled)) { /* nothing may be recorded that would notice the end */
        session_visit();
        goto pass_on;
    }
    uint64_t flags = mode == PROFILE_SWITCH ? flags_of(frame) : 0;
    if (agent.state != AGENT_TRACING) goto pass_on;
    uint32_t entered = generation;
    bool on = wanted(flags), was_on = profile_is_on(tstate), back = was_on;
    if (on && !was_on) {
        back = switch_on_here(tstate); /* it should have been on there, too */
        if (back) profile_missed(tstate);
        if (entered != generation) goto pass_on;
    }
    if (on != was_on) profile_put(tstate, on, on && back);
    struct thread *silent = begins_silence(tstate, flags) ? this_thread : NULL;
    if (!silent && on == back) goto pass_on;
    if (silent) silent->ignored = 1;
    void *result = eval_default(tstate, frame, throwing, layout.python);
    if (entered != generation) return result;
    if (silent && silent == this_thread) silent->ignored = 0;
    if (profile_is_on(tstate) != back) profile_put(tstate, back, false);
    return result;
pass_on:
    return eval_default(tstate, frame, throwing, layout.python);
}

/* The code of a launched program's __main__ comes here at its first call, because it has no id yet. If it is left out, no other
 * hook sees its end. */
static NOINLINE void *change(void *tstate, void *frame, int throwing) {
    void *code = field(frame, FRAME_CODE), *result = changed(tstate, frame, throwing);
    if (user_code_is(code)) user_code_event(code, VT_REC_RETURN);
    return result;
}

/* Above the first function that is recorded nothing is hidden: the caller is left out in the same way. */
ALWAYS_INLINE bool is_outside(const void *tstate, size_t extra) {
    const void *caller = caller_of(tstate);
    uint64_t flags;
    return caller && known_flags(field(caller, FRAME_CODE), extra, &flags) && flags & FILTER_OUTSIDE;
}

/* `guard`, `silences` and `python` are constants in each instance. */
ALWAYS_INLINE bool is_right(const void *tstate, const void *frame, size_t extra, size_t profile_at, bool guard, bool silences) {
    const void *have = field(tstate, profile_at);
    uint64_t flags;
    if (guard) return have == (void *)lean;
    if (UNLIKELY(!known_flags(field(frame, FRAME_CODE), extra, &flags))) return false;
    bool off = flags & FILTER_LEFT_OUT;
    if (silences) {
        uint32_t ignored = (uint32_t)this_thread->ignored;
        if (flags & FILTER_SUBTREE && !ignored && (flags & FILTER_SILENCES || !is_outside(tstate, extra))) return false;
        off |= ignored != 0;
    }
    return have == (off ? NULL : (void *)lean);
}

#define EVALS(tag, guard, silences)                                                                                              \
    static void *eval_308_##tag(void *frame, int throwing) {                                                                     \
        void *tstate = py.PyThreadState_Get();                                                                                   \
        if (LIKELY(is_right(tstate, frame, CO_EXTRA_308, PROFILE_308, guard, silences)))                                         \
            return eval_default(NULL, frame, throwing, 0x308);                                                                   \
        return change(tstate, frame, throwing);                                                                                  \
    }                                                                                                                            \
    static void *eval_309_##tag(void *tstate, void *frame, int throwing) {                                                       \
        if (LIKELY(is_right(tstate, frame, CO_EXTRA_308, PROFILE_308, guard, silences)))                                         \
            return eval_default(tstate, frame, throwing, 0x309);                                                                 \
        return change(tstate, frame, throwing);                                                                                  \
    }                                                                                                                            \
    static void *eval_311_##tag(void *tstate, void *frame, int throwing) {                                                       \
        if (LIKELY(is_right(tstate, frame, CO_EXTRA_311, PROFILE_311, guard, silences)))                                         \
            return eval_default(tstate, frame, throwing, 0x30b);                                                                 \
        return change(tstate, frame, throwing);                                                                                  \
    }
EVALS(guard, true, false)
EVALS(single, false, false)
EVALS(subtrees, false, true)

static void *function_for_version(void) {
    static void *const functions[3][3] = {
        {(void *)eval_308_guard, (void *)eval_309_guard, (void *)eval_311_guard},
        {(void *)eval_308_single, (void *)eval_309_single, (void *)eval_311_single},
        {(void *)eval_308_subtrees, (void *)eval_309_subtrees, (void *)eval_311_subtrees},
    };
    uint32_t version = layout.python == 0x308 ? 0 : layout.python == 0x30b ? 2 : 1;
    return functions[mode == PROFILE_GUARD ? 0 : subtrees ? 2 : 1][version];
}

void switch_install(enum profile_mode with, py_tracefunc function) {
    generation++;
    mode = with;
    lean = function;
    subtrees = filter_has_subtrees();
    installed = function_for_version();
    eval_slot_put(installed);
}

void switch_use(py_tracefunc function) { lean = function; }

void switch_remove(void) {
    generation++;
    if (installed) eval_slot_take(installed);
    installed = NULL;
}

void switch_visit(void) {
    if (installed) eval_slot_put(installed);
}
