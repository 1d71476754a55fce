/* Owns how asyncio is asked for the task that runs in this thread.
 *
 * Below 3.12 current_task() asks the kernel for the process id at each call. What it would look up is read instead: the running
 * loop is in the dictionary of the thread, and its task in a dictionary of asyncio. On 3.14+ tasks that are written in Python
 * are in another place than those of the C module, and each place has a function of its own. */
#include "agent/hooks/running.h"

#include "agent/cpython/layout.h"
#include "agent/cpython/py_api.h"
#include "agent/record/state.h"

enum { HOLDER_LOOP = 16, HOLDER_PID = 24 }; /* in a _RunningLoopHolder, below 3.12 */

/* Owned references. */
struct asyncio {
    void *current_task;    /* NULL = asyncio is not there */
    void *py_current_task; /* or NULL */
    void *tasks;           /* dict: loop -> task; or NULL */
};
static struct asyncio kept; /* of the main GIL's interpreters */
static void *loop_key;      /* below 3.12 */

static void forget(struct asyncio *asyncio) {
    drop_ref(asyncio->current_task);
    drop_ref(asyncio->py_current_task);
    drop_ref(asyncio->tasks);
    *asyncio = (struct asyncio){NULL};
}

void running_forget(void) {
    forget(&kept);
    drop_ref(loop_key);
    loop_key = NULL;
}

static void *attribute(void *module, const char *name) {
    void *value = py.PyObject_GetAttrString(module, name);
    if (!value) py.PyErr_Clear();
    return value;
}

static void find(struct asyncio *asyncio) {
    if (py.Py_IsFinalizing && py.Py_IsFinalizing()) return; /* modules may be gone then */
    void *modules = py.PyImport_GetModuleDict();
    void *module = modules ? py.PyDict_GetItemString(modules, "asyncio.tasks") : NULL;
    if (!module) return;
    asyncio->current_task = attribute(module, "current_task");
    asyncio->py_current_task = attribute(module, "_py_current_task");
    asyncio->tasks = attribute(module, "_current_tasks");
    if (asyncio->tasks && type_of(asyncio->tasks) == py.PyDict_Type) return;
    drop_ref(asyncio->tasks);
    asyncio->tasks = NULL;
}

/* Below 3.12. Borrowed; NULL = no loop runs. False: this asyncio keeps it elsewhere. */
static bool running_loop(const struct asyncio *asyncio, void **loop) {
    void *dict = py.PyThreadState_GetDict ? py.PyThreadState_GetDict() : NULL;
    if (!asyncio->tasks || !dict || type_of(asyncio->current_task) != py.PyCFunction_Type) return false;
    if (!loop_key) loop_key = py.PyUnicode_FromString("__asyncio_running_event_loop__");
    void *holder = loop_key ? py.PyDict_GetItem(dict, loop_key) : NULL;
    *loop = NULL;
    if (!holder) return loop_key;
    if (!text_equal(field(type_of(holder), TYPE_NAME), "_RunningLoopHolder")) return false;
    if (field32(holder, HOLDER_PID) == agent.pid) *loop = field(holder, HOLDER_LOOP);
    return true;
}

/* New reference, or NULL. */
static void *ask(void *function) {
    void *task = function ? py.PyObject_CallObject(function, NULL) : NULL;
    if (task != py._Py_NoneStruct) return task;
    drop_ref(task);
    return NULL;
}

static void *task_of(const struct asyncio *asyncio) {
    void *loop;
    if (layout.python < 0x30c && running_loop(asyncio, &loop)) {
        void *task = loop ? py.PyDict_GetItem(asyncio->tasks, loop) : NULL;
        if (!task || task == py._Py_NoneStruct) return NULL;
        py.Py_IncRef(task);
        return task;
    }
    void *task = ask(asyncio->current_task);
    if (task || layout.python < 0x30e || !asyncio->tasks || py.PyDict_Size(asyncio->tasks) < 1) return task;
    py.PyErr_Clear();
    return ask(asyncio->py_current_task);
}

void *running_task(bool main_gil) {
    struct asyncio found = {NULL}, *asyncio = main_gil ? &kept : &found;
    if (!asyncio->current_task) find(asyncio);
    void *task = asyncio->current_task ? task_of(asyncio) : NULL;
    if (!task) py.PyErr_Clear();
    if (!main_gil) forget(&found);
    return task;
}
