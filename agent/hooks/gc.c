/* Owns --log_gc: a callback in gc.callbacks that writes counters. It is taken out when the session ends. */
#include "agent/cpython/text.h"
#include "agent/hooks/hooks.h"
#include "agent/record/thread.h"

struct method_definition {
    const char *name;
    void *(*function)(void *self, void *arguments);
    int flags;
    const char *doc;
};

static void *callback;      /* owned while in the list */
static void *callback_list; /* gc.callbacks, owned */

static uint64_t count_in(void *info, const char *key) {
    void *value = py.PyDict_GetItemString(info, key);
    return value ? (uint64_t)py.PyLong_AsLong(value) : 0;
}

/* Called by `gc` with (phase, info). The counters are those that VizTracer shows. */
static void *on_gc(void *self, void *arguments) {
    struct vt_pl_counter counter = {0};
    struct text phase;
    (void)self;
    py.Py_IncRef(py._Py_NoneStruct);
    if (!session_visit()) return py._Py_NoneStruct;
    text_of_unicode(&phase, py.PyTuple_GetItem(arguments, 0));
    void *info = py.PyTuple_GetItem(arguments, 1);
    counter.collecting = text_equal(phase.bytes, "start");
    if (!counter.collecting && info) {
        counter.collected = count_in(info, "collected");
        counter.uncollectable = count_in(info, "uncollectable");
    }
    text_done(&phase);
    if (py.PyErr_Occurred()) py.PyErr_Clear();
    uint8_t *to = payload_reserve(sizeof counter);
    if (to) {
        memcpy(to, &counter, sizeof counter);
        payload_commit(VT_PL_COUNTER, sizeof counter);
    }
    return py._Py_NoneStruct;
}

static struct method_definition definition = {"viztracer_gc", on_gc, 1 /* METH_VARARGS */, NULL};

/* `gc` is a builtin module. If the target has imported it, no code of the target runs here. */
void gc_log_start(void) {
    if (!(agent.flags & VT_F_GC)) return;
    void *modules = py.PyImport_GetModuleDict(), *module = py.PyDict_GetItemString(modules, "gc");
    if (module)
        py.Py_IncRef(module);
    else
        module = py.PyImport_ImportModule("gc");
    callback_list = module ? py.PyObject_GetAttrString(module, "callbacks") : NULL;
    callback = callback_list ? py.PyCFunction_NewEx(&definition, NULL, NULL) : NULL;
    drop_ref(module);
    if (callback && py.PyList_Append(callback_list, callback) == 0) return;
    py.PyErr_Clear();
    gc_log_stop();
}

void gc_log_stop(void) {
    int64_t n = callback_list && callback ? py.PyList_Size(callback_list) : 0;
    for (int64_t i = 0; i < n; i++) {
        if (py.PyList_GetItem(callback_list, i) != callback) continue;
        py.PySequence_DelItem(callback_list, i);
        break;
    }
    if (callback_list && py.PyErr_Occurred()) py.PyErr_Clear();
    drop_ref(callback);
    drop_ref(callback_list);
    callback = callback_list = NULL;
}
