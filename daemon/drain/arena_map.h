/* The daemon's mapping of one shared arena: surviving lost pages, making pages before the writers need them, giving chunks
 * back, telling the writers to stop. drain.h reads the records. Event loop thread only, unless it says otherwise. */
#ifndef VT_DAEMON_ARENA_MAP_H
#define VT_DAEMON_ARENA_MAP_H

#include <signal.h>

#include "proto/abi/arena.h"
#include "proto/base.h"

struct arena {
    struct vt_ctl *ctl; /* mapping of `bytes` bytes, or NULL */
    size_t bytes;
    int fd; /* owned */
    uint32_t nchunks;
    uint32_t warm;                /* chunks [0, warm) were given pages */
    volatile sig_atomic_t broken; /* a page was lost: somebody truncated the file of the arena */
    uint32_t kept;                /* arenas_renew() renews its lease */
    struct arena *next;           /* list of mapped arenas, for the SIGBUS guard and arenas_renew() */
};

/* Number of chunks in a file of this size, at most `most`. An arena in a file can be smaller than requested. */
uint32_t arena_chunks(int64_t file_size, uint32_t most);
/* Maps fd, which must hold vt_arena_bytes(nchunks) bytes. Takes fd, also on error. nchunks comes from the daemon's own
 * request and the size of the file, because the control area is not trusted. 0 or -errno with a line in err. */
VT_MUST_CHECK int arena_open(struct arena *a, int fd, uint32_t nchunks, struct vt_err *err);
void arena_close(struct arena *a);

/* Makes pages for chunks [0, upto). */
void arena_warm(struct arena *a, uint32_t upto);
/* Zeroes chunk i and lets the target claim it again. */
void arena_give_back(struct arena *a, uint32_t i);
/* Sends every thread to its slow path at its next event, where it finds enabled == 0 and leaves. */
void arena_stop_writers(struct arena *a);
/* Turns renewing of its lease on or off. It is off after arena_open. */
void arena_keep(struct arena *a, bool keep);
/* Sets the end of all leases that are renewed to `until` (ticks of the trace's clock). Returns their number. Any thread. */
uint32_t arenas_renew(uint64_t until);

#endif
