/* Owns the writer around the merged call tree (flame.h). */
#include "cli/format/flame/flame.h"
#include "cli/base/clean_text.h"
#include "cli/base/memory.h"
#include "cli/trace/names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct flame *flame_of(struct trace_writer *w) { return (struct flame *)(void *)w; }

static int on_enter(struct trace_writer *w, struct walk_thread *t, struct walk_frame *f) {
    return stacks_enter(&flame_of(w)->stacks, t, f);
}

static int on_leave(struct trace_writer *w, struct walk_thread *t, struct walk_frame *f, const struct walk_end *end) {
    struct flame *flame = flame_of(w);
    stacks_leave(&flame->stacks, f, end);
    return flame->ops->call ? flame->ops->call(flame, t, f, end) : 0;
}

static int on_end(struct trace_writer *w, const struct trace_totals *totals) {
    struct flame *f = flame_of(w);
    (void)totals;
    stacks_finish(&f->stacks);
    int rc = f->ops->write(f);
    return rc ? rc : output_error(f->out);
}

static const struct walk_ops flame_walk = {.enter = on_enter, .leave = on_leave, .end = on_end};

struct trace_writer *flame_open(struct output *out, struct trace_info *info, const struct writer_opts *opts,
                                const struct flame_ops *ops) {
    struct flame *f = memory_calloc(1, sizeof *f);
    if (!f) return NULL;
    struct stacks_opts stacks_opts = {.per_thread = opts->per_thread || ops->per_thread, .max_depth = ops->max_depth};
    f->out = out;
    f->ops = ops;
    if (walk_open(&f->walk, info, &flame_walk) || stacks_init(&f->stacks, info, &stacks_opts)) {
        flame_free(&f->walk);
        return NULL;
    }
    return &f->walk;
}

void flame_free(struct trace_writer *w) {
    if (!w) return;
    struct flame *f = flame_of(w);
    stacks_free(&f->stacks);
    memory_free(f->state);
    walk_close(&f->walk);
    memory_free(f);
}

char *flame_node_name(const struct flame *f, const struct stacks_node *n, char *to) {
    char name[CLEAN_TEXT_MAX], file[CLEAN_TEXT_MAX];
    const struct trace_info *info = f->walk.info;
    if (n->fn < STACKS_ROOT) {
        const struct trace_name *fn = f->walk.functions[n->fn];
        name_short(name, fn);
        clean_text(file, fn->file, fn->file_len);
        if (fn->kind)
            strcpy(to, name);
        else
            snprintf(to, FLAME_NAME, "%s (%s:%u)", name, file, fn->line);
    } else if (n->fn == STACKS_THREAD) {
        const struct trace_thread *t = info->threads[n->which];
        clean_text(name, t->name ? t->name : "", t->name ? t->name_len : 0);
        snprintf(to, FLAME_NAME, "thread %u%s%s", t->tid, name[0] ? " " : "", name);
    } else if (n->fn == STACKS_PROCESS) {
        const struct trace_process *p = info->processes[n->which];
        clean_text(name, p->name ? p->name : "", p->name ? p->name_len : 0);
        snprintf(to, FLAME_NAME, "process %u%s%s", p->pid, name[0] ? " " : "", name);
    } else {
        strcpy(to, n->fn == STACKS_OTHER ? "(other)" : "all");
    }
    return to;
}

uint32_t flame_next(const struct flame *f, uint32_t node) {
    const struct stacks_node *nodes = f->stacks.nodes;
    if (nodes[node].first_child) return nodes[node].first_child;
    while (node && !nodes[node].next) node = nodes[node].parent;
    return nodes[node].next;
}
