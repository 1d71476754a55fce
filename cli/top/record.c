/* Owns the samples of `top` as a trace that grows (record.h). */
#include "cli/top/record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/output.h"
#include "cli/convert/convert.h"
#include "cli/format/format.h"
#include "cli/sample/sample.h"

struct top_record {
    const struct attach_info *process;
    FILE *f;
    struct sample_calls *calls;
    uint64_t begin_ns, last_ns, samples;
};

static void end(struct top_record *r) {
    sample_calls_free(r->calls);
    if (r->f) fclose(r->f);
    *r = (struct top_record){.process = r->process};
}

static int begin(struct top_record *r) {
    int fd = output_temp();
    if (fd < 0) return fd;
    r->f = fdopen(fd, "w+");
    if (!r->f) {
        vt_close(&fd);
        return -ENOMEM;
    }
    r->calls = sample_calls_new(r->f, r->process);
    r->begin_ns = r->last_ns = vt_mono_ns();
    return r->calls ? 0 : -ENOMEM;
}

int top_record_new(struct top_record **out, const struct attach_info *process, struct vt_err *err) {
    struct top_record *r = calloc(1, sizeof(*r));
    *out = r;
    if (!r) return vt_err_set(err, -ENOMEM, "out of memory");
    r->process = process;
    int rc = begin(r);
    if (!rc) return 0;
    top_record_free(r);
    *out = NULL;
    return vt_err_set(err, rc, "no temporary file: %s; set TMPDIR", strerror(-rc));
}

void top_record_free(struct top_record *r) {
    if (r) end(r);
    free(r);
}

int top_record_take(struct top_record *r, const struct sampler *s) {
    size_t n;
    int rc = 0;
    if (sample_calls_bytes(r->calls) > TOP_RECORD_MAX) {
        end(r);
        rc = begin(r);
    }
    const struct outside_thread *threads = outside_threads(s->o, &n);
    r->last_ns = vt_mono_ns();
    for (size_t i = 0; !rc && i < n; i++)
        if (sampler_wants(s, &threads[i])) rc = sample_calls_take(r->calls, &threads[i], r->last_ns);
    if (!rc) sample_calls_round(r->calls, r->last_ns);
    r->samples++;
    return rc;
}

void top_record_pause(struct top_record *r) { sample_calls_round(r->calls, r->last_ns); }

int top_record_save(struct top_record *r, const char *path, uint64_t *bytes, double *seconds, struct vt_err *err) {
    struct convert_result result;
    char input[64];
    *seconds = (double)(r->last_ns - r->begin_ns) / 1e9;
    int rc = format_check_output(path, err);
    if (rc) return rc;
    rc = sample_calls_end(r->calls, r->last_ns, *seconds > 0 ? (double)r->samples / *seconds : 1);
    if (rc) return vt_err_set(err, rc, "cannot write a temporary file: %s; set TMPDIR", strerror(-rc));
    snprintf(input, sizeof(input), "/proc/self/fd/%d", fileno(r->f));
    struct convert_opts opts = {.input = input, .output = path, .no_file_info = true};
    rc = convert_trace(&opts, &result, err);
    *bytes = rc ? 0 : result.bytes;
    int resumed = sample_calls_resume(r->calls);
    return rc ? rc : resumed ? vt_err_set(err, resumed, "the temporary file cannot go on: set TMPDIR") : 0;
}
