/* Fills a trace_info while a file of calls is read. Names, processes and threads are found by the texts that the file uses. */
#ifndef VT_CLI_INFO_BUILD_H
#define VT_CLI_INFO_BUILD_H

#include "cli/trace/trace_info.h"

struct info_build { /* all zero but info */
    struct trace_info *info;
    struct text_map names, processes, threads; /* struct trace_name, trace_process, trace_thread */
    uint32_t processes_room, threads_room;
};
/* Frees the tables, not info. */
void info_build_free(struct info_build *b);

/* All return NULL when there is no memory (or no number left): the same thing again for the same texts. */

/* "qualname (file:line)" is taken apart so that it can be put together again; anything else is a C function's name. */
struct trace_name *info_build_name(struct info_build *b, const char *text, size_t len);
struct trace_name *info_build_name_parts(struct info_build *b, const struct trace_name *like);
/* pid, tid: a number's text, or any text, which gets a number of its own and is the name then. */
struct trace_process *info_build_process(struct info_build *b, const char *pid, size_t len);
struct trace_thread *info_build_thread(struct info_build *b, const struct trace_process *process, const char *tid, size_t len);
/* NULL when the name is not in the trace. */
struct trace_name *info_build_find_name(const struct info_build *b, const char *text, size_t len);
struct trace_thread *info_build_find_thread(const struct info_build *b, const struct trace_process *process, const char *tid,
                                            size_t len);

/* *text becomes a copy; 0 or -ENOMEM. */
VT_MUST_CHECK int info_build_text(char **text, uint32_t *text_len, const char *from, size_t len);

#endif
