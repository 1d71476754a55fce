/* Owns the merged call tree (stacks.h). */
#include "cli/profile/stacks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/memory.h"

static uint32_t slot_of(const struct stacks *s, uint32_t parent, uint32_t fn, uint32_t which) {
    uint64_t h = ((uint64_t)parent << 32 | fn) * 0x9e3779b97f4a7c15u ^ (uint64_t)which * 0xc2b2ae3d27d4eb4fu;
    uint32_t at = (uint32_t)(h >> 32) & (s->table_size - 1);
    for (uint32_t n; (n = s->table[at]); at = (at + 1) & (s->table_size - 1))
        if (s->nodes[n].parent == parent && s->nodes[n].fn == fn && s->nodes[n].which == which) break;
    return at;
}

static int grow(struct stacks *s) {
    uint32_t room = s->room ? s->room * 2 : 1024;
    struct stacks_node *nodes = memory_realloc(s->nodes, room * sizeof *nodes);
    if (!nodes) return -ENOMEM;
    s->nodes = nodes;
    uint32_t *table = memory_calloc(room * (size_t)2, sizeof *table);
    if (!table) return -ENOMEM;
    memory_free(s->table);
    s->table = table;
    s->table_size = room * 2;
    s->room = room;
    for (uint32_t n = 1; n < s->nnodes; n++) s->table[slot_of(s, nodes[n].parent, nodes[n].fn, nodes[n].which)] = n;
    return 0;
}

static int child(struct stacks *s, uint32_t parent, uint32_t fn, uint32_t which, uint32_t *node) {
    uint32_t at = slot_of(s, parent, fn, which);
    if ((*node = s->table[at])) return 0;
    if (s->nnodes == s->room) {
        int rc = grow(s);
        if (rc) return rc;
        at = slot_of(s, parent, fn, which);
    }
    const uint32_t depth = s->nodes[parent].depth + (fn < STACKS_ROOT || fn == STACKS_OTHER);
    s->nodes[s->nnodes] = (struct stacks_node){.parent = parent, .fn = fn, .which = which, .depth = depth};
    *node = s->table[at] = s->nnodes++;
    return 0;
}

int stacks_init(struct stacks *s, const struct trace_info *info, const struct stacks_opts *opts) {
    *s = (struct stacks){.info = info, .opts = *opts};
    if (!s->opts.max_depth) s->opts.max_depth = STACKS_DEPTH;
    if (!s->opts.max_nodes) s->opts.max_nodes = STACKS_NODES;
    int rc = grow(s);
    if (rc) return rc;
    s->nodes[0] = (struct stacks_node){.fn = STACKS_ROOT};
    s->nnodes = 1;
    return 0;
}

void stacks_free(struct stacks *s) {
    memory_free(s->nodes);
    memory_free(s->table);
    s->nodes = NULL;
    s->table = NULL;
}

/* Where the outermost frame of a thread hangs. */
static int root_of(struct stacks *s, const struct walk_thread *t, uint32_t *node) {
    if (s->opts.per_thread) return child(s, 0, STACKS_THREAD, t->thread->index, node);
    if (s->info->nprocesses > 1) return child(s, 0, STACKS_PROCESS, t->thread->process->index, node);
    *node = 0;
    return 0;
}

int stacks_enter(struct stacks *s, const struct walk_thread *t, struct walk_frame *f) {
    uint32_t parent, first = walk_outermost(t, f->fn);
    if (s->opts.fold && first && first < t->depth) {
        f->node = t->frames[first - 1].node;
        return 0;
    }
    int rc = 0;
    if (t->depth > 1)
        parent = f[-1].node;
    else
        rc = root_of(s, t, &parent);
    if (rc) return rc;
    struct stacks_node *above = &s->nodes[parent];
    if (above->fn == STACKS_OTHER) {
        f->node = parent;
        return 0;
    }
    if (above->last_child >> 32 == f->fn + 1u) {
        f->node = (uint32_t)above->last_child;
        return 0;
    }
    bool full = above->depth >= s->opts.max_depth || (s->nnodes >= s->opts.max_nodes && !s->table[slot_of(s, parent, f->fn, 0)]);
    rc = child(s, parent, full ? STACKS_OTHER : f->fn, 0, &f->node);
    if (!rc && !full) s->nodes[parent].last_child = (uint64_t)(f->fn + 1u) << 32 | f->node;
    return rc;
}

void stacks_leave(struct stacks *s, const struct walk_frame *f, const struct walk_end *end) {
    struct stacks_node *n = &s->nodes[f->node];
    n->calls += !f->resumed;
    n->pieces++;
    n->self_ns += end->self_ns;
    if (n->fn == STACKS_OTHER) s->other_calls++;
}

struct ranked {
    uint64_t total_ns;
    uint32_t node;
};
static int lightest_first(const void *x, const void *y) {
    const struct ranked *a = x, *b = y;
    if (a->total_ns != b->total_ns) return a->total_ns < b->total_ns ? -1 : 1;
    return a->node < b->node ? 1 : -1;
}

void stacks_finish(struct stacks *s) {
    for (uint32_t n = 0; n < s->nnodes; n++) {
        s->nodes[n].total_ns = s->nodes[n].self_ns;
        s->nodes[n].first_child = 0;
    }
    for (uint32_t n = s->nnodes; n-- > 1;) s->nodes[s->nodes[n].parent].total_ns += s->nodes[n].total_ns;
    struct ranked *all = memory_alloc(s->nnodes * sizeof *all);
    for (uint32_t n = 1; n < s->nnodes; n++) {
        if (!all) break;
        all[n - 1] = (struct ranked){.total_ns = s->nodes[n].total_ns, .node = n};
    }
    if (all) qsort(all, s->nnodes - 1, sizeof *all, lightest_first);
    for (uint32_t i = 0; i + 1 < s->nnodes; i++) { /* each goes to the front of its list; without memory in order of appearance */
        uint32_t n = all ? all[i].node : s->nnodes - 1 - i;
        struct stacks_node *parent = &s->nodes[s->nodes[n].parent];
        s->nodes[n].next = parent->first_child;
        parent->first_child = n;
    }
    memory_free(all);
}
