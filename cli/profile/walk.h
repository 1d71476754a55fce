/* Turns calls, which a writer gets in the order of their ends, into stacks, the outermost call first, and gives the own time
 * of each call. For writers that add calls up: report, diff, flame graphs.
 *
 * Sources that announce calls (.vzt) need memory for the open frames only. From others the calls of a thread are kept (24
 * bytes each) and played back at the end, one thread after the other.
 *
 * - A call's own time is its duration less that of the calls directly below it; never below 0.
 * - A call that was open when tracing began counts from that moment; an unfinished one counts up to the moment at which
 *   tracing of its process ended.
 * - Names with the same text, kind, file and line are one function, whatever their ids.
 * - A call of no duration at the moment when another begins is beside that one, not below it. */
#ifndef VT_CLI_WALK_H
#define VT_CLI_WALK_H

#include "cli/trace/writer.h"

struct walk_frame {
    uint64_t start_ns;
    uint64_t child_ns;     /* of the calls directly below it, so far */
    uint64_t child_gap_ns; /* the same when events were dropped last */
    uint64_t longest_child_ns;
    uint64_t end_ns; /* these two in playback only */
    uint32_t order;
    uint32_t fn;   /* index in walk functions */
    uint32_t node; /* these three are the consumer's own, 0 at first */
    uint32_t within;
    uint64_t idle_ns;
    bool open, from_attach, raised, resumed; /* known when it is left */
};

struct walk_call; /* kept for the end */
struct walk_thread {
    const struct trace_thread *thread;
    struct walk_frame *frames; /* outermost first */
    uint32_t depth, room;
    uint32_t *outermost; /* hash table by function: number + 1 of its outermost frame here; walk_outermost asks it */
    uint64_t last_ns;    /* of all that was told about this thread */
    uint64_t gap_ns;     /* last gap */
    bool skip;           /* set by a consumer: nothing of this thread is wanted */
    struct walk_call *calls;
    size_t ncalls, calls_room;
};

struct walk_end {
    uint64_t end_ns, self_ns;
    bool raised;
    bool outermost; /* of its function on this stack: totals count only these */
};

struct walk_ops {
    /* f is on top already: f[-1] is the one around it when t->depth > 1. May be NULL. */
    int (*enter)(struct trace_writer *w, struct walk_thread *t, struct walk_frame *f);
    /* f is still on top. */
    int (*leave)(struct trace_writer *w, struct walk_thread *t, struct walk_frame *f, const struct walk_end *end);
    int (*gap)(struct trace_writer *w, struct walk_thread *t, uint64_t from_ns, uint64_t to_ns, uint64_t count); /* may be NULL */
    int (*end)(struct trace_writer *w, const struct trace_totals *totals); /* all is told, stacks are empty. May be NULL */
};

/* First member of a consumer. Zeroed, then walk_open. */
struct trace_writer {
    struct trace_info *info;
    const struct walk_ops *ops;
    struct trace_name **functions; /* by function: one of its names */
    uint32_t nfunctions;
    uint32_t *function_of; /* by index of the name */
    struct walk_thread *threads;
    uint64_t start_ns, end_ns; /* of the whole trace: its first event; hooks off, else its last event */
    bool started;
};

VT_MUST_CHECK int walk_open(struct trace_writer *w, struct trace_info *info, const struct walk_ops *ops);
void walk_close(struct trace_writer *w);

/* Number + 1 of the outermost frame of the function on this stack; 0 = it is not there. */
uint32_t walk_outermost(const struct walk_thread *t, uint32_t fn);

/* For the trace_writer_ops of a consumer. */
int walk_begin(struct trace_writer *w);
int walk_enter(struct trace_writer *w, const struct trace_call *call);
int walk_call(struct trace_writer *w, const struct trace_call *call);
int walk_gap(struct trace_writer *w, const struct trace_gap *gap);
int walk_counter(struct trace_writer *w, const struct trace_counter *counter);
int walk_mark(struct trace_writer *w, const struct trace_mark *mark);
int walk_end(struct trace_writer *w, const struct trace_totals *totals);
#define WALK_WRITER_OPS                                                                                                          \
    .begin = walk_begin, .enter = walk_enter, .call = walk_call, .gap = walk_gap, .counter = walk_counter, .mark = walk_mark,    \
    .end = walk_end

#endif
