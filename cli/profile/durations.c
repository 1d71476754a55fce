/* Owns the classes of durations (durations.h). */
#include "cli/profile/durations.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/memory.h"

#define SUB (1u << DURATIONS_SUB_BITS)

/* Octave 0 holds 0..63, one value each; octave k holds the values of 6 + k bits, in 64 classes of 2^(k-1) values each. */
static unsigned octave_of(uint64_t ns) { return ns < SUB ? 0 : 64u - (unsigned)__builtin_clzll(ns) - DURATIONS_SUB_BITS; }
static unsigned class_of(uint64_t ns, unsigned octave) {
    return octave ? (unsigned)(ns >> (octave - 1)) & (SUB - 1) : (unsigned)ns;
}

static uint64_t middle_of(unsigned octave, unsigned class) {
    if (!octave) return class;
    return ((uint64_t)(SUB + class) << (octave - 1)) + ((1ull << (octave - 1)) >> 1);
}

static int count(struct durations *d, uint64_t ns) {
    unsigned octave = octave_of(ns);
    uint32_t *counts = d->counts[octave];
    if (!counts) {
        counts = d->counts[octave] = memory_calloc(SUB, sizeof *counts);
        if (!counts) return -ENOMEM;
    }
    uint32_t *c = &counts[class_of(ns, octave)];
    if (*c != UINT32_MAX) ++*c;
    return 0;
}

static int spill(struct durations *d) {
    d->counts = memory_calloc(DURATIONS_OCTAVES, sizeof *d->counts);
    int rc = d->counts ? 0 : -ENOMEM;
    for (uint64_t i = 0; i < d->n && !rc; i++) rc = count(d, d->exact[i]);
    memory_free(d->exact);
    d->exact = NULL;
    return rc;
}

static int keep(struct durations *d, uint64_t ns) {
    if (d->n == 0 || (d->n >= 4 && (d->n & (d->n - 1)) == 0)) {
        uint64_t *grown = memory_realloc(d->exact, (d->n ? 2 * d->n : 4) * sizeof *grown);
        if (!grown) return -ENOMEM;
        d->exact = grown;
    }
    d->exact[d->n] = ns;
    return 0;
}

int durations_add(struct durations *d, uint64_t ns) {
    int rc = 0;
    if (d->n == DURATIONS_EXACT) rc = spill(d);
    if (!rc) rc = d->n < DURATIONS_EXACT ? keep(d, ns) : count(d, ns);
    if (rc) return rc;
    if (!d->n || ns < d->min_ns) d->min_ns = ns;
    if (ns > d->max_ns) d->max_ns = ns;
    d->sum_ns = ns > UINT64_MAX - d->sum_ns ? UINT64_MAX : d->sum_ns + ns;
    d->n++;
    return 0;
}

void durations_free(struct durations *d) {
    for (unsigned i = 0; d->counts && i < DURATIONS_OCTAVES; i++) memory_free(d->counts[i]);
    memory_free(d->counts);
    memory_free(d->exact);
    *d = (struct durations){0};
}

static int by_value(const void *x, const void *y) {
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return (a > b) - (a < b);
}

static uint64_t exact_at(const struct durations *d, uint64_t rank) {
    uint64_t sorted[DURATIONS_EXACT];
    memcpy(sorted, d->exact, d->n * sizeof *sorted);
    qsort(sorted, d->n, sizeof *sorted, by_value);
    return sorted[rank - 1];
}

uint64_t durations_percentile(const struct durations *d, double percent) {
    if (!d->n) return 0;
    double exact_rank = percent / 100 * (double)d->n;
    uint64_t rank = exact_rank < 1 ? 1 : (uint64_t)exact_rank;
    if ((double)rank < exact_rank && rank < d->n) rank++;
    if (rank > d->n) rank = d->n;
    if (d->exact) return exact_at(d, rank);
    uint64_t below = 0;
    for (unsigned octave = 0; octave < DURATIONS_OCTAVES; octave++)
        for (unsigned class = 0; d->counts[octave] && class < SUB; class ++) {
            below += d->counts[octave][class];
            if (below < rank) continue;
            uint64_t ns = middle_of(octave, class);
            return ns < d->min_ns ? d->min_ns : ns > d->max_ns ? d->max_ns : ns;
        }
    return d->max_ns;
}
