/* Owns .cvf files as sources of calls (source.h): unpacks them into an unnamed JSON file, which source_json reads. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/interrupt.h"
#include "cli/base/memory.h"
#include "cli/format/cvf/cvf.h"
#include "cli/format/json/chrome_json.h"

struct cvf_source {
    int fd;
    void *json;
};

/* Recognises the version and the kind of the first record. A file that ends behind the version is an empty one. */
static int unpack(const char *path, const int *fd, struct vt_err *err) {
    struct cvf_opts opts = {.input = path, .stop = &interrupts_seen};
    struct cvf_result result;
    struct output *out;
    uint64_t bytes;
    int rc = output_open_fd(fd, &out);
    if (rc) return vt_err_set(err, rc, "out of memory");
    rc = cvf_unpack(&opts, out, &result, err);
    if (!rc) return output_commit(out, &bytes, err);
    output_abort(out);
    return rc;
}

static int cvf_open(const char *path, struct trace_info **info, void **state, struct vt_err *err) {
    char name[32];
    struct vt_err why = {0};
    struct cvf_source *s = memory_calloc(1, sizeof *s);
    if (!s) return vt_err_set(err, -ENOMEM, "out of memory");
    s->fd = output_temp();
    int rc = s->fd < 0 ? vt_err_set(err, s->fd, "no temporary file for %s: %s; set TMPDIR", path, strerror(-s->fd)) : 0;
    if (!rc) rc = unpack(path, &s->fd, err);
    if (!rc) {
        snprintf(name, sizeof name, "/proc/self/fd/%d", s->fd);
        rc = source_json.open(name, info, &s->json, &why);
        if (rc == -EINTR)
            *err = why;
        else if (rc)
            vt_err_set(err, rc, "%s: what is in it is no trace: %s", path, strerror(-rc));
    }
    if (rc) {
        vt_close(&s->fd);
        memory_free(s);
        return rc;
    }
    *state = s;
    return 0;
}

static int cvf_run(struct trace_info *info, void *state, const struct run_opts *opts, const struct trace_writer_ops *ops,
                   struct trace_writer *w, struct trace_totals *totals, struct vt_err *err) {
    struct cvf_source *s = state;
    return source_json.run(info, s->json, opts, ops, w, totals, err);
}

static void cvf_close(struct trace_info *info, void *state) {
    struct cvf_source *s = state;
    source_json.close(info, s->json);
    vt_close(&s->fd);
    memory_free(s);
}

static const struct trace_source_ops source_cvf = {.open = cvf_open, .run = cvf_run, .close = cvf_close};

static bool cvf_is(const uint8_t *head, size_t len) {
    static const uint8_t version[8] = {CVF_VERSION},
                         kinds[] = {CVF_CALLS, CVF_PROCESS, CVF_THREAD, CVF_COUNTER, CVF_OTHER, CVF_FILE_INFO};
    if (len < sizeof version || memcmp(head, version, sizeof version)) return false;
    return len == sizeof version || memchr(kinds, head[sizeof version], sizeof kinds);
}

const struct trace_format format_cvf = {
    .name = "cvf",
    .help = "VizTracer's compressed format",
    .suffixes = {{.text = ".cvf", .bytes_per_call = 6}},
    .is = cvf_is,
    .source = &source_cvf,
    .writer = &out_cvf,
    .view = FORMAT_VIEW_CONVERTED,
    .next_step = "Open it with: vizviewer ",
};
