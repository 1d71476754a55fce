/* What a trace adds up to: per function, per thread, the slowest single calls, where events were dropped. The model of
 * `report` and `diff`, filled by one run of a source. Memory grows with functions, threads and depth, not with calls (walk.h
 * names the sources for which it does). Times are ns; those of calls and gaps are CLOCK_MONOTONIC, to be seen from start_ns.
 *
 * total: of a recursive function only its outermost calls count, so that no moment counts twice.
 * mean, percentiles, min, max: over all calls, inner ones and cut ones (open at either end of the trace) too. */
#ifndef VT_CLI_PROFILE_H
#define VT_CLI_PROFILE_H

#include "cli/profile/durations.h"
#include "cli/profile/stacks.h"
#include "cli/trace/source.h"

#define PROFILE_STACK_MAX 64u /* frames kept of a slow call's stack: the innermost ones */
#define PROFILE_SLOW_ALIKE 3u /* slow calls of one function: others want to be seen too */
#define PROFILE_GAPS_MAX 10000u

struct profile_function {
    const struct trace_name *name;
    uint64_t calls;
    uint64_t open;   /* of its calls: open at the end */
    uint64_t raised; /* pieces left by an exception */
    uint64_t self_ns, total_ns;
    uint64_t wait_ns;        /* of self_ns: waiting (cli/trace/waits.h), but for waiting that holds up an event loop */
    bool waits;              /* a function that waits: what self_ns has above wait_ns held up an event loop */
    struct durations pieces; /* one per call; of generators and coroutines one for each stretch between two yields */
    /* Of one that waits, who waited most: the nearest caller that is no part of the standard library, or that does not wait
     * itself. NULL = not known. */
    const struct trace_name *waiter, *loop_waiter;
};

struct profile_thread {
    const struct trace_thread *thread;
    uint64_t calls, pieces;
    uint64_t total_ns; /* of its outermost calls; the same as the own time of all its calls */
    uint64_t wait_ns;  /* of total_ns, as in profile_function */
    uint64_t dropped;
    const struct trace_name **open; /* the stack at the end, outermost first, PROFILE_STACK_MAX at most */
    uint32_t nopen, open_depth;     /* kept, and really there */
    /* The stack when tracing began, outermost first, the innermost PROFILE_STACK_MAX at most, and the line that each frame was
     * at; 0 = in C. NULL = the trace does not tell lines. */
    const struct trace_name **start;
    uint32_t *start_lines;
    uint32_t nstart, start_depth;
};

struct profile_slow {
    const struct trace_thread *thread;
    const struct trace_name *name;
    uint64_t start_ns, end_ns, self_ns;
    bool raised, from_attach, resumed;
    uint32_t depth;                                    /* frames around it */
    uint32_t nstack;                                   /* of them kept */
    const struct trace_name *stack[PROFILE_STACK_MAX]; /* outermost first */
};

struct profile_gap {
    const struct trace_thread *thread;
    uint64_t from_ns, to_ns, count;
};

struct profile_opts {
    uint32_t slowest; /* how many single calls */
    bool tree;
    uint32_t tid;       /* only this thread; 0 = all */
    const char *thread; /* only threads whose name matches this pattern; NULL = all */
    const char *match;  /* slow calls: only of functions that match; NULL = all */
    const volatile int *stop;
};

struct profile {
    struct profile_function *functions; /* with calls; in no order */
    uint32_t nfunctions;
    struct profile_thread *threads; /* with calls or gaps, in the trace's order */
    uint32_t nthreads;
    struct profile_slow *slow; /* slowest first, complete ones. A call that spends 90 % of its time in one call below is left out
                                  for that one; one that is idle for 90 % (it waits for something to do) is left out */
    uint32_t nslow;
    struct profile_gap *gaps; /* the first PROFILE_GAPS_MAX, by time */
    uint32_t ngaps;
    uint64_t all_gaps;
    uint64_t start_ns, end_ns; /* of the trace: its first event, which --slice counts from too, and its end */
    uint64_t calls, pieces, open, from_attach;
    uint64_t folded;       /* calls that --budget left out of this file: their time is in their callers' own */
    uint64_t folded_alone; /* of them: the file has no call around them, so their time is nowhere */
    uint64_t unseen;       /* times in which a thread's calls were not seen (TRACE_UNSEEN) */
    uint64_t unseen_ns;    /* together */
    uint64_t total_ns;     /* of all threads */
    uint64_t wait_ns;      /* of it, as in profile_function */
    bool raised_unknown;   /* the file does not tell which calls an exception ended */
    struct trace_totals totals;
    struct stacks stacks;      /* with opts.tree, finished */
    struct trace_name **names; /* by fn of the stacks */
};

/* Runs the source once. Names and threads are borrowed from it. -ESRCH: no thread as asked for. */
VT_MUST_CHECK int profile_make(struct trace_source *source, const struct profile_opts *opts, struct profile **out,
                               struct vt_err *err);
void profile_free(struct profile *p); /* NULL is fine */

/* pattern as in a shell: against the name as shown, "qualname (file:line)", the bare name, or the file. */
bool profile_match(const struct trace_name *name, const char *pattern);
/* An order of names: Python before C; by name, file, line if asked; C functions by "module.func". */
int profile_compare_names(const struct trace_name *a, const struct trace_name *b, bool line);
/* Own time without waiting. */
static inline uint64_t profile_work_ns(const struct profile_function *f) { return f->self_ns - f->wait_ns; }
/* Of a piece; 0 when there were none. */
uint64_t profile_mean(const struct profile_function *f);

enum profile_sort {
    PROFILE_SELF,
    PROFILE_TOTAL,
    PROFILE_CALLS,
    PROFILE_MEAN,
    PROFILE_P50,
    PROFILE_P99,
    PROFILE_MAX,
    PROFILE_NAME,
    PROFILE_SORTS
};
extern const char *const profile_sort_names[PROFILE_SORTS];
/* The functions that match (NULL = all), in order; PROFILE_SELF is the order of own time without waiting. The caller frees
 * *out. */
VT_MUST_CHECK int profile_sorted(const struct profile *p, enum profile_sort sort, const char *match,
                                 const struct profile_function ***out, size_t *n);

#endif
