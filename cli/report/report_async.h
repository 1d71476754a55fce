/* `report --async` on stdout: tasks of asyncio and their coroutines. */
#ifndef VT_CLI_REPORT_ASYNC_H
#define VT_CLI_REPORT_ASYNC_H

#include "cli/profile/tasks.h"
#include "cli/report/report.h"

/* Rows of the tables, unless the options say otherwise. */
#define REPORT_COROUTINES 15u
#define REPORT_TASKS 10u

void report_async_text(const struct tasks_profile *p, struct trace_source *source, const struct report_opts *opts);
/* One JSON object; report_async.c describes it. -ENOMEM. */
VT_MUST_CHECK int report_async_json(const struct tasks_profile *p, struct trace_source *source, const struct report_opts *opts);

#endif
