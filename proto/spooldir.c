/* Owns the name of the spool folder and the walk over the traces that are kept in it. */
#include "proto/spooldir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proto/owndir.h"

#define STEM "/var/tmp/viztracerd-%u"
#define EMPTY_BYTES 8 /* the magic of a .vzt */
#define EMPTY_SECONDS 60

int spooldir_prepare(mode_t mode, char *dir, size_t size) {
    const char *env = getenv("VIZTRACERD_SPOOL");
    char stem[64];
    if (env && env[0]) return snprintf(dir, size, "%s", env) >= (int)size ? -ENAMETOOLONG : 0;
    snprintf(stem, sizeof(stem), STEM, geteuid());
    return owndir_prepare(stem, mode, OWNDIR_SHARED, dir, size);
}

int spooldir_each_own(int (*fn)(void *ctx, const char *dir), void *ctx) {
    const char *env = getenv("VIZTRACERD_SPOOL");
    char stem[64];
    if (env && env[0]) return fn(ctx, env);
    snprintf(stem, sizeof(stem), STEM, geteuid());
    return owndir_each(stem, geteuid(), OWNDIR_SHARED, fn, ctx);
}

/* A daemon that was killed as it began left a file without a frame: nothing was traced. It is removed, but not while it may be
 * that of a daemon that is just about to lock it. */
static bool is_empty(int dir, const char *name, const struct stat *st) {
    if (st->st_size > EMPTY_BYTES) return false;
    if (st->st_uid == geteuid() && time(NULL) - st->st_mtim.tv_sec > EMPTY_SECONDS) unlinkat(dir, name, 0);
    return true;
}

/* True when `name` is a kept trace that uid may see; then *f is filled. */
static bool look(int dir, const char *dir_name, const char *name, uid_t uid, struct spooldir_file *f) {
    struct stat st;
    bool ok = false;
    if (name[0] < '0' || name[0] > '9' || !vt_ends_with(name, ".vzt")) return false;
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && (st.st_uid == uid || uid == 0) && !flock(fd, LOCK_SH | LOCK_NB) &&
        !is_empty(dir, name, &st)) {
        f->pid = (pid_t)strtol(name, NULL, 10);
        f->uid = st.st_uid;
        f->bytes = (uint64_t)st.st_size;
        f->saved_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
        ok = snprintf(f->path, sizeof(f->path), "%s/%s", dir_name, name) < (int)sizeof(f->path);
    }
    vt_close(&fd);
    return ok;
}

int spooldir_each(const char *dir, uid_t uid, int (*fn)(void *ctx, const struct spooldir_file *file), void *ctx) {
    struct spooldir_file f;
    int rc = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && !rc && (e = readdir(d));)
        if (look(dirfd(d), dir, e->d_name, uid, &f)) rc = fn(ctx, &f);
    if (d) closedir(d);
    return rc;
}
