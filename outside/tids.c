/* Owns the list of the threads of a target (tids.h). */
#include "outside/tids.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "attach/target.h"

enum { TIDS_MAX = 1 << 17 };

static int by_their_id(const void *a, const void *b) {
    const struct tid *x = a, *y = b;
    return x->theirs < y->theirs ? -1 : x->theirs > y->theirs;
}

int tids_read(struct tids *t, pid_t pid, pid_t ns_pid) {
    char path[64];
    int rc = 0;
    t->n = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *d = opendir(path);
    if (!d) return -errno;
    for (struct dirent *e; !rc && (e = readdir(d));) {
        struct target_status st;
        pid_t tid = (pid_t)strtol(e->d_name, NULL, 10), theirs = tid;
        if (tid <= 0) continue;
        if (ns_pid != pid) {
            if (target_status_read(tid, &st)) continue; /* it has just ended */
            theirs = st.ns_pid;
        }
        rc = vt_grow(&t->ids, &t->room, t->n + 1u, sizeof(*t->ids), TIDS_MAX);
        if (!rc) t->ids[t->n++] = (struct tid){theirs, tid};
    }
    closedir(d);
    if (t->n) qsort(t->ids, t->n, sizeof(*t->ids), by_their_id);
    return rc;
}

int tids_set(struct tids *t, const pid_t *tids, size_t n) {
    t->n = 0;
    int rc = vt_grow(&t->ids, &t->room, n, sizeof(*t->ids), TIDS_MAX);
    for (size_t i = 0; !rc && i < n; i++) t->ids[t->n++] = (struct tid){tids[i], tids[i]};
    if (t->n) qsort(t->ids, t->n, sizeof(*t->ids), by_their_id);
    return rc;
}

pid_t tids_find(const struct tids *t, pid_t theirs) {
    struct tid key = {theirs, 0}, *found = t->n ? bsearch(&key, t->ids, t->n, sizeof(key), by_their_id) : NULL;
    return found ? found->ours : 0;
}

void tids_free(struct tids *t) {
    free(t->ids);
    *t = (struct tids){0};
}
