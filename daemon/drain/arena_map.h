/* The daemon's mapping of one shared arena: surviving lost pages, making pages before the writers need them, giving chunks
 * back, telling the writers to stop. drain.h reads the records. Event loop thread only, unless it says otherwise. */
#ifndef VT_DAEMON_ARENA_MAP_H
#define VT_DAEMON_ARENA_MAP_H

#include <signal.h>
#include <stdbool.h>

#include "proto/abi/arena.h"
#include "proto/base.h"

/* Where the target may only take chunks that have pages, there are more of them ahead: this process may be late by some ten
 * milliseconds on a busy machine. */
#define ARENA_AHEAD_PAGES_FIRST 512u
/* So many of them are made and offered by the helper, before the agent can start. */
#define ARENA_FIRST_CHUNKS 64u

struct arena {
    struct vt_ctl *ctl; /* mapping of `bytes` bytes, or NULL */
    size_t bytes;
    int fd; /* owned */
    uint32_t nchunks;
    uint32_t warm;                /* chunks [0, warm) were given pages */
    bool grows;                   /* its process may live for a moment only: pages are made as it uses more */
    bool pages_first;             /* a chunk is offered (its bit in vt_ctl.free) only when it has pages */
    volatile sig_atomic_t broken; /* a page was lost: somebody truncated the file of the arena */
    uint32_t kept;                /* arenas_renew() renews its lease */
    struct arena *next;           /* list of mapped arenas, for the SIGBUS guard and arenas_renew() */
};

/* Fills in the fields of a new arena that do not come from a request; chunks [0, offered) may be taken. */
void arena_ctl_begin(struct vt_ctl *ctl, uint32_t nchunks, uint32_t offered, uint64_t lease);
/* Number of chunks in a file of this size, at most `most`. An arena in a file can be smaller than requested. */
uint32_t arena_chunks(int64_t file_size, uint32_t most);
/* Maps fd, which must hold vt_arena_bytes(nchunks) bytes. Takes fd, also on error. nchunks comes from the daemon's own
 * request and the size of the file, because the control area is not trusted. 0 or -errno with a line in err. */
VT_MUST_CHECK int arena_open(struct arena *a, int fd, uint32_t nchunks, struct vt_err *err);
/* Right after arena_open(). The target's memory is limited, and a page of the arena is charged to the process that touches it
 * first: from now on that is always this one. The first ARENA_FIRST_CHUNKS have their pages and are offered. */
void arena_pages_first(struct arena *a);
/* Chunks of word w of vt_ctl.free that the target may use or is using, a bit each. */
uint64_t arena_offered(const struct arena *a, uint32_t w);
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
