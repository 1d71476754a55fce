/* The streams of one target: one per thread, found by the thread's serial or by its tid. A stream goes away when its thread has
 * ended; the table then remembers the few numbers that a late chunk of that thread would need. Event loop thread only. */
#ifndef VT_DAEMON_STREAM_TABLE_H
#define VT_DAEMON_STREAM_TABLE_H

#include <sys/queue.h>

#include "proto/base.h"

#define STREAM_BUCKETS 16384u /* a power of two */

struct vt_block_enc;
struct min_duration;
struct stack; /* the frames of one thread that were open at the attach; they come in parts */

struct stream {
    LIST_ENTRY(stream) same_serial, same_tid; /* in a bucket of the table */
    LIST_ENTRY(stream) all;
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
    uint64_t alive_ns;         /* when its thread was last seen alive */
    uint64_t gaps;             /* dropped events that gaps in blocks count */
    uint64_t dropped;          /* highest count of dropped events in a chunk header of this thread */
    uint64_t told_before;      /* dropped events that were reported of an earlier stream of this serial; part of gaps */
    uint64_t payload_bytes;    /* in the open block */
    struct vt_block_enc *enc;  /* NULL = no block open */
    struct min_duration *held; /* NULL = every call is kept */
    struct stack *stack;       /* parts so far, or NULL */
    bool ended;                /* another thread has its tid now */
    bool user_ended;           /* the launched program's own code has ended: what comes is left out */
    uint32_t open_calls;       /* calls in the open block that the totals count */
    /* Greenlets: each of their stacks is a stream of its own, in which a thread writes while it runs it. */
    struct stream *thread;            /* of a greenlet's stream: its thread's; NULL = it is a thread's own */
    LIST_HEAD(, stream) greenlets;    /* of a thread's stream */
    LIST_ENTRY(stream) same_thread;   /* of a greenlet's stream */
    struct stream *running;           /* of a thread's stream: where its events go; NULL = into itself */
    uint64_t gap_marks, thread_marks; /* gaps that are marked in this stream; of a thread's: in any of its streams */
};

struct stream_gone {        /* what is remembered of a stream that went away */
    uint32_t serial_plus_1; /* 0 = unused */
    uint32_t next_seq;
    uint64_t told; /* dropped events that were reported */
};

struct stream_table {
    uint32_t seed; /* of the hash: a target that could foresee it would put all its streams into one bucket */
    LIST_HEAD(, stream) all;
    LIST_HEAD(stream_bucket, stream) by_serial[STREAM_BUCKETS], by_tid[STREAM_BUCKETS];
    struct stream_gone gone[STREAM_BUCKETS]; /* by serial, the last one per place */
    uint32_t n;
};

/* *t is all zero. */
void stream_table_init(struct stream_table *t);
/* NULL = there is none. */
struct stream *stream_table_find(const struct stream_table *t, uint32_t serial);
/* Adds a stream whose serial, ns_tid and thread are set. An older thread's stream with the same ns_tid is marked as ended: the
 * kernel gives a tid to one thread at a time. */
void stream_table_add(struct stream_table *t, struct stream *s);
/* Takes it out; told: dropped events that were reported of it. The stream stays the caller's. */
void stream_table_remove(struct stream_table *t, struct stream *s, uint64_t told);
/* What is remembered of an earlier stream of this serial, or NULL. Forgets it. */
const struct stream_gone *stream_table_back(struct stream_table *t, uint32_t serial, struct stream_gone *out);

#endif
