/* Owns .vzt files as sources of calls (source.h): trace_info for what is in them, the model for the calls. */
#include <errno.h>
#include <string.h>

#include "cli/format/vzt/model.h"
#include "cli/format/vzt/vzt.h"
#include "proto/abi/arena.h"

static int vzt_open(const char *path, struct trace_info **info, void **state, struct vt_err *err) {
    struct vt_trace *trace;
    struct vt_err why = {0};
    int rc = vt_trace_open(path, &trace, err);
    if (rc) return rc;
    rc = trace_info_load(trace, info, &why);
    if (rc) {
        vt_trace_close(trace);
        return vt_err_set(err, rc, "%s: %s", path, why.msg);
    }
    *state = trace;
    return 0;
}

static int vzt_run(struct trace_info *info, void *state, const struct run_opts *opts, const struct trace_writer_ops *ops,
                   struct trace_writer *w, struct trace_totals *totals, struct vt_err *err) {
    struct run_opts with_tasks = *opts;
    (void)state;
    with_tasks.tasks |= (info->header->flags & VT_F_ASYNC) != 0;
    return model_run(info, &with_tasks, ops, w, totals, err);
}

static void vzt_close(struct trace_info *info, void *state) {
    trace_info_free(info);
    vt_trace_close(state);
}

static const struct trace_source_ops source_vzt = {.open = vzt_open, .run = vzt_run, .close = vzt_close};

static bool vzt_is(const uint8_t *head, size_t len) { return len >= 3 && !memcmp(head, "VZT", 3); }

const struct trace_format format_vzt = {
    .name = "vzt",
    .help = "native: the smallest, one process, all calls",
    .suffixes = {{.text = ".vzt"}},
    .is = vzt_is,
    .source = &source_vzt,
    .writer = &out_vzt,
    .native = true,
    .view = FORMAT_VIEW_CONVERTED,
    .next_step = "See it with viztracer report or vizviewer ",
};
