/* The C function that a thread is in. */
#ifndef VT_OUTSIDE_C_CALLS_H
#define VT_OUTSIDE_C_CALLS_H

#include "attach/maps.h"
#include "outside/remote.h"
#include "proto/abi/py_layout.h"

/* Tells which C function the Python function in `frame` (an address) has called: "time.sleep", "_socket.socket.recv". `sp` is the
 * thread's stack pointer. *work: how many more objects may be looked at; it goes down. -ENOENT: none is known, or several
 * could be meant. */
VT_MUST_CHECK int c_calls_find(struct remote *r, const struct py_layout *l, const struct maps *maps, uint64_t frame, uint64_t sp,
                               uint32_t *work, char *text, size_t size);

#endif
