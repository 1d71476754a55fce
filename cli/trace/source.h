/* A trace that is read, whatever the format of its file. One format = one table of functions. A source can run any number of
 * times; each run hands over the same calls in the same order. cli/format/format.h opens files. */
#ifndef VT_CLI_SOURCE_H
#define VT_CLI_SOURCE_H

#include "cli/trace/run.h"
#include "cli/trace/select.h"

struct trace_source;

struct trace_source_ops {
    /* Fills *info (as far as calls do not matter) and *state. -errno and err. */
    int (*open)(const char *path, struct trace_info **info, void **state, struct vt_err *err);
    /* As model_run. */
    int (*run)(struct trace_info *info, void *state, const struct run_opts *opts, const struct trace_writer_ops *ops,
               struct trace_writer *w, struct trace_totals *totals, struct vt_err *err);
    void (*close)(struct trace_info *info, void *state);
};

/* kind: a name of the format, which has to stay valid. Takes info and state, and frees them on -ENOMEM. */
VT_MUST_CHECK int trace_source_new(const char *kind, const struct trace_source_ops *ops, struct trace_info *info, void *state,
                                   struct trace_source **out, struct vt_err *err);
/* Remembers where the trace is. fd (-1 = none) belongs to the source from now on: the file's, which has no name. On -ENOMEM
 * the source is closed and fd is not. */
VT_MUST_CHECK int trace_source_keep_file(struct trace_source *s, const char *file, int fd, struct vt_err *err);
/* The file that is read: of a stream its copy. NULL = of several files. */
const char *trace_source_file(const struct trace_source *s);
void trace_source_close(struct trace_source *s); /* NULL is fine */
const char *trace_source_kind(const struct trace_source *s);
/* Of a trace in it: names, threads, processes. Valid until the source is closed. */
struct trace_info *trace_source_info(struct trace_source *s);
/* Makes info->first_ns and last_ns known; for some kinds that takes a run. Before trace_source_select. */
VT_MUST_CHECK int trace_source_range(struct trace_source *s, struct vt_err *err);
/* From now on runs hand over the wanted part only. Texts of select stay the caller's. -EINVAL with the cause when the trace
 * has no such process or thread, or no function that matches. */
VT_MUST_CHECK int trace_source_select(struct trace_source *s, const struct trace_select *select, struct vt_err *err);
/* Feeds w with everything up to the end or the first damaged place (noted in info->damage). Twice the same. */
VT_MUST_CHECK int trace_source_run(struct trace_source *s, const struct run_opts *opts, const struct trace_writer_ops *ops,
                                   struct trace_writer *w, struct trace_totals *totals, struct vt_err *err);

#endif
