/* The asyncio tasks of a trace, added up: per coroutine function how long its calls ran and what they waited for, and the tasks
 * that took longest. The model of `report --async`. Memory grows with tasks, functions, and how often tasks were suspended. */
#ifndef VT_CLI_PROFILE_TASKS_H
#define VT_CLI_PROFILE_TASKS_H

#include "cli/trace/source.h"
#include "cli/trace/writer.h"

struct tasks_wait { /* one thing that was waited for */
    enum await_kind kind;
    const struct trace_name *in;      /* the coroutine that tells it */
    const struct trace_task *awaited; /* the task that was waited for, of a task's waits; NULL = none, or not known */
    uint64_t ns, times;
};

/* All times are sums over the calls. wall_ns = running_ns + wait_ns: from the first step to the return, of calls that were open
 * at an end of the trace up to that end. */
struct tasks_function {
    const struct trace_name *name;
    uint64_t calls, wall_ns, running_ns, wait_ns;
    struct tasks_wait *waits; /* longest first */
    uint32_t nwaits;
};

struct tasks_task {
    struct trace_task *task;
    const struct trace_thread *thread; /* where it was seen first */
    const struct trace_name *function; /* its outermost coroutine; NULL = it was never suspended */
    uint64_t start_ns, end_ns;         /* first step to the end of the last one; or of the trace, when it was suspended then */
    uint64_t wait_ns;                  /* running: the rest */
    bool open;                         /* it had not ended when tracing did */
    struct tasks_wait *waits;          /* longest first */
    uint32_t nwaits;
};

struct tasks_profile {
    struct tasks_function *functions; /* those that were suspended in a task; most wall time first */
    uint32_t nfunctions;
    struct tasks_task *tasks; /* longest first */
    uint32_t ntasks;
    uint64_t awaits; /* how often a task was suspended */
    uint64_t start_ns;
    struct trace_totals totals;
};

/* Runs the source once. Names, tasks and threads are borrowed from it. -ENODATA: it tells of no tasks. */
VT_MUST_CHECK int tasks_profile_make(struct trace_source *source, const volatile int *stop, struct tasks_profile **out,
                                     struct vt_err *err);
void tasks_profile_free(struct tasks_profile *p); /* NULL is fine */

#endif
