/* What a suspended coroutine waits for, by the names of the coroutines: one table for report and for what is drawn.
 *
 * Functions of asyncio are matched on their module in a folder "asyncio" and on their qualified name, the whole of both. Where a
 * trace has bare names (Python below 3.11) the name's last part counts, and a condition is taken for an event. */
#ifndef VT_CLI_AWAITS_H
#define VT_CLI_AWAITS_H

#include "cli/trace/trace_info.h"

enum await_kind {
    AWAIT_OTHER, /* not in the table: the innermost coroutine is what is known */
    AWAIT_TIMER,
    AWAIT_TASK,  /* another one, which may be known */
    AWAIT_TASKS, /* one or more tasks */
    AWAIT_LOCK,
    AWAIT_EVENT,
    AWAIT_CONDITION,
    AWAIT_BARRIER,
    AWAIT_QUEUE,
    AWAIT_SOCKET,
    AWAIT_JOB, /* of an executor */
    AWAIT_PROCESS,
    AWAIT_TURN,   /* nothing but its next turn: sleep(0) */
    AWAIT_SERVER, /* a server that serves until it is closed */
    AWAIT_KINDS
};
extern const char *const await_words[AWAIT_KINDS]; /* "timer": for tables and JSON */

/* The kind, from the names of the suspended coroutines, the innermost first; n is at least 1. *in: which of them tells it: the
 * innermost one that is not Future.__await__. */
enum await_kind await_kind_of(struct trace_name *const *chain, uint32_t n, struct trace_name **in);

/* Adds the names of slices to info: "await timer" and so on. 0 or -ENOMEM. */
VT_MUST_CHECK int await_names_add(struct trace_info *info);
/* The name for a slice of that kind, or NULL. */
struct trace_name *await_name(const struct trace_info *info, enum await_kind kind);

#endif
