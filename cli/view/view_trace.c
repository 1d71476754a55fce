/* Owns one trace that is being shown: the format of the file, and the forms of it that browsers take. A form is made when it
 * is first asked for, in an unnamed file, which is gone when the process ends. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "cli/base/memory.h"
#include "cli/convert/convert.h"
#include "cli/format/format.h"
#include "cli/trace/file_info.h"
#include "cli/view/view.h"

#define FILE_INFO_MAX (256u << 20) /* of a trace in JSON */

struct view_temp {
    char path[PATH_MAX];
    struct view_picture picture;
    volatile int stop;
};

struct view_trace {
    char *path;
    enum format_view view; /* FORMAT_VIEW_CONVERTED also when we do not know */
    bool json_text;        /* as in the row */
    bool readable;         /* one of our sources can read it */
    struct view_temp *temp;
    pthread_mutex_t lock;
    int made[VIEW_PARTS]; /* descriptor or -1 */
};

int view_temp_new(const struct view_picture *picture, struct view_temp **out, struct vt_err *err) {
    const char *base = getenv("TMPDIR");
    struct view_temp *t = calloc(1, sizeof *t);
    if (!t) return vt_err_set(err, -ENOMEM, "out of memory");
    t->picture = *picture;
    snprintf(t->path, sizeof t->path, "%s/viztracer-view-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(t->path)) {
        int rc = -errno;
        vt_err_set(err, rc, "cannot make a folder %s: %s; set TMPDIR to a place you may write to", t->path, strerror(-rc));
        free(t);
        return rc;
    }
    *out = t;
    return 0;
}

void view_temp_stop(struct view_temp *temp) { temp->stop = 1; }

void view_temp_free(struct view_temp *temp) {
    if (!temp) return;
    if (rmdir(temp->path)) vt_log(VT_LOG_INFO, "%s: %s", temp->path, strerror(errno));
    free(temp);
}

/* ---- the format of the file ---- */

static int check_file(const char *path, struct vt_err *err) {
    struct stat st;
    if (stat(path, &st))
        return vt_err_set(err, -errno, "%s: %s", path,
                          errno == ENOENT ? "there is no such file; check the path" : strerror(errno));
    if (!S_ISREG(st.st_mode)) return vt_err_set(err, -EINVAL, "%s is no file; give a trace, or a folder with traces", path);
    return 0;
}

/* Chooses the row. Where the first bytes do not prove the format, the name must agree. */
static int look(struct view_trace *t, struct vt_err *err) {
    const struct trace_format *format = NULL;
    struct trace_source *source = NULL;
    struct vt_err why = {0};
    char list[FORMAT_LIST_MAX];
    int rc = check_file(t->path, err);
    if (rc) return rc;
    t->view = FORMAT_VIEW_CONVERTED;
    rc = format_of_file(t->path, &format, &why);
    if (!rc && format && (!format->is_needs_suffix || format == format_by_name(t->path, NULL))) t->view = format->view;
    t->json_text = !rc && format && format->json_text;
    if (t->view == FORMAT_VIEW_AS_PAGE) return 0;
    memory_again();
    if (!rc) rc = memory_verdict(trace_source_open(t->path, &source, &why), t->path, &why);
    t->readable = !rc;
    trace_source_close(source);
    if (!rc || t->view == FORMAT_VIEW_AS_TRACE) return 0; /* the Perfetto UI may read files that we cannot */
    if (rc == -EBADMSG) return vt_err_set(err, rc, "%s; view shows %s", why.msg, format_list(FORMAT_VIEWED, " and ", list));
    return vt_err_set(err, rc, "%s", why.msg);
}

int view_trace_new(const char *path, struct view_temp *temp, struct view_trace **out, struct vt_err *err) {
    struct view_trace *t = calloc(1, sizeof *t);
    if (!t) return vt_err_set(err, -ENOMEM, "out of memory");
    pthread_mutex_init(&t->lock, NULL);
    for (int i = 0; i < VIEW_PARTS; i++) t->made[i] = -1;
    t->temp = temp;
    t->path = strdup(path);
    int rc = t->path ? look(t, err) : vt_err_set(err, -ENOMEM, "out of memory");
    if (rc)
        view_trace_free(t);
    else
        *out = t;
    return rc;
}

void view_trace_free(struct view_trace *t) {
    if (!t) return;
    for (int i = 0; i < VIEW_PARTS; i++) vt_close(&t->made[i]);
    pthread_mutex_destroy(&t->lock);
    free(t->path);
    free(t);
}

const char *view_trace_path(const struct view_trace *t) { return t->path; }
const char *view_trace_name(const struct view_trace *t) {
    const char *slash = strrchr(t->path, '/');
    return slash ? slash + 1 : t->path;
}
bool view_trace_is_page(const struct view_trace *t) { return t->view == FORMAT_VIEW_AS_PAGE; }

/* ---- making ---- */

/* Writes a file with the row's suffix, opens it and removes its name. */
static int convert(struct view_trace *t, enum view_part part, const struct trace_format *format, int *fd, struct vt_err *err) {
    char path[PATH_MAX];
    struct convert_result result;
    if (!format) return vt_err_set(err, -ENOTSUP, "no format of ours has this part");
    int n = snprintf(path, sizeof path, "%s/part%s", t->temp->path, format->suffixes[0].text);
    if (n < 0 || (size_t)n >= sizeof path) return vt_err_set(err, -ENAMETOOLONG, "%s: the path is too long", t->temp->path);
    const struct view_picture *picture = &t->temp->picture;
    struct convert_opts opts = {
        .input = t->path, .output = path, .budget = picture->budget, .select = picture->select, .stop = &t->temp->stop};
    if (part == VIEW_TRACE) {
        opts.for_viewer = true;
        opts.usual_budget = VIEW_BUDGET;
        opts.usual_whole = VIEW_WHOLE;
    }
    int rc = convert_trace(&opts, &result, err);
    if (rc) return rc;
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0) rc = vt_err_set(err, -errno, "%s: %s", path, strerror(errno));
    unlink(path);
    return rc;
}

static int open_itself(struct view_trace *t, int *fd, struct vt_err *err) {
    *fd = open(t->path, O_RDONLY | O_CLOEXEC);
    return *fd < 0 ? vt_err_set(err, -errno, "%s: %s", t->path, strerror(errno)) : 0;
}

/* Takes file_info out of a JSON trace. */
static int scan_file_info(const char *path, struct view_scan *scan, struct vt_err *err) {
    char *buf = malloc(1u << 18);
    gzFile f = gzopen(path, "rbe");
    int rc = buf && f ? 0 : -ENOMEM, n;
    while (!rc && (n = gzread(f, buf, 1u << 18)) > 0) rc = view_scan_feed(scan, buf, (size_t)n);
    if (f) gzclose(f);
    free(buf);
    return rc < 0 ? vt_err_set(err, rc, "%s: its file_info: %s", path, strerror(-rc)) : 0;
}

/* For our own formats: the source text of every function in the trace. */
static int collect_file_info(struct view_trace *t, int fd, struct vt_err *err) {
    struct trace_source *source;
    struct file_source files;
    struct output *out;
    uint64_t bytes;
    int rc = trace_source_open(t->path, &source, err);
    if (rc) return rc;
    struct trace_info *info = trace_source_info(source);
    for (uint32_t p = 0; p < info->names.npages; p++)
        for (uint32_t k = 0; info->names.pages[p] && k < ID_TABLE_PAGE; k++) {
            struct trace_name *name = info->names.pages[p][k];
            if (name) name->used = true;
        }
    file_source_open(&files, NULL, NULL, info->uid);
    rc = output_open_fd(&fd, &out);
    if (!rc) {
        rc = file_info_write(out, info, &files);
        if (rc)
            output_abort(out);
        else
            rc = output_commit(out, &bytes, err);
    }
    if (rc) vt_err_set(err, rc, "source text of %s: %s", t->path, strerror(-rc));
    file_source_close(&files);
    trace_source_close(source);
    return rc;
}

static int make_file_info(struct view_trace *t, int *fd, struct vt_err *err) {
    static const char empty[] = "{\"files\":{},\"functions\":{}}";
    struct view_scan *scan = NULL;
    const char *text = empty;
    size_t len = sizeof empty - 1;
    *fd = memfd_create("file_info", MFD_CLOEXEC);
    if (*fd < 0) return vt_err_set(err, -errno, "memfd_create: %s", strerror(errno));
    if (!t->json_text && t->readable) return collect_file_info(t, *fd, err);
    int rc = view_scan_new("file_info", FILE_INFO_MAX, &scan);
    if (!rc && t->json_text) rc = scan_file_info(t->path, scan, err);
    if (!rc) {
        size_t found_len;
        const char *found = view_scan_value(scan, &found_len);
        if (found) text = found, len = found_len;
        rc = vt_write_full(*fd, text, len);
    }
    view_scan_free(scan);
    return rc ? vt_err_set(err, rc, "%s: its file_info: %s", t->path, strerror(-rc)) : 0;
}

/* True when the file is sent as it is: all of it is shown. */
static bool goes_as_it_is(const struct view_trace *t) {
    const struct view_picture *picture = &t->temp->picture;
    return t->view == FORMAT_VIEW_AS_TRACE && !(t->readable && (picture->budget || !select_is_all(&picture->select)));
}

static int make(struct view_trace *t, enum view_part part, int *fd, struct vt_err *err) {
    switch (part) {
    case VIEW_TRACE:
        return goes_as_it_is(t) ? open_itself(t, fd, err) : convert(t, part, format_of_part(FORMAT_TRACE_PART), fd, err);
    case VIEW_FILE_INFO: return make_file_info(t, fd, err);
    case VIEW_PAGE:
        return view_trace_is_page(t) ? open_itself(t, fd, err) : convert(t, part, format_of_part(FORMAT_PAGE_PART), fd, err);
    case VIEW_FLAME: return convert(t, part, format_of_part(FORMAT_FLAME_PART), fd, err);
    case VIEW_PARTS: break;
    }
    return vt_err_set(err, -EINVAL, "no such part");
}

int view_trace_open(struct view_trace *t, enum view_part part, int *fd, uint64_t *size, struct vt_err *err) {
    struct stat st;
    int rc = 0;
    *fd = -1;
    pthread_mutex_lock(&t->lock);
    if (t->made[part] < 0) rc = make(t, part, &t->made[part], err);
    if (rc) vt_close(&t->made[part]);
    if (!rc) *fd = fcntl(t->made[part], F_DUPFD_CLOEXEC, 0);
    if (!rc && *fd < 0) rc = vt_err_set(err, -errno, "%s: %s", t->path, strerror(errno));
    pthread_mutex_unlock(&t->lock);
    if (!rc && fstat(*fd, &st)) rc = vt_err_set(err, -errno, "%s: %s", t->path, strerror(errno));
    if (rc)
        vt_close(fd);
    else
        *size = (uint64_t)st.st_size;
    return rc;
}
