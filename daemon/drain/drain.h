/* Turns the contents of an arena into frames of a trace. One reader per arena; event loop thread only.
 * Reads each thread's chunks strictly in the order of seq, copies every word once and checks it. Events of a thread become
 * blocks; names, stacks, threads and tasks become frames of their own. Finished chunks go back to the target. */
#ifndef VT_DAEMON_DRAIN_H
#define VT_DAEMON_DRAIN_H

#include <sys/types.h>

#include "daemon/drain/arena_map.h"
#include "proto/base.h"
#include "proto/msg.h"

struct drain;
struct inside;

struct drain_sink {
    /* Takes one frame; an error ends the pass and is returned from it. */
    int (*put)(void *ctx, uint32_t type, const ProtobufCMessage *msg);
    void *ctx;
};

struct drain_totals {
    uint64_t events;      /* plain records */
    uint64_t calls;       /* events that begin a call, without resumed pieces of generators and coroutines */
    uint64_t dropped;     /* events, as the target counts them, in all threads */
    uint64_t violations;  /* invalid words or payloads, which are skipped */
    uint64_t chunks;      /* chunks given back */
    uint64_t first_ticks; /* stamp of the first record read; 0 = none */
    uint64_t last_ticks;  /* stamp of the newest record read */
    uint64_t short_calls; /* calls left out because of min_ticks */
    uint32_t threads;
    uint32_t throttled; /* functions */
};

/* pid is the target's in our pid namespace, ns_pid in its own. Calls shorter than min_ticks are left out; 0 keeps all. The
 * arena stays the caller's and must outlive *out. -ENOMEM. */
VT_MUST_CHECK int drain_new(struct arena *a, pid_t pid, pid_t ns_pid, uint64_t min_ticks, struct drain_sink sink,
                            struct drain **out);
void drain_free(struct drain *d);
/* What the target's threads were in (may be NULL), stays the caller's and must outlive d. Before the first pass. */
void drain_inside(struct drain *d, struct inside *in);
/* Another limit than STREAMS_MEMORY for what is kept of the target. Before the first pass. */
void drain_limit_memory(struct drain *d, uint64_t bytes);

/* Reads what was written, with a bound per call; *got = words read. Writes out blocks older than about 50 ms. -ENOBUFS: the
 * target has more threads or longer stacks than one session may keep; -EFAULT: the arena was damaged; else -errno of the sink. */
VT_MUST_CHECK int drain_pass(struct drain *d, uint64_t now_ns, uint64_t *got);
/* Takes in the chunks of threads that ended without closing them. Call about once a second while the target lives. */
VT_MUST_CHECK int drain_reap(struct drain *d, uint64_t now_ns);
/* To be called when nobody writes any more: reads the rest, writes out all blocks, and reports dropped events that no gap
 * record counts. */
VT_MUST_CHECK int drain_finish(struct drain *d, uint64_t now_ticks);
/* Writes out what was read so far, without reading more: for a session that ends because of an error. */
VT_MUST_CHECK int drain_flush(struct drain *d);
/* The sink takes nothing more: the totals count what it has taken. */
void drain_give_up(struct drain *d);
void drain_totals(const struct drain *d, struct drain_totals *t);

#endif
