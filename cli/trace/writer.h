/* One output format = one table of functions. A source (source.h) calls begin, then one function for each call, mark and
 * counter in the trace, then end. A stage that changes the trace on the way (only the newest calls, folding, a window) is also
 * a writer; it passes on to the next one.
 * Order: calls of a thread come as they end; of unfinished ones, which end together, the innermost first. A call whose end was
 * lost comes when the loss is found. Calls of a thread always nest, and a call begins at least 1 ns after the call around it
 * where there is room. A writer that wants calls in the order of their begins has `enter`. Times are CLOCK_MONOTONIC ns.
 * Functions return 0 or -errno. After an error only free is called. */
#ifndef VT_CLI_WRITER_H
#define VT_CLI_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/base/output.h"
#include "cli/trace/awaits.h"
#include "cli/trace/trace_info.h"
#include "proto/abi/record.h"

/* Of a call of a trace that came as JSON: "cat". Lives as long as its source. */
struct trace_category {
    size_t len;
    char text[]; /* not terminated */
};

struct trace_call {
    const struct trace_thread *thread;
    struct trace_name *name;
    struct trace_task *task; /* asyncio task it ran in, with --log_async; else NULL */
    uint64_t start_ns, end_ns;
    bool open;           /* unfinished: still open when tracing of its process ended, which is end_ns */
    bool from_attach;    /* was open when tracing began: start_ns is that moment */
    uint32_t at_line;    /* then it was at this line; 0 = not known. args_json says it too: "at_line" */
    bool raised;         /* left by an exception */
    bool resumed;        /* a later piece of a call that went on here: of a generator or coroutine, or because the hooks
                          * were out in between. Not counted as a call */
    bool suspended;      /* ended with a yield: the call may go on in a later piece */
    bool announced;      /* `enter` was called for it */
    bool in_order;       /* it was, or would have been now: all calls around it were announced */
    const uint8_t *args; /* VT_PL_ARGS payload or NULL */
    uint32_t args_len;
    const uint8_t *retval; /* VT_PL_RETVAL payload or NULL */
    uint32_t retval_len;
    const char *
        args_json; /* of a trace that came as JSON, or with at_line: the text of the whole "args" object, braces too; else NULL */
    size_t args_json_len;
    const struct trace_category *category; /* NULL = the usual one */
    const struct trace_fold *folded;       /* calls below this one that are not in the picture; else NULL */
};

/* Calls left out of the picture to make it fit (--budget): every one is counted here, in the nearest shown call around
 * it. Folded are whole subtrees, because no call is longer than the one around it. Sums are exact: the self time of a
 * shown call is its time without its shown callees and without total_ns. */
struct trace_fold {
    uint64_t calls;    /* folded calls below this call, at any depth, without those below a shown call in between; may be 0 where
                        * all that was folded are resumed pieces */
    uint64_t total_ns; /* time of the outermost of them: the sum of self_ns over all functions */
    uint32_t nfunctions;
    uint32_t listed; /* outputs name this many functions, those with most of the time; the rest are "others" */
    struct trace_fold_function {
        struct trace_name *name;
        uint64_t calls, self_ns; /* self_ns: without its callees */
    } * functions;               /* the listed ones: those with the most time first */
};

/* Events were dropped just before `ns`: the stack of this thread may be wrong around here. */
struct trace_gap {
    const struct trace_thread *thread;
    uint64_t ns, count;
};

struct trace_counter { /* "garbage collection" */
    const struct trace_thread *thread;
    uint64_t ns;
    struct vt_pl_counter value;
};

/* A task of asyncio was suspended from call.start_ns to call.end_ns. Told when it goes on; at the end of the trace when it has
 * not, with call.open. On the task's track that time lies between two pieces of its calls. */
#define TRACE_AWAIT_CHAIN 64u /* coroutines that are told: the innermost ones */
struct trace_await {
    struct trace_call call;          /* as a slice of the task: thread, task, name (awaits.h), times, args_json */
    enum await_kind kind;            /* what it waits for */
    struct trace_name *const *chain; /* the suspended coroutines, the innermost first */
    uint32_t nchain;                 /* at least 1 */
    struct trace_name *in;           /* of them the one that tells what for */
    struct trace_task *awaited;      /* the task that it waits for; NULL = none, or not known */
};

/* An instant at the end of a time in which a thread's calls were not seen. args: "cause", and "ns", its length. */
#define TRACE_UNSEEN "calls not seen"
#define TRACE_UNSEEN_CAUSE "something in the process took the thread's profile function away"

/* Events other than calls and gaps that a program has made itself: log_instant, log_var, objects ... */
#define TRACE_MARKS "iCNODstfbne"
struct trace_mark {
    const struct trace_thread *thread;
    uint64_t ns;
    char ph;                     /* Chrome's letter, one of TRACE_MARKS */
    char scope;                  /* of an instant: g, p, t; else 0 */
    char bind;                   /* of the end of a flow, Chrome's "bp": e = to the call around it; else 0 */
    const char *name, *cat, *id; /* not terminated; id and cat may be NULL */
    size_t name_len, cat_len, id_len;
    const char *args_json; /* text of "args", any JSON value; NULL = none */
    size_t args_json_len;
    const struct trace_fold *folded; /* folded calls of the thread that are below no shown call; else NULL */
    bool derived;                    /* told by the heads of processes (origins.h): a .vzt has it there */
};

/* Resumed pieces of calls are counted nowhere here. */
struct trace_totals {
    uint64_t calls;       /* complete ones, before --min_duration */
    uint64_t open;        /* still open at the end */
    uint64_t short_calls; /* left out because of --min_duration */
    uint64_t dropped;     /* events that the target could not store */
    uint64_t unmatched;   /* leave events whose enter is not in the trace */
    uint64_t threads;
    uint64_t left_out;   /* older calls, because of --tracer_entries */
    uint64_t folded;     /* into the call around them, because of --budget */
    uint64_t cut;        /* calls of a foreign file that reached out of the call around them */
    uint64_t unselected; /* not chosen by --slice, --pid, --tid, --match */
};

/* Parts of the trace that the format cannot hold. Complete after `free`. */
struct writer_unheld {
    uint64_t marks, args, texts; /* args: calls that lost some of theirs; texts: source files */
    char refusal[192];           /* why this trace cannot be written in this format; "" = the error explains it */
};

struct writer_opts {
    const char *source_root;  /* where to look for source files, e.g. /proc/PID/root; NULL = our own files */
    const char *source_cwd;   /* what relative names start from, e.g. /proc/PID/cwd; NULL = our own folder */
    bool file_info;           /* with source text */
    const volatile int *stop; /* may be NULL: long work at the end looks at it */
    bool for_viewer;          /* .pftrace: without clocks, which the Perfetto UI shows as a group that hides the rest */
    bool per_thread;          /* flame graphs: one tree per thread instead of one for all */
    /* .vzt */
    bool cpu_times;           /* the whole time is written, so the CPU times of its threads hold */
    uint64_t min_duration_ns; /* shorter calls were left out, and none was cut since; 0 = not so */
    struct writer_unheld *unheld;
};

struct trace_writer; /* of the format */

struct trace_writer_ops {
    uint64_t most;   /* calls it takes, then -EFBIG; 0 = any number */
    uint64_t budget; /* of convert.h, where neither that nor newest_calls is given */
    struct trace_writer *(*open)(struct output *out, struct trace_info *info, const struct writer_opts *opts);
    int (*begin)(struct trace_writer *w);
    /* NULL = not wanted. Announces a call before the first call in it is handed over, the outermost first. A call without
     * calls in it is not announced. The end of the call is not known yet: end_ns, open, raised, retval and folded mean
     * nothing. The same call comes again in `call`, and its args stay valid until then. A source or stage that does not know
     * the order announces nothing and leaves in_order unset. */
    int (*enter)(struct trace_writer *w, const struct trace_call *call);
    int (*call)(struct trace_writer *w, const struct trace_call *call);
    int (*gap)(struct trace_writer *w, const struct trace_gap *gap);
    int (*counter)(struct trace_writer *w, const struct trace_counter *counter);
    int (*mark)(struct trace_writer *w, const struct trace_mark *mark);    /* NULL = not shown in this format */
    int (*await)(struct trace_writer *w, const struct trace_await *await); /* NULL = not wanted */
    int (*end)(struct trace_writer *w, const struct trace_totals *totals);
    void (*free)(struct trace_writer *w);
};

#endif
