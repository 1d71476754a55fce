/* Owns files that are being written: the temporary file beside the output, buffering, gzip, the rename at the end, and the
 * line that says why writing failed (disk full, no permission, ...). */
#include "cli/base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "cli/base/safe_path.h"

#define GZIP_LEVEL 1 /* level 6 takes three times as long and makes such texts a tenth smaller */
#define GZIP_WINDOW (15 + 16)

struct output_file {
    struct output head; /* first: a struct output is the start of a struct output_file */
    int fd, error;
    bool gzip;
    int (*sink)(void *arg, const void *data, size_t len); /* instead of a file; NULL = a file */
    void *sink_arg;
    uint64_t bytes;
    char path[PATH_MAX], temp[PATH_MAX]; /* temp is "" when path is written directly */
    z_stream zlib;
    char *packed;
    char buf[OUTPUT_BUF];
};

static struct output_file *file_of(struct output *o) { return (struct output_file *)(void *)o; }

int output_make_dirs(const char *path) {
    char dir[PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof dir) return -ENAMETOOLONG;
    memcpy(dir, path, len + 1);
    for (char *slash = dir + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        if (mkdir(dir, 0777) < 0 && errno != EEXIST && errno != EISDIR) {
            int rc = -errno;
            struct stat st;
            if (stat(dir, &st) < 0) return rc; /* the folder exists: it does not matter that we could not have made it */
        }
        *slash = '/';
    }
    return 0;
}

static const char *advice(int code) {
    switch (-code) {
    case ENOSPC:
    case EDQUOT: return "; make room or give another place with -o";
    case EACCES:
    case EPERM:
    case EROFS: return "; give a place you may write to with -o";
    default: return "";
    }
}

static int cannot(struct vt_err *err, int code, const char *path) {
    return vt_err_set(err, code, "cannot write %s: %s%s", path, strerror(-code), advice(code));
}

/* Opens path itself (a device, a pipe) or a new file beside it. Follows a link only where safe_path.h allows it. Whatever else
 * appears at path meanwhile is replaced by the rename, or is not opened. */
static int open_file(struct output_file *f, const char *path) {
    struct stat st;
    bool exists = !safe_path_is_foreign(path) && lstat(path, &st) == 0; /* another user's file is replaced, never opened */
    bool link = exists && S_ISLNK(st.st_mode);
    if (link) exists = stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode)) return -EISDIR;
    if (exists && !S_ISREG(st.st_mode)) {
        f->fd = open(path, O_WRONLY | (link ? 0 : O_NOFOLLOW) | O_CLOEXEC);
        return f->fd < 0 ? -errno : 0;
    }
    if (exists && access(path, W_OK) < 0) return -errno;
    if (exists && link && realpath(path, f->path) == NULL) return -errno; /* a link stays a link */
    const char *base = strrchr(f->path, '/');
    int dir_len = base ? (int)(base + 1 - f->path) : 0;
    int n = snprintf(f->temp, sizeof f->temp, "%.*s.viztracer-XXXXXX", dir_len, f->path);
    if (n < 0 || (size_t)n >= sizeof f->temp) {
        f->temp[0] = 0;
        return -ENAMETOOLONG;
    }
    f->fd = mkostemp(f->temp, O_CLOEXEC);
    if (f->fd < 0) {
        int rc = -errno;
        f->temp[0] = 0;
        return rc;
    }
    mode_t mask = umask(0);
    umask(mask);
    return fchmod(f->fd, exists ? st.st_mode & 0777 : 0666 & ~mask) < 0 ? -errno : 0;
}

bool output_is_stdout(const char *path) { return path[0] == '-' && (!path[1] || (path[1] == '.' && !strchr(path, '/'))); }

static int open_gzip(struct output_file *f) {
    f->packed = malloc(OUTPUT_BUF);
    if (!f->packed) return -ENOMEM;
    if (deflateInit2(&f->zlib, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, 9, Z_DEFAULT_STRATEGY) != Z_OK) return -ENOMEM;
    f->gzip = true;
    return 0;
}

static struct output_file *new_file(void) {
    struct output_file *f = malloc(sizeof *f);
    if (!f) return NULL;
    memset(f, 0, offsetof(struct output_file, buf));
    f->fd = -1;
    f->head.pos = f->buf;
    f->head.end = f->buf + sizeof f->buf;
    return f;
}

int output_open_sink(bool gzip, int (*sink)(void *arg, const void *data, size_t len), void *arg, struct output **out) {
    struct output_file *f = new_file();
    if (!f) return -ENOMEM;
    f->sink = sink;
    f->sink_arg = arg;
    int rc = gzip ? open_gzip(f) : 0;
    if (rc)
        output_abort(&f->head);
    else
        *out = &f->head;
    return rc;
}

int output_open(const char *path, bool gzip, struct output **out, struct vt_err *err) {
    struct output_file *f = new_file();
    if (!f) return cannot(err, -ENOMEM, path);
    int rc = strlen(path) >= sizeof f->path ? -ENAMETOOLONG : 0;
    if (!rc && output_is_stdout(path)) {
        memcpy(f->path, "stdout", sizeof "stdout");
        f->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
        if (f->fd < 0) rc = -errno;
    } else if (!rc) {
        memcpy(f->path, path, strlen(path) + 1);
        rc = safe_path_folders(path);
        if (!rc) rc = output_make_dirs(path);
    }
    if (!rc && f->fd < 0) rc = open_file(f, path);
    if (!rc && gzip) rc = open_gzip(f);
    if (rc) {
        cannot(err, rc, path);
        output_abort(&f->head);
        return rc;
    }
    *out = &f->head;
    return 0;
}

static void to_disk(struct output_file *f, const void *data, size_t len) {
    if (f->error || len == 0) return;
    f->error = f->sink ? f->sink(f->sink_arg, data, len) : vt_write_full(f->fd, data, len);
    if (!f->error) f->bytes += len;
}

/* Compresses len bytes where that was asked for, and writes them; finish also writes the end of the gzip stream. */
static void take(struct output_file *f, const void *data, size_t len, bool finish) {
    if (!f->gzip) {
        to_disk(f, data, len);
        return;
    }
    while (!f->error) {
        uInt step = len > INT_MAX ? INT_MAX : (uInt)len;
        int flush = finish && step == len ? Z_FINISH : Z_NO_FLUSH, rc;
        f->zlib.next_in = (Bytef *)(uintptr_t)data;
        f->zlib.avail_in = step;
        do {
            f->zlib.next_out = (Bytef *)f->packed;
            f->zlib.avail_out = OUTPUT_BUF;
            rc = deflate(&f->zlib, flush);
            if (rc == Z_STREAM_ERROR) f->error = -EIO;
            to_disk(f, f->packed, OUTPUT_BUF - f->zlib.avail_out);
        } while (!f->error && (flush == Z_FINISH ? rc != Z_STREAM_END : f->zlib.avail_out == 0));
        if (step == len) return;
        data = (const char *)data + step;
        len -= step;
    }
}

void output_flush(struct output *o) {
    struct output_file *f = file_of(o);
    take(f, f->buf, (size_t)(o->pos - f->buf), false);
    o->pos = f->buf;
}

void output_write(struct output *o, const void *data, size_t len) {
    if (len == 0) return;
    if (len > (size_t)(o->end - o->pos)) output_flush(o);
    if (len > (size_t)(o->end - o->pos)) {
        take(file_of(o), data, len, false);
        return;
    }
    memcpy(o->pos, data, len);
    o->pos += len;
}

int output_error(const struct output *o) { return ((const struct output_file *)(const void *)o)->error; }
uint64_t output_bytes(const struct output *o) { return ((const struct output_file *)(const void *)o)->bytes; }

int output_commit(struct output *o, uint64_t *bytes, struct vt_err *err) {
    struct output_file *f = file_of(o);
    take(f, f->buf, (size_t)(o->pos - f->buf), true);
    o->pos = f->buf;
    if (!f->error && !f->sink) { /* some file systems report a full disk only here */
        int fd = f->fd;
        f->fd = -1;
        if (close(fd) < 0 && errno != EINTR) f->error = -errno;
    }
    if (!f->error && f->temp[0]) {
        if (rename(f->temp, f->path) < 0)
            f->error = -errno;
        else
            f->temp[0] = 0;
    }
    int rc = f->error;
    *bytes = f->bytes;
    if (rc) cannot(err, rc, f->path);
    output_abort(o);
    return rc;
}

void output_abort(struct output *o) {
    if (!o) return;
    struct output_file *f = file_of(o);
    int saved = errno;
    vt_close(&f->fd);
    if (f->temp[0]) unlink(f->temp);
    if (f->gzip) deflateEnd(&f->zlib);
    free(f->packed);
    free(f);
    errno = saved;
}

static int to_fd(void *arg, const void *data, size_t len) { return vt_write_full(*(const int *)arg, data, len); }

int output_open_fd(const int *fd, struct output **out) { return output_open_sink(false, to_fd, (int *)(uintptr_t)fd, out); }

int output_temp(void) {
    char path[PATH_MAX];
    const char *base = getenv("TMPDIR");
    if (!base || !*base) base = "/tmp";
    int fd = open(base, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) return fd;
    int n = snprintf(path, sizeof path, "%s/viztracer-XXXXXX", base); /* not every file system supports O_TMPFILE */
    if (n < 0 || (size_t)n >= sizeof path) return -ENAMETOOLONG;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) return -errno;
    unlink(path);
    return fd;
}
