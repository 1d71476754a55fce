/* The daemon's side of one shared arena: mapping it, surviving pages that vanish, making pages ahead
 * of the writers, giving chunks back, telling the writers to stop. Reading records is drain.h. */
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
    volatile sig_atomic_t broken; /* a page vanished below us (file-backed arena cut short) */
    uint32_t kept;                /* arenas_renew() is for it, too */
    struct arena *next;           /* list of mapped arenas, for the SIGBUS guard and arenas_renew() */
};

/* How many chunks a file of this size holds, `most` at most: a file-backed arena is smaller than what was asked for. */
uint32_t arena_chunks(int64_t file_size, uint32_t most);
/* Maps fd, which must hold vt_arena_bytes(nchunks). Takes fd, also on error. nchunks comes from the daemon's own
 * request and the size of the file: what the control area says is not trusted. */
VT_MUST_CHECK int arena_open(struct arena *a, int fd, uint32_t nchunks, struct vt_err *err);
void arena_close(struct arena *a);

/* Makes pages for chunks [0, upto). */
void arena_warm(struct arena *a, uint32_t upto);
/* Zeroes chunk i and lets the target claim it again. */
void arena_give_back(struct arena *a, uint32_t i);
/* Sends every thread to its slow path at its next event, where it finds enabled == 0 and leaves. */
void arena_stop_writers(struct arena *a);
/* Whether arenas_renew() renews its lease. An arena that was just opened is not kept. */
void arena_keep(struct arena *a, bool keep);
/* Every kept arena's lease now ends at `until` (ticks of the trace's clock). Returns how many there are. The one function
 * here that any thread may call. */
uint32_t arenas_renew(uint64_t until);

#endif
