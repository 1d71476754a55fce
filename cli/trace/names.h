/* The texts for functions, threads, processes and tasks in outputs. A function is "qualname (file:line)" for Python,
 * "module.func" or "type.func" for C. */
#ifndef VT_CLI_NAMES_H
#define VT_CLI_NAMES_H

#include <stddef.h>

#include "cli/base/clean_text.h"
#include "cli/trace/trace_info.h"

/* Room that name_put_text needs at most; name_put_json needs JSON_TEXT_MAX of it. */
size_t name_text_max(const struct trace_name *name);
/* The bytes as they are; returns the end. */
char *name_put_text(char *p, const struct trace_name *name);
/* The inside of a JSON string. */
char *name_put_json(char *p, const struct trace_name *name);
/* The same without " (file:line)". */
char *name_put_short_json(char *p, const struct trace_name *name);

/* The name of a thread, process or task, or a made-up one when it has none; not terminated. buf: room for the made-up
 * name. */
#define NAME_MADE_UP 32u
const char *name_of_thread(const struct trace_thread *thread, char buf[NAME_MADE_UP], size_t *len);
const char *name_of_process(const struct trace_process *process, size_t *len);
const char *name_of_task(const struct trace_task *task, size_t *len);
/* "qualname" or "module.func", clean (clean_text.h), into to[CLEAN_TEXT_MAX]. Returns to. */
char *name_short(char *to, const struct trace_name *name);

#endif
