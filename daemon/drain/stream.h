/* What the daemon knows of one thread of the target, and how its events and what goes with them become frames: the open block,
 * frames open at attach, calls held back, names waiting to be sent. Bytes come from the target and are not trusted; order,
 * chunks and who owns them are drain.c's. Errors: 0 or -errno; what makes no sense is counted as a violation and skipped. */
#ifndef VT_DAEMON_STREAM_H
#define VT_DAEMON_STREAM_H

#include <sys/queue.h>

#include "daemon/drain/drain.h"
#include "daemon/drain/min_duration.h"
#include "daemon/drain/throttled.h"
#include "daemon/drain/tids.h"
#include "proto/abi/record.h"
#include "proto/block.h"

#define NAMES_BATCH 256u
#define NAMES_BYTES (1u << 20)

struct stack; /* frames open at attach, of one thread, coming in parts */

struct stream {
    LIST_ENTRY(stream) active; /* has chunks queued */
    TAILQ_ENTRY(stream) open;  /* has a block open; oldest first */
    uint32_t serial;
    uint32_t next_seq;
    uint32_t head, tail; /* queue of chunks, index + 1; 0 = empty */
    uint32_t ns_tid, tid;
    uint64_t ident;
    uint64_t now;              /* full stamp of the last event */
    uint64_t base;             /* of the open block */
    uint64_t block_ns;         /* when it was opened */
    uint64_t moved_ns;         /* last progress */
    uint64_t gaps;             /* drops that stand in blocks */
    uint64_t dropped;          /* the most drops that a chunk header of this thread told of */
    struct vt_block_enc *enc;  /* NULL = no block open */
    struct min_duration *held; /* NULL = every call is kept */
    struct stack *stack;       /* parts so far, or NULL */
};

/* All streams of one target. */
struct streams {
    struct drain_sink sink;
    struct drain_totals totals;
    struct tids tids;
    TAILQ_HEAD(, stream) open;
    struct stream **by_serial;
    uint32_t n;
    struct vt_block_enc **spare;
    uint32_t nspare, spare_size;
    uint64_t now_ns;
    struct throttled throttled;
    uint64_t min_ticks; /* shorter calls are left out; 0 = none are */
    uint64_t newest;    /* stamp of any stream */
    uint64_t aged_ns;   /* when what is held back was last looked at */
    Vt__Name names[NAMES_BATCH];
    Vt__Name *name_ptr[NAMES_BATCH];
    uint32_t nnames;
    uint32_t names_len;
    uint8_t names_buf[NAMES_BYTES];
};

/* *all is zero. */
void streams_init(struct streams *all, pid_t pid, pid_t ns_pid, uint64_t min_ticks, struct drain_sink sink);
void streams_free(struct streams *all);
/* The stream of a thread; a new one is announced. owner, ident: as its first chunk says. */
VT_MUST_CHECK int streams_get(struct streams *all, uint32_t serial, uint64_t owner, uint64_t ident, struct stream **out);
/* Names that wait, calls that were held back long enough, blocks that were open long enough. */
VT_MUST_CHECK int streams_age(struct streams *all);
/* Everything; nothing more will come. */
VT_MUST_CHECK int streams_finish(struct streams *all);

/* The plain records that rec[0..n) begins with, *took of them. They may stand where the target writes: each is read once, but
 * for a first one. upper: the stamp bits above the record's own. */
VT_MUST_CHECK int stream_events(struct streams *all, struct stream *s, const uint64_t *rec, size_t n, uint64_t upper,
                                size_t *took);
VT_MUST_CHECK int stream_gap(struct streams *all, struct stream *s, uint64_t count);
/* payload: len bytes, 8-byte aligned. */
VT_MUST_CHECK int stream_payload(struct streams *all, struct stream *s, uint32_t kind, const uint8_t *payload, uint32_t len,
                                 uint64_t ticks);
/* Full stamp of a record that stands in a chunk with these upper bits. */
static inline uint64_t stream_stamp(uint64_t upper, uint64_t rec) { return upper | vt_rec_ts(rec); }

#endif
