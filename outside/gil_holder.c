/* Owns telling who holds the GIL of a target, in one line (outside.h). */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach/target.h"
#include "outside/outside.h"

enum { THREADS_MAX = 4096 /* that are looked at, for one that runs */ };

static const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static bool is_stopped(char state) { return state == 'T' || state == 't'; }

static void tell(const struct outside_thread *t, char *text, size_t size) {
    char raw[2 * OUTSIDE_HOLDER_MAX];
    const struct outside_frame *f = t->nframes && !t->torn ? &t->frames[0] : NULL;
    int n = snprintf(raw, sizeof(raw), "thread %d (%s)", (int)t->tid, t->name);
    if (f && f->code && n < (int)sizeof(raw))
        n +=
            snprintf(raw + n, sizeof(raw) - (size_t)n, " in %.80s at %.80s:%u", f->code->name, file_name(f->code->file), f->line);
    if (n < (int)sizeof(raw))
        snprintf(raw + n, sizeof(raw) - (size_t)n, "%s%s%s",
                 t->call[0]        ? f ? ", in " : " in "
                 : t->state == 'R' ? ", which is on a CPU"
                                   : "",
                 t->call, is_stopped(t->state) ? ", which is stopped" : "");
    vt_clean_line(text, size, raw, strlen(raw));
}

/* 1: told; 0: nobody holds it. */
static int find_holder(struct outside *o, char *text, size_t size) {
    struct vt_err err = {0};
    size_t n;
    int rc = outside_read(o, &err);
    if (rc) return rc;
    outside_read_states(o);
    const struct outside_thread *threads = outside_threads(o, &n), *holder = NULL;
    for (size_t i = 0; i < n; i++)
        if (threads[i].gil == OUTSIDE_GIL_HOLDS && (!holder || !threads[i].interpreter)) holder = &threads[i];
    if (!holder) return 0;
    if (!holder->tid) return -ENOENT;
    tell(holder, text, size);
    return 1;
}

/* A thread of the process that is on a CPU; 0 = none. */
static pid_t find_running(pid_t pid) {
    char path[64], call[INSIDE_TEXT_MAX];
    pid_t found = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *d = opendir(path);
    unsigned n = 0;
    for (struct dirent *e; d && !found && n++ < THREADS_MAX && (e = readdir(d));) {
        pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);
        if (tid > 0 && inside_thread(pid, tid, call, sizeof(call)) == -EAGAIN) found = tid;
    }
    if (d) closedir(d);
    return found;
}

/* The memory says nothing: a thread on a CPU is the likely one. */
static void guess(pid_t pid, char *text, size_t size) {
    struct outside_thread t = {.tid = find_running(pid), .state = 'R'};
    char likely[OUTSIDE_HOLDER_MAX], comm[64];
    if (!t.tid) {
        snprintf(text, size, "a thread that is not known");
        return;
    }
    target_comm(t.tid, comm, sizeof(comm));
    snprintf(t.name, sizeof(t.name), "%s", comm);
    tell(&t, likely, sizeof(likely));
    snprintf(text, size, "probably %.*s", OUTSIDE_HOLDER_MAX - 16, likely);
}

void outside_tell_holder(pid_t pid, char *text, size_t size) {
    struct outside *o = NULL;
    struct vt_err err = {0};
    struct target_status st;
    int rc = outside_open(&o, pid, &err);
    if (!rc) rc = find_holder(o, text, size);
    outside_close(o);
    if (!rc)
        snprintf(text, size, "no thread%s",
                 !target_status_read(pid, &st) && is_stopped(st.state) ? " of the process, which is stopped" : "");
    if (rc < 0) guess(pid, text, size);
}
