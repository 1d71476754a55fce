/* Owns the profile function of a single thread, below 3.12: puts ours in beside the target's own, and takes it out. */
#include "agent/cpython/frames.h"
#include "agent/cpython/layout.h"
#include "agent/hooks/hook_profile.h"
#include "agent/hooks/profilers.h"
#include "agent/hooks/stacks.h"
#include "agent/record/state.h"
#include "agent/record/thread.h"

static const struct profile_functions *functions;
static py_tracefunc lean;

void profile_use(const struct profile_functions *with, py_tracefunc function) {
    functions = with;
    lean = function;
}

static bool is_ours(const void *function) {
    for (size_t i = 0; i < sizeof functions->own / sizeof functions->own[0]; i++)
        if (function == (void *)functions->own[i]) return true;
    return false;
}

static void *function_of(const void *tstate) { return field(tstate, layout.ts_profilefunc); }

static void set_field(void *object, size_t offset, void *value) { *(void **)(void *)((char *)object + offset) = value; }

/* Inside a trace callback the interpreter has tracing off; it sets it again afterwards. */
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

bool profile_is_on(const void *tstate) {
    void *function = function_of(tstate);
    return is_ours(function) || function == (void *)functions->chained;
}

/* The profile function that the target has set in the thread. Updates its entry in profilers.h. False: there is no room for
 * the entry. */
static bool theirs_of(void *tstate, py_tracefunc *theirs, bool knows_all) {
    void *function = function_of(tstate);
    struct beside *beside = beside_find(tstate);
    *theirs = NULL;
    if (function == (void *)functions->chained) {
        *theirs = beside ? beside->theirs : NULL;
    } else if (function && !is_ours(function)) {
        *theirs = (py_tracefunc)function;
        return beside_set(tstate, *theirs, knows_all);
    } else if (beside) {
        beside->theirs = NULL;
        if (!beside->open_from) beside_drop(beside);
    }
    return true;
}

void profile_put(void *tstate, bool on, bool knows_all) {
    py_tracefunc theirs;
    if (!theirs_of(tstate, &theirs, knows_all)) return;
    void *function = (void *)(!on ? theirs : theirs ? functions->chained : lean);
    if (function == function_of(tstate)) return;
    set_field(tstate, layout.ts_profilefunc, function);
    set_use_tracing(tstate);
}

/* False: it has recorded nothing. */
static bool mark_missed(const void *tstate) {
    uint64_t ident = frames_ident(tstate);
    for (uint32_t i = 0; i < agent.nthreads; i++) {
        struct thread *thread = &agent.threads[i];
        if (thread->ident != ident || !thread->tid || !thread->seq) continue;
        thread->missed = VT_WINDOW_DISPLACED;
        thread_send_slow(thread);
        return true;
    }
    return false;
}

void profile_missed(void *tstate) {
    /* without frames nothing was missed; a new thread's state still has its parent's ident */
    if (frames_any(tstate) && !mark_missed(tstate)) stacks_emit_thread(tstate);
}

void profile_missed_if_known(void *tstate) {
    if (frames_any(tstate)) mark_missed(tstate);
}

/* No other thread runs Python code meanwhile: below 3.12 all need this GIL. */
void profile_missed_to_the_end(void) {
    const struct vt_pl_window none_open = {.cause = VT_WINDOW_DISPLACED};
    struct thread *mine = this_thread;
    for (uint32_t i = 0; i < agent.nthreads; i++) {
        struct thread *thread = &agent.threads[i];
        if (!thread->tid || thread->missed != VT_WINDOW_DISPLACED) continue;
        this_thread = thread;
        uint8_t *to = payload_reserve(sizeof none_open);
        if (to) {
            memcpy(to, &none_open, sizeof none_open);
            payload_commit(VT_PL_WINDOW, sizeof none_open);
        }
        thread->missed = 0;
    }
    this_thread = mine;
}

void profile_take(void *tstate) {
    struct beside *beside = beside_find(tstate);
    if (!profile_is_on(tstate)) return;
    set_field(tstate, layout.ts_profilefunc,
              function_of(tstate) == (void *)functions->chained && beside ? (void *)beside->theirs : NULL);
    set_use_tracing(tstate);
}
