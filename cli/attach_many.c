/* Owns an attach to several processes: those that are named, and with --subprocesses their descendants. */
#include "cli/attach_many.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/family.h"
#include "cli/several.h"

struct many {
    struct several *several;
    struct family *family; /* NULL = without --subprocesses */
    uint64_t missed;       /* descendants that ended before they could be traced */
    uint64_t refused;      /* others that could not be traced */
    char why[400];         /* of the last one */
};

static int look(void *ctx) { return family_look(((const struct many *)ctx)->family); }

static bool more(void *ctx) { return family_pending(((const struct many *)ctx)->family); }

static bool found(void *ctx, pid_t pid) { return several_attach(((const struct many *)ctx)->several, pid, false) == 0; }

/* A descendant that is refused may only be starting: it is tried again for a while, and nothing is said. */
static bool ended(void *ctx, pid_t pid, enum several_end how, const struct vt_err *err) {
    struct many *m = ctx;
    if (!m->family) return false;
    if (how == SEVERAL_EXEC) family_again(m->family, pid, true);
    if (how != SEVERAL_REFUSED || family_is_root(m->family, pid)) return false;
    bool gone = err->code == -ESRCH || err->code == -EAGAIN || err->code == -EINTR;
    if (err->code != -ESRCH && err->code != -EPERM && err->code != -EINTR && family_again(m->family, pid, false)) return true;
    m->missed += gone;
    m->refused += !gone;
    if (!gone) snprintf(m->why, sizeof(m->why), "%s", err->msg);
    return true;
}

static void tell_missed(const struct many *m, const struct attach_options *o) {
    uint64_t missed = m->missed + family_missed(m->family);
    if (m->refused)
        fprintf(stderr, "viztracer: %llu subprocess%s could not be traced: %s\n", (unsigned long long)m->refused,
                m->refused == 1 ? "" : "es", m->why);
    if (missed && !o->quiet)
        fprintf(stderr, "viztracer: %llu subprocess%s ended before tracing of %s could begin\n", (unsigned long long)missed,
                missed == 1 ? "" : "es", missed == 1 ? "it" : "them");
}

static int start_family(struct many *m, const struct attach_options *o, struct vt_err *err) {
    const struct family_user user = {.ctx = m, .found = found};
    int rc = family_new(&m->family, o->pids, o->npids, &user);
    if (rc == -ENOENT)
        vt_err_set(err, rc, "--subprocesses needs /proc/PID/task/TID/children, which this kernel does not have: name the pids");
    else if (rc)
        vt_err_set(err, rc, "--subprocesses: %s", strerror(-rc));
    return rc;
}

int attach_many(struct attach_options *o) {
    struct many m = {0};
    struct vt_err err = {0};
    struct several_user user = {.ctx = &m, .ended = ended};
    int rc = 0;
    if (o->subprocesses) {
        user.look = look;
        user.more = more;
        user.quiet_starts = true;
        rc = start_family(&m, o, &err);
    }
    if (!rc) rc = several_open(&m.several, o, &user, &err);
    for (size_t i = 0; i < o->npids && !rc; i++)
        if ((rc = several_attach(m.several, o->pids[i], true))) vt_err_set(&err, rc, "%s", strerror(-rc));
    if (!rc) rc = several_run(m.several, &err);
    if (rc) {
        rc = cli_fail("%s; nothing was saved", err.msg);
    } else {
        rc = several_save(m.several);
        if (m.family) tell_missed(&m, o);
    }
    char *output = !rc && o->open ? strdup(several_output(m.several)) : NULL;
    several_close(m.several);
    family_free(m.family);
    if (output) {
        char *const argv[] = {(char *)"vizviewer", (char *)"--once", output, NULL};
        execv("/proc/self/exe", argv);
        rc = cli_fail("cannot start the viewer: %s", strerror(errno));
        free(output);
    }
    return rc;
}
