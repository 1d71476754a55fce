/* Owns how a thread that is not Python's, our bootstrap thread, comes to hold the GIL, and gives it back.
 *
 * Below 3.12 PyGILState_Ensure first makes a thread state, without the GIL, under a lock of the runtime. A child that is
 * forked at that moment waits for that lock for ever: PyOS_AfterFork_Child (Modules/posixmodule.c) takes it in
 * _PyEval_ReInitThreads before it makes it anew. So here the GIL is taken first, in the name of a proxy, and the thread
 * state is made with the GIL held, when nobody can fork. Taking the GIL (take_gil in Python/ceval_gil.h) reads of a thread
 * state no more than its interpreter and a pending exception, and keeps its address to compare it. The interpreter
 * is the third word of a thread state in all builds of 3.8 to 3.11 (Include/cpython/pystate.h). */
#include "agent/cpython/gil.h"

#include "agent/cpython/layout.h"
#include "agent/cpython/py_api.h"

enum { PROXY_WORDS = 128 }; /* larger than any thread state */

static bool ensure_is_safe(void) { return layout.python >= 0x30c || !py.PyInterpreterState_Main; }

bool gil_take(struct gil *gil) {
    uint64_t proxy[PROXY_WORDS] = {0};
    *gil = (struct gil){0};
    if (ensure_is_safe()) {
        gil->ensured = py.PyGILState_Ensure();
        return true;
    }
    void *interpreter = py.PyInterpreterState_Main();
    proxy[layout.ts_interp / sizeof *proxy] = (uint64_t)interpreter;
    py.PyEval_RestoreThread(proxy);
    gil->tstate = py.PyThreadState_New(interpreter);
    if (gil->tstate)
        py.PyThreadState_Swap(gil->tstate);
    else
        py.PyEval_SaveThread();
    return gil->tstate;
}

void gil_give(const struct gil *gil) {
    if (!gil->tstate) {
        py.PyGILState_Release(gil->ensured);
        return;
    }
    py.PyThreadState_Clear(gil->tstate);
    py.PyThreadState_DeleteCurrent();
}
