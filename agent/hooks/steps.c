/* Owns where the frame of a coroutine shows its coroutine and its caller. */
#include "agent/hooks/steps.h"

#include "agent/cpython/layout.h"
#include "agent/cpython/py_api.h"
#include "agent/hooks/callers.h"

enum {
    IS_GENERATOR = 0x20,
    IS_COROUTINE = 0x380, /* CO_COROUTINE, CO_ITERABLE_COROUTINE, CO_ASYNC_GENERATOR */
    HOPS_MAX = 64
};
#define REFERENCE_TAGS 3ull /* 3.14+: _PyStackRef */

static const struct shape {
    uint32_t python; /* and later */
    uint32_t code, previous;
    uint32_t coroutine; /* of a pointer to the coroutine; 0 = the frame is a part of it */
    uint32_t inside;    /* where in it */
    uint32_t owner;     /* a byte; OWNED_BY_C or more: a shim between two calls of the interpreter; 0 = there are none */
} shapes[] = {
    {0x308, 32, 24, 96, 0, 0}, {0x30a, 32, 24, 88, 0, 0}, {0x30b, 32, 48, 0, 80, 0},
    {0x30c, 0, 8, 0, 72, 70},  {0x30e, 0, 8, 0, 72, 74},
};
enum { OWNED_BY_C = 3 };

static const struct shape *shape_here(void) {
    const struct shape *shape = &shapes[sizeof shapes / sizeof shapes[0] - 1];
    while (layout.python < shape->python) shape--;
    return shape;
}

const void *steps_frame(void *code, const void *object) {
    if (layout.python < 0x30b) return object;
    if (layout.python == 0x30b) return object ? field(object, FRAME_INNER) : NULL;
    return callers_known(code) ? callers_frame() : NULL;
}

uint64_t steps_coroutine(const void *frame) {
    const struct shape *shape = shape_here();
    return shape->coroutine ? (uint64_t)field(frame, shape->coroutine) : (uint64_t)frame - shape->inside;
}

static bool is_shim(const struct shape *shape, const void *frame) {
    return shape->owner && ((const uint8_t *)frame)[shape->owner] >= OWNED_BY_C;
}

/* A plain generator that calls a coroutine is taken for the part of an await (__await__); what counts is who called it. */
bool steps_is_outermost(const void *frame) {
    const struct shape *shape = shape_here();
    frame = field(frame, shape->previous);
    for (int hops = 0; frame && hops < HOPS_MAX; hops++, frame = field(frame, shape->previous)) {
        if (is_shim(shape, frame)) continue;
        const void *code = (const void *)((uint64_t)field(frame, shape->code) & ~REFERENCE_TAGS);
        if (!code || type_of(code) != py.PyCode_Type) return true;
        uint32_t flags = field32(code, layout.co_flags);
        if (flags & IS_COROUTINE) return false;
        if (!(flags & IS_GENERATOR)) return true;
    }
    return true;
}
