/* The floor: a hook of the same kind as the agent's that does nothing, or nothing but read the clock. What is left above it is
 * ours to make cheaper. Loaded with ctypes.PyDLL by tests/bench/workload.py; no Python.h, so that one
 * library serves every version (type slot and flag numbers: CPython Include/typeslots.h, object.h). */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>

typedef struct object object;
struct member {
    const char *name;
    int type;
    ptrdiff_t offset;
    int flags;
    const char *doc;
};
struct slot {
    int id;
    void *ptr;
};
struct spec {
    const char *name;
    int basicsize, itemsize;
    unsigned flags;
    struct slot *slots;
};
enum { SLOT_TP_CALL = 50, SLOT_TP_MEMBERS = 72, T_PYSSIZET = 19, READONLY = 1, VECTORCALL_OFFSET = 16, OBJECT_SIZE = 24 };
#define FLAGS_DEFAULT (1u << 18)
#define FLAGS_HAVE_VECTORCALL (1u << 11)
#define FLAGS_DISALLOW_INSTANTIATION (1u << 7)

int floor_monitoring(int c_calls, int clock);
int floor_profile(int clock);
int floor_eval(int clock);

static object *none, *disable;
static void *function_type, *method_type;

static void *sym(const char *name) { return dlsym(RTLD_DEFAULT, name); }

/* rdtsc as the agent reads it; what it says is dropped. */
static void read_clock(void) {
    uint64_t ticks = __builtin_ia32_rdtsc();
    __asm__ volatile("" : : "r"(ticks));
}

static object *noop(object *self, object *const *args, size_t n, object *kw) {
    (void)self, (void)args, (void)n, (void)kw;
    return none;
}
static object *noop_call(object *self, object *const *args, size_t n, object *kw) {
    (void)self, (void)n, (void)kw;
    void *type = *(void **)((char *)args[2] + 8);
    return type == function_type || type == method_type ? disable : none;
}
static object *clock_only(object *self, object *const *args, size_t n, object *kw) {
    read_clock();
    return noop(self, args, n, kw);
}
static object *clock_call(object *self, object *const *args, size_t n, object *kw) {
    read_clock();
    return noop_call(self, args, n, kw);
}
static int noop_profile(object *self, void *frame, int what, object *arg) {
    (void)self, (void)frame, (void)what, (void)arg;
    return 0;
}
static int clock_profile(object *self, void *frame, int what, object *arg) {
    read_clock();
    return noop_profile(self, frame, what, arg);
}

static object *make_callable(void *fn) {
    static object *type;
    static struct member members[2] = {{"__vectorcalloffset__", T_PYSSIZET, VECTORCALL_OFFSET, READONLY, NULL}};
    static struct slot slots[3] = {{SLOT_TP_MEMBERS, members}, {SLOT_TP_CALL, NULL}};
    static struct spec spec = {"floor.callable", OBJECT_SIZE, 0,
                               FLAGS_DEFAULT | FLAGS_HAVE_VECTORCALL | FLAGS_DISALLOW_INSTANTIATION, slots};
    if (!type) {
        slots[1].ptr = sym("PyVectorcall_Call");
        type = ((object * (*)(struct spec *)) sym("PyType_FromSpec"))(&spec);
        if (!type) return NULL;
    }
    object *o = ((object * (*)(object *, ptrdiff_t)) sym("PyType_GenericAlloc"))(type, 0);
    if (o) *(void **)((char *)o + VECTORCALL_OFFSET) = fn;
    return o;
}

/* 3.12+: sys.monitoring, tool id 4. c_calls: also CALL, disabled at sites of Python callees. 0 or -1. */
__attribute__((visibility("default"))) int floor_monitoring(int c_calls, int clock) {
    static const char *const names[] = {"PY_START", "PY_RESUME", "PY_RETURN", "PY_YIELD", "PY_UNWIND",
                                        "PY_THROW", "CALL",      "C_RETURN",  "C_RAISE"};
    object *(*getattr)(object *, const char *) = (object * (*)(object *, const char *)) sym("PyObject_GetAttrString");
    object *(*import)(const char *) = (object * (*)(const char *)) sym("PyImport_ImportModule");
    object *(*method)(object *, const char *, const char *, ...) =
        (object * (*)(object *, const char *, const char *, ...)) sym("PyObject_CallMethod");
    long (*as_long)(object *) = (long (*)(object *))sym("PyLong_AsLong");
    object *sys = import("sys"), *monitoring = sys ? getattr(sys, "monitoring") : NULL;
    object *events = monitoring ? getattr(monitoring, "events") : NULL;
    if (!events) return -1;
    none = (object *)sym("_Py_NoneStruct");
    disable = getattr(monitoring, "DISABLE");
    function_type = sym("PyFunction_Type");
    method_type = sym("PyMethod_Type");
    if (!method(monitoring, "use_tool_id", "is", 4, "floor")) return -1;
    void *any = clock ? (void *)clock_only : (void *)noop, *call = clock ? (void *)clock_call : (void *)noop_call;
    long set = 0;
    for (int i = 0; i < 9; i++) {
        if (i >= 6 && !c_calls) break;
        long event = as_long(getattr(events, names[i]));
        if (!method(monitoring, "register_callback", "ilN", 4, event, make_callable(i == 6 ? call : any))) return -1;
        if (i < 7) set |= event;
    }
    return method(monitoring, "set_events", "il", 4, set) ? 0 : -1;
}

/* Below 3.12: the profile function of this thread. */
__attribute__((visibility("default"))) int floor_profile(int clock) {
    void (*set)(void *, object *) = (void (*)(void *, object *))sym("PyEval_SetProfile");
    set(clock ? (void *)clock_profile : (void *)noop_profile, NULL);
    return 0;
}

static object *(*default_eval)(void *, void *, int);
static object *noop_eval(void *ts, void *frame, int exc) { return default_eval(ts, frame, exc); }
static object *clock_eval(void *ts, void *frame, int exc) {
    read_clock();
    object *result = default_eval(ts, frame, exc);
    read_clock();
    return result;
}

/* 3.9 - 3.11: PEP 523 hook. -1 where it cannot be set by name. */
__attribute__((visibility("default"))) int floor_eval(int clock) {
    void (*set)(void *, void *) = (void (*)(void *, void *))sym("_PyInterpreterState_SetEvalFrameFunc");
    void *(*head)(void) = (void *(*)(void))sym("PyInterpreterState_Head");
    default_eval = (object * (*)(void *, void *, int)) sym("_PyEval_EvalFrameDefault");
    if (!set || !head || !default_eval) return -1;
    set(head(), clock ? (void *)clock_eval : (void *)noop_eval);
    return 0;
}
