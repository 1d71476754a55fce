/* Owns the choice of who reads a trace file, by its first bytes (source.h). */
#include "cli/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define HEAD_LEN 64u

struct trace_source {
    const struct trace_source_ops *ops;
    struct trace_info *info;
    void *state;
};

static const struct trace_source_ops *const kinds[] = {&source_vzt};

/* zlib hands files that are not gzipped through as they are. */
static int read_head(const char *path, uint8_t *head, size_t *len, struct vt_err *err) {
    errno = 0;
    gzFile f = gzopen(path, "rbe");
    int rc = errno ? -errno : -ENOMEM;
    if (!f) return vt_err_set(err, rc, "%s: %s", path, strerror(-rc));
    errno = 0;
    int n = gzread(f, head, HEAD_LEN);
    rc = n >= 0 ? 0 : errno ? -errno : -EBADMSG;
    if (rc == -EBADMSG)
        vt_err_set(err, rc, "%s: the gzip data is damaged", path);
    else if (rc)
        vt_err_set(err, rc, "%s: %s", path, strerror(-rc));
    gzclose(f);
    *len = n > 0 ? (size_t)n : 0;
    return rc;
}

int trace_source_open(const char *path, struct trace_source **out, struct vt_err *err) {
    uint8_t head[HEAD_LEN];
    size_t len = 0;
    int rc = read_head(path, head, &len, err);
    if (rc) return rc;
    if (!len) return vt_err_set(err, -EBADMSG, "%s: the file is empty", path);
    const struct trace_source_ops *ops = NULL;
    for (size_t i = 0; i < VT_ARRAY_LEN(kinds) && !ops; i++)
        if (kinds[i]->is(head, len)) ops = kinds[i];
    if (!ops) return vt_err_set(err, -EBADMSG, "%s: no trace that viztracer can read", path);
    struct trace_source *s = calloc(1, sizeof *s);
    if (!s) return vt_err_set(err, -ENOMEM, "out of memory");
    s->ops = ops;
    rc = ops->open(path, &s->info, &s->state, err);
    if (rc) {
        free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void trace_source_close(struct trace_source *s) {
    if (!s) return;
    s->ops->close(s->info, s->state);
    free(s);
}

const char *trace_source_kind(const struct trace_source *s) { return s->ops->kind; }
struct trace_info *trace_source_info(struct trace_source *s) {
    return s->info;
}

int trace_source_run(struct trace_source *s, const struct model_opts *opts, const struct trace_writer_ops *ops,
                     struct trace_writer *w, struct trace_totals *totals, struct vt_err *err) {
    return s->ops->run(s->info, s->state, opts, ops, w, totals, err);
}
