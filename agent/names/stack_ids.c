/* Owns turning the open frames of a thread into ids. */
#include "agent/cpython/frames.h"
#include "agent/cpython/py_api.h"
#include "agent/names/filter.h"
#include "agent/names/ids.h"

uint32_t stack_ids(void *tstate, uint32_t *ids, uint32_t most, bool without_first) {
    uint32_t n = 0;
    void *frame = frames_first(tstate);
    if (frame && without_first) frame = frames_next(frame);
    for (; frame && n < most; frame = frames_next(frame)) {
        void *code = frames_code(frame);
        uint32_t id = name_code(code, frame) >> VT_REC_TYPE_BITS;
        if (id && !(filter_flags_of(code) & FILTER_LEFT_OUT)) ids[n++] = id;
    }
    drop_ref(frame);
    for (uint32_t i = 0; i < n / 2; i++) {
        uint32_t id = ids[i];
        ids[i] = ids[n - 1 - i];
        ids[n - 1 - i] = id;
    }
    return n;
}
