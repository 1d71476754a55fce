/* Owns what the target's own profile functions see while we trace: exactly what they would see without us. At a C call, the
 * interpreter decides whether its end is an event: it is if a profile function is set then. Ours is always set. So a profiler
 * that starts inside a C call, such as the call that starts it, would get the end of a call whose beginning it did not get,
 * and `profile` fails at that. So an end is passed on only when its beginning was.
 *
 * C functions that set a profile function are known by name. While a session is on, their entry in the method table of the
 * module or type points to a function of ours, which calls them and then updates our hooks. Nothing runs in between, so
 * neither we nor the target miss an event. */
#include "agent/hooks/profilers.h"

#include "agent/cpython/layout.h"
#include "agent/cpython/writable.h"
#include "agent/names/ids.h"
#include "agent/session/interps.h"
#include "agent/session/session.h"

enum { PLACES = 8192, PLACES_USED = 6144, WRAPPED_MAX = 8 };

/* ---- entries of thread states: a hash table by address ---- */

static struct beside places[PLACES];
static uint32_t nplaces;

static uint32_t home_of(const void *tstate) { return (uint32_t)(((uint64_t)tstate >> 4) * 0x9E3779B97F4A7C15ull >> 32) % PLACES; }
static uint32_t next_place(uint32_t i) { return (i + 1) % PLACES; }

struct beside *beside_find(const void *tstate) {
    if (!nplaces) return NULL;
    for (uint32_t i = home_of(tstate); places[i].tstate; i = next_place(i))
        if (places[i].tstate == tstate) return &places[i];
    return NULL;
}

struct beside *beside_make(void *tstate) {
    struct beside *beside = beside_find(tstate);
    if (beside || nplaces >= PLACES_USED) return beside;
    uint32_t i = home_of(tstate);
    while (places[i].tstate) i = next_place(i);
    places[i] = (struct beside){.tstate = tstate};
    nplaces++;
    return &places[i];
}

/* Moves later entries up that this one kept from their home slot. */
void beside_drop(struct beside *beside) {
    uint32_t hole = (uint32_t)(beside - places);
    nplaces--;
    for (uint32_t i = next_place(hole); places[i].tstate; i = next_place(i)) {
        uint32_t away = (i - home_of(places[i].tstate)) % PLACES, gap = (i - hole) % PLACES;
        if (away < gap) continue;
        places[hole] = places[i];
        hole = i;
    }
    places[hole] = (struct beside){.tstate = NULL};
}

void beside_sweep(void (*alive)(void)) {
    if (!nplaces) return;
    for (uint32_t i = 0; i < PLACES; i++) places[i].seen = false;
    alive();
    for (uint32_t i = 0; i < PLACES;) {
        if (places[i].tstate && !places[i].seen)
            beside_drop(&places[i]); /* another entry may have moved here */
        else
            i++;
    }
}

bool beside_set(void *tstate, py_tracefunc theirs, bool knows_all) {
    struct beside *beside = beside_make(tstate);
    if (!beside) return false;
    if (!beside->theirs) {
        beside->c_calls = 0;
        beside->knows_all = knows_all;
    }
    beside->theirs = theirs;
    return true;
}

/* ---- events ---- */

static bool sees(struct beside *beside, int what) {
    if (beside->knows_all || what < TRACE_C_CALL) return true;
    if (what == TRACE_C_CALL) {
        beside->c_calls++;
        return true;
    }
    if (!beside->c_calls) return false;
    beside->c_calls--;
    return true;
}

int beside_pass_on(void *tstate, void *object, void *frame, int what, void *argument) {
    struct beside *beside = beside_find(tstate);
    py_tracefunc theirs = beside ? beside->theirs : NULL;
    if (!theirs || !sees(beside, what)) return 0;
    int result = theirs(object, frame, what, argument);
    if (!result || what != TRACE_C_CALL) return result;
    beside = beside_find(tstate); /* the call does not happen, so it will not end */
    if (beside && beside->c_calls) beside->c_calls--;
    return result;
}

/* ---- 3.12+: the interpreter calls the target's function through sys.monitoring; it never calls one of ours ---- */

static int stand_in(void *object, void *frame, int what, void *argument) {
    return beside_pass_on(py.PyThreadState_Get(), object, frame, what, argument);
}

static void set_function(void *tstate, void *function) { *(void **)(void *)((char *)tstate + layout.ts_profilefunc) = function; }

static bool in_knows_all;

static bool put_in(void *tstate) {
    void *function = field(tstate, layout.ts_profilefunc);
    if (function && function != (void *)stand_in && beside_set(tstate, (py_tracefunc)function, in_knows_all))
        set_function(tstate, (void *)stand_in);
    struct beside *beside = beside_find(tstate);
    if (beside) beside->seen = function;
    if (beside && !function) beside->theirs = NULL;
    return false;
}

static bool take_out(void *tstate) {
    const struct beside *beside = beside_find(tstate);
    if (field(tstate, layout.ts_profilefunc) == (void *)stand_in && beside) set_function(tstate, (void *)beside->theirs);
    return false;
}

static void each_thread(bool (*visit)(void *tstate)) {
    void *none;
    interps_threads(&none, 1, visit);
}
static void put_in_all(void) { each_thread(put_in); }

void profilers_stand_in(bool all, bool knows_all) {
    if (!layout.ts_profilefunc) return;
    in_knows_all = knows_all;
    if (nplaces >= PLACES_USED)
        beside_sweep(put_in_all);
    else if (all)
        put_in_all();
    else
        put_in(py.PyThreadState_Get());
}

void profilers_stand_aside(void) {
    if (layout.ts_profilefunc && nplaces) each_thread(take_out);
}

/* ---- C functions that set profile functions ---- */

typedef void *(*c_function)(void *, void *, void *, void *, void *);
static struct wrapped {
    void *definition;
    c_function original;
    bool all;
} wrapped[WRAPPED_MAX];
static uint32_t nwrapped;
static const struct profilers_hooks *hooks;

static bool is_on(void) {
    if (vt_load_acquire(&agent.state) != AGENT_TRACING || interps_own_gil()) return false;
    if (!agent.family->live) session_visit();
    return agent.state == AGENT_TRACING && hooks;
}

/* The arguments are pointers or sizes, at most five: for every calling convention of these functions it is safe to pass five. */
static void *call(const struct wrapped *w, void *a, void *b, void *c, void *d, void *e) {
    bool knows_all = is_on() && hooks->before && hooks->before();
    void *result = w->original(a, b, c, d, e);
    if (is_on()) hooks->after(w->all, knows_all);
    return result;
}

#define WRAPPER(i)                                                                                                               \
    static void *call_##i(void *a, void *b, void *c, void *d, void *e) { return call(&wrapped[i], a, b, c, d, e); }
WRAPPER(0)
WRAPPER(1)
WRAPPER(2)
WRAPPER(3)
WRAPPER(4)
WRAPPER(5)
WRAPPER(6)
WRAPPER(7)
static const c_function wrappers[WRAPPED_MAX] = {call_0, call_1, call_2, call_3, call_4, call_5, call_6, call_7};

static c_function *function_in(void *definition) { return (c_function *)(void *)((char *)definition + DEF_FUNCTION); }

/* Replaces an entry before its first call in the session. */
static void wrap(void *definition, bool all) {
    uint32_t i = 0;
    while (i < nwrapped && wrapped[i].definition != definition) i++;
    if (i == WRAPPED_MAX || !hooks || interps_own_gil()) return;
    c_function *function = function_in(definition);
    if (*function == wrappers[i] || !writable_word(function)) return;
    wrapped[i] = (struct wrapped){definition, *function, all};
    if (i == nwrapped) nwrapped++;
    vt_store_release((uint64_t *)(void *)function, (uint64_t)wrappers[i]);
}

void profilers_start(const struct profilers_hooks *with) {
    memset(places, 0, nplaces ? sizeof places : 0);
    nplaces = 0;
    hooks = with;
    name_profile_setter = wrap;
}

void profilers_stop(void) {
    name_profile_setter = NULL;
    hooks = NULL;
    for (uint32_t i = 0; i < nwrapped; i++) {
        c_function *function = function_in(wrapped[i].definition);
        if (*function == wrappers[i]) vt_store_release((uint64_t *)(void *)function, (uint64_t)wrapped[i].original);
    }
}
