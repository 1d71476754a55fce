/* Suspended tasks of asyncio, for the model: which coroutines a task left with a yield, and when it went on.
 *
 * A step of a task ends with a row of yields, the innermost coroutine first and nothing between them. The last one is of the
 * coroutine that no other call of the same task is around. A generator that hands an item to its caller ends such a row, too, but
 * its caller goes on in the task. */
#ifndef VT_CLI_SUSPENDED_H
#define VT_CLI_SUSPENDED_H

#include "cli/trace/writer.h"

/* Of one thread: the row of yields that was seen last. All zero = none. */
struct yields {
    uint32_t n;     /* 0 = the last event was no yield */
    uint32_t depth; /* frames below the last one */
    struct trace_name *names[TRACE_AWAIT_CHAIN];
    struct vt_pl_await await; /* what the first one handed over; kind 0 = not known */
};
/* What the next yield hands over. Nothing before it belongs to the row. */
void yields_await(struct yields *y, const uint8_t *payload, uint32_t len);
/* A frame of that function was left with a yield; depth: frames below it. */
void yields_add(struct yields *y, struct trace_name *name, uint32_t depth);
static inline void yields_end(struct yields *y) { y->n = y->await.kind = 0; }

struct suspended; /* the tasks that are suspended */

VT_MUST_CHECK int suspended_new(struct suspended **out);
void suspended_free(struct suspended *s); /* NULL is fine */
/* The task was suspended at ns with these coroutines. 0 or -ENOMEM. */
VT_MUST_CHECK int suspended_put(struct suspended *s, struct trace_task *task, const struct trace_thread *thread, uint64_t ns,
                                const struct yields *y);
/* A thread runs this task now: whatever had its address before has gone. 0 or -ENOMEM. */
VT_MUST_CHECK int suspended_runs(struct suspended *s, struct trace_task *task);
/* Something of the task runs at ns: hands the time over if it was suspended. 0 or what the writer returns. */
VT_MUST_CHECK int suspended_ends(struct suspended *s, const struct trace_info *info, const struct trace_task *task, uint64_t ns,
                                 const struct trace_writer_ops *ops, struct trace_writer *w);
/* The trace is over: hands over what is suspended still, in the order of their beginnings. */
VT_MUST_CHECK int suspended_rest(struct suspended *s, const struct trace_info *info, const struct trace_writer_ops *ops,
                                 struct trace_writer *w);

#endif
