/* Owns names of threads: read from `threading`, written in THREAD payloads. Dictionaries and attributes are read in a way that
 * runs no code of the target. */
#include "agent/session/threads.h"

#include "agent/cpython/layout.h"
#include "agent/cpython/text.h"
#include "agent/record/state.h"

enum { THREAD_NAME_MAX = 1024 };

static void *process_name; /* that was written last; a reference, or NULL */

static void *attribute(void *object, const char *name) {
    void *key = py.PyUnicode_FromString(name), *value = NULL;
    if (key) value = py.PyObject_GenericGetAttr(object, key);
    drop_ref(key);
    if (!value) py.PyErr_Clear();
    return value;
}

/* Only in the main interpreter, whose `threading` knows the threads. */
void thread_names_find_module(void) {
    if (agent.threading_active || py.PyThreadState_Get() == NULL) return;
    if (field(py.PyThreadState_Get(), layout.ts_interp) != agent.main_interpreter) return;
    void *modules = py.PyImport_GetModuleDict();
    void *threading = modules ? py.PyDict_GetItemString(modules, "threading") : NULL;
    if (!threading) return;
    void *active = attribute(threading, "_active");
    if (active && type_of(active) == py.PyDict_Type)
        agent.threading_active = active;
    else
        drop_ref(active);
}

void thread_names_forget(void) {
    drop_ref(process_name);
    process_name = NULL;
    drop_ref(agent.threading_active);
    agent.threading_active = NULL;
}

static bool tell(uint64_t ident, uint32_t tid, void *name) {
    struct text text;
    text_of_unicode(&text, name);
    uint32_t len = (uint32_t)(text.len > THREAD_NAME_MAX ? THREAD_NAME_MAX : text.len);
    struct vt_pl_thread head = {.ident = ident, .tid = tid, .namelen = (uint16_t)len};
    uint8_t *to = len ? payload_reserve((uint32_t)sizeof head + len) : NULL;
    if (to) {
        memcpy(to, &head, sizeof head);
        memcpy(to + sizeof head, text.bytes, len);
        payload_commit(VT_PL_THREAD, (uint32_t)sizeof head + len);
    }
    text_done(&text);
    return to != NULL;
}

static bool write_process_name(void *name) {
    struct text text;
    text_of_unicode(&text, name);
    uint32_t len = (uint32_t)(text.len > THREAD_NAME_MAX ? THREAD_NAME_MAX : text.len);
    uint8_t *to = len ? payload_reserve(len) : NULL;
    if (to) {
        memcpy(to, text.bytes, len);
        payload_commit(VT_PL_PROCESS, len);
    }
    text_done(&text);
    return to != NULL;
}

void process_name_tell(void) {
    if (!agent.launched || field(py.PyThreadState_Get(), layout.ts_interp) != agent.main_interpreter) return;
    void *modules = py.PyImport_GetModuleDict();
    void *module = modules ? py.PyDict_GetItemString(modules, "multiprocessing.process") : NULL; /* borrowed */
    if (!module) return;
    void *process = attribute(module, "_current_process");
    void *name = process ? attribute(process, "_name") : NULL;
    drop_ref(process);
    if (!name || name == process_name || !write_process_name(name)) {
        drop_ref(name);
        return;
    }
    drop_ref(process_name);
    process_name = name;
}

static uint32_t native_id_of(void *thread_object) {
    void *number = attribute(thread_object, "_native_id");
    uint64_t id = 0;
    if (number && type_of(number) == py.PyLong_Type) id = py.PyLong_AsUnsignedLong(number);
    if (py.PyErr_Occurred()) py.PyErr_Clear();
    drop_ref(number);
    return (uint32_t)id;
}

void *thread_object_name(uint64_t ident, uint32_t *native_id) {
    if (!agent.threading_active) return NULL;
    void *key = py.PyLong_FromUnsignedLong(ident);
    void *object = key ? py.PyDict_GetItem(agent.threading_active, key) : NULL;
    void *name = object ? attribute(object, "_name") : NULL;
    if (object && native_id) *native_id = native_id_of(object);
    drop_ref(key);
    return name;
}

bool thread_name_tell(struct thread *thread) {
    void *name = thread_object_name(thread->ident, NULL);
    bool told = name && tell(thread->ident, thread->tid, name);
    drop_ref(name);
    return told;
}

void thread_names_tell_all(void) {
    void *key, *object;
    int64_t at = 0;
    if (!agent.threading_active) return;
    while (py.PyDict_Next(agent.threading_active, &at, &key, &object)) {
        uint64_t ident = py.PyLong_AsUnsignedLong(key);
        if (py.PyErr_Occurred()) py.PyErr_Clear();
        py.Py_IncRef(object);
        void *name = attribute(object, "_name");
        if (name) tell(ident, native_id_of(object), name);
        drop_ref(name);
        drop_ref(object);
    }
}
