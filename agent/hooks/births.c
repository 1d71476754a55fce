/* Owns the count of thread states that the main interpreter has made, on 3.11. C code that calls into Python from a thread of its
 * own gets a new thread state for each such call (PyGILState_Ensure), which is gone after the call: no look would find it. */
#include "agent/hooks/births.h"

#include "agent/cpython/layout.h"
#include "agent/cpython/py_api.h"
#include "agent/record/state.h"

/* In an interpreter: threads.next_unique_id, which is the id of the newest thread state, and threads.head. */
enum { NEWEST_ID_311 = 8, HEAD_311 = 16 };
enum { AHEAD_MAX = 1 << 20 }; /* of our own id: threads that other threads have made meanwhile */

static const uint64_t *newest_id; /* NULL = not where it is expected */
static uint64_t expected;

/* Another thread may make a thread state at any moment, without the GIL: `head` is compared again. */
static const uint64_t *find(void *interpreter) {
    const uint64_t *at = (const uint64_t *)(const void *)((const char *)interpreter + NEWEST_ID_311);
    if (layout.python != 0x30b || !py.PyThreadState_GetID) return NULL;
    for (int tries = 0; tries < 100; tries++) {
        uint64_t mine = py.PyThreadState_GetID(py.PyThreadState_Get()), newest = vt_load_relaxed(at);
        if (field(interpreter, HEAD_311) != py.PyInterpreterState_ThreadHead(interpreter)) continue;
        return newest >= mine && newest - mine < AHEAD_MAX ? at : NULL;
    }
    return NULL;
}

void births_start(void) {
    void *interpreter = field(py.PyThreadState_Get(), layout.ts_interp);
    newest_id = interpreter == agent.main_interpreter ? find(interpreter) : NULL;
    expected = newest_id ? vt_load_relaxed(newest_id) : 0;
}

void births_known(void) { expected++; }

bool births_missed(void) {
    uint64_t newest = newest_id ? vt_load_relaxed(newest_id) : 0;
    bool missed = newest > expected;
    expected = newest;
    return missed;
}
