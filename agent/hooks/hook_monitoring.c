/* Owns the hook back end for 3.12+: sys.monitoring. Each event has a callback object of its own, because a callback is not told
 * which event it is called for. The objects have a vectorcall type of ours: the interpreter calls nothing at a lower cost.
 *
 * CALL is also sent for callees that are not C functions. A call site is switched off (DISABLE) after SITE_CALLS such callees
 * and no C function. A site that has called a C function stays on, so that no C call is missed. */
#include "agent/cpython/layout.h"
#include "agent/cpython/text.h"
#include "agent/cpython/type_spec.h"
#include "agent/hooks/detail.h"
#include "agent/hooks/greenlets.h"
#include "agent/hooks/hooks.h"
#include "agent/hooks/parallel.h"
#include "agent/hooks/profilers.h"
#include "agent/hooks/stacks.h"
#include "agent/hooks/user_code.h"
#include "agent/limit/governor.h"
#include "agent/session/interps.h"
#include "agent/session/slow.h"

enum { EVENT_CALL = 6, EVENT_C_RETURN = 7, EVENT_C_RAISE = 8, EVENTS = 9, SITE_CALLS = 1000, SITE_CALLS_GOVERNED = 30 };

static const char *const event_names[EVENTS] = {"PY_START", "PY_RESUME", "PY_RETURN", "PY_YIELD", "PY_UNWIND",
                                                "PY_THROW", "CALL",      "C_RETURN",  "C_RAISE"};
static void *disable; /* sys.monitoring.DISABLE, immortal */
static long event_bits[EVENTS], events;
static uint32_t nevents; /* the session uses event_names[0] to [nevents - 1] */

/* ---- call sites ---- */

/* A site is identified by the address of its instruction. Addresses are even, and two call sites may be only two bytes of address
 * apart, as in super().f(): so the index into a table begins at bit 1. Code objects of equal size lie at equal distances: so the
 * upper bits are mixed in, or the sites of thousands of similar functions would share a few places. */
enum { C_BITS = 16, OTHER_BITS = 14 };
static uint64_t c_sites[1u << C_BITS];         /* sites that have called a C function: address + c_lap */
static uint64_t other_sites[1u << OTHER_BITS]; /* other sites: address << 16 | number of calls */
static uint64_t c_lap;                         /* session << 48: entries of older sessions do not match and need no clearing */
static uint32_t contested;

ALWAYS_INLINE uint64_t site_of(void *const *args) { return (uint64_t)args[0] + field32(args[1], LONG_DIGIT_312); }
ALWAYS_INLINE uint64_t *site_place(uint64_t *table, uint32_t bits, uint64_t site) {
    return &table[(site >> 1 ^ site >> (bits + 1)) & ((1ull << bits) - 1)];
}
ALWAYS_INLINE bool site_is_mixed(uint64_t site) { return *site_place(c_sites, C_BITS, site) == site + c_lap; }
ALWAYS_INLINE void site_calls_c(uint64_t site) {
    if (UNLIKELY(!site_is_mixed(site))) *site_place(c_sites, C_BITS, site) = site + c_lap;
}

/* Colliding sites: keep the first until it is disabled or the other has come often enough; alternating would disable neither. */
static NOINLINE void *call_of_other(void *const *args) {
    uint64_t site = site_of(args), *place = site_place(other_sites, OTHER_BITS, site);
    uint32_t enough = SITE_CALLS;
    if (agent.governed) {
        account.others++;
        enough = SITE_CALLS_GOVERNED;
    }
    if (site_is_mixed(site)) return py._Py_NoneStruct;
    if (*place >> 16 != site) {
        if (*place && (uint16_t)*place < enough && ++contested % enough) return py._Py_NoneStruct;
        *place = site << 16;
    }
    if ((uint16_t)*place < enough) ++*place;
    return (uint16_t)*place < enough ? py._Py_NoneStruct : disable;
}

/* ---- callbacks ---- */

/* PY_UNWIND and PY_THROW cannot be switched off. */
ALWAYS_INLINE bool may_disable(uint32_t type) { return type != VT_REC_UNWIND && type != VT_REC_THROW; }

/* A lean callback is straight-line code without a stack frame: every rare case is a tail call of a function of its own. The
 * clock is read first, because that takes the CPU long, and it can do the look-ups meanwhile. Slow paths read the clock again. */
static NOINLINE void *emit_rare(uint64_t word) {
    emit_slow(word);
    return py._Py_NoneStruct;
}
static NOINLINE void *python_rare(void *code, uint32_t type) {
    emit(name_code_slow(code) | type);
    if (user_code_is(code)) user_code_event(code, type);
    return py._Py_NoneStruct;
}
static NOINLINE void *call_rare(void *const *args) {
    void *definition = function_definition(args[2]);
    if (!definition) return call_of_other(args);
    uint32_t id = function_id(args[2], definition);
    site_calls_c(site_of(args));
    c_entered(args[2], id);
    emit(id | VT_REC_C_CALL);
    return py._Py_NoneStruct;
}
static NOINLINE void *c_leave_rare(void *const *args, uint32_t type) {
    void *definition = function_definition(args[2]);
    if (definition) emit(function_id(args[2], definition) | type);
    return py._Py_NoneStruct;
}

/* args: code, ... */
ALWAYS_INLINE void *on_python(void *const *args, uint32_t type, size_t extra) {
    uint64_t now = arch_ticks();
    uint32_t id;
    if (UNLIKELY(!code_id_known(args[0], extra, &id))) return python_rare(args[0], type);
    if (UNLIKELY(!emit_at(now, id | type))) return emit_rare(id | type);
    return py._Py_NoneStruct;
}

/* args: code, offset, callable, first argument */
ALWAYS_INLINE void *on_call(void *const *args) {
    uint64_t now = arch_ticks();
    void *callable = args[2], *definition;
    if (LIKELY(type_of(callable) == py.PyCFunction_Type))
        definition = field(callable, CFUNCTION_DEF);
    else if (LIKELY(type_of(callable) == py.PyMethodDescr_Type))
        definition = field(callable, DESCR_DEF);
    else
        return call_rare(args);
    uint32_t id;
    if (UNLIKELY(!function_id_known(definition, &id) || !site_is_mixed(site_of(args)))) return call_rare(args);
    c_entered_known(callable, id);
    if (UNLIKELY(!emit_at(now, id | VT_REC_C_CALL))) return emit_rare(id | VT_REC_C_CALL);
    return py._Py_NoneStruct;
}

ALWAYS_INLINE void *on_c_leave(void *const *args, uint32_t type) {
    uint64_t now = arch_ticks();
    uint32_t id;
    if (UNLIKELY(!c_leaves(args[2], &id))) return c_leave_rare(args, type);
    if (UNLIKELY(!emit_at(now, id | type))) return emit_rare(id | type);
    return py._Py_NoneStruct;
}

/* The same where greenlet is loaded. */
ALWAYS_INLINE void look(uint32_t type) { greenlets_look(py.PyThreadState_Get(), greenlets_at(type)); }
ALWAYS_INLINE void *on_python_greenlets(void *const *args, uint32_t type, size_t extra) {
    look(type);
    return on_python(args, type, extra);
}
ALWAYS_INLINE void *on_call_greenlets(void *const *args) {
    look(VT_REC_C_CALL);
    return on_call(args);
}
ALWAYS_INLINE void *on_c_leave_greenlets(void *const *args, uint32_t type) {
    look(type);
    return on_c_leave(args, type);
}

/* The other callbacks: for sessions with options, and for interpreters with a GIL of their own. */
enum mode { FULL, FULL_GREENLETS, PARALLEL, PARALLEL_FULL };

ALWAYS_INLINE void *other_python(void *const *args, uint32_t type, enum mode mode) {
    void *value = type == VT_REC_RETURN || type == VT_REC_YIELD ? args[2] : NULL;
    enum detail_next next = DETAIL_KEEP;
    if (mode == FULL_GREENLETS) look(type);
    if (mode == PARALLEL)
        parallel_python(args[0], type);
    else if (mode != PARALLEL_FULL)
        next = detail_python(args[0], type, value, NULL);
    else
        next = parallel_detail_python(args[0], type, value);
    if (mode == FULL && user_code_is(args[0])) user_code_event(args[0], type);
    return next == DETAIL_OFF && may_disable(type) ? disable : py._Py_NoneStruct;
}

ALWAYS_INLINE void *other_c(void *const *args, uint32_t type, enum mode mode) {
    void *definition = function_definition(args[2]);
    bool call = type == VT_REC_C_CALL;
    enum detail_next next = DETAIL_KEEP;
    if (!definition) return call ? call_of_other(args) : py._Py_NoneStruct;
    if (mode == FULL_GREENLETS) look(type);
    if (mode == PARALLEL)
        parallel_c(args[2], definition, type);
    else if (mode != PARALLEL_FULL)
        next = detail_c(args[0], args[2], definition, type);
    else
        next = parallel_detail_c(args[0], args[2], definition, type);
    if (!call) return py._Py_NoneStruct;
    if (next == DETAIL_OFF) return disable;
    if (next == DETAIL_OFF_CALLEE) return call_of_other(args);
    site_calls_c(site_of(args));
    return py._Py_NoneStruct;
}

#define ARGS                                                                                                                     \
    void *self __attribute__((unused)), void *const *args, size_t n __attribute__((unused)), void *names __attribute__((unused))
#define PYTHON_CALLBACKS(tag, function, how)                                                                                     \
    static void *start_##tag(ARGS) { return function(args, VT_REC_CALL, how); }                                                  \
    static void *resume_##tag(ARGS) { return function(args, VT_REC_RESUME, how); }                                               \
    static void *return_##tag(ARGS) { return function(args, VT_REC_RETURN, how); }                                               \
    static void *yield_##tag(ARGS) { return function(args, VT_REC_YIELD, how); }                                                 \
    static void *unwind_##tag(ARGS) { return function(args, VT_REC_UNWIND, how); }                                               \
    static void *throw_##tag(ARGS) { return function(args, VT_REC_THROW, how); }
#define OTHER_CALLBACKS(tag, mode)                                                                                               \
    PYTHON_CALLBACKS(tag, other_python, mode)                                                                                    \
    static void *call_##tag(ARGS) { return other_c(args, VT_REC_C_CALL, mode); }                                                 \
    static void *c_return_##tag(ARGS) { return other_c(args, VT_REC_C_RETURN, mode); }                                           \
    static void *c_raise_##tag(ARGS) { return other_c(args, VT_REC_C_RAISE, mode); }
#define CALLBACK_LIST(tag, c_tag)                                                                                                \
    {                                                                                                                            \
        start_##tag, resume_##tag, return_##tag, yield_##tag, unwind_##tag, throw_##tag, call_##c_tag, c_return_##c_tag,         \
            c_raise_##c_tag                                                                                                      \
    }

typedef void *(*vectorcall)(void *, void *const *, size_t, void *);
PYTHON_CALLBACKS(312, on_python, CO_EXTRA_312)
PYTHON_CALLBACKS(313, on_python, CO_EXTRA_313)
PYTHON_CALLBACKS(314, on_python, CO_EXTRA_314)
static void *call_lean(ARGS) { return on_call(args); }
static void *c_return_lean(ARGS) { return on_c_leave(args, VT_REC_C_RETURN); }
static void *c_raise_lean(ARGS) { return on_c_leave(args, VT_REC_C_RAISE); }
PYTHON_CALLBACKS(312_greenlets, on_python_greenlets, CO_EXTRA_312)
PYTHON_CALLBACKS(313_greenlets, on_python_greenlets, CO_EXTRA_313)
PYTHON_CALLBACKS(314_greenlets, on_python_greenlets, CO_EXTRA_314)
static void *call_lean_greenlets(ARGS) { return on_call_greenlets(args); }
static void *c_return_lean_greenlets(ARGS) { return on_c_leave_greenlets(args, VT_REC_C_RETURN); }
static void *c_raise_lean_greenlets(ARGS) { return on_c_leave_greenlets(args, VT_REC_C_RAISE); }
OTHER_CALLBACKS(full, FULL)
OTHER_CALLBACKS(full_greenlets, FULL_GREENLETS)
OTHER_CALLBACKS(parallel, PARALLEL)
OTHER_CALLBACKS(parallel_full, PARALLEL_FULL)
/* With greenlets, without, by version: 3.12, 3.13, later ones, or with options */
static const vectorcall tables[2][4][EVENTS] = {
    {CALLBACK_LIST(312, lean), CALLBACK_LIST(313, lean), CALLBACK_LIST(314, lean), CALLBACK_LIST(full, full)},
    {CALLBACK_LIST(312_greenlets, lean_greenlets), CALLBACK_LIST(313_greenlets, lean_greenlets),
     CALLBACK_LIST(314_greenlets, lean_greenlets), CALLBACK_LIST(full_greenlets, full_greenlets)}};
static const vectorcall table_parallel[EVENTS] = CALLBACK_LIST(parallel, parallel),
                        table_parallel_full[EVENTS] = CALLBACK_LIST(parallel_full, parallel_full);

static const vectorcall *pick_table(void) {
    if (interps_own_gil()) return agent.full ? table_parallel_full : table_parallel;
    uint32_t version = layout.python == 0x30c ? 0 : layout.python == 0x30d ? 1 : 2;
    return tables[greenlets_on][agent.full ? 3 : version];
}

/* ---- the callback type ---- */

enum { OBJECT_HEAD = 16 };
#define TYPE_FLAGS_WANTED (1u << 18 | 1u << 11 | 1u << 7) /* default, vectorcall, no instances from Python */

/* Python copies the spec, but keeps a pointer to the members. */
static void *callback_type(void) {
    static struct member members[2] = {{"__vectorcalloffset__", T_PYSSIZET, OBJECT_HEAD, READONLY, NULL}};
    struct slot slots[3] = {{SLOT_MEMBERS, members}, {SLOT_CALL, (void *)py.PyVectorcall_Call}};
    struct spec spec = {"viztracer_agent.callback", OBJECT_HEAD + 8, 0, TYPE_FLAGS_WANTED, slots};
    return py.PyType_FromSpec(&spec);
}

static void *callback_new(void *type, vectorcall function) {
    char *object = py.PyType_GenericAlloc(type, 0);
    if (object) *(vectorcall *)(void *)(object + OBJECT_HEAD) = function;
    return object;
}

/* ---- sys.monitoring by name ---- */

static long number(void *object, const char *name) {
    void *value = object ? py.PyObject_GetAttrString(object, name) : NULL;
    long result = value ? py.PyLong_AsLong(value) : -1;
    drop_ref(value);
    return result;
}

static bool done(void *result) {
    if (!result) py.PyErr_Clear();
    drop_ref(result);
    return result != NULL;
}

/* Tool ids 0 to 2 are reserved for debuggers, coverage and profilers. An id that another tool has is left alone. */
static const int wanted_tools[] = {4, 3, 5};
enum { TOOLS = sizeof wanted_tools / sizeof wanted_tools[0] };

static int take_tool(void *monitoring) {
    for (size_t i = 0; i < TOOLS; i++)
        if (done(py.PyObject_CallMethod(monitoring, "use_tool_id", "is", wanted_tools[i], "viztracer"))) return wanted_tools[i];
    return -1;
}

static void say_who_has_them(void *monitoring, char *why, size_t why_size) {
    text_append(why, why_size, "every tool id of sys.monitoring that may be used is taken:");
    for (size_t i = 0; i < TOOLS; i++) {
        struct text name;
        void *holder = py.PyObject_CallMethod(monitoring, "get_tool", "i", wanted_tools[i]);
        text_of_unicode(&name, holder);
        text_append(why, why_size, " ");
        text_append_number(why, why_size, wanted_tools[i]);
        text_append(why, why_size, " by ");
        text_append(why, why_size, name.bytes);
        text_done(&name);
        drop_ref(holder);
        if (py.PyErr_Occurred()) py.PyErr_Clear();
    }
}

/* ---- the current interpreter: sys.monitoring's functions work on that one ---- */

/* A thread inside a callback does not use the callback object any more, so it may be freed. */
static void unhook_here(int tool) {
    void *monitoring = py.PySys_GetObject("monitoring"); /* borrowed */
    if (!monitoring) return;
    py.Py_IncRef(monitoring);
    done(py.PyObject_CallMethod(monitoring, "set_events", "il", tool, 0L));
    for (int i = 0; i < EVENTS; i++)
        done(py.PyObject_CallMethod(monitoring, "register_callback", "ilO", tool, event_bits[i], py._Py_NoneStruct));
    done(py.PyObject_CallMethod(monitoring, "free_tool_id", "i", tool));
    py.Py_DecRef(monitoring);
}

/* Each interpreter gets callback objects of its own, and owns them. */
static bool register_callbacks(void *monitoring, int tool) {
    const vectorcall *table = pick_table();
    void *type = callback_type();
    bool all = type;
    for (uint32_t i = 0; i < nevents && all; i++) {
        void *callback = callback_new(type, table[i]);
        all = callback && done(py.PyObject_CallMethod(monitoring, "register_callback", "ilO", tool, event_bits[i], callback));
        drop_ref(callback);
    }
    if (py.PyErr_Occurred()) py.PyErr_Clear();
    drop_ref(type);
    return all;
}

/* The tool id, -EBUSY or -ENOMEM. */
static int hook_here(void) {
    void *monitoring = py.PySys_GetObject("monitoring"); /* borrowed */
    int tool = -1;
    if (!monitoring) return -VT_ENOMEM;
    py.Py_IncRef(monitoring);
    tool = take_tool(monitoring);
    if (tool < 0) {
        tool = -VT_EBUSY;
        goto out;
    }
    /* events that an earlier session switched off are still off in code that has not run since */
    if (!register_callbacks(monitoring, tool) || !done(py.PyObject_CallMethod(monitoring, "set_events", "il", tool, events)) ||
        !done(py.PyObject_CallMethod(monitoring, "restart_events", NULL))) {
        unhook_here(tool);
        tool = -VT_ENOMEM;
    }
out:
    py.Py_DecRef(monitoring);
    return tool;
}

static void rearm_here(void) {
    void *monitoring = py.PySys_GetObject("monitoring"); /* borrowed */
    if (monitoring) done(py.PyObject_CallMethod(monitoring, "restart_events", NULL));
}

/* In an interpreter that is hooked later, the begins of its open frames were not seen. */
static int hook_and_tell(void) {
    int tool = hook_here();
    if (tool < 0) return tool;
    if (interps_own_gil())
        parallel_stacks();
    else if (agent.state == AGENT_TRACING)
        stacks_emit_current();
    return tool;
}

/* Does the interpreter's own tool for profile functions have its events on already? Then the call that sets one is instrumented
 * without us, too. */
static bool profile_tool_is_on(void) {
    const long bit = 1 << 6;
    struct pending_error error;
    error_save(&error);
    void *monitoring = py.PySys_GetObject("monitoring"); /* borrowed */
    void *tools = monitoring ? py.PyObject_CallMethod(monitoring, "_all_events", NULL) : NULL;
    void *of_call = tools ? py.PyDict_GetItemString(tools, event_names[EVENT_CALL]) : NULL; /* borrowed */
    bool on = of_call && py.PyLong_AsLong(of_call) & bit;
    drop_ref(tools);
    error_restore(&error);
    return on;
}
static const struct profilers_hooks profilers_hooks = {.before = profile_tool_is_on, .after = profilers_stand_in};

static const struct interp_hooks in_interpreter = {.in = hook_and_tell, .out = unhook_here, .rearm = rearm_here};

/* ---- the session ---- */

static int read_names(void *monitoring) {
    void *names = py.PyObject_GetAttrString(monitoring, "events");
    disable = py.PyObject_GetAttrString(monitoring, "DISABLE");
    bool all = names && disable;
    nevents = agent.c_calls ? EVENTS : EVENT_CALL;
    events = 0;
    for (uint32_t i = 0; i < EVENTS && all; i++) {
        event_bits[i] = number(names, event_names[i]);
        all = event_bits[i] > 0;
        if (i < nevents && i < EVENT_C_RETURN) events |= event_bits[i];
    }
    if (py.PyErr_Occurred()) py.PyErr_Clear();
    drop_ref(names);
    drop_ref(disable);
    return all ? 0 : -VT_ENOTSUP;
}

static int monitoring_install(char *why, size_t why_size) {
    void *monitoring = py.PySys_GetObject("monitoring"); /* borrowed */
    memset(other_sites, 0, sizeof other_sites);
    c_lap += 1ull << 48;
    profilers_start(&profilers_hooks);
    int rc = monitoring ? read_names(monitoring) : -VT_ENOTSUP;
    if (!rc) {
        interps_start(&in_interpreter);
        rc = interps_enter();
    }
    if (rc == -VT_EBUSY) say_who_has_them(monitoring, why, why_size);
    if (rc < 0) {
        profilers_stop();
        if (!*why) text_append(why, why_size, "sys.monitoring does not work as expected");
        return rc;
    }
    agent.ctl->tool_id = rc;
    interps_ask();
    return 0;
}

static void monitoring_remove(void) {
    profilers_stop();
    profilers_stand_aside();
    interps_settle();
    interps_ask();
}

/* The callbacks that look for greenlets take the place of the others, in the interpreter that has loaded the module. */
static void follow_greenlets(void) {
    void *monitoring = py.PySys_GetObject("monitoring"); /* borrowed */
    if (monitoring && agent.ctl->tool_id >= 0) register_callbacks(monitoring, agent.ctl->tool_id);
}

/* Switches disabled events on again from time to time. restart_events does so for the events of other tools, too. */
static void monitoring_visit(void) {
    interps_look();
    if (greenlets_appeared()) follow_greenlets();
    if (!agent.rearm_ticks || agent.visit_at < agent.rearm_at || !(agent.c_calls || agent.governed)) return;
    agent.rearm_at = agent.visit_at + agent.rearm_ticks;
    interps_rearm();
    if (agent.governed) throttle_looks_begin(clock_full());
}

const struct hook_ops hook_monitoring = {
    .kind = VT_HOOK_MONITORING,
    .install = monitoring_install,
    .remove = monitoring_remove,
    .visit = monitoring_visit,
    .leftover = interps_settle,
    .keep = interps_keep,
    .news = interps_news,
};
