/* Acting with a target's own rights: what belongs to a target (its memfds, its /dev/shm, the files in its root) is opened
 * with the target's file system credentials, so that the kernel decides what the target may reach. A target can put
 * anything in such a place; with our own rights, root's for example, it would make us write where it may not.
 *
 * Only the calling thread changes (setfsuid(2), capset(2)); calls do not nest. Between enter and leave the thread has the
 * target's fsuid, fsgid and groups, and no capability that the target has not, so /proc/PID is to be opened before. */
#ifndef VT_ATTACH_CREDS_H
#define VT_ATTACH_CREDS_H

#include <linux/capability.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/base.h"

#define CREDS_GROUPS 64u

/* Of a target: /proc/PID/status as we read it (ids of our user namespace). */
struct target_creds {
    uint32_t uid, gid; /* of the file system: the fourth number of Uid and Gid */
    uint32_t ngroups;
    gid_t groups[CREDS_GROUPS]; /* the first ones: with fewer groups less is allowed, never more */
    uint64_t caps;              /* effective; 0 when it is in another user namespace: there they mean nothing to us */
};

/* Of ourselves, to be put back. */
struct creds_saved {
    bool changed;
    uid_t uid;
    gid_t gid;
    int ngroups;
    gid_t *groups;
    struct __user_cap_data_struct caps[2];
};

struct target_status;
/* Of process pid, whose status was read just now. */
void creds_of(pid_t pid, const struct target_status *status, struct target_creds *out);
/* Takes them on, when we are privileged; else the kernel judges us as ourselves already and nothing changes. 0, or -errno and
 * nothing has changed. */
VT_MUST_CHECK int creds_enter(const struct target_creds *target, struct creds_saved *saved);
/* Back to our own. errno stays. A process that cannot get its own rights back ends: it must not go on half changed. */
void creds_leave(struct creds_saved *saved);

#endif
