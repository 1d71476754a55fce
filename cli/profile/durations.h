/* Many durations of one function in little room, and their percentiles. The first DURATIONS_EXACT are kept as they are;
 * then they are counted in classes 1/64 of an octave wide, so a percentile is within 0.8 % of the true one. Memory: at
 * most 16 KB, usually 256 bytes for each octave that occurs. */
#ifndef VT_CLI_DURATIONS_H
#define VT_CLI_DURATIONS_H

#include <stdint.h>

#include "proto/base.h"

#define DURATIONS_EXACT 64u
#define DURATIONS_SUB_BITS 6u
#define DURATIONS_OCTAVES (65u - DURATIONS_SUB_BITS)

struct durations { /* all zero = empty */
    uint64_t n, sum_ns, min_ns, max_ns;
    uint64_t *exact;   /* while n <= DURATIONS_EXACT; room is the next power of two */
    uint32_t **counts; /* by octave; NULL = none there */
};

VT_MUST_CHECK int durations_add(struct durations *d, uint64_t ns);
void durations_free(struct durations *d);
/* The smallest duration that at least `percent` % of all are not above; 0 when empty. */
uint64_t durations_percentile(const struct durations *d, double percent);

#endif
