/* Reads a .pftrace as strictly as the format allows. Aborts the test, with the number of the packet, at any fault: unknown
 * fields, sequences without state, names and clocks used before they are known, time that goes back unannounced, ends without
 * a begin, unknown tracks, invalid UTF-8. */
#ifndef VT_TESTS_PFTRACE_H
#define VT_TESTS_PFTRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/format/perfetto/perfetto_subset.pb-c.h"

enum { PF_BEGIN = 1, PF_END = 2, PF_INSTANT = 3, PF_COUNTER = 4 };

/* A text of a message, followed by a 0 byte; NULL = absent. */
#define PF_TEXT(field) ((const char *)(field).data)

struct pf_track {
    uint64_t uuid;
    const Pf__Track *track; /* the track's description */
};

struct pf_event {
    uint64_t ns; /* CLOCK_MONOTONIC */
    size_t order;
    const struct pf_track *track;
    const char *name; /* interned or not; NULL = none */
    const Pf__Interned__Source *source;
    const Pf__Event *event;
};

struct pf_slice {
    const struct pf_event *begin, *end; /* end NULL: still open at the end of the trace */
    size_t depth;
};

struct pftrace {
    struct pf_event *events; /* grouped by track, in the order of time */
    size_t nevents;
    struct pf_slice *slices; /* in the order of their begins within a track */
    size_t nslices;
    struct pf_track *tracks;
    size_t ntracks;
    Pf__Packet **packets;
    size_t npackets;
    int64_t real_minus_mono; /* 0 = the trace does not say */
    size_t absolute;         /* number of events that carry an absolute time */
    size_t dropped;          /* number of packets that report dropped packets before them */
};

/* Reads .gz, too. */
struct pftrace *pftrace_read(const char *path);
void pftrace_free(struct pftrace *t);
/* The nth slice or instant with that name; aborts when there is none. */
const struct pf_slice *pftrace_slice(const struct pftrace *t, const char *name, size_t nth);
const struct pf_event *pftrace_event(const struct pftrace *t, unsigned type, const char *name, size_t nth);
/* A member of an annotation, or of an event's list; NULL = absent. */
const Pf__Annotation *pftrace_arg(const Pf__Event *event, const char *name);
const Pf__Annotation *pftrace_member(const Pf__Annotation *dict, const char *name);

#endif
