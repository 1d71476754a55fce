/* Hook back end below 3.12: the C profile function of every thread. If the target has set a profile function, ours calls it
 * with its own object. That object stays where it was, so sys.getprofile() does not change.
 *
 * If the frame evaluation function can be used as well (switch.c), a thread without our hook is found at its next Python call:
 * a new thread, however it was started, or one whose function was removed. With filters the evaluation function also keeps
 * ours out of the frames of functions that are left out. Otherwise:
 *   - a thread that Python code starts exists before that call returns, and cannot have run yet: it is hooked at the C_RETURN
 *   - right after a known C function has set a profile function, we are called (profilers.c)
 *   - all other threads are found by the periodic visit, or by the thread that the daemon sends in when the process uses the
 *     CPU and sends no events */
#include "agent/hooks/hook_profile.h"

#include "agent/cpython/frames.h"
#include "agent/cpython/layout.h"
#include "agent/hooks/births.h"
#include "agent/hooks/depth.h"
#include "agent/hooks/detail.h"
#include "agent/hooks/eval_slot.h"
#include "agent/hooks/greenlets.h"
#include "agent/hooks/hooks.h"
#include "agent/hooks/pieces.h"
#include "agent/hooks/profilers.h"
#include "agent/hooks/user_code.h"
#include "agent/limit/cpu_time.h"
#include "agent/limit/governor.h"
#include "agent/names/filter.h"
#include "agent/session/session.h"
#include "agent/session/slow.h"

static py_tracefunc lean; /* the lean function for this version */
static enum profile_mode mode;
static uint32_t nhooked; /* threads found in this visit */
/* A thread's hook and the frames that it has open take microseconds, and the GIL is held: thousands of threads get theirs in
 * slices. A thread that runs Python code before its turn is found by the evaluation function (GUARD). */
enum { SLICE = 256 };
static uint32_t room; /* threads that may still get theirs in this hold of the GIL */
static bool guard_for_start;
static uint64_t wake_after_ns;
#define WAKE_FIRST_NS 8000000u
#define WAKE_RARELY_NS 2000000000u
static uint32_t nopen; /* threads whose frames from before the start are still watched */

static void hook_all_threads(void);
static void open_frame_left(const void *frame);

/* Calls of functions that start threads; their names are recognised when they get an id. */
static NOINLINE void special_call(const struct function_slot *slot, int what) {
    if (agent.state != AGENT_TRACING || !agent.family->live || mode != PROFILE_PLAIN) return;
    if (slot->special == FUNCTION_STARTS_THREAD && what == TRACE_C_RETURN) hook_all_threads();
}

/* The hook of this thread was gone: called before its first event since then is recorded. */
static NOINLINE void tell_missed(uint32_t type) {
    struct pending_error error;
    error_save(&error);
    if (session_visit() && this_thread->missed) {
        window_tell(this_thread, VT_REC_IS_ENTER(type) && type != VT_REC_C_CALL, this_thread->missed);
        this_thread->missed = 0;
    }
    error_restore(&error);
}
ALWAYS_INLINE void look_back(uint32_t type) {
    if (UNLIKELY(this_thread->missed)) tell_missed(type);
}

/* ---- the profile function ---- */

ALWAYS_INLINE void *frame_code(void *frame, bool is_311) { return is_311 ? field(field(frame, 24), 32) : field(frame, 32); }

/* The lean callbacks are straight-line code without a stack frame, as in hook_monitoring.c. Rare cases are tail calls of other
 * functions. */
static NOINLINE int emit_rare(uint64_t word) {
    look_back(word & ((1u << VT_REC_TYPE_BITS) - 1));
    emit_slow(word);
    return 0;
}

/* A call may be a resume, a return a yield. */
static inline uint32_t piece_type(const void *code, uint32_t type, const void *frame) {
    if (LIKELY(!code_in_pieces(code))) return type;
    const void *inner = layout.python == 0x30b ? field(frame, FRAME_INNER) : frame;
    if (type == VT_REC_CALL) return piece_is_first(inner, false) ? VT_REC_CALL : VT_REC_RESUME;
    return type == VT_REC_RETURN && piece_is_suspended(inner) ? VT_REC_YIELD : type;
}

/* Functions without an id; generators and coroutines. */
static NOINLINE int python_rare(void *code, uint32_t type, void *frame) {
    type = piece_type(code, type, frame);
    look_back(type);
    emit(code_id(code, layout.co_extra) | type);
    if (user_code_is(code)) user_code_event(code, type);
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
    if (UNLIKELY(slot && slot->special == FUNCTION_STARTS_THREAD && what != TRACE_C_CALL)) births_known();
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
static NOINLINE int c_rare(void *callable, int what) {
    look_back(c_type(what));
    return on_c(NULL, callable, what, false);
}

ALWAYS_INLINE int on_event(void *frame, int what, void *argument, size_t extra, bool is_311) {
    uint64_t now = arch_ticks();
    uint32_t id, type;
    if (LIKELY(what == TRACE_CALL || what == TRACE_RETURN)) {
        void *code = frame_code(frame, is_311);
        type = what == TRACE_CALL ? VT_REC_CALL : argument ? VT_REC_RETURN : VT_REC_UNWIND;
        if (UNLIKELY(!code_id_known(code, extra, &id))) return python_rare(code, type, frame);
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
    void *code = frame_code(frame, is_311);
    look_back(what == TRACE_CALL ? VT_REC_CALL : VT_REC_RETURN);
    switch (what) {
    case TRACE_CALL:
        detail_python(code, piece_type(code, VT_REC_CALL, frame), NULL, frame);
        if (user_code_is(code)) user_code_event(code, VT_REC_CALL);
        return 0;
    case TRACE_RETURN:
        detail_python(code, piece_type(code, argument ? VT_REC_RETURN : VT_REC_UNWIND, frame), argument, frame);
        if (user_code_is(code)) user_code_event(code, VT_REC_RETURN);
        if (UNLIKELY(nopen)) open_frame_left(frame);
        return 0;
    case TRACE_C_CALL:
    case TRACE_C_RETURN:
    case TRACE_C_EXCEPTION: return on_c(code, argument, what, true);
    default: return 0;
    }
}

/* Where greenlet is loaded */
ALWAYS_INLINE void look(void *frame, int what, bool is_311) {
    enum greenlets_at at = what == TRACE_CALL ? GREENLETS_ENTER : what == TRACE_RETURN ? GREENLETS_LEAVE : GREENLETS_INSIDE;
    if (is_311)
        greenlets_look(py.PyThreadState_Get(), at);
    else
        greenlets_look_frame(frame, at);
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
static int greenlets_308(void *object, void *frame, int what, void *argument) {
    look(frame, what, false);
    return profile_308(object, frame, what, argument);
}
static int greenlets_311(void *object, void *frame, int what, void *argument) {
    look(frame, what, true);
    return profile_311(object, frame, what, argument);
}
static int greenlets_full(void *object, void *frame, int what, void *argument) {
    look(frame, what, layout.python == 0x30b);
    return profile_full(object, frame, what, argument);
}
/* For a thread with a profile function of the target. If that one raises, the interpreter removes it, and ours with it. */
static int profile_chained(void *object, void *frame, int what, void *argument) {
    void *tstate = py.PyThreadState_Get();
    (greenlets_on ? greenlets_full : profile_full)(object, frame, what, argument);
    int result = beside_pass_on(tstate, object, frame, what, argument);
    if (UNLIKELY(!field(tstate, layout.ts_profilefunc)) && agent.state == AGENT_TRACING && agent.family->live &&
        !governor_is_off())
        profile_put(tstate, true, false);
    return result;
}

static const struct profile_functions functions = {
    .own = {profile_308, profile_311, profile_full, greenlets_308, greenlets_311, greenlets_full}, .chained = profile_chained};

static py_tracefunc pick_lean(void) {
    if (greenlets_on) return agent.full ? greenlets_full : layout.python == 0x30b ? greenlets_311 : greenlets_308;
    return agent.full ? profile_full : layout.python == 0x30b ? profile_311 : profile_308;
}

/* ---- in and out ---- */

static bool is_being_made(const void *tstate) { /* without the GIL */
    return layout.ts_cframe && !field(tstate, layout.ts_cframe);
}

static void hook_thread(void *tstate) {
    if (is_being_made(tstate) || profile_is_on(tstate)) return;
    bool mine = agent.state == AGENT_TRACING && tstate == py.PyThreadState_Get();
    if (mine && !frames_any(tstate)) return; /* the thread that the daemon sent in */
    if (!room) {
        agent.some_left = true;
        return;
    }
    profile_put(tstate, true, true);
    if (!profile_is_on(tstate)) return; /* no room for an entry beside the target's function */
    room--;
    nhooked++;
    if (agent.state == AGENT_TRACING && !agent.governed) profile_missed(tstate);
}

static void each_thread(void (*visit)(void *tstate)) {
    for (void *it = py.PyInterpreterState_Head(); it; it = py.PyInterpreterState_Next(it))
        for (void *tstate = py.PyInterpreterState_ThreadHead(it); tstate; tstate = py.PyThreadState_Next(tstate)) visit(tstate);
}

/* All, or a slice of them. */
static void hook_all_threads(void) {
    bool all = agent.governed || (agent.state == AGENT_STARTING && !agent.in_slices);
    uint32_t most = all ? ~0u : SLICE;
    room = most;
    agent.some_left = false;
    if (agent.state == AGENT_TRACING) hook_thread(py.PyThreadState_Get()); /* it runs: it may not wait for its slice */
    each_thread(hook_thread);
    if (most - room > agent.ctl->hooked_most) vt_store_relaxed(&agent.ctl->hooked_most, most - room);
}

static void see(void *tstate) {
    struct beside *beside = beside_find(tstate);
    if (beside) beside->seen = true;
}
static void see_all(void) { each_thread(see); }

/* ---- frames that were open at the start, with filters ---- */

/* They do not pass through the evaluation function. While a recorded frame is among them ours stays on, and checks each of
 * them when it is left. */
static bool any_wanted(void *frame) {
    bool any = false;
    while (frame && !any) {
        void *code = frames_code(frame);
        name_code(code, frame);
        any = !(filter_flags_of(code) & FILTER_LEFT_OUT);
        frame = any ? (drop_ref(frame), NULL) : frames_next(frame);
    }
    return any;
}

static void set_open(void *tstate, const void *frame) {
    struct beside *beside = frame ? beside_make(tstate) : beside_find(tstate);
    if (!beside) return;
    nopen += (frame != NULL) - (beside->open_from != NULL);
    beside->open_from = frame;
    if (!frame && !beside->theirs) beside_drop(beside);
}

/* Takes over the reference to `frame`, the innermost open frame. */
static void begin_open(void *tstate, void *frame) {
    const void *innermost = frame;
    bool on = any_wanted(frame);
    profile_put(tstate, on, true);
    set_open(tstate, on ? innermost : NULL);
}

static void begin_thread(void *tstate) {
    if (!is_being_made(tstate)) begin_open(tstate, frames_first(tstate));
}

static NOINLINE void open_frame_left(const void *frame) {
    void *tstate = py.PyThreadState_Get(), *innermost;
    const struct beside *beside = beside_find(tstate);
    if (!beside || beside->open_from != frame || mode != PROFILE_SWITCH) return;
    innermost = frames_first(tstate);
    begin_open(tstate, innermost ? frames_next(innermost) : NULL);
}

/* ---- the session ---- */

/* Runs in the thread that has set or removed a profile function, in the frame of the caller. */
static void changed(bool all, bool knows_all) {
    (void)knows_all;
    void *tstate = py.PyThreadState_Get();
    if (governor_is_off()) return;
    const struct beside *beside = beside_find(tstate);
    bool open = beside && beside->open_from;
    profile_put(tstate, mode != PROFILE_SWITCH || open || switch_on_here(tstate), false);
    if (all && mode != PROFILE_SWITCH) hook_all_threads();
}

static const struct profilers_hooks profilers_hooks = {.after = changed};

static void all_in(void) {
    nopen = 0;
    depth_switched = mode == PROFILE_SWITCH;
    if (mode != PROFILE_PLAIN) switch_install(mode, lean);
    if (mode == PROFILE_SWITCH)
        each_thread(begin_thread);
    else
        hook_all_threads();
}

static void all_out(void) {
    switch_remove();
    each_thread(profile_take);
    depth_switched = false;
    nopen = 0;
}

static enum profile_mode choose_mode(void) {
    if (!eval_slot_possible()) return PROFILE_PLAIN;
    /* a greenlet may go on in a frame of the other kind */
    if (filter_is_set() && agent.full && !(agent.flags & VT_F_ASYNC) && !greenlets_on) return PROFILE_SWITCH;
    return layout.python < 0x30b ? PROFILE_GUARD : PROFILE_PLAIN;
}

/* When the process uses the CPU but no hooked thread does, the daemon sends a thread in. Each one that finds nothing new
 * doubles the time to the next: C code that runs for long looks the same. */
static void want_wake(uint32_t found) {
    uint64_t cpu = process_cpu_ns();
    if (agent.governed) return;
    if (found)
        wake_after_ns = WAKE_FIRST_NS;
    else if (agent.ctl->wake_cpu_ns && cpu >= agent.ctl->wake_cpu_ns && wake_after_ns < WAKE_RARELY_NS)
        wake_after_ns *= 2;
    vt_store_release(&agent.ctl->wake_cpu_ns, cpu + wake_after_ns);
}

/* 3.11: of thread states that come and go between two looks only the evaluation function sees all. */
static void guard_if_missed(void) {
    if (!births_missed() || agent.governed || !eval_slot_possible()) return;
    mode = PROFILE_GUARD;
    switch_install(mode, lean);
    vt_store_release(&agent.ctl->wake_cpu_ns, 0ull);
}

static void look_at_all(void) {
    nhooked = 0;
    if (!profile_is_on(py.PyThreadState_Get())) births_known(); /* the thread that the daemon sent in */
    hook_all_threads();
    want_wake(nhooked);
    guard_if_missed();
}

static int profile_install(char *why, size_t why_size) {
    (void)why, (void)why_size;
    profilers_start(&profilers_hooks);
    lean = pick_lean();
    profile_use(&functions, lean);
    mode = choose_mode();
    agent.some_left = false;
    all_in();
    guard_for_start = agent.some_left && mode == PROFILE_PLAIN && eval_slot_possible();
    if (guard_for_start) {
        mode = PROFILE_GUARD;
        switch_install(mode, lean);
    }
    births_start();
    wake_after_ns = WAKE_FIRST_NS;
    if (mode == PROFILE_PLAIN) want_wake(0);
    return 0;
}

static void profile_more(void) {
    if (!agent.some_left || mode == PROFILE_SWITCH || governor_is_off()) {
        agent.some_left = false;
        return;
    }
    births_known(); /* of the thread that runs this */
    hook_all_threads();
    if (agent.some_left || !guard_for_start) return;
    guard_for_start = false;
    switch_remove();
    mode = PROFILE_PLAIN;
    births_start(); /* GUARD has seen those until now */
    want_wake(0);
}

static void look_for_missed(void *tstate) {
    if (!is_being_made(tstate) && !profile_is_on(tstate)) profile_missed_if_known(tstate);
}

void profile_tell_missed(void) {
    if (agent.hooks != &hook_profile || agent.governed || mode == PROFILE_SWITCH) return;
    if (!agent.some_left) each_thread(look_for_missed);
    profile_missed_to_the_end();
}

static bool profile_has(const void *tstate) { return mode == PROFILE_SWITCH || profile_is_on(tstate); }

static void profile_remove(void) {
    profilers_stop();
    all_out();
}

static void change_lean(void *tstate) {
    if (!is_being_made(tstate) && (mode == PROFILE_SWITCH || profile_is_on(tstate))) profile_put(tstate, true, true);
}

static void follow_greenlets(void) {
    lean = pick_lean();
    profile_use(&functions, lean);
    each_thread(change_lean);
    if (mode == PROFILE_SWITCH) {
        switch_remove();
        depth_switched = false;
        nopen = 0;
        mode = choose_mode();
        if (mode != PROFILE_PLAIN) switch_install(mode, lean);
    }
    switch_use(lean);
}

static void profile_visit(void) {
    if (governor_is_off()) return;
    if (greenlets_appeared()) follow_greenlets();
    beside_sweep(see_all);
    if (mode == PROFILE_PLAIN) {
        look_at_all();
    } else if (eval_slot_too_deep()) {
        all_out();
        mode = PROFILE_PLAIN;
        guard_for_start = false;
        all_in();
    } else {
        switch_visit();
    }
}

const struct hook_ops hook_profile = {
    .kind = VT_HOOK_PROFILE,
    .install = profile_install,
    .more = profile_more,
    .has = profile_has,
    .remove = profile_remove,
    .visit = profile_visit,
    .pause = all_out,
    .resume = all_in,
};
