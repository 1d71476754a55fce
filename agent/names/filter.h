/* Which functions are left out; filter.c has the rules. With the main interpreter's GIL, or that of the code's interpreter and
 * parallel_lock. */
#ifndef VT_AGENT_FILTER_H
#define VT_AGENT_FILTER_H

#include "agent/cpython/base.h"

/* Kept with a code object's id. */
#define FILTER_LEFT_OUT (1ull << 32) /* the function itself is not recorded */
#define FILTER_SILENCES (1ull << 33) /* nor anything that it calls */
#define FILTER_OUTSIDE (1ull << 35)  /* nor that, when a function that is recorded called it: below that it silences */
#define FILTER_SUBTREE (FILTER_SILENCES | FILTER_OUTSIDE)
#define FILTER_WAS_OPEN (1ull << 34) /* one of its frames was open at the start and cannot be told from others */

/* Reads the session's lists. Without the GIL, before any hook is in. */
void filter_start(void);
/* Does the session have any filter? */
bool filter_is_set(void);
/* Does the session leave out functions with all that they call? Must it know the module of each function? */
bool filter_has_subtrees(void);
bool filter_needs_modules(void);
/* The flags of a Python function that gets its id. `globals`: its namespace, borrowed; NULL = that of the frame that runs. */
uint64_t filter_code_flags(const char *name, const char *file, void *globals);
/* A C function. `owner`: its module, or the type of a method; may be "". */
bool filter_leaves_out_function(const char *owner, const char *name);
/* The flags that a code object has; 0 without an id of this session. */
uint64_t filter_flags_of(void *code);
/* This frame of it is open at the start: the call silences nothing. Where the frame cannot be marked, the events of all
 * calls of the function stay on. */
void filter_was_open(void *code, void *frame);

#endif
