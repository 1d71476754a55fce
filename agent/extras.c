/* Owns what _extras.py cannot do: it gives the file the functions of the extension module, and takes from it what tells values.
 */
#include "agent/extras.h"

#include "agent/carried.h"
#include "agent/extras_source.h"
#include "agent/module.h"

static void *api, *repr_function; /* owned */

int extras_start(void) {
    if (!carried_wanted(agent.ctl) || api) return 0;
    void *started = carried_run(extras_source);
    void *functions = started ? py.PyObject_GetAttrString(started, "agent") : NULL;
    bool filled = functions && !module_fill(functions);
    int rc = carried_start(started, filled ? functions : NULL, "--log_print and its kind");
    drop_ref(functions);
    if (rc) {
        drop_ref(started);
        return rc;
    }
    api = started;
    repr_function = py.PyObject_GetAttrString(api, "repr");
    if (!repr_function) py.PyErr_Clear();
    if (repr_function == py._Py_NoneStruct) {
        drop_ref(repr_function);
        repr_function = NULL;
    }
    return 0;
}

void *extras_repr(void) { return repr_function; }
