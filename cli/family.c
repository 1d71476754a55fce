/* Owns the search for descendants (family.h). */
#include "cli/family.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_MS 2
#define LOOK_SHARE 20u /* at most one part of this many of a CPU */
#define LOOK_MS_MOST 1000
#define RELATIVES_MOST 65536u
#define AGAIN_NS 20000000ull
#define REFUSED_MOST 100u /* times: two seconds, in which an interpreter starts */

struct relative {
    pid_t pid;
    bool root, seen, told, python;
    char exe[256]; /* at the last look */
    uint64_t not_before_ns;
    unsigned refused;
};

struct family {
    struct family_user user;
    struct relative *list; /* roots first; every look walks it and adds children behind */
    size_t n, room;
    uint64_t missed;
};

static struct relative *find(const struct family *f, pid_t pid) {
    for (size_t i = 0; i < f->n; i++)
        if (f->list[i].pid == pid) return &f->list[i];
    return NULL;
}

static int add(struct family *f, pid_t pid, bool root) {
    if (f->n == RELATIVES_MOST) return -E2BIG;
    if (f->n == f->room) {
        size_t room = f->room ? f->room * 2 : 64;
        struct relative *grown = realloc(f->list, room * sizeof *grown);
        if (!grown) return -ENOMEM;
        f->list = grown;
        f->room = room;
    }
    f->list[f->n++] = (struct relative){.pid = pid, .root = root, .seen = true};
    return 0;
}

static ssize_t read_text(const char *path, char *text, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, size - 1) : -1;
    vt_close(&fd);
    text[n > 0 ? n : 0] = 0;
    return n;
}

/* The children that one thread has made. New ones are added; known ones are marked. */
static void take_children(struct family *f, const char *path) {
    char text[16384], *at = text, *end;
    if (read_text(path, text, sizeof text) <= 0) return;
    for (long pid; (pid = strtol(at, &end, 10)) > 0 && end != at; at = end) {
        struct relative *known = find(f, (pid_t)pid);
        if (known)
            known->seen = true;
        else if (add(f, (pid_t)pid, false))
            return;
    }
}

/* False: the process is gone. */
static bool walk(struct family *f, pid_t pid) {
    char path[96];
    bool any = false;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (!dir) return false;
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] < '0' || e->d_name[0] > '9') continue;
        any = true;
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", (int)pid, e->d_name);
        take_children(f, path);
    }
    closedir(dir);
    return any;
}

/* Has the file a mapping of an interpreter's library? */
static bool maps_python(pid_t pid) {
    char path[64], line[512];
    bool found = false;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    while (maps && !found && fgets(line, sizeof line, maps)) found = strstr(line, "/libpython3") != NULL;
    if (maps) fclose(maps);
    return found;
}

/* Looks at what a relative is. True: as at the look before. */
static bool is_settled(struct relative *r) {
    char path[64], exe[sizeof r->exe];
    snprintf(path, sizeof path, "/proc/%d/exe", (int)r->pid);
    ssize_t n = readlink(path, exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = 0;
    if (exe[0] && !strcmp(exe, r->exe)) return true;
    const char *name = strrchr(exe, '/');
    memcpy(r->exe, exe, sizeof exe);
    r->python = exe[0] && (strstr(name ? name : exe, "python") || maps_python(r->pid));
    return false;
}

static void offer(struct family *f, size_t at, uint64_t now) {
    if (f->list[at].root || f->list[at].told || now < f->list[at].not_before_ns) return;
    if (!is_settled(&f->list[at]) || !f->list[at].python) return;
    pid_t pid = f->list[at].pid;
    bool told = f->user.found(f->user.ctx, pid);
    f->list[at].told = told;
    f->list[at].not_before_ns = now + AGAIN_NS;
}

int family_look(struct family *f) {
    uint64_t begun = vt_mono_ns();
    for (size_t i = 0; i < f->n; i++) f->list[i].seen = f->list[i].root;
    for (size_t i = 0; i < f->n; i++) { /* grows while it is walked */
        bool there = walk(f, f->list[i].pid);
        f->list[i].seen = f->list[i].seen || f->list[i].root || there; /* one whose parent has died stays a relative */
        if (!there) f->list[i].seen = false;
        if (there) offer(f, i, begun);
    }
    size_t kept = 0;
    for (size_t i = 0; i < f->n; i++) {
        struct relative *r = &f->list[i];
        if (r->seen)
            f->list[kept++] = *r;
        else
            f->missed += r->python && !r->told && !r->root;
    }
    f->n = kept;
    uint64_t took_ms = (vt_mono_ns() - begun) * LOOK_SHARE / 1000000u;
    return took_ms < LOOK_MS ? LOOK_MS : took_ms > LOOK_MS_MOST ? LOOK_MS_MOST : (int)took_ms;
}

bool family_again(struct family *f, pid_t pid, bool program) {
    struct relative *r = find(f, pid);
    if (!r) return false;
    if (program) {
        r->root = false; /* offered like the others */
        r->refused = 0;
        r->exe[0] = 0;
    } else if (++r->refused == REFUSED_MOST) {
        return false;
    }
    r->told = false;
    r->not_before_ns = vt_mono_ns() + AGAIN_NS;
    return true;
}

bool family_is_root(const struct family *f, pid_t pid) {
    const struct relative *r = find(f, pid);
    return r && r->root;
}

bool family_pending(const struct family *f) {
    for (size_t i = 0; i < f->n; i++)
        if (!f->list[i].root && !f->list[i].told && (f->list[i].python || !f->list[i].exe[0])) return true;
    return false;
}

uint64_t family_missed(const struct family *f) { return f->missed; }

void family_free(struct family *f) {
    if (!f) return;
    free(f->list);
    free(f);
}

int family_new(struct family **out, const pid_t *roots, size_t n, const struct family_user *user) {
    char path[64];
    struct family *f = calloc(1, sizeof *f);
    if (!f) return -ENOMEM;
    f->user = *user;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    int rc = access(path, R_OK) ? -ENOENT : 0;
    for (size_t i = 0; i < n && !rc; i++) rc = add(f, roots[i], true);
    if (rc) {
        family_free(f);
        return rc;
    }
    *out = f;
    return 0;
}
