/* Owns VizTracer's compressed format as an output: out_chrome writes JSON into an unnamed file, which is compressed at the
 * end. cvf.h states the memory that takes and what is lost (the last digit of times). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/base/memory.h"
#include "cli/format/cvf/cvf.h"
#include "cli/format/json/chrome_json.h"

struct trace_writer {
    struct trace_writer *json; /* of out_chrome */
    struct output *out, *text;
    const volatile int *stop;
    int fd;
};

static void cvf_free(struct trace_writer *w) {
    if (!w) return;
    if (w->json) out_chrome.free(w->json);
    output_abort(w->text);
    vt_close(&w->fd);
    memory_free(w);
}

static struct trace_writer *cvf_open(struct output *out, struct trace_info *info, const struct writer_opts *opts) {
    struct trace_writer *w = memory_calloc(1, sizeof *w);
    if (!w) return NULL;
    w->out = out;
    w->stop = opts->stop;
    w->fd = output_temp();
    if (w->fd >= 0 && !output_open_fd(&w->fd, &w->text)) w->json = out_chrome.open(w->text, info, opts);
    if (w->json) return w;
    cvf_free(w);
    return NULL;
}

static int cvf_begin(struct trace_writer *w) { return out_chrome.begin(w->json); }
static int cvf_call(struct trace_writer *w, const struct trace_call *call) { return out_chrome.call(w->json, call); }
static int cvf_gap(struct trace_writer *w, const struct trace_gap *gap) { return out_chrome.gap(w->json, gap); }
static int cvf_counter(struct trace_writer *w, const struct trace_counter *counter) {
    return out_chrome.counter(w->json, counter);
}
static int cvf_mark(struct trace_writer *w, const struct trace_mark *mark) { return out_chrome.mark(w->json, mark); }

static int cvf_end(struct trace_writer *w, const struct trace_totals *totals) {
    char name[32];
    struct cvf_opts opts = {.input = name, .stop = w->stop};
    struct cvf_result result;
    struct vt_err err = {0};
    uint64_t bytes;
    int rc = out_chrome.end(w->json, totals);
    if (rc) return rc;
    rc = output_commit(w->text, &bytes, &err);
    w->text = NULL;
    snprintf(name, sizeof name, "/proc/self/fd/%d", w->fd);
    if (!rc) rc = cvf_pack(&opts, w->out, &result, &err);
    if (rc) vt_log(VT_LOG_INFO, "%s", err.msg);
    return rc ? rc : output_error(w->out);
}

const struct trace_writer_ops out_cvf = {.open = cvf_open,
                                         .begin = cvf_begin,
                                         .call = cvf_call,
                                         .gap = cvf_gap,
                                         .counter = cvf_counter,
                                         .mark = cvf_mark,
                                         .end = cvf_end,
                                         .free = cvf_free};
