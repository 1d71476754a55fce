/* Arena -> trace frames. One reader per arena; not thread safe.
 * Reads each thread's chunks strictly in seq order, copies every word once, checks it, encodes the
 * events of a thread into blocks, turns names, stacks, threads and tasks into frames of their own,
 * and gives finished chunks back. */
#ifndef VT_DAEMON_DRAIN_H
#define VT_DAEMON_DRAIN_H

#include <sys/types.h>

#include "daemon/drain/arena_map.h"
#include "proto/base.h"
#include "proto/msg.h"

struct drain;

struct drain_sink {
    /* Takes one frame; an error ends the pass and is returned from it. */
    int (*put)(void *ctx, uint32_t type, const ProtobufCMessage *msg);
    void *ctx;
};

struct drain_totals {
    uint64_t events;      /* plain records */
    uint64_t calls;       /* of those: functions entered */
    uint64_t dropped;     /* as the target counts them, all threads */
    uint64_t violations;  /* words or payloads that made no sense and were skipped */
    uint64_t chunks;      /* given back */
    uint64_t first_ticks; /* stamp of the first record read; 0 = none */
    uint64_t short_calls; /* calls that were left out */
    uint32_t threads;
    uint32_t throttled; /* functions */
};

/* pid: the target as the daemon sees it, ns_pid as it sees itself. min_ticks: calls shorter than that are left out, 0 = none
 * are. The arena stays the caller's. */
VT_MUST_CHECK int drain_new(struct arena *a, pid_t pid, pid_t ns_pid, uint64_t min_ticks, struct drain_sink sink,
                            struct drain **out);
void drain_free(struct drain *d);

/* Reads what is there, bounded; *got = words read. Flushes blocks older than ~50 ms. */
VT_MUST_CHECK int drain_pass(struct drain *d, uint64_t now_ns, uint64_t *got);
/* Chunks of threads that are gone without closing them. Call about once a second while the target lives. */
VT_MUST_CHECK int drain_reap(struct drain *d, uint64_t now_ns);
/* Nobody writes any more: reads all that is left, flushes, reports drops that no gap record stands for. */
VT_MUST_CHECK int drain_finish(struct drain *d, uint64_t now_ticks);
void drain_totals(const struct drain *d, struct drain_totals *t);

#endif
