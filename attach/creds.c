/* Owns taking on a target's file system credentials and restoring our own (creds.h). */
#include "attach/creds.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attach/attach_priv.h"

/* Capabilities count in the user namespace that they were given in. */
static bool same_user_namespace(pid_t pid) {
    char path[64], theirs[64], ours[64];
    snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
    ssize_t a = readlink(path, theirs, sizeof(theirs)), b = readlink("/proc/self/ns/user", ours, sizeof(ours));
    return a > 0 && a == b && !memcmp(theirs, ours, (size_t)a);
}

void creds_of(pid_t pid, const struct target_status *status, struct target_creds *out) {
    *out = (struct target_creds){.uid = status->uid[3], .gid = status->gid[3], .ngroups = status->ngroups};
    memcpy(out->groups, status->groups, sizeof(out->groups));
    if (same_user_namespace(pid)) out->caps = status->cap_effective;
}

static struct __user_cap_header_struct cap_header(void) {
    return (struct __user_cap_header_struct){.version = _LINUX_CAPABILITY_VERSION_3};
}

static int caps_get(struct __user_cap_data_struct caps[2]) {
    struct __user_cap_header_struct header = cap_header();
    return syscall(SYS_capget, &header, caps) ? -errno : 0;
}

static int caps_set(const struct __user_cap_data_struct caps[2]) {
    struct __user_cap_header_struct header = cap_header();
    return syscall(SYS_capset, &header, caps) ? -errno : 0;
}

/* The C library's setgroups() would change all threads. The system call changes this thread, as setfsuid does. */
static int groups_set(size_t n, const gid_t *groups) { return syscall(SYS_setgroups, n, groups) ? -errno : 0; }

/* setfsuid and setfsgid report no error. A call with an invalid id returns the present one. */
static int ids_set(uid_t uid, gid_t gid) {
    setfsgid(gid);
    setfsuid(uid);
    return (uid_t)setfsuid((uid_t)-1) == uid && (gid_t)setfsgid((gid_t)-1) == gid ? 0 : -EPERM;
}

static bool may(const struct __user_cap_data_struct caps[2], unsigned cap) { return caps[cap / 32].effective >> (cap % 32) & 1; }

static void put_back(const struct creds_saved *saved) {
    int rc = caps_set(saved->caps); /* first: the others need them */
    if (!rc) rc = ids_set(saved->uid, saved->gid);
    if (!rc) rc = groups_set((size_t)saved->ngroups, saved->groups);
    if (!rc) rc = caps_set(saved->caps); /* setfsuid has changed the capabilities for files */
    if (!rc) return;
    vt_log(VT_LOG_ERROR, "cannot take our own rights back: %s", strerror(-rc));
    _exit(1);
}

int creds_enter(const struct target_creds *target, struct creds_saved *saved) {
    *saved = (struct creds_saved){.uid = (uid_t)setfsuid((uid_t)-1), .gid = (gid_t)setfsgid((gid_t)-1)};
    int rc = caps_get(saved->caps);
    if (rc) return rc;
    if (!may(saved->caps, CAP_SETUID) || !may(saved->caps, CAP_SETGID)) {
        /* With the same ids, we differ from the target only if we have other capabilities over files. */
        const unsigned powers[] = {CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_CHOWN, CAP_FOWNER};
        for (size_t i = 0; i < VT_ARRAY_LEN(powers); i++)
            if (may(saved->caps, powers[i])) return -EPERM;
        return saved->uid == target->uid ? 0 : -EPERM;
    }
    saved->ngroups = getgroups(0, NULL);
    if (saved->ngroups < 0) return -errno;
    saved->groups = calloc((size_t)saved->ngroups + 1, sizeof(gid_t));
    if (!saved->groups) return -ENOMEM;
    if (getgroups(saved->ngroups, saved->groups) < 0) {
        rc = -errno;
        goto fail;
    }
    struct __user_cap_data_struct caps[2];
    memcpy(caps, saved->caps, sizeof(caps));
    for (unsigned i = 0; i < 2; i++) caps[i].effective &= (uint32_t)(target->caps >> 32 * i);
    rc = groups_set(target->ngroups, target->groups);
    if (rc) goto fail;
    rc = ids_set(target->uid, target->gid);
    if (!rc) rc = caps_set(caps);
    if (rc) {
        put_back(saved);
        goto fail;
    }
    saved->changed = true;
    return 0;
fail:
    free(saved->groups);
    saved->groups = NULL;
    return rc;
}

void creds_leave(struct creds_saved *saved) {
    int kept = errno;
    if (saved->changed) put_back(saved);
    saved->changed = false;
    free(saved->groups);
    saved->groups = NULL;
    errno = kept;
}
