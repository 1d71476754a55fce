/* Owns .vzt files as sources of calls (source.h): trace_info for what is in them, the model for the calls. */
#include <errno.h>
#include <string.h>

#include "cli/trace/source.h"
#include "proto/abi/arena.h"

static bool vzt_is(const uint8_t *head, size_t len) { return len >= 3 && !memcmp(head, "VZT", 3); }

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

static int vzt_run(struct trace_info *info, void *state, const struct model_opts *opts, const struct trace_writer_ops *ops,
                   struct trace_writer *w, struct trace_totals *totals, struct vt_err *err) {
    struct model_opts with_tasks = *opts;
    (void)state;
    with_tasks.tasks |= (info->header->flags & VT_F_ASYNC) != 0;
    return model_run(info, &with_tasks, ops, w, totals, err);
}

static void vzt_close(struct trace_info *info, void *state) {
    trace_info_free(info);
    vt_trace_close(state);
}

const struct trace_source_ops source_vzt = {.kind = "vzt", .is = vzt_is, .open = vzt_open, .run = vzt_run, .close = vzt_close};
