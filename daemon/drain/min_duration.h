/* Leaves out calls that are shorter than a given time, before they are encoded: --min_duration. One per thread.
 *
 * The enter event of a call is held back until the call is older than that, or its leave comes: then both vanish, with the
 * arguments and the return value, and nothing else does. A short call has only short calls inside, so what is held is the
 * upper end of the thread's stack. Whatever does not fit the picture (a leave of something else, a gap, a task switch, too
 * many held) lets everything go: too much is kept then, never too little. Readers look at the durations again. */
#ifndef VT_DAEMON_MIN_DURATION_H
#define VT_DAEMON_MIN_DURATION_H

#include "proto/abi/record.h"
#include "proto/base.h"

struct min_duration;

/* Where events go on, in order. `upper`: stamp bits above those of the first record; the others follow within half a wrap
 * of each other. An error is returned from the call that led to it. */
struct min_duration_sink {
    int (*events)(void *ctx, void *stream, const uint64_t *rec, size_t n, uint64_t upper);
    int (*payload)(void *ctx, void *stream, uint32_t kind, const uint8_t *p, uint32_t len);
    void *ctx, *stream;
};

VT_MUST_CHECK int min_duration_new(uint64_t ticks, struct min_duration_sink sink, struct min_duration **out);
void min_duration_free(struct min_duration *m); /* what is held is lost: flush before */

/* One plain record (CALL .. TASK) with its whole stamp. */
VT_MUST_CHECK int min_duration_event(struct min_duration *m, uint64_t rec, uint64_t full);
VT_MUST_CHECK int min_duration_payload(struct min_duration *m, uint32_t kind, const uint8_t *p, uint32_t len);
/* Lets go what is old enough at this time. */
VT_MUST_CHECK int min_duration_age(struct min_duration *m, uint64_t now);
/* Lets everything go, also what the events above have gathered for the sink. */
VT_MUST_CHECK int min_duration_flush(struct min_duration *m);
/* Hands on what is decided. To be called after a run of events. */
VT_MUST_CHECK int min_duration_hand_on(struct min_duration *m);
uint64_t min_duration_short_calls(const struct min_duration *m);

#endif
