/* How one reading of a trace is made: what every source takes (source.h). */
#ifndef VT_CLI_RUN_H
#define VT_CLI_RUN_H

#include <stdbool.h>
#include <stdint.h>

/* Reads only part of the events, for estimates. Each run of blocks stands alone: a call that began or ended in a part that
 * was left out is not handed over, and its leave is counted as unmatched. */
struct run_sample {
    uint32_t one_in; /* about one event of this many is read */
    uint64_t events; /* out: how many were read; 0 = the source cannot sample and handed over all */
};

struct run_opts {
    uint64_t min_duration_ns;
    bool tasks;                                                /* attribute calls to asyncio tasks */
    void (*progress)(void *arg, uint64_t done, uint64_t size); /* may be NULL; bytes of the file */
    void *progress_arg;
    const volatile int *stop;  /* may be NULL; the run ends with -EINTR when it is set */
    struct run_sample *sample; /* may be NULL: everything is read */
};

#endif
