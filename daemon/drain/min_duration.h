/* Leaves out calls that are shorter than a given time, before they are encoded: --min_duration. One per thread.
 *
 * The enter event of a call is held back until the call is older than the limit, or until its leave event comes. In the second
 * case both are dropped, with the arguments and the return value. A short call contains short calls only, so the held events
 * are the top of the thread's stack. Anything unexpected (the leave of another call, a gap, a task switch, too many held events
 * or no more memory for them) passes on all that is held: too much may be kept, never too little. Readers check the durations
 * again. */
#ifndef VT_DAEMON_MIN_DURATION_H
#define VT_DAEMON_MIN_DURATION_H

#include "daemon/drain/memory.h"
#include "proto/abi/record.h"
#include "proto/base.h"

struct min_duration;

/* What the streams of one target share: the memory for what they hold back, the count of calls that were left out, and the run of
 * decided events, which is empty between two calls of the functions below. */
#define MIN_DURATION_RUN 1024u
struct min_duration_shared {
    struct memory *memory;
    uint64_t short_calls;
    size_t nrun;
    uint64_t run_first, run_last; /* full stamps */
    uint64_t run[MIN_DURATION_RUN];
};

/* Takes the events that are kept, in order. `upper`: upper stamp bits of the first record; each of the others is less than
 * half a wrap later than the one before. An error is returned from the call that led to it. */
struct min_duration_sink {
    int (*events)(void *ctx, void *stream, const uint64_t *rec, size_t n, uint64_t upper);
    int (*payload)(void *ctx, void *stream, uint32_t kind, const uint8_t *p, uint32_t len);
    void *ctx, *stream;
};

VT_MUST_CHECK int min_duration_new(uint64_t ticks, struct min_duration_sink sink, struct min_duration_shared *shared,
                                   struct min_duration **out);
void min_duration_free(struct min_duration *m); /* events that are held are lost: flush before */

/* Takes one plain record (CALL .. TASK) with its full stamp. */
VT_MUST_CHECK int min_duration_event(struct min_duration *m, uint64_t rec, uint64_t full);
VT_MUST_CHECK int min_duration_payload(struct min_duration *m, uint32_t kind, const uint8_t *p, uint32_t len);
/* Passes on the calls that are older than the limit at this time (ticks). */
VT_MUST_CHECK int min_duration_age(struct min_duration *m, uint64_t now);
/* Passes on everything. */
VT_MUST_CHECK int min_duration_flush(struct min_duration *m);
/* Passes on the events that are decided. Call it after each run of events, before another stream is used. */
VT_MUST_CHECK int min_duration_hand_on(struct min_duration *m);

#endif
