/* Owns who called the function that was just entered, 3.12+: read from the interpreter's own frames.
 *
 * struct _PyInterpreterFrame begins with the code object and the previous frame on every version from 3.12 on; a frame
 * object points to it as on 3.11. This is compared with what the interpreter says before it is relied on. */
#include "agent/hooks/callers.h"

#include "agent/cpython/frames.h"
#include "agent/cpython/layout.h"
#include "agent/hooks/hooks.h"
#include "agent/limit/governor.h"
#include "agent/names/filter.h"
#include "agent/record/state.h"

enum { FRAME_OBJECT_FRAME = 24, FRAME_CODE = 0, FRAME_PREVIOUS = 8, TS_CFRAME_312 = 56, TS_FROM = 64, TS_TO = 112 };
enum { SHIMS_MAX = 4, FRAMES_MAX = 256, TSTATE_SIZE = 256 };
#define REFERENCE_TAGS 3ull /* 3.14+: _PyStackRef */
#define STACK_REACH (64ull << 20)

/* Offset in a thread state of the pointer to its current frame; 0 = not asked yet, -1 = not known. The same for all threads. */
static int32_t frame_at;

void callers_start(void) { vt_store_relaxed(&frame_at, 0); }

static void *code_of_frame(const void *frame) { return (void *)((uint64_t)field(frame, FRAME_CODE) & ~REFERENCE_TAGS); }

/* 3.12: the current frame is found through a structure on the C stack or in the thread state. */
static const void *frame_pointer(const char *tstate, int32_t at) {
    if (layout.python > 0x30c) return tstate + at;
    const char *cframe = field(tstate, (size_t)at);
    uint64_t here = (uint64_t)&cframe, there = (uint64_t)cframe;
    bool in_tstate = cframe >= tstate && cframe < tstate + 8 * TSTATE_SIZE;
    bool on_stack = there > here ? there - here < STACK_REACH : here - there < STACK_REACH;
    return (in_tstate || on_stack) && there % 8 == 0 ? cframe : NULL;
}

static int32_t find_frame_pointer(void *code) {
    const char *tstate = py.PyThreadState_Get();
    void *object = py.PyEval_GetFrame(); /* borrowed */
    void *frame = object ? field(object, FRAME_OBJECT_FRAME) : NULL;
    int32_t from = layout.python == 0x30c ? TS_CFRAME_312 : TS_FROM, to = layout.python == 0x30c ? TS_CFRAME_312 : TS_TO;
    if (!frame || code_of_frame(frame) != code) return -1;
    for (int32_t at = from; at <= to; at += 8) {
        const void *pointer = frame_pointer(tstate, at);
        if (pointer && field(pointer, 0) == frame) return at;
    }
    return -1;
}

bool callers_known(void *code) {
    int32_t at = vt_load_relaxed(&frame_at);
    if (LIKELY(at)) return at > 0;
    at = layout.python < 0x30c ? -1 : find_frame_pointer(code);
    vt_store_relaxed(&frame_at, at);
    return at > 0;
}

const void *callers_frame(void) {
    const void *pointer = frame_pointer(py.PyThreadState_Get(), vt_load_relaxed(&frame_at));
    return pointer ? field(pointer, 0) : NULL;
}

/* Frames between two calls of the interpreter (shims) hold no function that has an id. A function that is left out by its name,
 * or whose events are switched off, says nothing about its callees: its caller does. */
bool callers_silence(void) {
    const void *frame = callers_frame();
    bool outside = false; /* silences if a function that is recorded called it */
    uint32_t walked = 0;
    for (int i = 0; frame && i < SHIMS_MAX && walked < FRAMES_MAX; i++) {
        frame = field(frame, FRAME_PREVIOUS);
        void *code = frame ? code_of_frame(frame) : NULL;
        if (!code || type_of(code) != py.PyCode_Type) continue;
        const struct co_extra *extra = field(code, layout.co_extra);
        if (!extra || extra->size <= agent.extra_index || (uint32_t)extra->value[agent.extra_index] < agent.base_id) continue;
        uint64_t flags = extra->value[agent.extra_index];
        if (flags & FILTER_SUBTREE) {
            if (flags & FILTER_WAS_OPEN || frames_is_marked(frame)) return false;
            if (flags & FILTER_SILENCES) return true;
            outside = true;
        } else if (!(flags & FILTER_LEFT_OUT) && !(agent.governed && throttle_is_transparent((uint32_t)flags))) {
            return outside;
        }
        i = -1;
        walked++;
    }
    return false;
}

bool callers_recorded(void) {
    void *frame = frames_first(py.PyThreadState_Get());
    bool recorded = false;
    uint32_t walked = 0;
    if (frame) frame = frames_next(frame);
    for (; frame && walked < FRAMES_MAX; frame = frames_next(frame), walked++) {
        uint64_t flags = filter_flags_of(frames_code(frame));
        recorded = !(flags & FILTER_LEFT_OUT);
        if (recorded || flags & FILTER_SUBTREE) break;
    }
    drop_ref(frame);
    return recorded;
}
