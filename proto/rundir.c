/* Owns the names of runtime folders and the check that they are safe. */
#include "proto/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/owndir.h"

/* The folder below xdg, or with xdg NULL the one in /tmp. */
static void dir_name(char *dir, size_t size, const char *xdg) {
    if (xdg)
        snprintf(dir, size, "%s/viztracerd", xdg);
    else
        snprintf(dir, size, "/tmp/viztracerd-%u", geteuid());
}

int rundir_prepare(char *dir, size_t size, struct vt_err *err) {
    const char *xdg = getenv("XDG_RUNTIME_DIR");
    struct stat st;
    if (xdg && xdg[0] == '/' && strlen(xdg) < size - 32 && !stat(xdg, &st) && st.st_uid == geteuid()) {
        dir_name(dir, size, xdg);
        if ((!mkdir(dir, 0700) || errno == EEXIST) && owndir_is_safe(dir, geteuid(), OWNDIR_PRIVATE)) return 0;
    }
    char stem[RUNDIR_MAX];
    dir_name(stem, sizeof(stem), NULL);
    int rc = owndir_prepare(stem, 0700, OWNDIR_PRIVATE, dir, size);
    return rc ? vt_err_set(err, rc, "cannot make the folder %s for the socket: %s; set XDG_RUNTIME_DIR", stem, strerror(-rc)) : 0;
}

bool rundir_is_stale(const char *socket_path) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    const char *dash = strrchr(socket_path, '-');
    char *end = NULL;
    long pid = dash ? strtol(dash + 1, &end, 10) : 0;
    if (pid <= 0 || strcmp(end, ".sock") || !kill((pid_t)pid, 0) || errno != ESRCH) return false;
    /* A daemon in another pid namespace may have that number: then it listens. */
    if (strlen(socket_path) >= sizeof(sa.sun_path)) return false;
    strcpy(sa.sun_path, socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool stale = fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) && errno == ECONNREFUSED;
    vt_close(&fd);
    return stale;
}

static int remove_stale(void *ctx, const char *socket_path, uid_t owner) {
    (void)ctx, (void)owner;
    if (rundir_is_stale(socket_path)) unlink(socket_path);
    return 0;
}

static int each_in(const char *dir, uid_t owner, int (*fn)(void *, const char *, uid_t), void *ctx) {
    char path[400];
    int rc = 0;
    unsigned n = 0;
    if (!owndir_is_safe(dir, owner, OWNDIR_PRIVATE)) return 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && !rc && n < RUNDIR_SOCKETS && (e = readdir(d));) {
        size_t len = strlen(e->d_name);
        if (strncmp(e->d_name, "viztracerd-", 11) || len < 16 || strcmp(e->d_name + len - 5, ".sock")) continue;
        if (snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) < (int)sizeof(path)) n++, rc = fn(ctx, path, owner);
    }
    if (d) closedir(d);
    return rc;
}

/* For root: folders of all users, below `parent`, whose names are prefix + uid + suffix. */
static int each_user(const char *parent, const char *prefix, const char *suffix, int (*fn)(void *, const char *, uid_t),
                     void *ctx) {
    char dir[300];
    int rc = 0;
    DIR *d = opendir(parent);
    for (struct dirent *e; d && !rc && (e = readdir(d));) {
        char *end;
        if (strncmp(e->d_name, prefix, strlen(prefix))) continue;
        const char *digits = e->d_name + strlen(prefix);
        unsigned long uid = strtoul(digits, &end, 10);
        if (*digits < '0' || *digits > '9' || (*end && (*end != '-' || suffix[0]))) continue;
        if (snprintf(dir, sizeof(dir), "%s/%s%s", parent, e->d_name, suffix) < (int)sizeof(dir))
            rc = each_in(dir, (uid_t)uid, fn, ctx);
    }
    if (d) closedir(d);
    return rc;
}

struct own {
    int (*fn)(void *, const char *, uid_t);
    void *ctx;
};

static int each_in_own(void *ctx, const char *dir) {
    struct own *own = ctx;
    return each_in(dir, geteuid(), own->fn, own->ctx);
}

int rundir_each(int (*fn)(void *ctx, const char *socket_path, uid_t owner), void *ctx) {
    const char *xdg = getenv("XDG_RUNTIME_DIR");
    char dir[400];
    int rc = 0;
    if (xdg && xdg[0] == '/' && strlen(xdg) < 300) {
        dir_name(dir, sizeof(dir), xdg);
        rc = each_in(dir, geteuid(), fn, ctx);
    }
    if (rc) return rc;
    if (geteuid() == 0) {
        rc = each_user("/tmp", "viztracerd-", "", fn, ctx);
        return rc ? rc : each_user("/run/user", "", "/viztracerd", fn, ctx);
    }
    struct own own = {fn, ctx};
    dir_name(dir, sizeof(dir), NULL);
    return owndir_each(dir, geteuid(), OWNDIR_PRIVATE, each_in_own, &own);
}

void rundir_sweep(const char *dir) { each_in(dir, geteuid(), remove_stale, NULL); }
