/* Owns how a thread that is not Python's, our bootstrap thread, comes to hold the GIL, and gives it back.
 *
 * Below 3.12 PyGILState_Ensure first makes a thread state, without the GIL, under a lock of the runtime. A child that is
 * forked at that moment waits for that lock for ever: PyOS_AfterFork_Child (Modules/posixmodule.c) takes it in
 * _PyEval_ReInitThreads before it makes it anew. So here the GIL is taken first, in the name of a proxy, and the thread
 * state is made with the GIL held, when nobody can fork. Taking the GIL (take_gil in Python/ceval_gil.h) reads of a thread
 * state no more than its interpreter and a pending exception, and keeps its address to compare it. The interpreter
 * is the third word of a thread state in all builds of 3.8 to 3.11 (Include/cpython/pystate.h).
 *
 * The memory of that thread state comes and goes through hooks of the target: tracemalloc, a memory profiler, an allocator of
 * an embedding program. Such a hook may take the GIL by PyGILState_Ensure, which looks for the state of this thread under a
 * thread-local key, and waits for the GIL when it finds none. So the proxy is left under that key while the GIL is held and the
 * real state is not there: Ensure finds it, finds it current and only counts. */
#include "agent/cpython/gil.h"

#include "agent/cpython/gil_wait.h"
#include "agent/cpython/layout.h"
#include "agent/cpython/py_api.h"
#include "proto/abi/atomic.h"

enum { KEYS_MAX = 128, NO_KEY = KEYS_MAX }; /* the least that POSIX promises; musl does not check the bounds */

static bool ensure_is_safe(void) { return layout.python >= 0x30c || !py.PyInterpreterState_Main; }

/* The key that PyGILState_Ensure uses, which PyGILState_GetThisThreadState reads. `state` stays under it. */
static uint32_t key_of_states(const void *state) {
    if (!py.pthread_getspecific || !py.pthread_setspecific || !py.PyGILState_GetThisThreadState) return NO_KEY;
    for (uint32_t key = 0; key < KEYS_MAX; key++) {
        if (py.pthread_getspecific(key) || py.pthread_setspecific(key, state)) continue;
        if (py.PyGILState_GetThisThreadState() == state) return key;
        py.pthread_setspecific(key, NULL);
    }
    return NO_KEY;
}

static void set_state(const struct gil *gil, const void *state) {
    if (gil->key != NO_KEY) py.pthread_setspecific(gil->key, state);
}

int gil_take(struct gil *gil, bool (*wanted)(void *ctx), void *ctx) {
    memset(gil, 0, sizeof *gil);
    gil->key = NO_KEY;
    int rc = gil_wait(wanted, ctx);
    if (rc) return rc;
    if (ensure_is_safe()) {
        gil->ensured = py.PyGILState_Ensure();
        return 0;
    }
    void *interpreter = py.PyInterpreterState_Main();
    gil->proxy[layout.ts_interp / sizeof *gil->proxy] = (uint64_t)interpreter;
    /* 3.10 and 3.11 find the running frame through the C frame: there is none. */
    if (layout.ts_cframe) gil->proxy[layout.ts_cframe / sizeof *gil->proxy] = (uint64_t)&gil->proxy[GIL_PROXY_FRAME];
    gil->key = key_of_states(gil->proxy);
    py.PyEval_RestoreThread(gil->proxy);
    /* Never released: a Release by a hook must not bring the count to 0, which would delete the proxy. */
    if (gil->key != NO_KEY) py.PyGILState_Ensure();
    gil->tstate = py.PyThreadState_New(interpreter);
    if (gil->tstate) {
        set_state(gil, gil->tstate);
        py.PyThreadState_Swap(gil->tstate);
    } else {
        set_state(gil, NULL);
        py.PyEval_SaveThread();
    }
    return gil->tstate ? 0 : -VT_ENOMEM;
}

void gil_give(struct gil *gil) {
    if (!gil->tstate) {
        py.PyGILState_Release(gil->ensured);
        return;
    }
    py.PyThreadState_Clear(gil->tstate);
    if (gil->key == NO_KEY) {
        py.PyThreadState_DeleteCurrent();
        return;
    }
    py.PyThreadState_Swap(gil->proxy);
    set_state(gil, gil->proxy);
    py.PyThreadState_Delete(gil->tstate);
    set_state(gil, NULL);
    py.PyEval_SaveThread();
}
