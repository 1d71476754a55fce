/* Samples of stacks become calls: frames that are the same in samples that follow each other are one call. Written as a trace in
 * VizTracer's JSON. */
#ifndef VT_CLI_SAMPLE_H
#define VT_CLI_SAMPLE_H

#include <stdio.h>

#include "outside/outside.h"

struct sample_calls;

/* Writes the beginning of the trace to f, which stays the caller's. NULL = out of memory. */
struct sample_calls *sample_calls_new(FILE *f, const struct attach_info *process);
/* The stack of a thread at this moment (CLOCK_MONOTONIC). Each thread once in a round. 0 or -ENOMEM. */
VT_MUST_CHECK int sample_calls_take(struct sample_calls *s, const struct outside_thread *t, uint64_t now_ns);
/* The end of a round: threads that were not in it have left all calls. */
void sample_calls_round(struct sample_calls *s, uint64_t now_ns);
/* All calls end. Writes the rest of the trace; `rate`: samples that were taken in a second. 0 or -errno of a failed write. */
VT_MUST_CHECK int sample_calls_end(struct sample_calls *s, uint64_t now_ns, double rate);
/* After sample_calls_end: takes the end of the trace away, and goes on. The calls that were open are cut at that moment. */
VT_MUST_CHECK int sample_calls_resume(struct sample_calls *s);
/* Bytes of the trace until now. */
uint64_t sample_calls_bytes(const struct sample_calls *s);
void sample_calls_free(struct sample_calls *s);

#endif
