/* Owns walking the open frames of a thread. 3.8 has no API for frames of other threads: there the fields are read. */
#include "agent/cpython/frames.h"

#include "agent/cpython/layout.h"
#include "agent/cpython/py_api.h"

void *frames_first(void *tstate) {
    if (layout.ts_cframe && !field(tstate, layout.ts_cframe)) return NULL; /* still being made, without the GIL */
    if (py.PyThreadState_GetFrame) return py.PyThreadState_GetFrame(tstate);
    void *frame = field(tstate, layout.ts_frame);
    if (frame) py.Py_IncRef(frame);
    return frame;
}

void *frames_next(void *frame) {
    void *back;
    if (py.PyFrame_GetBack) {
        back = py.PyFrame_GetBack(frame);
    } else {
        back = field(frame, 24);
        if (back) py.Py_IncRef(back);
    }
    py.Py_DecRef(frame);
    return back;
}

void *frames_code(void *frame) {
    if (!py.PyFrame_GetCode) return field(frame, 32);
    void *code = py.PyFrame_GetCode(frame);
    py.Py_DecRef(code);
    return code;
}

uint64_t frames_ident(const void *tstate) { return (uint64_t)field(tstate, layout.ts_thread_id); }

bool frames_any(void *tstate) {
    void *frame = frames_first(tstate);
    drop_ref(frame);
    return frame;
}

uint64_t frames_depth(void *tstate, uint64_t most) {
    uint64_t n = 0;
    void *frame = frames_first(tstate);
    for (; frame && n < most; frame = frames_next(frame)) n++;
    drop_ref(frame);
    return n;
}
