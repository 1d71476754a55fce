/* The variables of the frame that runs, read from the frame itself. All references are borrowed and hold only until code of the
 * target runs. With the GIL of the frame's interpreter. */
#ifndef VT_AGENT_LOCALS_H
#define VT_AGENT_LOCALS_H

#include "agent/cpython/base.h"

struct locals {
    void *code;
    void *const *slots; /* NULL = they cannot be read here: use f_locals */
};
/* `frame`: the frame object; NULL on 3.12+. */
struct locals locals_of(void *code, const void *frame);
/* Variable `i` in the order of co_varnames; *value = NULL: it has no value now. False: it cannot be read here. */
bool locals_value(const struct locals *locals, int64_t i, void **value);
/* May `slots` be relied on? */
bool locals_trusted(void);
/* 3.12+, while they are not trusted: the first calls are read here and through f_locals. `same`: both gave the same objects.
 * Trusted after a number of calls without a difference; a single difference rules this way out for the life of the process. */
void locals_tried(const struct locals *locals, bool same);
/* Below 3.12: proves the layout of frames and code, once a session. Frames that differ are not read then. */
void locals_check(void);

#endif
