/* Owns the flows between processes (origins.h). */
#include "cli/trace/origins.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/memory.h"

struct seen {
    uint64_t first_ns, last_ns; /* of its calls; last_ns 0 = it has none */
};

struct origins {
    const struct trace_info *info;
    struct seen *threads;                 /* by index */
    const struct trace_thread **first_of; /* by index of the process: the thread with its first call */
};

int origins_new(const struct trace_info *info, struct origins **out) {
    bool any = false;
    *out = NULL;
    for (uint32_t i = 0; i < info->nprocesses; i++) any |= info->processes[i]->origin_pid != 0;
    if (!any) return 0;
    struct origins *o = memory_calloc(1, sizeof *o);
    if (!o) return -ENOMEM;
    o->info = info;
    o->threads = memory_calloc(info->nthreads + 1u, sizeof *o->threads);
    o->first_of = memory_calloc(info->nprocesses + 1u, sizeof *o->first_of);
    if (o->threads && o->first_of) {
        *out = o;
        return 0;
    }
    origins_free(o);
    return -ENOMEM;
}

void origins_free(struct origins *o) {
    if (!o) return;
    memory_free(o->threads);
    memory_free(o->first_of);
    memory_free(o);
}

void origins_see(struct origins *o, const struct trace_call *call) {
    struct seen *seen = &o->threads[call->thread->index];
    const struct trace_thread **first = &o->first_of[call->thread->process->index];
    if (!seen->last_ns || call->start_ns < seen->first_ns) seen->first_ns = call->start_ns;
    if (call->end_ns >= seen->last_ns) seen->last_ns = call->end_ns ? call->end_ns : 1;
    if (!*first || seen->first_ns < o->threads[(*first)->index].first_ns) *first = call->thread;
}

/* Processes and threads by number and beginning. Numbers of those that have ended are used again. */
struct entry {
    uint64_t process, number, start_ns;
    uint32_t index;
};

static int by_number(const void *left, const void *right) {
    const struct entry *a = left, *b = right;
    if (a->process != b->process) return a->process < b->process ? -1 : 1;
    if (a->number != b->number) return a->number < b->number ? -1 : 1;
    if (a->start_ns != b->start_ns) return a->start_ns < b->start_ns ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

/* The last one with that number that had begun then; NULL = none. */
static const struct entry *find(const struct entry *list, uint32_t n, const struct entry *key) {
    uint32_t low = 0, high = n;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (by_number(&list[mid], key) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    const struct entry *at = low ? &list[low - 1] : NULL;
    return at && at->process == key->process && at->number == key->number ? at : NULL;
}

struct lists {
    struct entry *processes, *threads;
    uint32_t nprocesses, nthreads;
};

static int lists_make(struct lists *l, const struct origins *o) {
    const struct trace_info *info = o->info;
    l->processes = memory_calloc(info->nprocesses + 1u, sizeof *l->processes);
    l->threads = memory_calloc(info->nthreads + 1u, sizeof *l->threads);
    if (!l->processes || !l->threads) return -ENOMEM;
    for (uint32_t i = 0; i < info->nprocesses; i++)
        l->processes[l->nprocesses++] =
            (struct entry){.number = info->processes[i]->pid, .start_ns = info->processes[i]->start_ns, .index = i};
    for (uint32_t i = 0; i < info->nthreads; i++) {
        const struct trace_thread *thread = info->threads[i];
        if (thread->greenlet_of || !o->threads[i].last_ns) continue;
        l->threads[l->nthreads++] = (struct entry){
            .process = thread->process->index, .number = thread->ident, .start_ns = o->threads[i].first_ns, .index = i};
    }
    qsort(l->processes, l->nprocesses, sizeof *l->processes, by_number);
    qsort(l->threads, l->nthreads, sizeof *l->threads, by_number);
    return 0;
}

/* The thread that started the process: it had calls before and after that. */
static const struct trace_thread *parent_of(const struct lists *l, const struct origins *o, const struct trace_process *child) {
    struct entry key = {.number = child->origin_pid, .start_ns = child->origin_ns, .index = UINT32_MAX};
    const struct entry *at = child->origin_pid ? find(l->processes, l->nprocesses, &key) : NULL;
    if (!at) return NULL;
    const struct trace_process *process = o->info->processes[at->index];
    if (process->end_ns && child->origin_ns > process->end_ns) return NULL;
    key.process = process->index;
    key.number = child->origin_ident;
    at = find(l->threads, l->nthreads, &key);
    return at && child->origin_ns <= o->threads[at->index].last_ns ? o->info->threads[at->index] : NULL;
}

int origins_tell(const struct origins *o, const struct trace_writer_ops *ops, struct trace_writer *w) {
    struct lists lists = {0};
    int rc = lists_make(&lists, o);
    for (uint32_t i = 0; i < o->info->nprocesses && !rc; i++) {
        const struct trace_process *child = o->info->processes[i];
        const struct trace_thread *to = o->first_of[i], *from = to ? parent_of(&lists, o, child) : NULL;
        if (!from || o->threads[to->index].first_ns < child->origin_ns) continue;
        char id[32];
        struct trace_mark mark = {.thread = from,
                                  .ns = child->origin_ns,
                                  .ph = 's',
                                  .name = "process started",
                                  .name_len = 15,
                                  .cat = "process",
                                  .cat_len = 7,
                                  .id = id,
                                  .id_len = (size_t)snprintf(id, sizeof id, "process-%u", i + 1),
                                  .derived = true};
        rc = ops->mark(w, &mark);
        mark.thread = to;
        mark.ns = o->threads[to->index].first_ns;
        mark.ph = 'f';
        mark.bind = 'e'; /* to the call that begins there */
        if (!rc) rc = ops->mark(w, &mark);
    }
    memory_free(lists.processes);
    memory_free(lists.threads);
    return rc;
}
