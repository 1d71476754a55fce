/* Owns .vzt files as sources of calls (source.h): trace_info for what is in them, the model for the calls. A file of several
 * processes is a source that joins one of these for each of its sections. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/base/memory.h"
#include "cli/format/vzt/model.h"
#include "cli/format/vzt/sections.h"
#include "cli/format/vzt/vzt.h"
#include "cli/trace/join.h"
#include "proto/abi/arena.h"

static int one_run(struct trace_info *info, void *state, const struct run_opts *opts, const struct trace_writer_ops *ops,
                   struct trace_writer *w, struct trace_totals *totals, struct vt_err *err) {
    struct run_opts with_tasks = *opts;
    (void)state;
    with_tasks.tasks |= (info->header->flags & VT_F_ASYNC) != 0;
    return model_run(info, &with_tasks, ops, w, totals, err);
}

static void one_close(struct trace_info *info, void *state) {
    trace_info_free(info);
    vt_trace_close(state);
}

static const struct trace_source_ops source_section = {.run = one_run, .close = one_close};

/* ---- several processes ---- */

struct container {
    struct vt_trace *file;
    struct sections *sections;
    char name[48]; /* of the part that was asked for last */
};

static int open_section(void *ctx, size_t i, struct trace_source **source, struct vt_err *err) {
    const struct container *c = ctx;
    const struct section *section = c->sections->list[i];
    struct vt_trace *trace;
    struct trace_info *info;
    int rc = vt_trace_open_pieces(c->file, section->pieces, section->n, &trace);
    if (rc) return vt_err_set(err, rc, "out of memory");
    rc = trace_info_load(trace, &info, err);
    if (!rc) return trace_source_new("vzt", &source_section, info, trace, source, err);
    vt_trace_close(trace);
    return rc;
}

static void close_section(void *ctx, struct trace_source *source) {
    (void)ctx;
    trace_source_close(source);
}

static const char *name_section(void *ctx, size_t i) {
    struct container *c = ctx;
    snprintf(c->name, sizeof c->name, "section %u", c->sections->list[i]->number);
    return c->name;
}

static void free_container(void *ctx) {
    struct container *c = ctx;
    sections_free(c->sections);
    vt_trace_close(c->file);
    memory_free(c);
}

/* Takes file and sections. */
static int join_sections(struct vt_trace *file, struct sections *sections, struct trace_source **out, struct vt_err *err) {
    struct container *c = memory_calloc(1, sizeof *c);
    if (!c) {
        sections_free(sections);
        vt_trace_close(file);
        return vt_err_set(err, -ENOMEM, "out of memory");
    }
    *c = (struct container){.file = file, .sections = sections};
    const struct join_parts parts = {
        .n = sections->n, .ctx = c, .open = open_section, .close = close_section, .name = name_section, .free = free_container};
    const struct join_opts opts = {.one_file = true};
    struct vt_err damage = sections->damage;
    bool truncated = sections->truncated;
    int rc = join_open(&parts, &opts, out, err);
    if (rc) return rc;
    struct trace_info *info = trace_source_info(*out);
    if (damage.code) info->damage = damage;
    info->cut_off |= truncated;
    return 0;
}

/* ---- any .vzt ---- */

struct vzt {
    struct vt_trace *trace;      /* of one process, else NULL */
    struct trace_source *joined; /* of several, else NULL: its info is that of the file */
};

static int vzt_open(const char *path, struct trace_info **info, void **state, struct vt_err *err) {
    struct vt_trace *trace;
    struct sections *sections;
    struct vt_err why = {0};
    struct vzt *v;
    int rc = vt_trace_open(path, &trace, err);
    if (rc) return rc;
    v = memory_calloc(1, sizeof *v);
    rc = v ? sections_read(trace, &sections, &why) : vt_err_set(&why, -ENOMEM, "out of memory");
    if (rc == 1) {
        rc = join_sections(trace, sections, &v->joined, &why);
        trace = NULL;
    } else if (!rc) {
        v->trace = trace;
        rc = trace_info_load(trace, info, &why);
    }
    if (!rc) {
        if (v->joined) *info = trace_source_info(v->joined);
        *state = v;
        return 0;
    }
    vt_trace_close(trace);
    memory_free(v);
    return vt_err_set(err, rc, "%s: %s", path, why.msg);
}

static int vzt_run(struct trace_info *info, void *state, const struct run_opts *opts, const struct trace_writer_ops *ops,
                   struct trace_writer *w, struct trace_totals *totals, struct vt_err *err) {
    const struct vzt *v = state;
    if (v->joined) return trace_source_run(v->joined, opts, ops, w, totals, err);
    return one_run(info, v->trace, opts, ops, w, totals, err);
}

static void vzt_close(struct trace_info *info, void *state) {
    struct vzt *v = state;
    if (v->joined)
        trace_source_close(v->joined);
    else
        one_close(info, v->trace);
    memory_free(v);
}

static const struct trace_source_ops source_vzt = {.open = vzt_open, .run = vzt_run, .close = vzt_close};

static bool vzt_is(const uint8_t *head, size_t len) { return len >= 3 && !memcmp(head, "VZT", 3); }

const struct trace_format format_vzt = {
    .name = "vzt",
    .help = "native: the smallest, all calls",
    .suffixes = {{.text = ".vzt"}},
    .is = vzt_is,
    .source = &source_vzt,
    .writer = &out_vzt,
    .native = true,
    .view = FORMAT_VIEW_CONVERTED,
    .next_step = "See it with viztracer report or vizviewer ",
};
