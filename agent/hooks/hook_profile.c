/* Hook back end below 3.12: the C profile function of every thread. A profile function that a thread has
 * already is called by ours, with its own object, which stays where it was: sys.getprofile() does not change.
 *
 * New threads: when a thread starts another one from Python, the child's state exists before the call
 * returns and cannot have run, so the parent's C_RETURN event is the moment to hook it. Threads born in C,
 * and hooks that somebody displaced, are found by the periodic visit. */
#include "agent/hooks/detail.h"
#include "agent/hooks/hooks.h"
#include "agent/limit/governor.h"
#include "agent/record/emit.h"

enum { TRACE_CALL = 0, TRACE_RETURN = 3, TRACE_C_CALL = 4, TRACE_C_EXCEPTION = 5, TRACE_C_RETURN = 6, CHAINED_MAX = 1024 };

/* Profile functions that were there before us, by thread state. */
struct chained {
    void *tstate;
    py_tracefunc function;
};
static struct chained chained[CHAINED_MAX];
static uint32_t nchained;
static py_tracefunc lean; /* the instance for this version */

static void hook_all_threads(void);

static struct chained *chained_of(const void *tstate) {
    for (uint32_t i = 0; i < nchained; i++)
        if (chained[i].tstate == tstate) return &chained[i];
    return NULL;
}

/* ---- functions that change who is hooked ---- */

static int hook_later(void *unused) {
    (void)unused;
    if (agent.state == AGENT_TRACING && agent.family->live && !governor_is_off()) hook_all_threads();
    return 0;
}

/* Calls that start threads or replace our hook; recognised by name when they get their id. */
static NOINLINE void special_call(const struct function_slot *slot, int what) {
    if (agent.state != AGENT_TRACING || !agent.family->live) return;
    if (slot->special == FUNCTION_STARTS_THREAD && what == TRACE_C_RETURN) hook_all_threads();
    /* it displaces us while it runs: look again right after it */
    if (slot->special == FUNCTION_SETS_PROFILE && what == TRACE_C_CALL) py.Py_AddPendingCall(hook_later, NULL);
}

/* ---- the profile function ---- */

ALWAYS_INLINE void *frame_code(void *frame, bool is_311) { return is_311 ? field(field(frame, 24), 32) : field(frame, 32); }

/* The lean callbacks are one straight run without a stack frame, as in hook_monitoring.c: whatever is not ordinary is the tail
 * call of a function of its own. */
static NOINLINE int emit_rare(uint64_t word) {
    emit_slow(word);
    return 0;
}
static NOINLINE int python_rare(void *code, uint32_t type) {
    emit(name_code_slow(code) | type);
    return 0;
}

ALWAYS_INLINE uint32_t c_type(int what) {
    return what == TRACE_C_CALL ? VT_REC_C_CALL : what == TRACE_C_RETURN ? VT_REC_C_RETURN : VT_REC_C_RAISE;
}

ALWAYS_INLINE int on_c(void *code, void *callable, int what, bool full) {
    void *definition = function_definition(callable);
    if (!definition) return 0;
    const struct function_slot *slot = &function_slots[function_slot_of(definition)];
    uint32_t id = slot->id;
    if (UNLIKELY(slot->definition != definition || slot->check != function_check(definition) || id < agent.base_id)) {
        id = name_function_slow(callable, definition);
        slot = name_function_slot(function_slots, definition);
    }
    if (LIKELY(agent.c_calls)) {
        if (full)
            detail_c(code, callable, definition, c_type(what));
        else
            emit(id | c_type(what));
    }
    if (UNLIKELY(slot && slot->special))
        special_call(slot, what);
    else if (!full && what == TRACE_C_CALL && agent.c_calls)
        c_entered(callable, id);
    return 0;
}
static NOINLINE int c_rare(void *callable, int what) { return on_c(NULL, callable, what, false); }

ALWAYS_INLINE int on_event(void *frame, int what, void *argument, size_t extra, bool is_311) {
    uint64_t now = arch_ticks();
    uint32_t id, type;
    if (LIKELY(what == TRACE_CALL || what == TRACE_RETURN)) {
        void *code = frame_code(frame, is_311);
        type = what == TRACE_CALL ? VT_REC_CALL : argument ? VT_REC_RETURN : VT_REC_UNWIND;
        if (UNLIKELY(!code_id_known(code, extra, &id))) return python_rare(code, type);
    } else if (what == TRACE_C_CALL) {
        void *definition = function_definition(argument);
        type = VT_REC_C_CALL;
        if (UNLIKELY(!function_id_known(definition, &id) || !agent.c_calls)) return c_rare(argument, what);
        if (UNLIKELY(function_slots[function_slot_of(definition)].special)) return c_rare(argument, what);
        c_entered_known(argument, id);
    } else if (what == TRACE_C_RETURN || what == TRACE_C_EXCEPTION) {
        type = c_type(what);
        if (UNLIKELY(!c_leaves(argument, &id))) return c_rare(argument, what);
    } else {
        return 0;
    }
    if (UNLIKELY(!emit_at(now, id | type))) return emit_rare(id | type);
    return 0;
}

static int full_event(void *frame, int what, void *argument, bool is_311) {
    switch (what) {
    case TRACE_CALL: detail_python(frame_code(frame, is_311), VT_REC_CALL, NULL, frame); return 0;
    case TRACE_RETURN:
        detail_python(frame_code(frame, is_311), argument ? VT_REC_RETURN : VT_REC_UNWIND, argument, frame);
        return 0;
    case TRACE_C_CALL:
    case TRACE_C_RETURN:
    case TRACE_C_EXCEPTION: return on_c(frame_code(frame, is_311), argument, what, true);
    default: return 0;
    }
}

static int profile_308(void *object, void *frame, int what, void *argument) {
    (void)object;
    return on_event(frame, what, argument, CO_EXTRA_308, false);
}
static int profile_311(void *object, void *frame, int what, void *argument) {
    (void)object;
    return on_event(frame, what, argument, CO_EXTRA_311, true);
}
static int profile_full(void *object, void *frame, int what, void *argument) {
    (void)object;
    return full_event(frame, what, argument, layout.python == 0x30b);
}
/* In a thread that had a profile function already. */
static int profile_chained(void *object, void *frame, int what, void *argument) {
    const struct chained *previous = chained_of(py.PyThreadState_Get());
    py_tracefunc theirs = previous ? previous->function : NULL;
    profile_full(object, frame, what, argument);
    return theirs ? theirs(object, frame, what, argument) : 0;
}

static bool is_ours(const void *function) {
    return function == (void *)profile_308 || function == (void *)profile_311 || function == (void *)profile_full;
}

/* ---- in and out ---- */

static void set_field(void *object, size_t offset, void *value) { *(void **)(void *)((char *)object + offset) = value; }

/* Inside a trace callback the interpreter has switched tracing off and works it out again afterwards. */
static void set_use_tracing(void *tstate) {
    bool on = field(tstate, layout.ts_profilefunc) || field(tstate, layout.ts_tracefunc);
    uint32_t value = on ? layout.use_tracing_on : 0;
    if (field32(tstate, layout.ts_tracing)) return;
    if (layout.ts_use_tracing)
        *(uint32_t *)(void *)((char *)tstate + layout.ts_use_tracing) = value;
    else if (layout.use_tracing_on == 255)
        *(uint8_t *)field(tstate, layout.ts_cframe) = (uint8_t)value;
    else
        *(uint32_t *)field(tstate, layout.ts_cframe) = value;
}

static void hook_thread(void *tstate) {
    void *function = field(tstate, layout.ts_profilefunc);
    if (layout.ts_cframe && !field(tstate, layout.ts_cframe)) return; /* still being made, without the GIL */
    if (is_ours(function) || function == (void *)profile_chained) return;
    struct chained *previous = chained_of(tstate);
    if (!function) {
        if (previous) *previous = chained[--nchained];
        set_field(tstate, layout.ts_profilefunc, (void *)lean);
    } else {
        if (!previous && nchained == CHAINED_MAX) return;
        if (!previous) previous = &chained[nchained++];
        *previous = (struct chained){tstate, (py_tracefunc)function};
        set_field(tstate, layout.ts_profilefunc, (void *)profile_chained);
    }
    set_use_tracing(tstate);
}

static void unhook_thread(void *tstate) {
    void *function = field(tstate, layout.ts_profilefunc);
    const struct chained *previous = chained_of(tstate);
    if (is_ours(function))
        set_field(tstate, layout.ts_profilefunc, NULL);
    else if (function == (void *)profile_chained)
        set_field(tstate, layout.ts_profilefunc, previous ? (void *)previous->function : NULL);
    else
        return;
    set_use_tracing(tstate);
}

static void each_thread(void (*visit)(void *tstate)) {
    for (void *it = py.PyInterpreterState_Head(); it; it = py.PyInterpreterState_Next(it))
        for (void *tstate = py.PyInterpreterState_ThreadHead(it); tstate; tstate = py.PyThreadState_Next(tstate)) visit(tstate);
}

static void hook_all_threads(void) { each_thread(hook_thread); }

/* Thread states that are gone must not be mistaken for new ones at the same address. */
static void forget_dead(void) {
    for (uint32_t i = 0; i < nchained; i++) {
        bool alive = false;
        for (void *it = py.PyInterpreterState_Head(); it && !alive; it = py.PyInterpreterState_Next(it))
            for (void *t = py.PyInterpreterState_ThreadHead(it); t && !alive; t = py.PyThreadState_Next(t))
                alive = t == chained[i].tstate;
        if (!alive) chained[i--] = chained[--nchained];
    }
}

static int profile_install(char *why, size_t why_size) {
    (void)why, (void)why_size;
    nchained = 0;
    lean = agent.full ? profile_full : layout.python == 0x30b ? profile_311 : profile_308;
    hook_all_threads();
    return 0;
}

static void profile_pause(void) { each_thread(unhook_thread); }

static void profile_remove(void) {
    each_thread(unhook_thread);
    nchained = 0;
}

static void profile_visit(void) {
    if (governor_is_off()) return;
    if (nchained) forget_dead();
    hook_all_threads();
}

const struct hook_ops hook_profile = {
    .kind = VT_HOOK_PROFILE,
    .install = profile_install,
    .remove = profile_remove,
    .visit = profile_visit,
    .pause = profile_pause,
    .resume = hook_all_threads,
};
