/* Owns the choice of a user's own folder in a place where all may write (owndir.h). */
#include "proto/owndir.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MORE "-XXXXXX"

bool owndir_is_safe(const char *dir, uid_t uid, mode_t forbidden) {
    struct stat st;
    return !lstat(dir, &st) && S_ISDIR(st.st_mode) && st.st_uid == uid && !(st.st_mode & forbidden);
}

int owndir_each(const char *stem, uid_t uid, mode_t forbidden, int (*fn)(void *ctx, const char *dir), void *ctx) {
    char parent[PATH_MAX], path[PATH_MAX];
    const char *slash = strrchr(stem, '/');
    if (!slash || (size_t)(slash - stem) >= sizeof(parent)) return -EINVAL;
    size_t len = strlen(slash + 1);
    int rc = owndir_is_safe(stem, uid, forbidden) ? fn(ctx, stem) : 0;
    snprintf(parent, sizeof(parent), "%.*s", (int)(slash - stem), stem);
    DIR *d = rc ? NULL : opendir(parent);
    for (struct dirent *e; d && !rc && (e = readdir(d));) {
        if (strncmp(e->d_name, slash + 1, len) || strlen(e->d_name) != len + strlen(MORE) || e->d_name[len] != MORE[0]) continue;
        if (snprintf(path, sizeof(path), "%s/%s", parent, e->d_name) >= (int)sizeof(path)) continue;
        if (owndir_is_safe(path, uid, forbidden)) rc = fn(ctx, path);
    }
    if (d) closedir(d);
    return rc;
}

struct wanted {
    char *dir;
    size_t size;
};

static int take(void *ctx, const char *dir) {
    struct wanted *w = ctx;
    return snprintf(w->dir, w->size, "%s", dir) < (int)w->size ? 1 : -ENAMETOOLONG;
}

int owndir_prepare(const char *stem, mode_t mode, mode_t forbidden, char *dir, size_t size) {
    struct wanted w = {dir, size};
    if (mkdir(stem, mode) && errno != EEXIST) return -errno;
    int rc = owndir_each(stem, geteuid(), forbidden, take, &w);
    if (rc) return rc < 0 ? rc : 0;
    if (snprintf(dir, size, "%s" MORE, stem) >= (int)size) return -ENAMETOOLONG;
    if (!mkdtemp(dir) || chmod(dir, mode)) return -errno;
    return 0;
}
