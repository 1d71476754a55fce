/* Owns the flows between processes (origins.h). */
#include "cli/trace/origins.h"

#include <errno.h>
#include <stdio.h>
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

/* The process of that number that was traced at that time. */
static const struct trace_process *find_process(const struct origins *o, uint32_t pid, uint64_t ns) {
    for (uint32_t i = 0; i < o->info->nprocesses; i++) {
        const struct trace_process *process = o->info->processes[i];
        if (process->pid == pid && process->start_ns <= ns && (!process->end_ns || ns <= process->end_ns)) return process;
    }
    return NULL;
}

/* Its thread with that number that had calls at that time. Numbers of threads that have ended are used again. */
static const struct trace_thread *find_thread(const struct origins *o, const struct trace_process *process, uint64_t ident,
                                              uint64_t ns) {
    for (uint32_t i = 0; i < o->info->nthreads; i++) {
        const struct trace_thread *thread = o->info->threads[i];
        const struct seen *seen = &o->threads[i];
        if (thread->process == process && thread->ident == ident && !thread->greenlet_of && seen->last_ns &&
            seen->first_ns <= ns && ns <= seen->last_ns)
            return thread;
    }
    return NULL;
}

int origins_tell(const struct origins *o, const struct trace_writer_ops *ops, struct trace_writer *w) {
    int rc = 0;
    for (uint32_t i = 0; i < o->info->nprocesses && !rc; i++) {
        const struct trace_process *child = o->info->processes[i];
        const struct trace_process *parent = child->origin_pid ? find_process(o, child->origin_pid, child->origin_ns) : NULL;
        const struct trace_thread *to = o->first_of[i],
                                  *from = parent && to ? find_thread(o, parent, child->origin_ident, child->origin_ns) : NULL;
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
    return rc;
}
