/* The trace on disk while it grows: one append-only .vzt per session. Whoever is fed from it reads at an
 * offset of his own; `size` counts whole frames only. The file is locked (flock) while its session lives,
 * so that a file left behind by a killed daemon is known as such. */
#ifndef VT_DAEMON_SPOOL_H
#define VT_DAEMON_SPOOL_H

#include <limits.h>

#include "proto/base.h"
#include "proto/msg.h"

struct spool {
    int fd;
    char path[PATH_MAX];
    uint64_t size;
    uint64_t max_bytes; /* 0 = none */
    uint8_t *tail;      /* frames that did not fit any more: the end of the trace, for a live client */
    size_t tail_len;
    int full; /* 0, -ENOSPC, -EDQUOT or -EFBIG (max_bytes) */
};

/* Makes the folder when it is missing; refuses one that others could write to. */
VT_MUST_CHECK int spool_dir_prepare(const char *dir, bool shared, struct vt_err *err);
/* <dir>/<pid>-<date>-<time>.vzt, mode 0600, belonging to uid. */
VT_MUST_CHECK int spool_open(struct spool *s, const char *dir, pid_t pid, uid_t uid, gid_t gid, uint64_t max_bytes,
                             struct vt_err *err);
/* Appends one frame. s->full is returned from the first frame on that does not fit; nothing half-written stays. */
VT_MUST_CHECK int spool_put(struct spool *s, uint32_t type, const ProtobufCMessage *msg);
/* The same for the few frames that close a trace: when the disk is full they go to the tail. */
VT_MUST_CHECK int spool_put_last(struct spool *s, uint32_t type, const ProtobufCMessage *msg);
void spool_close(struct spool *s, bool remove);

#endif
