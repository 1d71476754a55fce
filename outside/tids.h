/* The ids of a target's threads: as the target sees them, in its own pid namespace, and as we see them. */
#ifndef VT_OUTSIDE_TIDS_H
#define VT_OUTSIDE_TIDS_H

#include <sys/types.h>

#include "proto/base.h"

struct tids { /* all zero = empty; the owner calls tids_free */
    struct tid {
        pid_t theirs, ours;
    } * ids;
    uint32_t n, room;
};

/* Reads /proc/PID/task. ns_pid: the target's id as it sees it; equal to pid where the ids are the same. */
VT_MUST_CHECK int tids_read(struct tids *t, pid_t pid, pid_t ns_pid);
/* Takes these, which are the same on both sides. */
VT_MUST_CHECK int tids_set(struct tids *t, const pid_t *tids, size_t n);
/* Our id of their thread; 0 = there is none. */
pid_t tids_find(const struct tids *t, pid_t theirs);
void tids_free(struct tids *t);

#endif
