/* Owns the lock on a target: only one injector works on it at a time. Without the lock, two attaches in the same instant would
 * both find the target free. The lock is on /proc/PID/mem. The kernel opens that file only for processes that may trace the
 * target, so no other user can hold the lock and keep us out. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "attach/attach_priv.h"

#define CLAIM_POLL_NS 2000000

int claim_target(pid_t pid, uint64_t timeout_ns, int *fd, struct vt_err *err) {
    char path[64];
    uint64_t end = vt_mono_ns() + timeout_ns;
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0) return 0; /* the preflight finds the cause and reports it better */
    while (flock(*fd, LOCK_EX | LOCK_NB)) {
        const struct timespec nap = {0, CLAIM_POLL_NS};
        int rc = -errno;
        if (rc == -EINTR) continue;
        if (rc == -EWOULDBLOCK && vt_mono_ns() < end) {
            nanosleep(&nap, NULL);
            continue;
        }
        vt_close(fd);
        if (rc != -EWOULDBLOCK) return 0; /* this /proc has no locks: the agent still refuses a second session */
        return vt_err_set(err, -EBUSY, "process %d: another viztracer is attaching to it just now; try again", (int)pid);
    }
    return 0;
}
