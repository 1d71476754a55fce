/* The complete form of an event, for sessions with filters, a depth limit, arguments, return values,
 * tasks or another clock than the TSC. The lean callbacks never come here. */
#ifndef VT_AGENT_DETAIL_H
#define VT_AGENT_DETAIL_H

#include "agent/agent_priv.h"

/* What a back end that can switch an event off for one place does with it from now on. */
enum detail_next {
    DETAIL_KEEP = 0,
    DETAIL_OFF,       /* this function is left out: nothing of it is ever wanted */
    DETAIL_OFF_CALLEE /* the C function called here is left out */
};

/* `value`: what is returned or yielded, or NULL; `frame`: the frame object where there is one, or NULL */
enum detail_next detail_python(void *code, uint32_t type, void *value, void *frame);
/* `code`: the Python function that calls it */
enum detail_next detail_c(void *code, void *callable, void *definition, uint32_t type);
bool detail_wanted(const struct vt_ctl *ctl);
/* Steps of an event, on whichever thread; `flags`: of `code`, which runs now. Keeps the depths; true = record the event. */
bool detail_passes(struct thread *thread, void *code, bool enter, uint64_t flags);
/* False below --max_stack_depth, where events of functions that are left out do not count. */
ALWAYS_INLINE bool detail_deep_enough(struct thread *thread, bool enter) {
    int32_t max = agent.max_stack_depth;
    if (max < 0) return true;
    if (enter) return thread->depth++ < max;
    return thread->depth > 0 ? --thread->depth < max : true; /* at 0: a frame that was open at the start */
}
/* Below 3.12: frames of functions that are left out give no events at all (hook_profile.c): nothing to be counted for them. */
extern HIDDEN bool detail_switched;
/* No event of this function is wanted, nor needed to keep the depths. */
bool detail_unwanted(void *code, uint64_t flags);
/* The current thread is about to leave calls that it was not seen entering, below others that it was. */
bool detail_keeps_depths(void);
void detail_entered_unseen(uint32_t calls);

/* filter.c: flags kept with a code object's id */
#define FILTER_LEFT_OUT (1ull << 32) /* the function itself is not recorded */
#define FILTER_SILENCES (1ull << 33) /* nor anything that it calls */
#define FILTER_WAS_OPEN (1ull << 34) /* it was running at the start: such a call silences nothing */
void filter_start(void);
bool filter_is_set(void);
uint64_t filter_code_flags(const char *name, const char *file, void *globals);
bool filter_leaves_out_function(const char *owner, const char *name);
bool filter_has_subtrees(void);
bool filter_needs_modules(void);
uint64_t filter_flags_of(void *code);
void filter_was_open(void *code);
bool filter_by_caller(void *code);
bool filter_caller_silences(void);
/* How a text gets to where the event goes: with the main interpreter's GIL, or as parallel.c says; LOCKED: code of the target has
 * run since the event began. */
enum detail_way { WAY_MAIN, WAY_PARALLEL, WAY_PARALLEL_LOCKED };
/* values.c. True: code of the target may have run, and anything have happened */
bool values_tell_arguments(void *code, void *frame, enum detail_way way);
bool values_tell_result(void *value, enum detail_way way);
/* task.c, for code that is a coroutine's; after task_enter, code of the target may have run, too */
#define CODE_IS_COROUTINE 0x280u /* CO_COROUTINE, CO_ASYNC_GENERATOR */
ALWAYS_INLINE bool task_wanted(const void *code) {
    return agent.flags & VT_F_ASYNC && field32(code, layout.co_flags) & CODE_IS_COROUTINE;
}
void task_enter(enum detail_way way);
void task_leave(enum detail_way way);

#endif
