/* Puts the calls of a file into the order that a writer needs (writer.h): those of a thread in the order of their ends, and
 * nested. Each thread has a lane. Files of tracers are in this order except for rounding, and a lane corrects one or two
 * nanoseconds while calls pass. When a call does not fit, the lane keeps all calls of its thread (72 bytes each, and the
 * arguments) and sorts them.
 * A file is read twice: first to learn which lanes have to keep their calls, then to hand the calls over. */
#ifndef VT_CLI_LANE_H
#define VT_CLI_LANE_H

#include "cli/trace/run.h"
#include "cli/trace/writer.h"

struct lane { /* of a thread; all zero = new */
    bool holds;
    bool gave; /* the writer has a call of it */
    uint64_t last_end;
    struct lane_span {       /* calls that have ended and are not yet seen to be inside another one, oldest first */
        uint64_t start, end; /* start as the file has it */
        uint64_t mended;     /* start as handed over: 1 ns before the first call inside */
    } * spans;
    size_t nspans, spans_room;
    struct lane_call *calls;
    size_t ncalls, calls_room;
    char *args;
    size_t nargs, args_room;
};

/* One reading of a file. */
struct lanes {
    struct trace_info *info;
    bool learns;                 /* the first one: nothing is handed over; fills the times and `shown` of info */
    bool any;                    /* events with a time so far */
    const struct run_opts *opts; /* these four: when handing over */
    const struct trace_writer_ops *ops;
    struct trace_writer *w;
    struct trace_totals *totals;
    struct lane *lanes; /* by index of the thread; kept from one reading to the next */
    size_t room;
};

/* What only the kind of file knows. */
struct lanes_reading {
    const char *path;
    int (*read)(void *ctx, struct vt_err *err); /* the whole file, into the lanes */
    int (*rest)(void *ctx);                     /* the file is over: lanes_open and lanes_end for what is left */
    void *ctx;
    const uint64_t *dropped; /* number of events, from the file; read after the file was read */
};

/* Reads the file once more and hands over begin, the calls, end. *err says what failed. */
VT_MUST_CHECK int lanes_run(struct lanes *l, const struct lanes_reading *reading, const struct run_opts *opts,
                            const struct trace_writer_ops *ops, struct trace_writer *w, struct trace_totals *totals,
                            struct vt_err *err);
/* Makes room for a thread that has been met. -ENOMEM. */
VT_MUST_CHECK int lanes_thread(struct lanes *l, const struct trace_thread *thread);
/* Something happened on the thread. */
void lanes_seen(struct lanes *l, const struct trace_thread *thread, uint64_t from, uint64_t to);
/* A call that ended, as the file has it. -ENOMEM, what the writer returned, -ESTALE: it did fit when learning. */
VT_MUST_CHECK int lanes_call(struct lanes *l, const struct trace_call *call);
/* A call that never ended, when the file is over, the innermost first: it ends when tracing of its process did. */
VT_MUST_CHECK int lanes_open(struct lanes *l, const struct trace_call *call);
/* The file is over: hands over what is held of this thread. Calls that reach out of the call around them end with it. */
VT_MUST_CHECK int lanes_end(struct lanes *l, const struct trace_thread *thread);
/* Forgets everything but which lanes have to hold. */
void lanes_clear(struct lanes *l);
void lanes_free(struct lanes *l);

#endif
