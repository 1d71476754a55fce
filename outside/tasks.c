/* Owns finding the tasks of asyncio and reading what they do (tasks.h). From 3.14 on each thread has a list of its tasks. Before,
 * they are found among all objects that the garbage collector knows, which takes some 0.1 us for each.
 *
 * A task has a coroutine. A coroutine that is suspended has what it awaits on top of its stack of values: another coroutine, and
 * so on inwards, and at last a future, which the task knows too. The coroutine of a task that runs is in the stack of its thread.
 */
#include "outside/tasks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outside/objects.h"
#include "outside/table.h"
#include "outside/text.h"
#include "outside/values.h"

enum {
    TASKS_MAX = 1 << 16,
    OBJECTS_MAX = 16 << 20, /* that are looked at */
    FRAMES_MAX = 64,        /* of one task */
    FRAMES_IN_ALL_MAX = 1 << 20,
    WAITED_MAX = 256, /* tasks that one task waits for */
    WAITED_IN_ALL_MAX = 1 << 20,
    BASES_MAX = 8,
    TYPE_NAME_MAX = 32,
    GENERATIONS = 3,
    GENERATION_SIZE = 24,
    GC_HEAD = 16,     /* bytes before an object */
    STACK_TOP = 72,   /* 3.8, 3.9: of a frame object, an address */
    STACK_DEPTH = 80, /* 3.10 */
    VALUE_STACK = 64, /* 3.10 */
    INNER_TOP = 64,   /* of the interpreter's own frame: 3.11 to 3.13 a number of slots, then an address */
    LIST_SIZE = 16,
    LIST_ITEMS = 24,
    WRAPPED = 16, /* the coroutine of what await calls make of one */
    PENDING = 0
};

/* Of _asyncio.Task in each version (Modules/_asynciomodule.c), of coroutines, and where all of them are found: up to 3.13 the
 * lists of the garbage collector (3.8: in _PyRuntime, then in the interpreter), from 3.14 on heads of lists in the thread state,
 * and in the interpreter for threads that have ended. What fut_waiter points to is the future; the coroutine is the word behind
 * it. */
static const struct shape {
    uint32_t python, gc, state, coroutine, name, node, thread_list, interpreter_list, frame;
} shapes[] = {
    {.python = 0x308, .gc = 368, .state = 72, .coroutine = 112, .name = 120, .frame = 16},
    {.python = 0x309, .gc = 640, .state = 80, .coroutine = 152, .name = 160, .frame = 16},
    {.python = 0x30a, .gc = 640, .state = 88, .coroutine = 160, .name = 168, .frame = 16},
    {.python = 0x30b, .gc = 672, .state = 88, .coroutine = 136, .name = 144, .frame = 80},
    {.python = 0x30c, .gc = 136, .state = 88, .coroutine = 136, .name = 144, .frame = 72},
    {.python = 0x30d, .gc = 7424, .state = 96, .coroutine = 120, .name = 128, .frame = 72},
    {.python = 0x30e,
     .state = 104,
     .coroutine = 128,
     .name = 136,
     .node = 152,
     .thread_list = 880,
     .interpreter_list = 10880,
     .frame = 72},
    {.python = 0x30f,
     .state = 104,
     .coroutine = 128,
     .name = 136,
     .node = 152,
     .thread_list = 1048,
     .interpreter_list = 10856,
     .frame = 72},
};

struct tasks {
    struct remote *remote;
    const struct py_layout *layout;
    struct codes *codes;
    uint64_t runtime;
    const struct shape *shape; /* NULL = a version that we do not know */
    struct table known;        /* tasks by address: index + 1 */
    struct table types;        /* of objects: whether they are tasks */
    struct table running;      /* frames of threads by address */
    const struct outside_thread *threads;
    size_t nthreads;
    struct outside_task *all;
    uint32_t n, room;
    struct outside_frame *frames;
    uint32_t nframes, frames_room;
    uint32_t *waited; /* indices */
    uint32_t nwaited, waited_room;
    bool cut;
};

int tasks_new(struct tasks **out, struct remote *remote, const struct py_layout *layout, struct codes *codes, uint64_t runtime) {
    struct tasks *t = calloc(1, sizeof(*t));
    *out = t;
    if (!t) return -ENOMEM;
    *t = (struct tasks){.remote = remote, .layout = layout, .codes = codes, .runtime = runtime};
    for (size_t i = 0; i < VT_ARRAY_LEN(shapes); i++)
        if (shapes[i].python == layout->python) t->shape = &shapes[i];
    return 0;
}

void tasks_free(struct tasks *t) {
    if (!t) return;
    table_free(&t->known);
    table_free(&t->types);
    table_free(&t->running);
    free(t->all);
    free(t->frames);
    free(t->waited);
    free(t);
}

const struct outside_task *tasks_all(const struct tasks *t, size_t *n, bool *cut) {
    *n = t->n;
    *cut = t->cut;
    return t->all;
}

/* ---- which objects are tasks ---- */

static char task_yes, task_no;

static bool look_at_type(struct tasks *t, uint64_t type) {
    for (int i = 0; i < BASES_MAX && remote_is_object(type); i++) {
        char name[TYPE_NAME_MAX];
        uint64_t at;
        memset(name, 0, sizeof(name));
        if (remote_u64(t->remote, type + TYPE_NAME, &at) || remote_read(t->remote, at, name, sizeof("_asyncio.Task")))
            return false;
        if (!strcmp(name, "_asyncio.Task")) return true;
        if (remote_u64(t->remote, type + TYPE_BASE, &type)) return false;
    }
    return false;
}

static bool is_task(struct tasks *t, uint64_t object) {
    uint64_t type;
    if (!remote_is_object(object) || remote_u64(t->remote, object + OBJECT_TYPE, &type)) return false;
    char *known = table_get(&t->types, type);
    if (known) return known == &task_yes;
    bool is = look_at_type(t, type);
    if (t->types.n < TASKS_MAX && table_set(&t->types, type, is ? &task_yes : &task_no)) return false;
    return is;
}

/* ---- one task ---- */

static uint64_t word(struct tasks *t, uint64_t at) {
    uint64_t v = 0;
    return remote_u64(t->remote, at, &v) ? 0 : v & ~(uint64_t)t->layout->reference_tags;
}

static void read_name(struct tasks *t, uint64_t at, struct outside_task *task) {
    char text[VALUE_MAX];
    uint64_t work = 16;
    if (!text_read(t->remote, t->layout, at, text, sizeof(text))) {
        vt_clean_line(task->name, sizeof(task->name), text, strlen(text));
        return;
    }
    value_read(t->remote, t->layout, at, text, &work); /* 3.12+: a number until somebody asks for the name */
    snprintf(task->name, sizeof(task->name), "Task-%.40s", text);
}

/* What the coroutine awaits; 0 = nothing, or it runs. */
static uint64_t top_of_stack(struct tasks *t, uint64_t frame) {
    uint32_t python = t->layout->python, depth = 0;
    uint64_t locals = frame + t->layout->frame_locals, top = 0;
    if (python <= 0x309) {
        top = word(t, frame + STACK_TOP);
    } else if (python == 0x30a) {
        if (!remote_u32(t->remote, frame + STACK_DEPTH, &depth) && depth && depth < 1 << 16)
            top = word(t, frame + VALUE_STACK) + 8ull * depth;
    } else if (python <= 0x30d) {
        if (!remote_u32(t->remote, frame + INNER_TOP, &depth) && depth && depth < 1 << 16) top = locals + 8ull * depth;
    } else if (remote_u64(t->remote, frame + INNER_TOP, &top)) {
        top = 0;
    }
    uint64_t below = python >= 0x30f ? 2 * sizeof(uint64_t) : sizeof(uint64_t); /* 3.15: an index lies above it */
    return top >= locals + below ? word(t, top - below) : 0;
}

/* False: there is no room for more. */
static bool add_frame(struct tasks *t, const struct outside_frame *f) {
    if (vt_grow(&t->frames, &t->frames_room, t->nframes + 1u, sizeof(*t->frames), FRAMES_IN_ALL_MAX)) {
        t->cut = true;
        return false;
    }
    t->frames[t->nframes++] = *f;
    return true;
}

/* The thread that runs in this frame. */
static const struct outside_thread *thread_of(const struct tasks *t, const struct outside_frame *f) {
    size_t low = 0, high = t->nthreads;
    while (low < high) { /* their frames follow each other; the first thread whose frames end behind f */
        size_t middle = low + (high - low) / 2;
        if (t->threads[middle].frames + t->threads[middle].nframes <= f)
            low = middle + 1;
        else
            high = middle;
    }
    return &t->threads[low];
}

/* The frames of a coroutine that runs, from its own inwards, as the thread has them: innermost first. */
static void take_running(struct tasks *t, struct outside_task *task, const struct outside_frame *own) {
    const struct outside_thread *thread = thread_of(t, own);
    uint32_t n = (uint32_t)(own - thread->frames) + 1;
    task->runs = true;
    task->tid = thread->tid;
    for (uint32_t i = n < FRAMES_MAX ? n : FRAMES_MAX; i-- && add_frame(t, &thread->frames[i]);) continue;
}

static int index_frames(struct tasks *t) {
    int rc = 0;
    table_clear(&t->running);
    for (size_t i = 0; !rc && i < t->nthreads; i++)
        for (uint32_t k = 0; !rc && k < t->threads[i].nframes; k++)
            rc = table_set(&t->running, t->threads[i].frames[k].address, &t->threads[i].frames[k]);
    return rc;
}

/* The coroutine inside what await gave, or the object itself. */
static uint64_t unwrap(struct tasks *t, uint64_t object) {
    char name[TYPE_NAME_MAX];
    uint64_t type, flags;
    if (object_type(t->remote, object, &type, &flags, name, sizeof(name))) return 0;
    if (!strcmp(name, "coroutine") || !strcmp(name, "generator") || !strcmp(name, "async_generator")) return object;
    bool wraps =
        !strcmp(name, "coroutine_wrapper") || !strcmp(name, "async_generator_asend") || !strcmp(name, "async_generator_athrow");
    uint64_t inner = wraps ? word(t, object + WRAPPED) : 0;
    return inner && inner != object ? inner : 0;
}

static uint64_t instr_of(struct tasks *t, uint64_t frame) {
    uint64_t at = frame + t->layout->frame_instr, instr;
    uint32_t index;
    if (t->layout->python < 0x30b) return remote_u32(t->remote, at, &index) ? 0 : index;
    return remote_u64(t->remote, at, &instr) ? 0 : instr;
}

/* From the task's own coroutine inwards. */
static void read_frames(struct tasks *t, struct outside_task *task) {
    uint32_t begin = t->nframes;
    uint64_t coroutine = unwrap(t, word(t, task->address + t->shape->coroutine));
    while (coroutine && t->nframes - begin < FRAMES_MAX) {
        uint64_t frame = coroutine + t->shape->frame;
        if (t->layout->python < 0x30b) frame = word(t, frame);
        if (!remote_is_object(frame)) break;
        const struct outside_frame *own = table_get(&t->running, frame);
        if (own) {
            take_running(t, task, own);
            break;
        }
        const struct outside_code *code = codes_get(t->codes, word(t, frame + t->layout->frame_code));
        if (!code) break;
        uint32_t line = codes_line(t->codes, code, instr_of(t, frame));
        if (!add_frame(t, &(struct outside_frame){.code = code, .line = line, .address = frame})) break;
        coroutine = unwrap(t, top_of_stack(t, frame));
    }
    for (uint32_t i = begin, k = t->nframes; k && i < --k; i++) { /* innermost first */
        struct outside_frame swap = t->frames[i];
        t->frames[i] = t->frames[k];
        t->frames[k] = swap;
    }
    task->nframes = t->nframes - begin;
}

/* The task at this address, if it is not done. */
static int take(struct tasks *t, uint64_t address) {
    uint32_t state;
    if (table_get(&t->known, address)) return 0;
    if (remote_u32(t->remote, address + t->shape->state, &state) || state != PENDING) return 0;
    if (!remote_is_object(word(t, address + t->shape->coroutine))) return 0;
    t->cut |= t->n == TASKS_MAX;
    if (t->cut) return 0;
    int rc = vt_grow(&t->all, &t->room, t->n + 1u, sizeof(*t->all), TASKS_MAX);
    if (rc) return rc;
    struct outside_task *task = &t->all[t->n];
    *task = (struct outside_task){.address = address};
    read_name(t, word(t, address + t->shape->name), task);
    rc = table_set(&t->known, address, (void *)(uintptr_t)++t->n);
    return rc;
}

/* ---- all tasks ---- */

static int walk_gc(struct tasks *t, uint64_t head, uint64_t *left) {
    uint64_t at = word(t, head) & ~3ull;
    int rc = 0;
    while (!rc && at && at != head && *left) {
        --*left;
        if (!remote_is_object(at)) return 0; /* the list has changed meanwhile */
        if (is_task(t, at + GC_HEAD)) rc = take(t, at + GC_HEAD);
        if (remote_u64(t->remote, at, &at)) return rc;
        at &= ~3ull;
    }
    if (!*left) t->cut = true;
    return rc;
}

static int walk_list(struct tasks *t, uint64_t head, uint64_t *left) {
    uint64_t at = word(t, head);
    int rc = 0;
    while (!rc && at != head && remote_is_object(at) && *left) {
        --*left;
        if (is_task(t, at - t->shape->node)) rc = take(t, at - t->shape->node);
        at = word(t, at);
    }
    return rc;
}

static int find_all(struct tasks *t, const uint64_t *interpreters, size_t n) {
    uint64_t left = OBJECTS_MAX;
    int rc = 0;
    for (size_t i = 0; !rc && t->shape->gc && i < n; i++)
        for (int k = 0; !rc && k < GENERATIONS; k++)
            rc = walk_gc(
                t, (t->layout->python == 0x308 ? t->runtime : interpreters[i]) + t->shape->gc + (uint64_t)k * GENERATION_SIZE,
                &left);
    for (size_t i = 0; !rc && t->shape->node && i < n; i++)
        rc = walk_list(t, interpreters[i] + t->shape->interpreter_list, &left);
    for (size_t i = 0; !rc && t->shape->node && i < t->nthreads; i++) {
        uint32_t before = t->n;
        rc = walk_list(t, t->threads[i].address + t->shape->thread_list, &left);
        for (; before < t->n; before++) t->all[before].tid = t->threads[i].tid;
    }
    return rc;
}

/* ---- who waits for whom ---- */

static void add_waited(struct tasks *t, struct outside_task *task, uint64_t address) {
    uint32_t index = (uint32_t)(uintptr_t)table_get(&t->known, address);
    if (!index || task->nwaits == WAITED_MAX) return;
    if (vt_grow(&t->waited, &t->waited_room, t->nwaited + 1u, sizeof(*t->waited), WAITED_IN_ALL_MAX)) {
        t->cut = true;
        return;
    }
    t->waited[t->nwaited++] = index - 1;
    task->nwaits++;
    t->all[index - 1].is_awaited = true;
}

/* The future that the task waits for: a task itself, or what gather() made, which has its tasks in a list. */
static void read_waits(struct tasks *t, struct outside_task *task) {
    char name[TYPE_NAME_MAX];
    uint64_t future = word(t, task->address + t->shape->coroutine - 8), type, flags, children, items = 0, n = 0;
    if (!remote_is_object(future) || object_type(t->remote, future, &type, &flags, name, sizeof(name))) return;
    const char *dot = strrchr(name, '.');
    vt_clean_line(task->waits_for, sizeof(task->waits_for), dot ? dot + 1 : name, sizeof(name));
    if (table_get(&t->known, future)) {
        add_waited(t, task, future);
        return;
    }
    if (object_field(t->remote, t->layout, future, "_children", &children)) return;
    children &= ~(uint64_t)t->layout->reference_tags;
    if (object_type(t->remote, children, &type, &flags, name, sizeof(name)) || strcmp(name, "list") != 0) return;
    if (remote_u64(t->remote, children + LIST_SIZE, &n) || remote_u64(t->remote, children + LIST_ITEMS, &items)) return;
    for (uint64_t i = 0; i < n && i < WAITED_MAX; i++) add_waited(t, task, word(t, items + 8 * i));
}

/* It still waits where it was: else what was read of it is of several moments. */
static bool has_changed(struct tasks *t, const struct outside_task *task) {
    uint32_t state;
    if (task->runs || !task->nframes) return false;
    if (remote_u32(t->remote, task->address + t->shape->state, &state) || state != PENDING) return true;
    const struct outside_frame *f = &task->frames[0]; /* innermost */
    const struct outside_code *code = codes_get(t->codes, word(t, f->address + t->layout->frame_code));
    return code != f->code || codes_line(t->codes, code, instr_of(t, f->address)) != f->line;
}

int tasks_read(struct tasks *t, const uint64_t *interpreters, size_t n, const struct outside_thread *threads, size_t nthreads) {
    t->n = t->nframes = t->nwaited = 0;
    t->cut = false;
    table_clear(&t->known);
    table_clear(&t->types);
    if (!t->shape) return 0;
    t->threads = threads;
    t->nthreads = nthreads;
    remote_forget(t->remote);
    int rc = index_frames(t);
    if (!rc) rc = find_all(t, interpreters, n);
    for (uint32_t i = 0; !rc && i < t->n; i++) read_frames(t, &t->all[i]);
    for (uint32_t i = 0; !rc && i < t->n; i++) read_waits(t, &t->all[i]);
    remote_forget(t->remote);
    for (uint32_t i = 0, frame = 0, waited = 0; i < t->n; i++) {
        struct outside_task *task = &t->all[i];
        task->frames = t->frames + frame;
        task->waits = t->waited + waited;
        frame += task->nframes;
        waited += task->nwaits;
        task->changed = !rc && has_changed(t, task);
        if (task->changed) task->nframes = 0;
    }
    return rc;
}
