/* Owns which tasks are suspended while a trace is read (suspended.h). */
#include "cli/format/vzt/suspended.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/json.h"
#include "cli/base/memory.h"
#include "cli/base/text_map.h"
#include "cli/trace/names.h"

struct wait {
    struct trace_task *task;
    const struct trace_thread *thread;
    uint64_t ns;
    bool on;
    uint32_t n, room;
    struct trace_name **chain;
    struct vt_pl_await await;
};

struct suspended {
    struct id_table waits; /* struct wait by the id of the task; kept for the next time */
    uint32_t on;           /* how many are on */
    struct text_map at;    /* struct trace_task by address: the last one that ran there */
};

void yields_add(struct yields *y, struct trace_name *name, uint32_t depth) {
    if (y->n && y->depth != depth + 1) yields_end(y);
    y->depth = depth;
    if (y->n < TRACE_AWAIT_CHAIN) y->names[y->n++] = name;
}

void yields_await(struct yields *y, const uint8_t *payload, uint32_t len) {
    yields_end(y);
    if (len >= sizeof y->await) memcpy(&y->await, payload, sizeof y->await);
}

int suspended_new(struct suspended **out) {
    *out = memory_calloc(1, sizeof **out);
    return *out ? 0 : -ENOMEM;
}

static struct wait *next_of(struct suspended *s, uint32_t *page, uint32_t *at) {
    for (; *page < s->waits.npages; (*page)++, *at = 0)
        for (; s->waits.pages[*page] && *at < ID_TABLE_PAGE; (*at)++)
            if (s->waits.pages[*page][*at]) return s->waits.pages[*page][(*at)++];
    return NULL;
}

void suspended_free(struct suspended *s) {
    uint32_t page = 0, at = 0;
    struct wait *wait;
    if (!s) return;
    while ((wait = next_of(s, &page, &at))) {
        memory_free(wait->chain);
        memory_free(wait);
    }
    id_table_free(&s->waits);
    text_map_free(&s->at);
    memory_free(s);
}

int suspended_put(struct suspended *s, struct trace_task *task, const struct trace_thread *thread, uint64_t ns,
                  const struct yields *y) {
    void **slot = id_table_slot(&s->waits, task->id);
    if (slot && !*slot) *slot = memory_calloc(1, sizeof(struct wait));
    if (!slot || !*slot) return -ENOMEM;
    struct wait *wait = *slot;
    if (wait->room < y->n) {
        struct trace_name **grown = memory_realloc(wait->chain, y->n * sizeof *grown);
        if (!grown) return -ENOMEM;
        wait->chain = grown;
        wait->room = y->n;
    }
    memcpy(wait->chain, y->names, y->n * sizeof *y->names);
    s->on += !wait->on;
    wait->task = task;
    wait->thread = thread;
    wait->ns = ns;
    wait->n = y->n;
    wait->await = y->await;
    wait->on = true;
    return 0;
}

int suspended_runs(struct suspended *s, struct trace_task *task) {
    void **slot = text_map_slot(&s->at, &task->address, sizeof task->address);
    if (slot) *slot = task;
    return slot ? 0 : -ENOMEM;
}

/* {"in":"f (app.py:640)","task":"price-2"}: the arguments of the slice. NULL = no memory. */
static char *args_of(const struct trace_await *await, size_t *len) {
    static const char begin[] = "{\"in\":\"", task[] = "\",\"task\":", end[] = "\"}";
    size_t name_len = 0;
    const char *name = await->awaited ? name_of_task(await->awaited, &name_len) : NULL;
    char *text = memory_alloc(sizeof begin + JSON_TEXT_MAX(name_text_max(await->in)) + sizeof task + JSON_TEXT_MAX(name_len) + 2 +
                              sizeof end);
    if (!text) return NULL;
    char *p = name_put_json(text + sprintf(text, "%s", begin), await->in);
    if (name) p = json_put_string(p + sprintf(p, "%s", task), name, name_len);
    p += sprintf(p, "%s", name ? "}" : end);
    *len = (size_t)(p - text);
    return text;
}

static int hand_over(struct suspended *s, struct wait *wait, const struct trace_info *info, uint64_t ns, bool open,
                     const struct trace_writer_ops *ops, struct trace_writer *w) {
    struct trace_await await = {.chain = wait->chain, .nchain = wait->n};
    struct trace_call *call = &await.call;
    wait->on = false;
    s->on--;
    await.kind = await_kind_of(wait->chain, wait->n, &await.in);
    if (wait->await.kind == VT_AWAIT_TASK) await.awaited = text_map_get(&s->at, &wait->await.address, sizeof wait->await.address);
    if (await.kind == AWAIT_OTHER && wait->await.kind == VT_AWAIT_TASK) await.kind = AWAIT_TASK;
    if (await.kind == AWAIT_OTHER && wait->await.kind == VT_AWAIT_GATHER) await.kind = AWAIT_TASKS;
    call->name = await_name(info, await.kind);
    if (!call->name) return 0;
    call->thread = wait->thread;
    call->task = wait->task;
    call->start_ns = wait->ns;
    call->end_ns = ns > wait->ns ? ns : wait->ns;
    call->open = open;
    char *args = args_of(&await, &call->args_json_len);
    if (!args) return -ENOMEM;
    call->args_json = args;
    int rc = ops->await(w, &await);
    memory_free(args);
    return rc;
}

int suspended_ends(struct suspended *s, const struct trace_info *info, const struct trace_task *task, uint64_t ns,
                   const struct trace_writer_ops *ops, struct trace_writer *w) {
    struct wait *wait = s->on ? id_table_get(&s->waits, task->id) : NULL;
    return wait && wait->on ? hand_over(s, wait, info, ns, false, ops, w) : 0;
}

static int oldest_first(const void *x, const void *y) {
    const struct wait *a = *(struct wait *const *)x, *b = *(struct wait *const *)y;
    if (a->ns != b->ns) return a->ns < b->ns ? -1 : 1;
    return (a->task->id > b->task->id) - (a->task->id < b->task->id);
}

int suspended_rest(struct suspended *s, const struct trace_info *info, const struct trace_writer_ops *ops,
                   struct trace_writer *w) {
    uint32_t page = 0, at = 0, n = 0;
    int rc = 0;
    if (!s->on) return 0;
    struct wait *wait, **list = memory_calloc(s->on, sizeof(struct wait *));
    if (!list) return -ENOMEM;
    while ((wait = next_of(s, &page, &at)))
        if (wait->on) list[n++] = wait;
    qsort(list, n, sizeof *list, oldest_first);
    for (uint32_t i = 0; i < n && !rc; i++)
        rc = hand_over(s, list[i], info, trace_process_end(info, list[i]->thread->process), true, ops, w);
    memory_free(list);
    return rc;
}
