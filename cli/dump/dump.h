/* What the threads of a process do, as text for people and as JSON for programs. Knows nothing of traces. */
#ifndef VT_CLI_DUMP_H
#define VT_CLI_DUMP_H

#include "cli/base/buf.h"
#include "outside/outside.h"

/* Appends all that was read last. */
void dump_text(struct buf *out, const struct outside *o);
/* One JSON object on one line, without the newline. tasks: those of asyncio, too. */
void dump_json(struct buf *out, const struct outside *o, bool tasks);
/* The tasks of asyncio, as a tree. */
void dump_tasks_text(struct buf *out, const struct outside *o);

/* The order in which threads are told: those that work first; threads in the same state with the same stack follow each other. */
struct dump_group {
    uint32_t first, n; /* in the order */
};
struct dump_order {
    const struct outside_thread **threads;
    struct dump_group *groups;
    uint32_t nthreads, ngroups;
};
/* 0 or -ENOMEM. */
VT_MUST_CHECK int dump_order_make(struct dump_order *order, const struct outside *o);
void dump_order_free(struct dump_order *order);

#endif
