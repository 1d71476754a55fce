/* Packets of a Perfetto trace that is being written: sequences with their clocks and interned names, and tracks. Events are
 * put in by out_perfetto.c. One sequence per thread, with a clock that counts from event to event. Functions return 0 or
 * -errno. */
#ifndef VT_CLI_PERFETTO_PACKETS_H
#define VT_CLI_PERFETTO_PACKETS_H

#include "cli/base/pb_put.h"
#include "cli/format/perfetto/perfetto_fields.h"
#include "cli/trace/writer.h"

enum { TYPE_BEGIN = 1, TYPE_END = 2, TYPE_INSTANT = 3, TYPE_COUNTER = 4 };

/* What every packet of a sequence ends with. Copied as a whole. */
struct tail_bytes {
    uint8_t len, bytes[15];
};

/* A track that is made when first needed: of a task, a counter, an async id. */
struct track {
    struct track *next; /* of the same hash */
    uint64_t hash, uuid, depth;
    size_t key_len;
    uint8_t key[];
};

struct sequence {
    bool started, described;
    uint64_t id, uuid; /* of the thread's track */
    uint64_t last_ns;
    struct tail_bytes tail;
    struct name_bits {
        uint8_t *bits; /* one per name */
        uint32_t n;
    } interned, strings;           /* names interned as functions, and as values of arguments */
    bool fold_names;               /* perfetto_fold_names are interned */
    const struct trace_task *task; /* the last one, and its track */
    struct track *task_track;
};

struct packets {
    struct output *out;
    struct trace_info *info;
    struct sequence *control;   /* descriptors, and what belongs to no thread */
    struct sequence *sequences; /* by index of the thread */
    uint64_t *process_uuids;    /* by index */
    struct track **tracks;      /* hash table */
    uint64_t last_uuid;
    bool absolute;     /* times are absolute, and no clock is told: there is only one */
    struct buf packet; /* being written */
};

/* -ENOMEM leaves things for packets_free, which is fine with a zeroed one too. */
VT_MUST_CHECK int packets_init(struct packets *w, struct output *out, struct trace_info *info, bool absolute);
void packets_free(struct packets *w);
/* Clock, processes and threads. */
VT_MUST_CHECK int packets_begin(struct packets *w);
/* The thread's sequence, ready for an event at ns. */
VT_MUST_CHECK int packets_ready(struct packets *w, const struct trace_thread *thread, uint64_t ns, struct sequence **out);
/* Says that packets were dropped before ns, and begins the sequence anew. */
VT_MUST_CHECK int packets_dropped(struct packets *w, struct sequence *seq, uint64_t ns);

/* An event: open it, put its fields into w->packet, close it with what open gave. track 0: the thread's own. A time before
 * that of the event before is written as an absolute one. */
size_t packets_open_event(struct packets *w, struct sequence *seq, uint64_t ns, unsigned type, uint64_t track);
VT_MUST_CHECK int packets_close_event(struct packets *w, struct sequence *seq, size_t start);

/* Says a name on this sequence: its iid, also of its source location, is its index + 1. */
VT_MUST_CHECK int packets_intern(struct packets *w, struct sequence *seq, const struct trace_name *name);
static inline bool packets_has(const struct name_bits *said, const struct trace_name *name) {
    return name->index < said->n && (said->bits[name->index / 8] >> name->index % 8 & 1);
}
static inline bool packets_interned(const struct sequence *seq, const struct trace_name *name) {
    return packets_has(&seq->interned, name);
}
/* Interns the texts that perfetto_arg_fold refers to, if this sequence has not yet. */
VT_MUST_CHECK int packets_intern_fold(struct packets *w, struct sequence *seq, const struct trace_fold *fold);

static inline uint64_t packets_process(const struct packets *w, const struct trace_thread *thread) {
    return w->process_uuids[thread->process->index];
}
/* The track of call->task as far as it runs on this thread: slices of one thread nest. */
VT_MUST_CHECK int packets_task_track(struct packets *w, struct sequence *seq, const struct trace_call *call, struct track **out);
/* The track with this key of two texts, below the thread's process. title: its name in the viewer. */
VT_MUST_CHECK int packets_named_track(struct packets *w, const struct trace_thread *thread, bool counter,
                                      const char *const text[2], const size_t len[2], const char *title, size_t title_len,
                                      struct track **out);
/* ns as a packet of the sequence has it; it does not go back. */
static inline uint64_t packets_time(const struct packets *w, const struct sequence *seq, uint64_t ns) {
    return w->absolute ? ns : ns - seq->last_ns;
}
uint64_t packets_hash(const void *data, size_t len);

#endif
