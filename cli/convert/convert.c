/* Owns the way from a trace file to an output file: the choice of the writer, both passes, and removing incomplete files. */
#include "cli/convert/convert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/base/figures.h"
#include "cli/base/input.h"
#include "cli/base/memory.h"
#include "cli/convert/fold.h"
#include "cli/convert/newest.h"
#include "cli/convert/source_many.h"
#include "cli/format/format.h"
#include "cli/term/progress.h"
#include "proto/abi/arena.h"

#define CALLS_PER_SECOND 5000000u
#define GZIP_CALLS_PER_SECOND 2500000u
#define SAMPLE_EVENTS 8000000u /* tell how many calls fit within a few per cent */

static int copy_bytes(const struct convert_opts *opts, const char *file, struct output *out, struct vt_err *err) {
    int rc = 0, fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        rc = -errno;
        return input_cannot(opts->input, rc, err);
    }
    while (!rc && !output_error(out)) {
        ssize_t n = read(fd, output_room(out, OUTPUT_BUF), OUTPUT_BUF);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) rc = input_cannot(opts->input, -errno, err);
        if (n > 0) output_put(out, out->pos + n);
        if (opts->stop && *opts->stop) rc = vt_err_set(err, -EINTR, "interrupted");
        if (n == 0) break;
    }
    vt_close(&fd);
    return rc;
}

static bool same_file(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* True when the conversion was a mere rename; the file gets the mode of a new file. */
static bool moved(const struct convert_opts *opts, uint64_t *bytes) {
    struct stat st;
    if (!opts->move_input || output_is_stdout(opts->output) || (lstat(opts->output, &st) == 0 && !S_ISREG(st.st_mode)))
        return false;
    if (rename(opts->input, opts->output) < 0) return false;
    mode_t mask = umask(0);
    umask(mask);
    if (chmod(opts->output, 0666 & ~mask) < 0) vt_log(VT_LOG_INFO, "%s: rights not changed: %s", opts->output, strerror(errno));
    if (stat(opts->output, &st) == 0) *bytes = (uint64_t)st.st_size;
    return true;
}

/* From our own format to our own format. */
static int copy_native(const struct convert_opts *opts, const char *file, struct convert_result *result, struct vt_err *err) {
    struct output *out;
    int rc = output_make_dirs(opts->output);
    if (rc) return vt_err_set(err, rc, "cannot write %s: %s", opts->output, strerror(-rc));
    if (moved(opts, &result->bytes)) return 0;
    rc = output_open(opts->output, false, &out, err);
    if (rc) return rc;
    rc = copy_bytes(opts, file, out, err);
    if (rc) {
        output_abort(out);
        return rc;
    }
    rc = output_commit(out, &result->bytes, err);
    if (!rc && opts->move_input) unlink(opts->input);
    return rc;
}

/* Some outputs take two passes over the input. The caller sees one function that does it all. */
struct passes {
    const struct convert_opts *opts;
    unsigned all, now;
    uint64_t last;
};

static void pass_progress(void *arg, uint64_t done, uint64_t size) {
    struct passes *p = arg;
    if (done < p->last && p->now + 1 < p->all) p->now++;
    p->last = done;
    p->opts->progress(p->opts->progress_arg, p->now * size + done, p->all * size);
}

/* The length of the shortest call that is wide enough to be drawn. */
static uint64_t shortest(const struct convert_opts *opts, const struct trace_info *info) {
    uint64_t made_with = info->header ? info->header->min_duration_ns : 0;
    return made_with > opts->min_duration_ns ? made_with : opts->min_duration_ns;
}

static const char *input_name(const struct convert_opts *opts) { return opts->inputs ? "these traces" : opts->input; }

static int write_with(const struct trace_writer_ops *ops, bool gzip, const struct convert_opts *opts, struct trace_source *source,
                      struct convert_result *result, struct vt_err *err) {
    struct trace_info *info = trace_source_info(source);
    struct output *out;
    int rc = trace_source_select(source, &opts->select, err);
    if (!rc) rc = output_open(opts->output, gzip, &out, err);
    if (rc) return rc;
    struct writer_opts writer_opts = {.source_root = opts->source_root,
                                      .source_cwd = opts->source_cwd,
                                      .file_info = !opts->no_file_info,
                                      .for_viewer = opts->for_viewer,
                                      .per_thread = opts->per_thread,
                                      .min_duration_ns = select_has_window(&opts->select) ? 0 : shortest(opts, info),
                                      .cpu_times = !select_has_window(&opts->select),
                                      .stop = opts->stop,
                                      .unheld = &result->unheld};
    struct fold_budget budget = {.calls = opts->budget};
    if (!opts->budget && !opts->newest_calls) {
        budget.calls = opts->usual_budget ? opts->usual_budget : ops->budget;
        budget.whole = opts->usual_whole;
        if (select_is_all(&opts->select)) budget.sample = SAMPLE_EVENTS;
    }
    struct passes passes = {.opts = opts, .all = budget.calls || opts->newest_calls ? 2 : 1};
    struct run_opts run_opts = {
        .min_duration_ns = opts->min_duration_ns,
        .tasks = opts->log_async,
        .progress = opts->progress ? pass_progress : NULL,
        .progress_arg = &passes,
        .stop = opts->stop,
    };
    struct vt_err why = {0};
    struct trace_writer *w = ops->open(out, info, &writer_opts);
    if (!w)
        rc = vt_err_set(&why, -ENOMEM, "out of memory");
    else if (budget.calls)
        rc = fold_run(source, &run_opts, ops, w, &budget, &result->totals, &why);
    else if (opts->newest_calls)
        rc = newest_run(source, &run_opts, ops, w, opts->newest_calls, &result->totals, &why);
    else
        rc = trace_source_run(source, &run_opts, ops, w, &result->totals, &why);
    if (w) ops->free(w);
    rc = memory_verdict(rc, input_name(opts), &why);
    if (!rc || output_error(out)) /* the output's own message is the more exact one */
        return output_commit(out, &result->bytes, err);
    output_abort(out);
    if (rc == -EFBIG && ops->most)
        return vt_err_set(err, rc, "%s: a browser takes no more than %llu calls; --min_duration or --tracer_entries make less",
                          opts->output, (unsigned long long)ops->most);
    if (result->unheld.refusal[0]) return vt_err_set(err, rc, "%s: %s", opts->output, result->unheld.refusal);
    return vt_err_set(err, rc, "%s", why.msg);
}

/* True when the output would hold the same as the input, and the input is in our own format. */
static bool is_copy(const struct convert_opts *opts, const struct trace_info *info) {
    uint64_t made_with = info->header ? info->header->min_duration_ns : 0;
    return info->native && format_is_native(opts->output) && select_is_all(&opts->select) && shortest(opts, info) == made_with;
}

/* Counts the calls of a trace that is copied. The trace is read when it has no end frame, which would hold the count, and when
 * shorter calls are left out: near that limit readers decide anew, with the better clock that they have. */
static int count_calls(struct trace_source *source, const struct convert_opts *opts, struct trace_totals *totals,
                       struct vt_err *err) {
    const struct trace_info *info = trace_source_info(source);
    if (!info->counted) return newest_count(source, &(struct run_opts){.stop = opts->stop}, totals, err);
    *totals = (struct trace_totals){
        .calls = info->end_calls, .short_calls = info->end_short_calls, .dropped = info->end_dropped, .threads = info->nshown};
    return 0;
}

static int open_source(const struct convert_opts *opts, struct convert_result *result, struct trace_source **source,
                       struct vt_err *err) {
    size_t n = opts->inputs ? opts->ninputs : 1;
    for (size_t i = 0; i < n; i++)
        if (same_file(opts->inputs ? opts->inputs[i] : opts->input, opts->output))
            return vt_err_set(err, -EINVAL, "%s: input and output are the same file; name another one with -o", opts->output);
    if (!opts->inputs) return trace_source_open(opts->input, source, err);
    struct join_opts many = {
        .align = opts->align, .note = opts->note, .note_arg = opts->note_arg, .files_left_out = &result->files_left_out};
    return source_many_open(opts->inputs, opts->ninputs, &many, source, err);
}

/* Says what a large JSON file takes before it is written. The trace's head tells how many calls there are; of other kinds of
 * files it is not known. */
static void note_size(const struct convert_opts *opts, const struct trace_info *info, bool gzip) {
    char count[32], bytes[32], in_pieces[48] = "", text[320];
    uint64_t calls = info->counted ? info->end_calls : info->events / 2, pieces = figures_pieces(calls, info->events);
    uint64_t size = format_is_large(opts->output, pieces);
    if (!size || !opts->note || opts->budget || opts->newest_calls || !select_is_all(&opts->select) || shortest(opts, info))
        return;
    if (pieces / 2 > calls) /* generators */
        snprintf(in_pieces, sizeof in_pieces, " in %s pieces", format_count(count, sizeof count, pieces));
    snprintf(text, sizeof text, "%s: %s calls%s take about %s and %llu s; a .vzt is smaller, and --budget 500k shows the longest",
             opts->output, format_count(count, sizeof count, calls), in_pieces, format_bytes(bytes, sizeof bytes, size),
             (unsigned long long)(pieces / (gzip ? GZIP_CALLS_PER_SECOND : CALLS_PER_SECOND) + 1));
    opts->note(opts->note_arg, text);
}

int convert_trace(const struct convert_opts *opts, struct convert_result *result, struct vt_err *err) {
    const struct format_suffix *suffix;
    const struct trace_format *format = format_by_name(opts->output, &suffix);
    struct trace_source *source = NULL;
    memset(result, 0, sizeof *result);
    int rc = format_check_output(opts->output, err);
    if (rc) return rc;
    if ((opts->budget || opts->newest_calls) && format_is_native(opts->output))
        return vt_err_set(err, -EINVAL, "%s: a %s holds all calls; %s is for .json and .pftrace", opts->output, suffix->text,
                          opts->budget ? "--budget" : "--tracer_entries");
    memory_again();
    rc = memory_verdict(open_source(opts, result, &source, err), input_name(opts), err);
    if (rc) {
        trace_source_close(source);
        return rc;
    }
    const struct trace_info *info = trace_source_info(source);
    if (is_copy(opts, info)) {
        rc = count_calls(source, opts, &result->totals, err);
        if (!rc) rc = copy_native(opts, trace_source_file(source), result, err);
    } else {
        note_size(opts, info, suffix->gzip);
        rc = write_with(format->writer, suffix->gzip, opts, source, result, err);
    }
    result->cut_off = info->cut_off;
    snprintf(result->limit, sizeof result->limit, "%s", info->limit);
    result->left_out = info->left_out;
    if (info->damage.code) snprintf(result->damage, sizeof result->damage, "%s", info->damage.msg);
    trace_source_close(source);
    return rc;
}
