/* The complete form of an event, for sessions with filters, a depth limit, --max_overhead, arguments, return values, tasks, or
 * another clock than the TSC. With the main interpreter's GIL, or in an interpreter that shares it. May end the session. */
#ifndef VT_AGENT_DETAIL_H
#define VT_AGENT_DETAIL_H

#include "agent/cpython/base.h"

/* For back ends that can switch an event off at one place: what to do with this event there from now on. */
enum detail_next {
    DETAIL_KEEP = 0,
    DETAIL_OFF,       /* the function is left out: none of its events is wanted */
    DETAIL_OFF_CALLEE /* the C function called here is left out */
};

/* An event of a Python function. type: enum vt_rec_type. `value`: the object that is returned or yielded, or NULL. `frame`: the
 * frame object; may be NULL on 3.12+. */
enum detail_next detail_python(void *code, uint32_t type, void *value, void *frame);
/* An event of a C function. `code`: the Python function that calls it. */
enum detail_next detail_c(void *code, void *callable, void *definition, uint32_t type);

/* How a payload of an event is written: with the main interpreter's GIL, or as parallel.c says. LOCKED: code of the target has
 * run since the event began, so only under parallel_lock. */
enum detail_way { WAY_MAIN, WAY_PARALLEL, WAY_PARALLEL_LOCKED };

#endif
