/* Owns the text of one value as its own repr() gives it (--log_func_repr). Plain values and containers are written here, item
 * by item until the text is full. Other objects are asked for their repr, which is code of the target (values.c has paused
 * this thread). */
#include "agent/cpython/repr.h"

#include "agent/cpython/layout.h"
#include "agent/cpython/py_api.h"
#include "agent/cpython/text.h"
#include "agent/cpython/value_put.h"

enum { ITEMS_MAX = 10000, INT_BITS_MAX = 8192 };

static void *repr_function; /* owned; asked in place of repr(), NULL = repr() */

static void put_value(struct out *out, void *value);
/* ---- objects of other types ---- */

static void put_type_name(struct out *out, const void *type) { put_text(out, field(type, TYPE_NAME)); }

/* ---- exceptions of signal handlers that ran inside a repr ---- */

/* The first such exception. A pending call raises it in the program: in the main thread, where handlers run. */
static struct pending_error handed_on;

static int raise_handed_on(void *nothing) {
    struct pending_error error = handed_on;
    (void)nothing;
    handed_on = (struct pending_error){0};
    if (!error.type) return 0;
    error_restore(&error);
    return -1;
}

static void *attribute(void *object, const char *name) {
    void *value = object ? py.PyObject_GetAttrString(object, name) : NULL;
    if (!value) py.PyErr_Clear();
    return value;
}

/* The code object of the handler's function, a new reference, or NULL. */
static void *code_of_handler(void *handler) {
    void *code = attribute(handler, "__code__");
    if (code) return code;
    void *call = attribute(handler, "__call__");
    code = attribute(call, "__code__");
    drop_ref(call);
    return code;
}

static bool was_running(void *traceback, const void *code) {
    bool found = false;
    void *at = traceback, *next;
    if (at) py.Py_IncRef(at);
    for (; at && type_of(at) == type_of(traceback) && !found; drop_ref(at), at = next) {
        void *frame = attribute(at, "tb_frame"), *runs = attribute(frame, "f_code");
        found = runs == code;
        next = attribute(at, "tb_next");
        drop_ref(runs);
        drop_ref(frame);
    }
    drop_ref(at);
    return found;
}

static bool is_of_signal_handler(const struct pending_error *error) {
    enum { SIGNALS = 65 };
    void *module = error->traceback ? py.PyDict_GetItemString(py.PyImport_GetModuleDict(), "_signal") : NULL; /* borrowed */
    bool found = false;
    for (int i = 1; module && i < SIGNALS && !found; i++) {
        void *handler = py.PyObject_CallMethod(module, "getsignal", "i", i);
        if (!handler) py.PyErr_Clear();
        void *code = code_of_handler(handler);
        found = code && was_running(error->traceback, code);
        drop_ref(code);
        drop_ref(handler);
    }
    return found;
}

/* True: the program will get it. */
static bool hand_on(const struct pending_error *error) {
    if (handed_on.type || !is_of_signal_handler(error) || py.Py_AddPendingCall(raise_handed_on, NULL)) return false;
    handed_on = *error;
    return true;
}

/* Handles an exception of repr(). Ctrl+C and exceptions of signal handlers are meant for the program and go there; only the
 * main interpreter runs handlers. */
static void put_error(struct out *out) {
    struct pending_error error;
    error_save(&error);
    bool main = field(py.PyThreadState_Get(), layout.ts_interp) == out->main_interpreter;
    put_text(out, "<repr raised ");
    if (error.type && field32(type_of(error.type), TYPE_FLAGS) & TYPE_FLAG_IS_TYPE)
        put_type_name(out, error.type);
    else
        put_text(out, "an exception");
    put_text(out, ">");
    if (main && hand_on(&error)) return;
    if (main && error.type == *(void **)py.PyExc_KeyboardInterrupt) py.PyErr_SetInterrupt();
    drop_ref(error.type);
    drop_ref(error.value);
    drop_ref(error.traceback);
}

static void put_repr(struct out *out, void *value) {
    struct text text;
    void *repr = py.PyObject_Repr(value);
    if (!repr) {
        put_error(out);
        return;
    }
    text_of_unicode(&text, repr);
    put(out, text.bytes, text.len);
    text_done(&text);
    drop_ref(repr);
}

static void put_summary(struct out *out, const void *value, int64_t n, const char *of) {
    put_text(out, "<");
    put_type_name(out, type_of(value));
    put_text(out, " of ");
    put_number(out, n);
    put_text(out, of);
}

/* The number of items, without calling __len__ of a class of the program. -1 = unknown. */
static int64_t items_of(void *value) {
    uint32_t flags = field32(type_of(value), TYPE_FLAGS);
    int64_t n = -1;
    if (flags & TYPE_FLAG_IS_LIST) n = py.PyList_Size(value);
    if (flags & TYPE_FLAG_IS_TUPLE) n = py.PyTuple_Size(value);
    if (flags & TYPE_FLAG_IS_DICT) n = py.PyDict_Size(value);
    if (n < 0 && (!(flags & TYPE_FLAG_ON_HEAP) || flags & TYPE_FLAG_IMMUTABLE)) n = py.PyObject_Size(value);
    if (n < 0) py.PyErr_Clear();
    return n;
}

/* The repr of a huge object takes time in proportion to its size, even if we want little of the text. */
static void put_object(struct out *out, void *value) {
    int64_t n = items_of(value);
    if (n > ITEMS_MAX)
        put_summary(out, value, n, " items>");
    else
        put_repr(out, value);
}

/* ---- long ints, other strings ---- */

static void put_big(struct out *out, void *value) {
    void *bits = py.PyObject_CallMethod(value, "bit_length", NULL);
    long n = bits ? py.PyLong_AsLong(bits) : -1;
    drop_ref(bits);
    if (py.PyErr_Occurred()) py.PyErr_Clear();
    if (n >= 0 && n <= INT_BITS_MAX)
        put_repr(out, value);
    else
        put_summary(out, value, n, " bits>");
}

/* str and bytes: makes a repr of no more than fits. */
static void put_string(struct out *out, void *value) {
    if (py.PySequence_Size(value) <= (int64_t)out->limit) {
        put_repr(out, value);
        return;
    }
    void *part = py.PySequence_GetSlice(value, 0, (int64_t)out->limit);
    if (part)
        put_repr(out, part);
    else
        py.PyErr_Clear();
    drop_ref(part);
    out->full = true;
}

/* ---- containers ---- */

/* An item may change or free the container during its repr: we hold a reference to each item. */
static bool put_item(struct out *out, void *item, bool first) {
    if (!first) put(out, ", ", 2);
    if (!out->full) put_value(out, item);
    return !out->full;
}

static void put_sequence(struct out *out, void *value, bool tuple) {
    int64_t n = 0;
    put_text(out, tuple ? "(" : "[");
    for (; n < (tuple ? py.PyTuple_Size(value) : py.PyList_Size(value)); n++) {
        void *item = tuple ? py.PyTuple_GetItem(value, n) : py.PyList_GetItem(value, n);
        if (!item) break;
        py.Py_IncRef(item);
        bool more = put_item(out, item, n == 0);
        py.Py_DecRef(item);
        if (!more) break;
    }
    put_text(out, !tuple ? "]" : n == 1 ? ",)" : ")");
}

static void put_dict(struct out *out, void *value) {
    int64_t at = 0;
    void *key, *item;
    bool first = true, more = true;
    put_text(out, "{");
    while (more && py.PyDict_Next(value, &at, &key, &item)) {
        py.Py_IncRef(key);
        py.Py_IncRef(item);
        more = put_item(out, key, first);
        put(out, ": ", 2);
        if (!out->full) put_value(out, item);
        more = more && !out->full;
        py.Py_DecRef(key);
        py.Py_DecRef(item);
        first = false;
    }
    put_text(out, "}");
}

static void put_set(struct out *out, void *value) {
    bool frozen = type_of(value) == py.PyFrozenSet_Type, first = true, more = true;
    void *items = py.PySequence_Size(value) > 0 ? py.PyObject_GetIter(value) : NULL, *item;
    if (!items) {
        if (py.PyErr_Occurred()) py.PyErr_Clear();
        put_text(out, frozen ? "frozenset()" : "set()");
        return;
    }
    put_text(out, frozen ? "frozenset({" : "{");
    while (more && (item = py.PyIter_Next(items))) {
        more = put_item(out, item, first);
        py.Py_DecRef(item);
        first = false;
    }
    if (py.PyErr_Occurred()) py.PyErr_Clear(); /* the container changed during the walk */
    put_text(out, frozen ? "})" : "}");
    drop_ref(items);
}

static void put_value(struct out *out, void *value) {
    const void *type = type_of(value);
    bool tuple = type == py.PyTuple_Type, list = type == py.PyList_Type, dict = type == py.PyDict_Type;
    bool set = type == py.PySet_Type || type == py.PyFrozenSet_Type;
    if (put_plain(out, value)) {
        return;
    } else if (type == py.PyLong_Type) {
        put_big(out, value);
    } else if (type == py.PyUnicode_Type || type == py.PyBytes_Type) {
        put_string(out, value);
    } else if (tuple || list || dict || set) {
        if (!go_in(out, value)) {
            put_text(out, tuple ? "(...)" : list ? "[...]" : "{...}");
            return;
        }
        if (tuple || list)
            put_sequence(out, value, tuple);
        else if (dict)
            put_dict(out, value);
        else
            put_set(out, value);
        out->depth--;
    } else {
        put_object(out, value);
    }
}

/* ---- a callable of the program in place of repr ---- */

void repr_use(void *function) {
    void *before = repr_function;
    if (function) py.Py_IncRef(function);
    repr_function = function;
    drop_ref(before);
}

bool repr_is_replaced(void) { return repr_function; }

static void put_told(struct out *out, void *value) {
    void *function = repr_function;
    struct text text;
    py.Py_IncRef(function); /* it may end the session */
    void *told = py.PyObject_CallMethod(function, "__call__", "(O)", value);
    py.Py_DecRef(function);
    if (!told) {
        put_error(out);
        return;
    }
    text_of_unicode(&text, told);
    put(out, text.bytes, text.len);
    text_done(&text);
    drop_ref(told);
}

uint32_t repr_value(void *value, char *to, uint32_t room, uint32_t limit, const void *main_interpreter) {
    struct out out = {.to = to, .room = room, .limit = limit, .main_interpreter = main_interpreter};
    if (repr_function && field(py.PyThreadState_Get(), layout.ts_interp) == main_interpreter)
        put_told(&out, value);
    else
        put_value(&out, value);
    if (py.PyErr_Occurred()) py.PyErr_Clear();
    if (out.full) mark_cut(&out);
    return out.len;
}
