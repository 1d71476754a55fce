/* Owns one trace that is being shown: what kind of file it is, and the forms of it that browsers take, made when they are
 * first asked for. What is made is a file without a name: it is gone with the process, however that ends. */
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

#include "cli/convert/convert.h"
#include "cli/trace/file_info.h"
#include "cli/trace/source.h"
#include "cli/view/view.h"

#define FILE_INFO_MAX (256u << 20) /* of a trace that came as JSON */

#define PFTRACE_FIRST '\n' /* the tag of a packet */

struct view_temp {
    char path[PATH_MAX];
    struct view_picture picture;
    volatile int stop;
};

enum kind { KIND_JSON, KIND_PAGE, KIND_OTHER };

struct view_trace {
    char *path;
    enum kind kind;
    bool readable; /* by a source of ours */
    bool direct;   /* the Perfetto UI takes it as it is */
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

/* ---- what it is ---- */

static bool ends_with(const char *text, const char *tail) {
    size_t n = strlen(text), m = strlen(tail);
    return n > m && !strcmp(text + n - m, tail);
}

/* First character that is no blank, of the unpacked file; the very first one in *raw. */
static int first_char(const char *path, char *c, char *raw, struct vt_err *err) {
    char head[256];
    struct stat st;
    if (stat(path, &st))
        return vt_err_set(err, -errno, "%s: %s", path, errno == ENOENT ? "there is no such file" : strerror(errno));
    if (!S_ISREG(st.st_mode)) return vt_err_set(err, -EINVAL, "%s is no file; give a trace, or a folder with traces", path);
    gzFile f = gzopen(path, "rbe");
    if (!f) return vt_err_set(err, errno ? -errno : -ENOMEM, "%s: %s", path, strerror(errno ? errno : ENOMEM));
    int n = gzread(f, head, sizeof head);
    gzclose(f);
    *c = 0;
    *raw = n > 0 ? head[0] : 0;
    for (int i = 0; i < n && !*c; i++)
        if (!strchr(" \t\r\n\xef\xbb\xbf", head[i])) *c = head[i];
    return 0;
}

static int look(struct view_trace *t, struct vt_err *err) {
    struct trace_source *source = NULL;
    struct vt_err why = {0};
    char c = 0, raw = 0;
    int rc = first_char(t->path, &c, &raw, err);
    if (rc) return rc;
    if (c == '<' && ends_with(t->path, ".html")) {
        t->kind = KIND_PAGE;
        t->direct = true;
        return 0;
    }
    t->kind = c == '{' || c == '[' ? KIND_JSON : KIND_OTHER;
    rc = trace_source_open(t->path, &source, &why);
    t->readable = !rc;
    trace_source_close(source);
    bool perfetto = raw == PFTRACE_FIRST && (ends_with(t->path, ".pftrace") || ends_with(t->path, ".pftrace.gz"));
    t->direct = t->kind == KIND_JSON || perfetto;
    if (!rc || t->direct) return 0; /* the UI may read what we cannot */
    if (rc == -EBADMSG) return vt_err_set(err, rc, "%s; view shows .vzt, .json, .json.gz, .pftrace and .html", why.msg);
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
bool view_trace_is_page(const struct view_trace *t) { return t->kind == KIND_PAGE; }

/* ---- making ---- */

/* Written under a name of ours, opened, and the name taken away. */
static int convert(struct view_trace *t, enum view_part part, const char *name, int *fd, struct vt_err *err) {
    char path[PATH_MAX];
    struct convert_result result;
    int n = snprintf(path, sizeof path, "%s/%s", t->temp->path, name);
    if (n < 0 || (size_t)n >= sizeof path) return vt_err_set(err, -ENAMETOOLONG, "%s: the path is too long", t->temp->path);
    const struct view_picture *picture = &t->temp->picture;
    struct convert_opts opts = {
        .input = t->path, .output = path, .budget = picture->budget, .select = picture->select, .stop = &t->temp->stop};
    if (part == VIEW_TRACE) {
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

static int make_trace(struct view_trace *t, int *fd, struct vt_err *err) {
    static const char *const kinds[] = {"trace.pftrace", "trace.json"};
    for (size_t i = 0; i < VT_ARRAY_LEN(kinds); i++)
        if (!convert_check_output(kinds[i], NULL)) return convert(t, VIEW_TRACE, kinds[i], fd, err);
    return vt_err_set(err, -ENOTSUP, "no kind of output that the Perfetto UI reads");
}

static int open_itself(struct view_trace *t, int *fd, struct vt_err *err) {
    *fd = open(t->path, O_RDONLY | O_CLOEXEC);
    return *fd < 0 ? vt_err_set(err, -errno, "%s: %s", t->path, strerror(errno)) : 0;
}

/* What a JSON trace says itself about its functions. */
static int scan_file_info(const char *path, struct view_scan *scan, struct vt_err *err) {
    char *buf = malloc(1u << 18);
    gzFile f = gzopen(path, "rbe");
    int rc = buf && f ? 0 : -ENOMEM, n;
    while (!rc && (n = gzread(f, buf, 1u << 18)) > 0) rc = view_scan_feed(scan, buf, (size_t)n);
    if (f) gzclose(f);
    free(buf);
    return rc < 0 ? vt_err_set(err, rc, "%s: its file_info: %s", path, strerror(-rc)) : 0;
}

/* Of our own files: source text of every function that the trace names. */
static int collect_file_info(struct view_trace *t, int fd, struct vt_err *err) {
    struct trace_source *source;
    struct file_source files;
    struct output *out;
    uint64_t bytes;
    int rc = trace_source_open(t->path, &source, err);
    if (rc) return rc;
    struct trace_info *info = trace_source_info(source);
    for (uint32_t p = 0; p < ID_TABLE_PAGES; p++)
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
    if (t->kind != KIND_JSON && t->readable) return collect_file_info(t, *fd, err);
    int rc = view_scan_new("file_info", FILE_INFO_MAX, &scan);
    if (!rc && t->kind == KIND_JSON) rc = scan_file_info(t->path, scan, err);
    if (!rc) {
        size_t found_len;
        const char *found = view_scan_value(scan, &found_len);
        if (found) text = found, len = found_len;
        rc = vt_write_full(*fd, text, len);
    }
    view_scan_free(scan);
    return rc ? vt_err_set(err, rc, "%s: its file_info: %s", t->path, strerror(-rc)) : 0;
}

/* The file as it is, when it is all to be shown. */
static bool goes_as_it_is(const struct view_trace *t) {
    const struct view_picture *picture = &t->temp->picture;
    return t->direct && !(t->readable && (picture->budget || !select_is_all(&picture->select)));
}

static int make(struct view_trace *t, enum view_part part, int *fd, struct vt_err *err) {
    switch (part) {
    case VIEW_TRACE: return goes_as_it_is(t) ? open_itself(t, fd, err) : make_trace(t, fd, err);
    case VIEW_FILE_INFO: return make_file_info(t, fd, err);
    case VIEW_PAGE: return t->kind == KIND_PAGE ? open_itself(t, fd, err) : convert(t, part, "page.html", fd, err);
    case VIEW_FLAME: return convert(t, part, "flame.svg", fd, err);
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
