/* Owns looking for kept traces. */
#include "cli/client/kept.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/client/client.h"

static bool look(int dir, const char *dir_name, const char *name, struct kept *k) {
    struct stat st;
    size_t len = strlen(name);
    bool ok = false;
    if (len < 5 || strcmp(name + len - 4, ".vzt")) return false;
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && (st.st_uid == geteuid() || geteuid() == 0) &&
        !flock(fd, LOCK_SH | LOCK_NB)) {
        k->pid = (pid_t)strtol(name, NULL, 10);
        k->uid = st.st_uid;
        k->bytes = (uint64_t)st.st_size;
        k->saved_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
        ok = snprintf(k->path, sizeof(k->path), "%s/%s", dir_name, name) < (int)sizeof(k->path);
    }
    vt_close(&fd);
    return ok;
}

int kept_each(int (*fn)(void *ctx, const struct kept *k), void *ctx) {
    const char *env = getenv("VIZTRACERD_SPOOL");
    char name[512];
    struct kept k;
    int rc = 0;
    if (env && env[0])
        snprintf(name, sizeof(name), "%s", env);
    else
        snprintf(name, sizeof(name), "/var/tmp/viztracerd-%u", geteuid());
    DIR *dir = opendir(name);
    for (struct dirent *e; dir && !rc && (e = readdir(dir));)
        if (look(dirfd(dir), name, e->d_name, &k)) rc = fn(ctx, &k);
    if (dir) closedir(dir);
    return rc;
}

struct search {
    pid_t pid;
    struct kept *best;
    bool found;
};

static int newer(void *ctx, const struct kept *k) {
    struct search *s = ctx;
    if (k->pid != s->pid || (s->found && k->saved_ns <= s->best->saved_ns)) return 0;
    *s->best = *k;
    s->found = true;
    return 0;
}

static int ask(void *ctx, struct client *c) {
    struct search *s = ctx;
    ProtobufCMessage *reply;
    if (client_request(c, VT_CTL_STATUS, NULL, VT_CTL_STATUS_REP, &reply, NULL)) return 0;
    const Vt__StatusRep *m = (const Vt__StatusRep *)reply;
    for (size_t i = 0; i < m->n_sessions; i++) {
        const Vt__SessionInfo *info = m->sessions[i];
        struct kept k = {.pid = (pid_t)info->pid, .uid = info->owner_uid, .bytes = info->bytes, .saved_ns = info->start_real_ns};
        if (!info->spool[0] || snprintf(k.path, sizeof(k.path), "%s", info->spool) >= (int)sizeof(k.path)) continue;
        newer(s, &k);
    }
    vt_msg_free(reply);
    return 0;
}

int kept_find(pid_t pid, struct kept *out) {
    struct search s = {pid, out, false};
    struct client c;
    kept_each(newer, &s);
    if (!s.found && !client_open_system(&c, NULL)) {
        ask(&s, &c);
        client_close(&c);
    }
    return s.found ? 0 : -ENOENT;
}
