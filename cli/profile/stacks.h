/* The call tree of a trace, merged by stack: one node for all calls of a function under the same callers. The model of
 * `report --tree` and of the flame graph outputs.
 *
 * Memory is bounded: from STACKS_NODES nodes on, and for frames deeper than asked for, calls go into one node "(other)" below
 * their caller; no time is lost. A node's own time is exact; its total is its own and that of all below it. */
#ifndef VT_CLI_STACKS_H
#define VT_CLI_STACKS_H

#include "cli/profile/walk.h"

#define STACKS_NODES (1u << 20)
#define STACKS_DEPTH 1000u

#define STACKS_OTHER UINT32_MAX         /* as fn of a node: "(other)" */
#define STACKS_THREAD (UINT32_MAX - 1)  /* a root with a thread's name */
#define STACKS_PROCESS (UINT32_MAX - 2) /* a root with a process's name */
#define STACKS_ROOT (UINT32_MAX - 3)    /* node 0: everything */

struct stacks_node {
    uint32_t parent;
    uint32_t fn;                /* of the walk, or one of the above */
    uint32_t which;             /* thread or process of a root */
    uint32_t first_child, next; /* node numbers, 0 = none; heaviest first after stacks_finish */
    uint32_t depth;             /* frames above it */
    uint64_t calls, pieces;     /* pieces: resumed ones of generators and coroutines too */
    uint64_t self_ns, total_ns;
    uint64_t last_child; /* fn + 1 << 32 | node: where the last call went */
};

struct stacks_opts {
    bool per_thread;    /* one root per thread; else one per process where there are more than one */
    bool fold;          /* recursion: a function called below itself counts in its outer node */
    uint32_t max_depth; /* 0 = STACKS_DEPTH */
    uint32_t max_nodes; /* 0 = STACKS_NODES */
};

struct stacks {
    const struct trace_info *info;
    struct stacks_opts opts;
    struct stacks_node *nodes; /* 0 is the root; parents come before their children */
    uint32_t nnodes, room;
    uint32_t *table; /* node numbers by (parent, fn) */
    uint32_t table_size;
    uint64_t other_calls; /* pieces that are in nodes "(other)" */
};

VT_MUST_CHECK int stacks_init(struct stacks *s, const struct trace_info *info, const struct stacks_opts *opts);
void stacks_free(struct stacks *s);
/* From a consumer's enter and leave; f->node is theirs. */
VT_MUST_CHECK int stacks_enter(struct stacks *s, const struct walk_thread *t, struct walk_frame *f);
void stacks_leave(struct stacks *s, const struct walk_frame *f, const struct walk_end *end);
/* Totals, and the lists of children in order. Once, when all is told. */
void stacks_finish(struct stacks *s);

#endif
