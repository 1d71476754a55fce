/* Flows from the place where a process was started to its first event, in another process: what is shown of where processes of
 * one trace come from. Made out of the heads of the processes in the course of a run. */
#ifndef VT_CLI_ORIGINS_H
#define VT_CLI_ORIGINS_H

#include "cli/trace/writer.h"

struct origins;

/* *out is NULL when no process of the trace was started by another one. 0 or -ENOMEM. info has to stay. */
VT_MUST_CHECK int origins_new(const struct trace_info *info, struct origins **out);
/* For every call of the run. */
void origins_see(struct origins *o, const struct trace_call *call);
/* When all calls have come: two marks for each flow. ops->mark is not NULL. */
VT_MUST_CHECK int origins_tell(const struct origins *o, const struct trace_writer_ops *ops, struct trace_writer *w);
void origins_free(struct origins *o); /* NULL is fine */

#endif
