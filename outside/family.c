/* Owns finding the processes below another one (outside.h). */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "attach/target.h"
#include "outside/outside.h"

enum { PROCESSES_MAX = 1 << 17 };

struct process {
    pid_t pid, parent;
    bool below;
};

static int read_all(struct process **all, uint32_t *n) {
    uint32_t room = 0;
    int rc = 0;
    DIR *d = opendir("/proc");
    *all = NULL;
    *n = 0;
    if (!d) return -errno;
    for (struct dirent *e; !rc && (e = readdir(d));) {
        struct target_status st;
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
        if (pid <= 0 || target_status_read(pid, &st)) continue;
        rc = vt_grow(all, &room, *n + 1u, sizeof(**all), PROCESSES_MAX);
        if (!rc) (*all)[(*n)++] = (struct process){pid, st.ppid, false};
    }
    closedir(d);
    return rc;
}

static int by_pid(const void *a, const void *b) {
    const struct process *x = a, *y = b;
    return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static bool is_below(const struct process *all, uint32_t n, const struct process *p, pid_t pid) {
    struct process key = {.pid = p->parent}, *parent = bsearch(&key, all, n, sizeof(key), by_pid);
    return p->parent == pid || (parent && parent->below);
}

/* A child with a lower id than its parent is found in a later round. */
int outside_each_below(pid_t pid, int (*fn)(void *ctx, pid_t pid), void *ctx) {
    struct process *all;
    uint32_t n;
    int rc = read_all(&all, &n);
    if (n) qsort(all, n, sizeof(*all), by_pid);
    for (bool found = true; !rc && found;) {
        found = false;
        for (uint32_t i = 0; !rc && i < n; i++) {
            if (all[i].below || all[i].pid == pid || !is_below(all, n, &all[i], pid)) continue;
            all[i].below = found = true;
            rc = fn(ctx, all[i].pid);
        }
    }
    free(all);
    return rc;
}
