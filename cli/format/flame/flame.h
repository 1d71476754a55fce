/* A writer that builds a merged call tree and hands it to a function of the format (.folded, .speedscope.json, .pprof, .svg).
 * The tree is of all threads together, or has a root per thread with opts.per_thread. */
#ifndef VT_CLI_FLAME_H
#define VT_CLI_FLAME_H

#include "cli/base/clean_text.h"
#include "cli/base/output.h"
#include "cli/profile/stacks.h"
#include "cli/trace/trace_format.h"

struct flame;
struct flame_ops {
    /* All is told, the tree is finished. 0 or -errno. */
    int (*write)(struct flame *f);
    /* Each call as it is left, in addition to the tree. May be NULL. */
    int (*call)(struct flame *f, const struct walk_thread *t, const struct walk_frame *frame, const struct walk_end *end);
    bool per_thread; /* whatever the options say */
    uint32_t max_depth;
};

struct flame {
    struct trace_writer walk; /* first */
    struct output *out;
    const struct flame_ops *ops;
    struct stacks stacks;
    void *state; /* of ops, malloc'd or NULL */
};

struct trace_writer *flame_open(struct output *out, struct trace_info *info, const struct writer_opts *opts,
                                const struct flame_ops *ops);
void flame_free(struct trace_writer *w);
#define FLAME_WRITER_OPS WALK_WRITER_OPS, .free = flame_free

#define FLAME_NAME (2 * CLEAN_TEXT_MAX + 32)
/* The name of a node, clean (clean_text.h): "qualname (file:line)", "module.func", "thread 12 name", "(other)". Into
 * to[FLAME_NAME]. */
char *flame_node_name(const struct flame *f, const struct stacks_node *n, char *to);
/* The next node of a walk through the whole tree from node 0 on, callers before callees; 0 = that was the last. */
uint32_t flame_next(const struct flame *f, uint32_t node);

#endif
