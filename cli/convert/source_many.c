/* Owns opening the files that are joined (source_many.h); cli/trace/join.c joins them. They stay open: a stream is read once. */
#include "cli/convert/source_many.h"

#include <errno.h>
#include <stdio.h>

#include "cli/base/memory.h"
#include "cli/format/format.h"

struct files {
    struct trace_source **sources;
    const char **paths; /* borrowed; only messages while opening use them */
    size_t n;
};

static void files_free(void *ctx) {
    struct files *f = ctx;
    for (size_t i = 0; i < f->n; i++) trace_source_close(f->sources[i]);
    memory_free(f->sources);
    memory_free(f->paths);
    memory_free(f);
}

static int hand_out(void *ctx, size_t i, struct trace_source **source, struct vt_err *err) {
    const struct files *f = ctx;
    (void)err;
    *source = f->sources[i];
    return 0;
}

static void take_back(void *ctx, struct trace_source *source) {
    (void)ctx;
    (void)source;
}

static const char *path_of(void *ctx, size_t i) { return ((const struct files *)ctx)->paths[i]; }

static int open_all(struct files *f, const char *const *paths, size_t n, const struct join_opts *opts, struct vt_err *err) {
    char text[1024];
    for (size_t i = 0; i < n; i++) {
        struct vt_err why = {0};
        int rc = trace_source_open(paths[i], &f->sources[f->n], &why);
        if (!rc) {
            f->paths[f->n++] = paths[i];
            continue;
        }
        if (rc != -EBADMSG) return vt_err_set(err, rc, "%s", why.msg);
        snprintf(text, sizeof text, "%s; it is left out", why.msg);
        if (opts->note) opts->note(opts->note_arg, text);
        if (opts->files_left_out) ++*opts->files_left_out;
    }
    return f->n ? 0 : vt_err_set(err, -EBADMSG, "none of these files is a trace that viztracer can read; name other ones");
}

int source_many_open(const char *const *paths, size_t n, const struct join_opts *opts, struct trace_source **out,
                     struct vt_err *err) {
    struct files *f = memory_calloc(1, sizeof *f);
    if (!f) return vt_err_set(err, -ENOMEM, "out of memory");
    f->sources = memory_calloc(n + 1, sizeof *f->sources);
    f->paths = memory_calloc(n + 1, sizeof *f->paths);
    int rc = f->sources && f->paths ? open_all(f, paths, n, opts, err) : vt_err_set(err, -ENOMEM, "out of memory");
    if (rc) {
        files_free(f);
        return rc;
    }
    const struct join_parts parts = {
        .n = f->n, .ctx = f, .open = hand_out, .close = take_back, .name = path_of, .free = files_free};
    return join_open(&parts, opts, out, err);
}
