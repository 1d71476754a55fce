/* Owns the adding up of tasks (tasks.h). */
#include "cli/profile/tasks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/memory.h"
#include "cli/base/text_map.h"

struct of_function {
    uint64_t calls, running_ns, wait_ns;
    bool suspended;
};
/* A sum of waits; whose and what for is its key. */
struct key {
    const void *whose; /* a struct trace_task or the struct trace_name of a function */
    const struct trace_name *in;
    const struct trace_task *awaited; /* where it is told: of tasks */
    uint64_t kind;
};
struct sum {
    struct key key;
    uint64_t ns, times;
    struct sum *next; /* of all */
};

struct trace_writer {
    struct trace_info *info;
    struct of_function *functions; /* by index of the name */
    struct trace_name **names;
    struct tasks_task *tasks; /* in the order in which they were seen */
    uint32_t ntasks, tasks_room;
    struct text_map by_task; /* number + 1 in tasks, by pointer */
    struct text_map sums_by_key;
    struct sum *sums;
    uint64_t awaits, start_ns;
};

/* ---- taking the trace in ---- */

static void see(struct trace_writer *w, uint64_t ns) {
    if (ns < w->start_ns) w->start_ns = ns;
}

static int task_of(struct trace_writer *w, const struct trace_call *call, struct tasks_task **out) {
    void **slot = text_map_slot(&w->by_task, &call->task, sizeof call->task);
    if (!slot) return -ENOMEM;
    if (!*slot) {
        if (w->ntasks == w->tasks_room) {
            uint32_t room = w->tasks_room ? 2 * w->tasks_room : 64;
            struct tasks_task *grown = memory_realloc(w->tasks, room * sizeof *grown);
            if (!grown) return -ENOMEM;
            w->tasks = grown;
            w->tasks_room = room;
        }
        w->tasks[w->ntasks] = (struct tasks_task){.task = call->task, .thread = call->thread, .start_ns = call->start_ns};
        *slot = (void *)(uintptr_t)++w->ntasks;
    }
    struct tasks_task *t = &w->tasks[(uintptr_t)*slot - 1];
    if (call->start_ns < t->start_ns) t->start_ns = call->start_ns;
    if (call->end_ns > t->end_ns) t->end_ns = call->end_ns;
    t->open |= call->open;
    *out = t;
    return 0;
}

static int add_sum(struct trace_writer *w, const void *whose, const struct trace_await *await, const struct trace_task *awaited) {
    struct key key;
    memset(&key, 0, sizeof key);
    key.whose = whose;
    key.in = await->in;
    key.awaited = awaited;
    key.kind = await->kind;
    void **slot = text_map_slot(&w->sums_by_key, &key, sizeof key);
    struct sum *sum = !slot ? NULL : *slot ? *slot : memory_calloc(1, sizeof *sum);
    if (!sum) return -ENOMEM;
    if (!*slot) {
        sum->key = key;
        sum->next = w->sums;
        *slot = w->sums = sum;
    }
    sum->ns += await->call.end_ns - await->call.start_ns;
    sum->times++;
    return 0;
}

static int take_begin(struct trace_writer *w) {
    (void)w;
    return 0;
}

static int take_call(struct trace_writer *w, const struct trace_call *call) {
    struct tasks_task *t;
    see(w, call->start_ns);
    if (!call->task) return 0;
    struct of_function *f = &w->functions[call->name->index];
    w->names[call->name->index] = call->name;
    f->calls += !call->resumed;
    f->running_ns += call->end_ns - call->start_ns;
    return task_of(w, call, &t);
}

static int take_await(struct trace_writer *w, const struct trace_await *await) {
    struct tasks_task *t;
    uint64_t ns = await->call.end_ns - await->call.start_ns;
    int rc = task_of(w, &await->call, &t);
    if (rc) return rc;
    see(w, await->call.start_ns);
    w->awaits++;
    t->wait_ns += ns;
    t->function = await->chain[await->nchain - 1];
    rc = add_sum(w, t->task, await, await->awaited);
    for (uint32_t i = 0; i < await->nchain && !rc; i++) {
        struct of_function *f = &w->functions[await->chain[i]->index];
        w->names[await->chain[i]->index] = await->chain[i];
        f->suspended = true;
        f->wait_ns += ns;
        rc = add_sum(w, await->chain[i], await, NULL);
    }
    return rc;
}

static int take_gap(struct trace_writer *w, const struct trace_gap *gap) { return see(w, gap->ns), 0; }
static int take_counter(struct trace_writer *w, const struct trace_counter *counter) { return see(w, counter->ns), 0; }
static int take_mark(struct trace_writer *w, const struct trace_mark *mark) { return see(w, mark->ns), 0; }
static int take_end(struct trace_writer *w, const struct trace_totals *totals) {
    (void)w, (void)totals;
    return 0;
}

static const struct trace_writer_ops ops = {.begin = take_begin,
                                            .call = take_call,
                                            .gap = take_gap,
                                            .counter = take_counter,
                                            .mark = take_mark,
                                            .await = take_await,
                                            .end = take_end};

/* ---- putting it in order ---- */

static int by_owner(const void *x, const void *y) {
    const struct sum *a = *(struct sum *const *)x, *b = *(struct sum *const *)y;
    if (a->key.whose != b->key.whose) return (uintptr_t)a->key.whose < (uintptr_t)b->key.whose ? -1 : 1;
    if (a->ns != b->ns) return a->ns < b->ns ? 1 : -1;
    if (a->key.kind != b->key.kind) return a->key.kind < b->key.kind ? -1 : 1;
    if (a->key.in != b->key.in) return a->key.in->index < b->key.in->index ? -1 : 1;
    uint32_t x_id = a->key.awaited ? a->key.awaited->id : 0, y_id = b->key.awaited ? b->key.awaited->id : 0;
    return (x_id > y_id) - (x_id < y_id);
}

/* The sums of `whose` in the sorted list, copied. */
static int waits_of_owner(struct sum *const *list, size_t n, const void *whose, struct tasks_wait **out, uint32_t *count) {
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if ((uintptr_t)list[mid]->key.whose < (uintptr_t)whose)
            low = mid + 1;
        else
            high = mid;
    }
    for (high = low; high < n && list[high]->key.whose == whose;) high++;
    *count = (uint32_t)(high - low);
    *out = memory_calloc(high - low + 1, sizeof **out);
    if (!*out) return -ENOMEM;
    for (size_t i = low; i < high; i++)
        (*out)[i - low] = (struct tasks_wait){(enum await_kind)list[i]->key.kind, list[i]->key.in, list[i]->key.awaited,
                                              list[i]->ns, list[i]->times};
    return 0;
}

static int functions_first(const void *x, const void *y) {
    const struct tasks_function *a = x, *b = y;
    if (a->wall_ns != b->wall_ns) return a->wall_ns < b->wall_ns ? 1 : -1;
    return (a->name->index > b->name->index) - (a->name->index < b->name->index);
}

static int tasks_first(const void *x, const void *y) {
    const struct tasks_task *a = x, *b = y;
    uint64_t a_ns = a->end_ns - a->start_ns, b_ns = b->end_ns - b->start_ns;
    if (a_ns != b_ns) return a_ns < b_ns ? 1 : -1;
    return (a->start_ns > b->start_ns) - (a->start_ns < b->start_ns);
}

static int finish(struct trace_writer *w, struct tasks_profile *p) {
    size_t nsums = 0;
    int rc = 0;
    for (struct sum *s = w->sums; s; s = s->next) nsums++;
    struct sum **list = memory_calloc(nsums + 1, sizeof(struct sum *));
    p->functions = memory_calloc(w->info->nnames + 1u, sizeof *p->functions);
    if (!list || !p->functions) rc = -ENOMEM;
    for (struct sum *s = rc ? NULL : w->sums; s; s = s->next) list[--nsums] = s, p->awaits++;
    nsums = rc ? 0 : p->awaits;
    if (nsums) qsort(list, nsums, sizeof *list, by_owner);
    for (uint32_t i = 0; i < w->info->nnames && !rc; i++) {
        const struct of_function *from = &w->functions[i];
        if (!from->suspended) continue;
        struct tasks_function *to = &p->functions[p->nfunctions++];
        *to = (struct tasks_function){.name = w->names[i],
                                      .calls = from->calls,
                                      .running_ns = from->running_ns,
                                      .wait_ns = from->wait_ns,
                                      .wall_ns = from->running_ns + from->wait_ns};
        rc = waits_of_owner(list, nsums, to->name, &to->waits, &to->nwaits);
    }
    p->tasks = w->tasks;
    p->ntasks = w->ntasks;
    w->tasks = NULL;
    for (uint32_t i = 0; i < p->ntasks && !rc; i++) {
        struct tasks_task *t = &p->tasks[i];
        uint64_t wall = t->end_ns - t->start_ns;
        if (t->wait_ns > wall) t->wait_ns = wall; /* a damaged trace: a task that waits on two threads at once */
        rc = waits_of_owner(list, nsums, t->task, &t->waits, &t->nwaits);
    }
    if (!rc && p->nfunctions) qsort(p->functions, p->nfunctions, sizeof *p->functions, functions_first);
    if (!rc && p->ntasks) qsort(p->tasks, p->ntasks, sizeof *p->tasks, tasks_first);
    p->awaits = w->awaits;
    p->start_ns = w->start_ns;
    memory_free(list);
    return rc;
}

static void forget(struct trace_writer *w) {
    while (w->sums) {
        struct sum *next = w->sums->next;
        memory_free(w->sums);
        w->sums = next;
    }
    text_map_free(&w->sums_by_key);
    text_map_free(&w->by_task);
    memory_free(w->tasks);
    memory_free(w->functions);
    memory_free(w->names);
}

int tasks_profile_make(struct trace_source *source, const volatile int *stop, struct tasks_profile **out, struct vt_err *err) {
    struct trace_writer w = {.info = trace_source_info(source), .start_ns = UINT64_MAX};
    struct run_opts run = {.stop = stop, .tasks = true};
    struct tasks_profile *p = memory_calloc(1, sizeof *p);
    w.functions = memory_calloc(w.info->nnames + 1u, sizeof *w.functions);
    w.names = memory_calloc(w.info->nnames + 1u, sizeof(struct trace_name *));
    int rc = p && w.functions && w.names ? trace_source_run(source, &run, &ops, &w, &p->totals, err) : -ENOMEM;
    if (!rc && !w.ntasks)
        rc = vt_err_set(err, -ENODATA,
                        "the trace tells of no asyncio tasks; a .vzt that is made with --log_async does, where asyncio runs");
    if (!rc) rc = finish(&w, p);
    forget(&w);
    if (rc) {
        if (!err->msg[0]) vt_err_set(err, rc, "%s", strerror(-rc));
        tasks_profile_free(p);
        return rc;
    }
    *out = p;
    return 0;
}

void tasks_profile_free(struct tasks_profile *p) {
    if (!p) return;
    for (uint32_t i = 0; i < p->nfunctions; i++) memory_free(p->functions[i].waits);
    for (uint32_t i = 0; i < p->ntasks; i++) memory_free(p->tasks[i].waits);
    memory_free(p->functions);
    memory_free(p->tasks);
    memory_free(p);
}
