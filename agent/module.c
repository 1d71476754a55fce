/* Owns the agent as the extension module `viztracer._viztracer_agent`: one file for every Python, made at run time.
 *
 * What it exports are callable objects of types of its own, no builtin functions: neither profile functions nor sys.monitoring's
 * hooks see their calls as those of C functions, so nothing of the package is in a trace. `hushed` makes methods of that kind
 * from Python functions. */
#include "agent/module.h"

#include "agent/cpython/layout.h"
#include "agent/cpython/type_spec.h"
#include "agent/own.h"

/* ---- what the interpreter has to have for this ---- */

struct module_api module_api;

static const struct {
    const char *name;
    size_t at;
} wanted[] = {
#define ROW(name)                                                                                                                \
    { #name, offsetof(struct module_api, name) }
    ROW(PyModuleDef_Init), ROW(PyObject_SetAttrString), ROW(PyObject_Free),   ROW(PyMethod_New),
    ROW(PyObject_GetAttr), ROW(PyExc_TypeError),        ROW(PyObject_IsTrue), ROW(PyBytes_FromStringAndSize),
#undef ROW
};

static bool find_api(void) {
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        void *found = symbol_find(wanted[i].name);
        if (!found) return false;
        *(void **)(void *)((char *)&module_api + wanted[i].at) = found;
    }
    return true;
}

/* ---- types ---- */

enum { TYPE_VECTORCALL_OFFSET = 56 };
#define FLAGS_CALLABLE (1u << 18 | 1u << 11)     /* default, vectorcall */
#define FLAGS_METHOD (FLAGS_CALLABLE | 1u << 17) /* called with its object as the first argument */
#define FLAGS_PLAIN (1u << 18)

static void object_dealloc(void *object) {
    struct callable *c = object;
    void *type = type_of(object);
    drop_ref(c->target);
    module_api.PyObject_Free(object);
    py.Py_DecRef(type);
}

static void *callable_bind(void *object, void *instance, void *owner) {
    (void)owner;
    if (instance && instance != py._Py_NoneStruct) return module_api.PyMethod_New(object, instance);
    py.Py_IncRef(object);
    return object;
}

/* __doc__, __name__ and others are those of the function behind it. */
static void *callable_attribute(void *object, void *name) {
    struct callable *c = object;
    struct text text;
    text_of_unicode(&text, name);
    bool forward = c->target && !text_equal(text.bytes, "__class__") && !text_equal(text.bytes, "__get__") &&
                   !text_equal(text.bytes, "__call__") && !text_equal(text.bytes, "__wrapped__");
    text_done(&text);
    void *value = forward ? module_api.PyObject_GetAttr(c->target, name) : NULL;
    if (value) return value;
    if (forward) py.PyErr_Clear();
    return py.PyObject_GenericGetAttr(object, name);
}

static struct member callable_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(struct callable, call), READONLY, NULL},
    {"__wrapped__", T_OBJECT, offsetof(struct callable, target), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static void *callable_type(const char *name, bool method) {
    struct slot slots[] = {{SLOT_MEMBERS, callable_members},
                           {SLOT_CALL, (void *)py.PyVectorcall_Call},
                           {SLOT_DEALLOC, (void *)object_dealloc},
                           {SLOT_GETATTRO, (void *)callable_attribute},
                           {method ? SLOT_DESCR_GET : 0, method ? (void *)callable_bind : NULL},
                           {0, NULL}};
    struct spec spec = {name, (int)sizeof(struct callable), 0, method ? FLAGS_METHOD : FLAGS_CALLABLE, slots};
    char *type = py.PyType_FromSpec(&spec);
    /* 3.8 does not look at the member */
    if (type) *(int64_t *)(void *)(type + TYPE_VECTORCALL_OFFSET) = offsetof(struct callable, call);
    return type;
}

static void *plain_type(const char *name, size_t size) {
    struct slot slots[] = {{SLOT_DEALLOC, (void *)object_dealloc}, {0, NULL}};
    struct spec spec = {name, (int)size, 0, FLAGS_PLAIN, slots};
    return py.PyType_FromSpec(&spec);
}

static void *callable_new(void *type, vectorcall function, void *target) {
    struct callable *c = py.PyType_GenericAlloc(type, 0);
    if (!c) return NULL;
    c->call = function;
    c->target = target;
    if (target) py.Py_IncRef(target);
    return c;
}

/* ---- hushed functions ---- */

static struct {
    void *function, *method, *span, *off;
    void *off_object;
} types;

ALWAYS_INLINE void *none(void) {
    py.Py_IncRef(py._Py_NoneStruct);
    return py._Py_NoneStruct;
}

static void *wrong_type(const char *what) {
    py.PyErr_SetString(*(void **)module_api.PyExc_TypeError, what);
    return NULL;
}

/* A Python function has its own vectorcall on each version. */
static void *call_target(const struct callable *c, void *const *args, size_t n, void *names) {
    uint64_t at = (uint64_t)field(type_of(c->target), TYPE_VECTORCALL_OFFSET);
    return (*(vectorcall *)(void *)((char *)c->target + at))(c->target, args, n, names);
}

static void *call_hushed(void *self, void *const *args, size_t n, void *names) {
    struct thread *hushed = own_hush();
    void *result = call_target(self, args, n, names);
    own_listen(hushed);
    return result;
}

static void *make_hushed(void *self, void *const *args, size_t n, void *names) {
    (void)self;
    if (NARGS(n) != 1 || names || type_of(args[0]) != py.PyFunction_Type) return wrong_type("hushed() takes one Python function");
    return callable_new(types.method, call_hushed, args[0]);
}

/* ---- the session ---- */

static void *truth(bool value) {
    void *answer = value ? py._Py_TrueStruct : py._Py_FalseStruct;
    py.Py_IncRef(answer);
    return answer;
}

static void *number(int value) { return py.PyLong_FromUnsignedLong((unsigned long)value); }

/* (descriptor, bytes, sparse, what tells values in place of repr or None) -> 0 or errno */
static void *start(void *self, void *const *args, size_t n, void *names) {
    (void)self;
    if (NARGS(n) != 4 || names) return wrong_type("start(descriptor, bytes, sparse, repr)");
    long fd = py.PyLong_AsLong(args[0]), bytes = py.PyLong_AsLong(args[1]);
    int sparse = module_api.PyObject_IsTrue(args[2]);
    if (py.PyErr_Occurred()) return NULL;
    return number(-own_start((int32_t)fd, (uint64_t)bytes, sparse > 0, args[3] == py._Py_NoneStruct ? NULL : args[3]));
}

#define COMMAND(name, work)                                                                                                      \
    static void *name(void *self, void *const *args, size_t n, void *names) {                                                    \
        (void)self, (void)args, (void)n, (void)names;                                                                            \
        work;                                                                                                                    \
    }
COMMAND(hold, own_hold(); return none())
COMMAND(go_on, return number(-own_go_on()))
COMMAND(go_on_possible, return truth(own_go_on_possible()))
COMMAND(leave, own_leave(); return none())
COMMAND(state, return number((int)own_state()))
COMMAND(abi_major, return number(VT_ABI_MAJOR))
COMMAND(forget_names, own_forget_names(); return none())
COMMAND(tracing, return truth(own_on()))
COMMAND(launched, return truth(agent.launched && own_on()))
COMMAND(sparse, return truth(own_on() && agent.sparse))
COMMAND(recording, return truth(own_on() && !agent.user_over))

/* ---- events ---- */

ALWAYS_INLINE bool is_text(const void *object) { return type_of(object) == py.PyUnicode_Type; }

/* (name) */
static void *instant(void *self, void *const *args, size_t n, void *names) {
    struct text name;
    (void)self;
    if (NARGS(n) != 1 || names || !is_text(args[0])) return wrong_type("instant(name): the name is a str");
    if (!own_on() || this_thread->paused) return none();
    text_of_unicode(&name, args[0]);
    own_mark('i', 't', &name, NULL, NULL);
    text_done(&name);
    return none();
}

/* (name, number) */
static void *counter(void *self, void *const *args, size_t n, void *names) {
    struct text name, json = {NULL, 0, NULL};
    char value[96] = "{\"value\":";
    (void)self;
    if (NARGS(n) != 2 || names || !is_text(args[0])) return wrong_type("counter(name, value): the name is a str");
    bool whole = type_of(args[1]) == py.PyLong_Type;
    if (!whole && type_of(args[1]) != py.PyFloat_Type) return wrong_type("counter(name, value): the value is an int or a float");
    if (!own_on() || this_thread->paused) return none();
    if (whole) {
        long number = py.PyLong_AsLong(args[1]);
        if (number == -1 && py.PyErr_Occurred()) return NULL;
        text_append_number(value, sizeof value, number);
    } else {
        char *digits = py.PyOS_double_to_string(py.PyFloat_AsDouble(args[1]), 'r', 0, 0, NULL);
        if (!digits) return NULL;
        bool finite = digits[0] != 'n' && digits[0] != 'i' && digits[1] != 'i';
        text_append(value, sizeof value, finite ? digits : "0");
        py.PyMem_Free(digits);
    }
    text_append(value, sizeof value, "}");
    json.bytes = value;
    json.len = (int64_t)strlen(value);
    text_of_unicode(&name, args[0]);
    own_mark('C', 0, &name, NULL, &json);
    text_done(&name);
    return none();
}

/* (letter, scope or "", name, id or None, JSON or None) -> recorded? */
static void *mark(void *self, void *const *args, size_t n, void *names) {
    struct text part[5];
    (void)self;
    if (NARGS(n) != 5 || names) return wrong_type("mark(letter, scope, name, id, json)");
    for (int i = 0; i < 5; i++)
        if (!is_text(args[i]) && (i < 3 || args[i] != py._Py_NoneStruct)) return wrong_type("mark(): texts only");
    bool done = false;
    if (own_on()) {
        for (int i = 0; i < 5; i++) text_of_unicode(&part[i], args[i] == py._Py_NoneStruct ? NULL : args[i]);
        done = own_mark(part[0].bytes[0], part[1].bytes[0], &part[2], &part[3], &part[4]);
        for (int i = 0; i < 5; i++) text_done(&part[i]);
    }
    return truth(done);
}

/* (name, JSON) of the innermost call, or (None, text of an assignment in it) -> recorded? */
static void *note(void *self, void *const *args, size_t n, void *names) {
    struct text part[2];
    (void)self;
    if (NARGS(n) != 2 || names || !is_text(args[1]) || (!is_text(args[0]) && args[0] != py._Py_NoneStruct))
        return wrong_type("note(name or None, text)");
    void *answer = py._Py_FalseStruct;
    if (own_on()) {
        bool step = args[0] == py._Py_NoneStruct;
        text_of_unicode(&part[0], step ? NULL : args[0]);
        text_of_unicode(&part[1], args[1]);
        if (step ? own_step(&part[1]) : own_note(&part[0], &part[1])) answer = py._Py_TrueStruct;
        for (int i = 0; i < 2; i++) text_done(&part[i]);
    }
    py.Py_IncRef(answer);
    return answer;
}

/* Spans begin and end also where the package's own code runs. */
static void record_span(uint32_t id, bool begin) {
    struct thread *thread = this_thread;
    uint32_t paused = thread->paused;
    if (LIKELY(!paused)) {
        own_span(id, begin);
        return;
    }
    thread->paused = 0;
    own_span(id, begin);
    if (this_thread != thread) return;
    thread->paused = paused;
    thread_send_slow(thread);
}

static void *span_edge(void *const *args, size_t n, void *names, bool begin) {
    if (NARGS(n) != 1 || names || !is_text(args[0])) return wrong_type("the name of a span is a str, its only argument");
    if (own_on()) record_span(own_name(args[0]), begin);
    return none();
}
static void *span_begin(void *self, void *const *args, size_t n, void *names) {
    (void)self;
    return span_edge(args, n, names, true);
}
static void *span_end(void *self, void *const *args, size_t n, void *names) {
    (void)self;
    return span_edge(args, n, names, false);
}

/* ---- with span(name, key=value) ---- */

struct span { /* begins as struct callable does */
    int64_t references;
    void *type;
    void *call;
    void *name;   /* owned */
    void *values; /* owned bytes: a VT_PL_ARGS payload, or NULL */
    bool open;
};
_Static_assert(offsetof(struct span, name) == offsetof(struct callable, target), "object_dealloc drops both");

static void span_dealloc(void *object) {
    drop_ref(((struct span *)object)->values);
    object_dealloc(object);
}

static size_t put_text(char *to, size_t at, const struct text *text, uint16_t len) {
    memcpy(to + at, text->bytes, len);
    return at + len;
}

enum { VALUES_MAX = 8192, TEXT_MAX = 1024 };

/* The keyword arguments as a payload; NULL with an exception. */
static void *values_of(void *const *values, void *names) {
    char payload[VALUES_MAX];
    size_t at = 0;
    int64_t n = py.PyTuple_Size(names);
    for (int64_t i = 0; i < n; i++) {
        struct text key, value;
        void *repr = py.PyObject_Repr(values[i]);
        if (!repr) return NULL;
        text_of_unicode(&key, py.PyTuple_GetItem(names, i));
        text_of_unicode(&value, repr);
        uint16_t key_len = (uint16_t)(key.len > TEXT_MAX ? TEXT_MAX : key.len);
        uint16_t value_len = (uint16_t)(value.len > TEXT_MAX ? TEXT_MAX : value.len);
        if (at + 4 + key_len + value_len <= sizeof payload) {
            memcpy(payload + at, &key_len, 2);
            memcpy(payload + at + 2, &value_len, 2);
            at = put_text(payload, at + 4, &key, key_len);
            at = put_text(payload, at, &value, value_len);
        }
        text_done(&key);
        text_done(&value);
        drop_ref(repr);
    }
    return module_api.PyBytes_FromStringAndSize(payload, (int64_t)at);
}

static void *span(void *self, void *const *args, size_t n, void *names) {
    (void)self;
    if (NARGS(n) != 1 || !is_text(args[0])) return wrong_type("span(name, key=value...): the name is a str");
    if (!own_on()) {
        py.Py_IncRef(types.off_object);
        return types.off_object;
    }
    struct span *s = py.PyType_GenericAlloc(types.span, 0);
    if (!s) return NULL;
    py.Py_IncRef(args[0]);
    s->name = args[0];
    if (!names) return s;
    struct thread *hushed = own_hush(); /* a repr may be Python code */
    s->values = values_of(args + 1, names);
    own_listen(hushed);
    if (s->values) return s;
    py.Py_DecRef(s);
    return NULL;
}

static void *span_enter(void *self, void *const *args, size_t n, void *names) {
    (void)self, (void)n, (void)names;
    struct span *s = args[0];
    char *bytes;
    int64_t len;
    py.Py_IncRef(s);
    if (!own_on()) return s;
    uint32_t id = own_name(s->name);
    if (s->values && !py.PyBytes_AsStringAndSize(s->values, &bytes, &len)) own_span_args(bytes, (uint32_t)len);
    record_span(id, true);
    s->open = true;
    return s;
}

static void *span_exit(void *self, void *const *args, size_t n, void *names) {
    (void)self, (void)n, (void)names;
    struct span *s = args[0];
    if (s->open && own_on()) record_span(own_name(s->name), false);
    s->open = false;
    return none();
}

static void *off_enter(void *self, void *const *args, size_t n, void *names) {
    (void)self, (void)args, (void)n, (void)names;
    py.Py_IncRef(types.off_object);
    return types.off_object;
}
static void *off_exit(void *self, void *const *args, size_t n, void *names) {
    (void)self, (void)args, (void)n, (void)names;
    return none();
}

/* ---- the module ---- */

static bool add_callable(void *to, const char *name, void *type, vectorcall function) {
    void *callable = type ? callable_new(type, function, NULL) : NULL;
    bool done = callable && module_api.PyObject_SetAttrString(to, name, callable) == 0;
    drop_ref(callable);
    return done;
}

static bool make_types(void) {
    struct slot slots[] = {{SLOT_DEALLOC, (void *)span_dealloc}, {0, NULL}};
    struct spec spec = {"viztracer.Span", sizeof(struct span), 0, FLAGS_PLAIN, slots};
    types.function = callable_type("viztracer.function", false);
    types.method = callable_type("viztracer.method", true);
    types.span = py.PyType_FromSpec(&spec);
    types.off = plain_type("viztracer.SpanOff", sizeof(struct span));
    types.off_object = types.off ? py.PyType_GenericAlloc(types.off, 0) : NULL;
    return types.function && types.method && types.span && types.off_object &&
           add_callable(types.span, "__enter__", types.method, span_enter) &&
           add_callable(types.span, "__exit__", types.method, span_exit) &&
           add_callable(types.off, "__enter__", types.function, off_enter) &&
           add_callable(types.off, "__exit__", types.function, off_exit);
}

static const struct {
    const char *name;
    vectorcall function;
} functions[] = {
    {"hushed", make_hushed},
    {"start", start},
    {"hold", hold},
    {"go_on", go_on},
    {"go_on_possible", go_on_possible},
    {"leave", leave},
    {"state", state},
    {"tracing", tracing},
    {"launched", launched},
    {"sparse", sparse},
    {"recording", recording},
    {"forget_names", forget_names},
    {"abi_major", abi_major},
    {"instant", instant},
    {"counter", counter},
    {"mark", mark},
    {"note", note},
    {"span_begin", span_begin},
    {"span_end", span_end},
    {"span", span},
};

static int fill_module(void *module) {
    bool done = types.off_object || make_types();
    for (size_t i = 0; done && i < sizeof functions / sizeof functions[0]; i++)
        done = add_callable(module, functions[i].name, types.function, functions[i].function);
    return done ? 0 : -1;
}

int module_fill(void *object) { return find_api() ? fill_module(object) : -1; }

/* struct PyModuleDef, the same on every version that is built with a GIL. */
static struct {
    int64_t references;
    void *type, *init;
    int64_t index;
    void *copy;
    const char *name, *doc;
    int64_t size;
    void *methods;
    struct slot *slots;
    void *traverse, *clear, *free;
} definition = {.references = 1, .name = "viztracer._viztracer_agent"};
_Static_assert(sizeof definition == 104, "PyModuleDef");

enum { SLOT_EXEC = 2, SLOT_INTERPRETERS = 3, SHARED_GIL_ONLY = 1 };
static struct slot definition_slots[3];

/* An agent of this very build that is loaded already, because the process was started or is being traced by us: that one is the
 * module, or it would not see the program's events. */
static void *loaded_already(void) {
    const struct vt_agent_info *other = symbol_find_next("vt_agent_info");
    bool same = other && other->magic == VT_AGENT_INFO_MAGIC && other->abi_major == VT_ABI_MAJOR &&
                !memcmp(other->build, vt_agent_info.build, sizeof other->build);
    void *(*init)(void) = same ? (void *(*)(void))symbol_find_next("PyInit__viztracer_agent") : NULL;
    return init ? init() : NULL;
}

static void *refuse(const char *why) {
    void (*set)(void *, const char *) = (void (*)(void *, const char *))symbol_find("PyErr_SetString");
    void **error = symbol_find("PyExc_ImportError");
    if (set && error) set(*error, why);
    return NULL;
}

EXPORT void *PyInit__viztracer_agent(void);
void *PyInit__viztracer_agent(void) {
    static char why[128];
    void *other = vt_agent_info.busy ? NULL : loaded_already();
    if (other) return other;
    why[0] = 0;
    if (!vt_agent_info.busy && (py_api_resolve(0, why, sizeof why) || layout_select(why, sizeof why))) return refuse(why);
    if (!find_api()) return refuse("this Python does not export all that viztracer needs");
    definition_slots[0] = (struct slot){SLOT_EXEC, (void *)fill_module};
    if (layout.python >= 0x30c) definition_slots[1] = (struct slot){SLOT_INTERPRETERS, (void *)SHARED_GIL_ONLY};
    definition.slots = definition_slots;
    return module_api.PyModuleDef_Init(&definition);
}
