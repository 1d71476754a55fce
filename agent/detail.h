/* The complete form of an event, for sessions with filters, a depth limit, arguments, return values,
 * tasks or another clock than the TSC. The lean callbacks never come here. */
#ifndef VT_AGENT_DETAIL_H
#define VT_AGENT_DETAIL_H

#include "agent/agent_priv.h"

/* `value`: what is returned or yielded, or NULL; `frame`: the frame object where there is one, or NULL */
void detail_python(void *code, uint32_t type, void *value, void *frame);
void detail_c(void *callable, void *definition, uint32_t type);
/* flags kept with a code object's id */
#define DETAIL_IGNORED (1ull << 32)
uint64_t detail_code_flags(const char *file);
bool detail_ignores(void *code);
bool detail_wanted(const struct vt_ctl *ctl);
/* values.c */
void values_tell_arguments(void *code, void *frame);
void values_tell_result(void *value);
/* task.c */
void task_enter(void);
void task_leave(void);

#endif
