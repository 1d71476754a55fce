/* One stream per thread of the target, and one per greenlet that is not the thread's own stack: its open block, its stack at the
 * attach, the calls that are held back. Turns events and payloads into frames. The bytes come from the target and are not
 * trusted: what is invalid is counted as a violation and skipped. drain.c owns the chunks and their order. Functions return 0 or
 * -errno. Event loop thread only. */
#ifndef VT_DAEMON_STREAM_H
#define VT_DAEMON_STREAM_H

#include "daemon/drain/drain.h"
#include "daemon/drain/inside.h"
#include "daemon/drain/memory.h"
#include "daemon/drain/min_duration.h"
#include "daemon/drain/stream_table.h"
#include "daemon/drain/throttled.h"
#include "daemon/drain/tids.h"
#include "proto/abi/record.h"
#include "proto/block.h"

#define STREAMS_MEMORY (256u << 20) /* bytes that a session may use for its streams */
#define STREAMS_SPARE 64u           /* encoders kept for the next blocks */
#define NAMES_BYTES (1u << 20)

/* All streams of one target. */
struct streams {
    struct drain_sink sink;
    struct drain_totals totals;
    struct memory memory, held_memory; /* of streams and stacks; of calls held back, which are kept when there is no more */
    struct tids tids;
    struct inside *inside; /* borrowed, may be NULL */
    struct stream_table table;
    TAILQ_HEAD(, stream) open; /* streams with an open block, oldest first */
    uint32_t nopen;
    uint64_t payload_bytes; /* in all open blocks */
    struct vt_block_packer *packer;
    struct vt_block_enc *spare[STREAMS_SPARE];
    uint32_t nspare;
    struct min_duration_shared held;
    uint64_t now_ns;
    struct throttled throttled;
    uint64_t min_ticks; /* shorter calls are left out; 0 = none are */
    uint64_t newest;    /* newest stamp of all streams */
    uint64_t aged_ns;   /* when held calls were last looked at */
    Vt__Name names[VT_NAMES_BATCH];
    Vt__Name *name_ptr[VT_NAMES_BATCH];
    uint32_t nnames;
    uint32_t names_len;
    uint8_t names_buf[NAMES_BYTES];
};

/* *all is zero. 0 or -ENOMEM; streams_free in both cases. */
VT_MUST_CHECK int streams_init(struct streams *all, pid_t pid, pid_t ns_pid, uint64_t min_ticks, struct drain_sink sink);
void streams_free(struct streams *all);
void streams_limit_memory(struct streams *all, uint64_t bytes);
/* Finds the stream of a thread, or makes one and announces it with a Thread frame. owner, ident: from its first chunk.
 * -ENOBUFS: the streams of this target need more than STREAMS_MEMORY. */
VT_MUST_CHECK int streams_get(struct streams *all, uint32_t serial, uint64_t owner, uint64_t ident, struct stream **out);
/* Writes out names that wait, held calls that are old enough, and blocks that were open long enough. */
VT_MUST_CHECK int streams_age(struct streams *all);
/* Its thread has ended and all it wrote was read, or it is a greenlet's, which comes back when it is needed: writes out what is
 * open, and frees it. A thread's greenlets go first. told: dropped events that were reported of it. */
VT_MUST_CHECK int streams_retire(struct streams *all, struct stream *s, uint64_t told);
/* Writes out everything: nothing more will come. */
VT_MUST_CHECK int streams_finish(struct streams *all);
/* Nothing more can be written: the totals do not count the calls that wait to be. */
void streams_give_up(struct streams *all);

/* Takes the plain records at the start of rec[0..n); *took: their number. The target may write to rec: each word is read
 * once, the first of a run twice. upper: upper bits of the stamps. */
VT_MUST_CHECK int stream_events(struct streams *all, struct stream *s, const uint64_t *rec, size_t n, uint64_t upper,
                                size_t *took);
VT_MUST_CHECK int stream_gap(struct streams *all, struct stream *s, uint64_t count);
/* The thread runs a greenlet's stack from here on, `number` is as in a STACK record: what comes next of the thread goes into that
 * stream. */
VT_MUST_CHECK int stream_runs(struct streams *all, struct stream *thread, uint64_t number);
/* payload: len bytes, 8-byte aligned. */
VT_MUST_CHECK int stream_payload(struct streams *all, struct stream *s, uint32_t kind, const uint8_t *payload, uint32_t len,
                                 uint64_t ticks);
/* Full stamp of a record in a chunk with these upper bits. */
static inline uint64_t stream_stamp(uint64_t upper, uint64_t rec) { return upper | vt_rec_ts(rec); }

#endif
