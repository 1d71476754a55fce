/* Owns reading NSpid lines and task folders of /proc. */
#include "daemon/drain/tids.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Numbers of the NSpid line, outermost first. *last: the innermost. */
static int nspid(const char *path, uint32_t *last) {
    char buf[8192];
    size_t len;
    int n = 0;
    if (vt_read_file(path, buf, sizeof(buf), &len)) return 0;
    char *p = strstr(buf, "\nNSpid:");
    if (!p) return 0;
    p += 7;
    for (;;) {
        while (*p == ' ' || *p == '\t') p++;
        if (*p < '0' || *p > '9') return n;
        *last = (uint32_t)strtoul(p, &p, 10);
        n++;
    }
}

void tids_init(struct tids *t, pid_t pid, pid_t ns_pid) {
    char path[64];
    uint32_t last;
    t->pid = pid;
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    t->same_ns = pid == ns_pid && nspid(path, &last) <= 1;
}

uint32_t tids_outer(const struct tids *t, uint32_t ns_tid) {
    char path[64];
    uint32_t last, found = 0;
    if (t->same_ns || !ns_tid) return ns_tid;
    snprintf(path, sizeof(path), "/proc/%d/task", t->pid);
    DIR *dir = opendir(path);
    if (!dir) return 0;
    for (struct dirent *e; !found && (e = readdir(dir));) {
        unsigned long tid = strtoul(e->d_name, NULL, 10);
        char status[96];
        snprintf(status, sizeof(status), "/proc/%d/task/%lu/status", t->pid, tid);
        if (tid && nspid(status, &last) && last == ns_tid) found = (uint32_t)tid;
    }
    closedir(dir);
    return found;
}

uint32_t tids_of_interpreter(const struct tids *t, uint32_t ns_tid) {
    char path[64];
    if (!t->same_ns || !ns_tid || tids_alive(t, ns_tid)) return ns_tid;
    snprintf(path, sizeof(path), "/proc/%u", ns_tid);
    return access(path, F_OK) ? ns_tid : (uint32_t)t->pid; /* else it is a thread that has ended */
}

bool tids_alive(const struct tids *t, uint32_t tid) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task/%u", t->pid, tid);
    return access(path, F_OK) == 0;
}
