/* Owns the table of file formats and the choice of a row. A new format is one new file that exports its row, and one line
 * in ROWS. */
#include "cli/format/format.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/base/input.h"
#include "cli/base/output.h"
#include "cli/base/text.h"

#define HEAD_LEN 256u /* bytes that `is` gets */

/* In the order in which help lists them. The first `is` that matches wins: JSON may start with the byte that .pftrace starts
 * with. */
#define ROWS(row) row(json) row(pftrace) row(html) row(vzt) row(cvf) row(svg) row(folded) row(speedscope) row(pprof)

#define DECLARE(name) extern const struct trace_format format_##name;
#define POINTER(name) &format_##name,
ROWS(DECLARE)
static const struct trace_format *const rows[] = {ROWS(POINTER)};

const struct trace_format *format_next(const struct trace_format *previous) {
    if (!previous) return rows[0];
    for (size_t i = 0; i + 1 < VT_ARRAY_LEN(rows); i++)
        if (rows[i] == previous) return rows[i + 1];
    return NULL;
}

bool format_has_use(const struct trace_format *format, enum format_use use) {
    switch (use) {
    case FORMAT_READ: return format->source != NULL;
    case FORMAT_WRITTEN: return format->writer != NULL;
    case FORMAT_VIEWED: return format->view != FORMAT_NOT_VIEWED;
    }
    return false;
}

const char *format_list(enum format_use use, const char *last, char text[FORMAT_LIST_MAX]) {
    const char *names[VT_ARRAY_LEN(rows) * FORMAT_SUFFIXES_MAX];
    size_t n = 0, len = 0;
    for (const struct trace_format *f = format_next(NULL); f; f = format_next(f))
        for (size_t i = 0; format_has_use(f, use) && i < FORMAT_SUFFIXES_MAX && f->suffixes[i].text; i++)
            if (!f->suffixes[i].unlisted) names[n++] = f->suffixes[i].text;
    text[0] = 0;
    for (size_t i = 0; i < n && len < FORMAT_LIST_MAX; i++)
        len += (size_t)snprintf(text + len, FORMAT_LIST_MAX - len, "%s%s", !i ? "" : i + 1 < n ? ", " : last, names[i]);
    return text;
}

const struct trace_format *format_by_name(const char *path, const struct format_suffix **suffix) {
    const struct trace_format *found = NULL;
    const struct format_suffix *best = NULL;
    if (!strcmp(path, "-")) path = "-.json"; /* stdout */
    for (const struct trace_format *f = format_next(NULL); f; f = format_next(f))
        for (size_t i = 0; i < FORMAT_SUFFIXES_MAX && f->suffixes[i].text; i++) {
            const struct format_suffix *s = &f->suffixes[i];
            if (!text_ends_with(path, s->text) || (best && strlen(s->text) <= strlen(best->text))) continue;
            found = f;
            best = s;
        }
    if (suffix) *suffix = best;
    return found;
}

const struct trace_format *format_of_part(enum format_part part) {
    for (const struct trace_format *f = format_next(NULL); f; f = format_next(f))
        if (f->part == part) return f;
    return NULL;
}

uint64_t format_is_large(const char *path, uint64_t calls) {
    const struct format_suffix *suffix;
    const struct trace_format *f = format_by_name(path, &suffix);
    return f && f->json_text && calls > FORMAT_MANY_CALLS ? calls * suffix->bytes_per_call : 0;
}

bool format_is_native(const char *path) {
    const struct trace_format *f = format_by_name(path, NULL);
    return f && f->native;
}

static bool names_folder(const char *output) {
    struct stat st;
    size_t len = strlen(output);
    return len && (output[len - 1] == '/' || (!stat(output, &st) && S_ISDIR(st.st_mode)));
}

int format_check_output(const char *output, struct vt_err *err) {
    char list[FORMAT_LIST_MAX];
    const struct trace_format *f = format_by_name(output, NULL);
    if (!output_is_stdout(output) && names_folder(output))
        return vt_err_set(err, -EINVAL, "%s: a folder; name the file, too: %s%sresult.vzt", output, output,
                          output[strlen(output) - 1] == '/' ? "" : "/");
    if (f && f->writer) return 0;
    return vt_err_set(err, -EINVAL, "%s: unknown kind of output; name it %s", output, format_list(FORMAT_WRITTEN, " or ", list));
}

/* The first bytes, unpacked. */
static int read_head(const char *path, uint8_t *head, size_t *len, struct vt_err *err) {
    struct input *in;
    int rc = input_open(path, &in, err);
    if (rc) return rc;
    rc = input_read(in, head, HEAD_LEN, len);
    if (rc)
        input_cannot(path, rc, err);
    else if (input_damage(in) && !*len)
        rc = vt_err_set(err, -EBADMSG, "%s: %s", path, input_damage(in));
    input_close(in);
    return rc;
}

int format_of_file(const char *path, const struct trace_format **format, struct vt_err *err) {
    uint8_t head[HEAD_LEN];
    size_t len = 0;
    *format = NULL;
    int rc = read_head(path, head, &len, err);
    if (rc) return rc;
    if (!len) return vt_err_set(err, -EBADMSG, "%s: the file is empty, nothing was saved there; name another one", path);
    for (const struct trace_format *f = format_next(NULL); f && !*format; f = format_next(f))
        if (f->is && f->is(head, len)) *format = f;
    return 0;
}

static int source_of(const char *path, const struct trace_format **format, struct vt_err *err) {
    char list[FORMAT_LIST_MAX];
    const struct trace_format *named = format_by_name(path, NULL);
    int rc = format_of_file(path, format, err);
    if (rc || (*format && (*format)->source)) return rc;
    if (named && !named->source)
        return vt_err_set(err, -EBADMSG, "%s: no trace that viztracer can read: a %s is made of a trace; name that trace", path,
                          named->suffixes[0].text);
    return vt_err_set(err, -EBADMSG, "%s: no trace that viztracer can read; it reads %s", path,
                      format_list(FORMAT_READ, " and ", list));
}

static int is_trace(const char *path, struct vt_err *err) {
    const struct trace_format *f;
    return source_of(path, &f, err);
}

/* Readers know the copy of a stream only: the user is told of the stream. */
static int name_stream(const struct spooled *copy, const char *path, const struct vt_err *why, struct vt_err *err) {
    size_t len = strlen(copy->path);
    bool named = len && !strncmp(why->msg, copy->path, len);
    return vt_err_set(err, why->code, "%s%s", named ? path : "", why->msg + (named ? len : 0));
}

int trace_source_open(const char *path, struct trace_source **out, struct vt_err *err) {
    const struct trace_format *f;
    struct spooled copy;
    struct vt_err why = {0};
    struct trace_info *info;
    void *state;
    if (!strcmp(path, "-")) path = "/dev/stdin"; /* as -o - is stdout */
    int rc = input_spool(path, is_trace, &copy, &why);
    const char *file = copy.fd >= 0 ? copy.path : path;
    if (!rc) rc = source_of(file, &f, &why);
    if (!rc) rc = f->source->open(file, &info, &state, &why);
    if (!rc) rc = trace_source_new(f->name, f->source, info, state, out, &why);
    if (!rc) rc = trace_source_keep_file(*out, file, copy.fd, &why);
    if (!rc) return 0;
    name_stream(&copy, path, &why, err);
    vt_close(&copy.fd);
    return rc;
}
