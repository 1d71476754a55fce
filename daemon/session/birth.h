/* Where a process comes from: for the head of its trace. */
#ifndef VT_DAEMON_BIRTH_H
#define VT_DAEMON_BIRTH_H

#include "proto/base.h"

struct birth {
    uint32_t parent_pid; /* now; 0 = none that is visible here */
    uint64_t born_ns;    /* CLOCK_MONOTONIC, in steps of the kernel's, mostly 10 ms */
};

/* Out of the text of /proc/PID/stat; hz: clock ticks per second, boot_minus_mono in ns. -EBADMSG. */
VT_MUST_CHECK int birth_of_stat(const char *stat, uint64_t hz, uint64_t boot_minus_mono, struct birth *b);
/* All zero and -errno when the process cannot be read. */
VT_MUST_CHECK int birth_read(pid_t pid, struct birth *b);

#endif
