/* Owns --log_async: which asyncio task a thread runs. asyncio is asked when a step of a task begins: when a coroutine is entered
 * that no other coroutine has called. The step ends when that coroutine is left.
 *
 * A step may begin inside another one: of a task that starts at once (eager), or of a loop that runs inside a callback of
 * another. When it ends, the thread goes on with the task around it. */
#include "agent/hooks/task.h"

#include "agent/cpython/text.h"
#include "agent/hooks/hooks.h"
#include "agent/hooks/running.h"
#include "agent/hooks/steps.h"
#include "agent/record/emit.h"
#include "agent/record/parallel_lock.h"
#include "agent/session/slow.h"
#include "proto/abi/hash.h"

enum { TASK_SLOTS = 4096, TASK_PROBES = 16, TASK_NAME_MAX = 256, NESTED_MAX = 64 };

/* The address of a task may be reused by another task, so the name is part of the key. */
struct task_slot {
    uint64_t address, name_hash;
    uint32_t id;
    bool early; /* told when its first step began inside another one: it may get its name only after that */
};
/* A step that began inside another one. */
struct nested {
    uint64_t coroutine;
    uint32_t outer; /* id of the task around it */
};
/* Of the threads with the main interpreter's GIL; of other threads, under parallel_lock */
static struct tasks {
    struct task_slot slots[TASK_SLOTS];
    struct nested nested[NESTED_MAX]; /* the oldest first */
    uint32_t nnested;
} tasks[2];
static uint32_t next_task;
const void *task_early;
static const void *early_type;
static const void *task_type; /* of the task that ran last, with the main GIL: to be compared */

static struct tasks *tasks_of(enum detail_way way) { return &tasks[way != WAY_MAIN]; }

void tasks_start(void) {
    if (!(agent.flags & VT_F_ASYNC)) return;
    parallel_lock();
    memset(tasks, 0, sizeof tasks);
    next_task = 1;
    parallel_unlock();
}

void tasks_stop(void) {
    running_forget();
    task_early = task_type = NULL;
}

/* ---- ids and names ---- */

static void tell_task(uint32_t id, void *task, const struct text *name) {
    uint32_t len = (uint32_t)(name->len > TASK_NAME_MAX ? TASK_NAME_MAX : name->len);
    struct vt_pl_task head = {.address = (uint64_t)task, .id = id, .namelen = len};
    uint8_t *to = payload_reserve((uint32_t)sizeof head + len);
    if (!to) return;
    memcpy(to, &head, sizeof head);
    memcpy(to + sizeof head, name->bytes, len);
    payload_commit(VT_PL_TASK, (uint32_t)sizeof head + len);
}

static uint32_t task_new(void) {
    uint32_t id = vt_fetch_add(&next_task, 1u);
    if (id < VT_ID_MAX) return id;
    vt_store_relaxed(&next_task, VT_ID_MAX);
    return VT_ID_MAX;
}

/* The slot of the task, or the one that it gets. */
static struct task_slot *slot_of(struct tasks *in, const void *task) {
    uint32_t home = (uint32_t)(((uint64_t)task >> 4) * 0x9E3779B1u) % TASK_SLOTS;
    for (uint32_t i = 0; i < TASK_PROBES; i++) {
        struct task_slot *at = &in->slots[(home + i) % TASK_SLOTS];
        if (at->address == (uint64_t)task || !at->address) return at;
    }
    return &in->slots[home];
}

static uint64_t hash_of(const struct text *name) { return vt_hash(VT_HASH_START, name->bytes, (size_t)name->len); }

/* An early task has got its name: it keeps its id. */
static void rename(struct task_slot *slot, void *task, const struct text *name) {
    slot->name_hash = hash_of(name);
    tell_task(slot->id, task, name);
}

/* `first`: the task's first step begins; `nested`: inside another step. */
static uint32_t task_id(struct tasks *in, void *task, const struct text *name, bool first, bool nested) {
    struct task_slot *slot = slot_of(in, task);
    bool known = slot->address == (uint64_t)task, early = slot->early;
    if (known && slot->name_hash != hash_of(name) && early && !first) rename(slot, task, name);
    if (!known || slot->name_hash != hash_of(name)) {
        *slot = (struct task_slot){(uint64_t)task, hash_of(name), task_new(), false};
        tell_task(slot->id, task, name);
    }
    slot->early = first && nested;
    return slot->id;
}

static void tell(struct thread *thread, uint32_t id, enum detail_way way) {
    uint64_t word = (uint64_t)id << VT_REC_TYPE_BITS | VT_REC_TASK;
    if (id == thread->task) return;
    thread->task = id;
    if (way == WAY_MAIN)
        emit_any_clock(word);
    else
        emit_here(word);
}

/* Takes the lock that `way` needs. True: the session in which the event began is still on. */
static bool begin(struct thread *thread, enum detail_way way) {
    bool on = way == WAY_MAIN ? agent.state == AGENT_TRACING : parallel_lock_known();
    return on && thread == this_thread && thread->tid;
}

static void end(enum detail_way way) {
    if (way != WAY_MAIN) parallel_unlock();
}

/* A new reference to the task's name, which `text` reads. Runs code of the target; nothing of that is recorded. */
static void *name_of(struct thread *thread, void *task, struct text *text) {
    thread->paused = 1;
    void *name = task ? py.PyObject_CallMethod(task, "get_name", NULL) : NULL;
    if (!name) py.PyErr_Clear();
    text_of_unicode(text, name);
    if (thread == this_thread) thread->paused = 0;
    return name;
}

/* ---- steps ---- */

/* False: it did not begin inside another step. */
static bool nested_take(struct tasks *in, uint64_t coroutine, uint32_t *outer) {
    uint32_t i = in->nnested;
    while (i && in->nested[i - 1].coroutine != coroutine) i--;
    if (!i) return false;
    *outer = in->nested[i - 1].outer;
    for (; i < in->nnested; i++) in->nested[i - 1] = in->nested[i];
    in->nnested--;
    return true;
}

/* The end of an earlier step of that coroutine may have been missed. When there are too many, the oldest is forgotten. */
static void nested_put(struct tasks *in, uint64_t coroutine, uint32_t outer) {
    uint32_t unused;
    if (!nested_take(in, coroutine, &unused) && in->nnested == NESTED_MAX) nested_take(in, in->nested[0].coroutine, &unused);
    in->nested[in->nnested++] = (struct nested){coroutine, outer};
}

static uint32_t part_of(const void *code) { return (uint32_t)((uint64_t)code >> 4); }

/* Does a step begin with this frame? Where frames are not known, with the first coroutine that is entered. */
static bool step_begins(struct thread *thread, const void *code, const void *frame, uint64_t coroutine, bool *nested) {
    if (thread->coroutines && thread->step == coroutine) thread->coroutines = 0; /* its end was missed */
    *nested = thread->coroutines;
    if (*nested && (!frame || !steps_is_outermost(frame))) {
        thread->coroutines += !frame;
        return false;
    }
    thread->coroutines++;
    if (*nested) return true;
    thread->step = coroutine;
    thread->step_code = part_of(code);
    return true;
}

void task_enter(void *code, const void *object, uint32_t type, enum detail_way way) {
    struct pending_error error;
    struct text text;
    struct thread *thread = this_thread;
    const void *frame = steps_frame(code, object);
    uint64_t coroutine = frame ? steps_coroutine(frame) : 0;
    bool nested, first = type == VT_REC_CALL;
    if (!step_begins(thread, code, frame, coroutine, &nested)) return;
    thread->awaited = 0;
    error_save(&error);
    thread->paused = 1;
    void *task = running_task(way == WAY_MAIN);
    void *name = name_of(thread, task, &text);
    if (begin(thread, way)) {
        struct tasks *in = tasks_of(way);
        uint32_t id = task ? task_id(in, task, &text, first, nested) : 0;
        if (nested) nested_put(in, coroutine, thread->task);
        if (way == WAY_MAIN) {
            task_early = task && slot_of(in, task)->early ? task : NULL;
            early_type = task ? type_of(task) : NULL;
            if (task) task_type = early_type;
        }
        tell(thread, id, way);
    }
    end(way);
    text_done(&text);
    drop_ref(name);
    drop_ref(task);
    error_restore(&error);
}

void task_leave(void *code, const void *object, enum detail_way way) {
    struct thread *thread = this_thread;
    uint32_t outer = 0;
    if (!thread->coroutines) return;
    if (thread->step && thread->coroutines == 1 && thread->step_code != part_of(code)) return; /* most are below the step's own */
    const void *frame = steps_frame(code, object);
    uint64_t coroutine = frame ? steps_coroutine(frame) : 0;
    if (!frame && --thread->coroutines) return;
    if (frame && thread->coroutines == 1 && thread->step != coroutine) return;
    if (begin(thread, way)) {
        bool nested = frame && thread->step != coroutine;
        if (!nested || nested_take(tasks_of(way), coroutine, &outer)) {
            if (frame) thread->coroutines = nested ? thread->coroutines - 1 : 0;
            if (way == WAY_MAIN && !nested) task_early = NULL;
            tell(thread, outer, way);
        }
    }
    end(way);
}

/* The coroutines around it yield the same object: only the innermost one tells. */
void task_awaits(const void *value) {
    struct thread *thread = this_thread;
    if (!thread->coroutines || thread->awaited == (uint64_t)value) return;
    if (!begin(thread, WAY_MAIN)) return;
    thread->awaited = (uint64_t)value;
    const void *type = type_of(value);
    bool task = type == task_type;
    if (!task && !text_equal(field(type, TYPE_NAME), "_GatheringFuture")) return;
    union {
        struct vt_pl_await await;
        uint64_t words[2];
    } to = {{.address = (uint64_t)value, .kind = task ? VT_AWAIT_TASK : VT_AWAIT_GATHER}};
    if (emit_payload(VT_PL_AWAIT, to.words, sizeof to)) return;
    uint8_t *room = payload_reserve(sizeof to);
    if (!room) return;
    memcpy(room, &to, sizeof to);
    payload_commit(VT_PL_AWAIT, sizeof to);
}

void task_named(void *task) {
    struct pending_error error;
    struct text text;
    struct thread *thread = this_thread;
    if (type_of(task) != early_type) return;
    error_save(&error);
    void *name = name_of(thread, task, &text);
    if (name && begin(thread, WAY_MAIN)) {
        struct task_slot *slot = slot_of(tasks_of(WAY_MAIN), task);
        if (slot->address == (uint64_t)task && slot->early && slot->name_hash != hash_of(&text)) rename(slot, task, &text);
    }
    text_done(&text);
    drop_ref(name);
    error_restore(&error);
}
