/* The variables of a function that runs in a target. */
#ifndef VT_OUTSIDE_VARIABLES_H
#define VT_OUTSIDE_VARIABLES_H

#include "outside/remote.h"
#include "proto/abi/py_layout.h"

/* Non-zero ends it. name and text live until it returns. */
typedef int variable_fn(void *ctx, const char *name, const char *text);

/* Calls fn for each variable that has a value, in the order of the code object: arguments first. `code` and `frame` are
 * addresses. Variables of modules and of the bodies of classes are no such variables. *work: as value_read has it. Returns what
 * fn returned last. */
int variables_each(struct remote *r, const struct py_layout *l, uint64_t code, uint64_t frame, uint64_t *work, variable_fn *fn,
                   void *ctx);

#endif
