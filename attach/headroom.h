/* How much memory a target can still take before a limit of its own kills it or makes its allocations fail: limits of its memory
 * cgroup and of the cgroups above (cgroups(7), memory.max or memory.limit_in_bytes), and RLIMIT_AS (getrlimit(2)). An attach
 * takes only a part of that. */
#ifndef VT_ATTACH_HEADROOM_H
#define VT_ATTACH_HEADROOM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/base.h"

#define HEADROOM_NONE UINT64_MAX /* no limit */

/* Bytes. A page of shared memory is charged to the process that touches it first. */
struct headroom {
    uint64_t theirs;        /* cgroups that hold the target, but not us: pages that we touch first cost them nothing */
    uint64_t shared;        /* cgroups that hold both: pages cost the same whichever process makes them */
    uint64_t address_space; /* RLIMIT_AS less what is mapped */
    char theirs_at[128], shared_at[128]; /* the folder of the cgroup that leaves least, for messages */
};

/* What cannot be read counts as no limit. */
void headroom_read(pid_t pid, struct headroom *out);

/* What an arena of `wanted` bytes becomes. */
struct arena_plan {
    uint64_t bytes;   /* vt_arena_bytes() of some number of chunks */
    bool pages_first; /* the target may only use chunks whose pages the daemon has made */
};
/* 0, or -ENOMEM and err: not even the smallest arena fits. */
VT_MUST_CHECK int headroom_plan(const struct headroom *room, pid_t pid, uint64_t wanted, struct arena_plan *plan,
                                struct vt_err *err);

#endif
