/* What samples add up to, for `top`: functions, who called them, threads. Since the beginning, and of the last seconds. */
#ifndef VT_CLI_TALLY_H
#define VT_CLI_TALLY_H

#include "cli/sample/sampler.h"

enum { TALLY_SECONDS = 5 /* that are "recent" */, TALLY_CALLERS = 64 /* kept of a function */ };

struct tally_caller {
    uint32_t function; /* index */
    uint64_t samples, round;
};

struct tally_function {
    const struct outside_code *code; /* lives as long as struct outside */
    uint64_t own, total;             /* samples: it was innermost; it was anywhere in the stack */
    uint32_t recent_own[TALLY_SECONDS], recent_total[TALLY_SECONDS];
    struct tally_caller *callers;
    uint32_t ncallers, room;
    uint64_t round; /* of the stack that was counted last */
};

struct tally_thread {
    uint64_t address;
    pid_t tid;
    char name[64];
    char state;
    uint64_t cpu_ns;                    /* as of the last second */
    double cpu;                         /* of the last second, in percent of one CPU */
    uint32_t recent_gil[TALLY_SECONDS]; /* samples in which it held the GIL */
    const struct outside_code *code;    /* innermost function in the last sample; NULL = none */
    uint32_t line;
    uint64_t seen; /* in this sample, last */
};

struct tally {
    struct tally_function *functions;
    uint32_t nfunctions, functions_room;
    uint32_t *places; /* index + 1 by the hash of the code; 0 = free */
    uint32_t nplaces;
    struct tally_thread *threads;
    uint32_t nthreads, threads_room;
    uint64_t samples, stacks;
    uint64_t active_ns, last_ns; /* the time that the samples cover; of the last one, 0 = none for a while */
    uint32_t recent_samples[TALLY_SECONDS];
    unsigned second;    /* index of the present one */
    uint64_t second_ns; /* when it began */
};

/* Counts the sample that was taken last. 0 or -ENOMEM. */
VT_MUST_CHECK int tally_take(struct tally *t, const struct sampler *s);
/* To be called when it may be a second later: threads get their CPU times then, and the oldest second is forgotten. */
void tally_turn(struct tally *t, struct outside *o, uint64_t now_ns);
/* No sample follows for a while. */
void tally_pause(struct tally *t);
/* How long one sample stands for. */
uint64_t tally_sample_ns(const struct tally *t);
/* Everything is 0 again; threads stay. */
void tally_clear(struct tally *t);
void tally_free(struct tally *t);

/* Of the last seconds, in percent of the samples. */
double tally_share(const struct tally *t, const uint32_t recent[TALLY_SECONDS]);

#endif
