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

uint32_t frames_line(void *frame) {
    int line = py.PyFrame_GetLineNumber ? py.PyFrame_GetLineNumber(frame) : 0;
    return line > 0 ? (uint32_t)line : 0;
}

void *frames_code(void *frame) {
    if (!py.PyFrame_GetCode) return field(frame, 32);
    void *code = py.PyFrame_GetCode(frame);
    py.Py_DecRef(code);
    return code;
}

/* 3.12 to 3.15: f_trace_lines in a frame object; the frame object in the interpreter's own frame. */
enum { TRACE_LINES = 44, LINES_ON = 1, LINES_ON_MARKED = 3, INNER_OBJECT = 48 };

static uint8_t *trace_lines_of(void *frame) { return (uint8_t *)frame + TRACE_LINES; }

static bool says(void *frame, const void *expected) {
    void *value = py.PyObject_GetAttrString(frame, "f_trace_lines");
    if (!value) py.PyErr_Clear();
    drop_ref(value);
    return value == expected;
}

/* Once per process: what the interpreter says follows what we write. */
static bool mark_works(void *frame) {
    static int known;
    uint8_t *lines = trace_lines_of(frame);
    if (known) return known > 0;
    bool on = says(frame, py._Py_TrueStruct);
    *lines = 0;
    bool off = !says(frame, py._Py_TrueStruct);
    *lines = LINES_ON;
    known = on && off ? 1 : -1;
    return known > 0;
}

bool frames_mark(void *frame) {
    if (layout.python < 0x30c) return false;
    const void *inner = field(frame, FRAME_INNER);
    uint8_t *lines = trace_lines_of(frame);
    if (!inner || field(inner, INNER_OBJECT) != frame) return false;
    if (*lines == LINES_ON && mark_works(frame)) *lines = LINES_ON_MARKED;
    return *lines == LINES_ON_MARKED;
}

bool frames_is_marked(const void *inner) {
    void *frame = field(inner, INNER_OBJECT);
    return frame && *trace_lines_of(frame) == LINES_ON_MARKED;
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
