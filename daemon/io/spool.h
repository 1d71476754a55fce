/* The trace on disk while it grows: one append-only .vzt file per session. Each reader has its own offset; `size` counts
 * whole frames only. The daemon locks the file (flock) while the session lives, so a file without lock was left behind. */
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
    uint8_t *tail;      /* last frames of a trace that did not fit on the disk: a live client still gets them */
    size_t tail_len;
    uint32_t tail_room;
    int full;      /* 0, -ENOSPC, -EDQUOT or -EFBIG (max_bytes) */
    bool sections; /* it holds several processes (proto/FORMAT.md) */
};

/* Mode of the folder. shared: clients open their own files in it by name. */
mode_t spool_dir_mode(bool shared);
/* Makes the folder if it is missing. Refuses a folder that others own or can write to. */
VT_MUST_CHECK int spool_dir_prepare(const char *dir, bool shared, struct vt_err *err);
/* Makes <dir>/<pid>-<date>-<time>.vzt with mode 0600, owned by uid. */
VT_MUST_CHECK int spool_open(struct spool *s, const char *dir, pid_t pid, uid_t uid, gid_t gid, uint64_t max_bytes,
                             struct vt_err *err);
/* The file will hold several processes: right after spool_open. */
VT_MUST_CHECK int spool_begin_sections(struct spool *s);
/* Appends one frame of a section, or nothing. In a file of one process `section` does not count. The first frame that does not
 * fit sets s->full; from then on this returns s->full. */
VT_MUST_CHECK int spool_put(struct spool *s, uint32_t section, uint32_t type, const ProtobufCMessage *msg);
/* The same for the last frames of a trace: when the disk is full they go to the tail. */
VT_MUST_CHECK int spool_put_last(struct spool *s, uint32_t section, uint32_t type, const ProtobufCMessage *msg);
void spool_close(struct spool *s, bool remove);

#endif
