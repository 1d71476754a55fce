/* Owns --log_async: which asyncio task a thread runs. asyncio is asked when the outermost coroutine of the thread is entered; the
 * task ends when that coroutine is left. */
#include "agent/hooks/task.h"

#include "agent/cpython/text.h"
#include "agent/hooks/hooks.h"
#include "agent/record/parallel_lock.h"
#include "agent/session/slow.h"
#include "proto/abi/hash.h"

enum { TASK_SLOTS = 4096, TASK_PROBES = 16, TASK_NAME_MAX = 256 };

/* The address of a task may be reused by another task, so the name is part of the key. */
struct task_slot {
    uint64_t address, name_hash;
    uint32_t id;
};
/* Tasks of threads with the main interpreter's GIL; tasks of other threads, under parallel_lock */
static struct task_slot slots[TASK_SLOTS], parallel_slots[TASK_SLOTS];
static uint32_t next_task;
static void *current_task; /* asyncio.tasks.current_task of the main GIL's interpreters, owned; NULL until asyncio is there */

void tasks_start(void) {
    if (!(agent.flags & VT_F_ASYNC)) return;
    parallel_lock();
    memset(slots, 0, sizeof slots);
    memset(parallel_slots, 0, sizeof parallel_slots);
    next_task = 1;
    parallel_unlock();
}

void tasks_stop(void) {
    drop_ref(current_task);
    current_task = NULL;
}

/* New reference, or NULL. */
static void *find_current_task(void) {
    if (py.Py_IsFinalizing && py.Py_IsFinalizing()) return NULL; /* modules may be gone then */
    void *modules = py.PyImport_GetModuleDict();
    void *module = modules ? py.PyDict_GetItemString(modules, "asyncio.tasks") : NULL;
    return module ? py.PyObject_GetAttrString(module, "current_task") : NULL;
}

static void *running_task(enum detail_way way) {
    void *function = way == WAY_MAIN ? current_task : NULL;
    if (!function) function = find_current_task();
    if (way == WAY_MAIN) current_task = function;
    void *task = function ? py.PyObject_CallObject(function, NULL) : NULL;
    if (!task) py.PyErr_Clear();
    if (way != WAY_MAIN) drop_ref(function);
    if (task != py._Py_NoneStruct) return task;
    drop_ref(task);
    return NULL;
}

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

static uint32_t task_id(struct task_slot *table, void *task, const struct text *name) {
    uint64_t hash = vt_hash(VT_HASH_START, name->bytes, (size_t)name->len);
    uint32_t home = (uint32_t)(((uint64_t)task >> 4) * 0x9E3779B1u) % TASK_SLOTS;
    struct task_slot *slot = NULL;
    for (uint32_t i = 0; i < TASK_PROBES && !slot; i++) {
        struct task_slot *at = &table[(home + i) % TASK_SLOTS];
        if (at->address == (uint64_t)task || !at->address) slot = at;
    }
    if (!slot) slot = &table[home];
    if (slot->address != (uint64_t)task || slot->name_hash != hash) {
        *slot = (struct task_slot){(uint64_t)task, hash, task_new()};
        tell_task(slot->id, task, name);
    }
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

void task_enter(enum detail_way way) {
    struct pending_error error;
    struct text text;
    struct thread *thread = this_thread;
    if (thread->coroutines++) return;
    error_save(&error);
    thread->paused = 1;
    void *task = running_task(way), *name = task ? py.PyObject_CallMethod(task, "get_name", NULL) : NULL;
    if (!name) py.PyErr_Clear();
    text_of_unicode(&text, name);
    if (thread == this_thread) thread->paused = 0;
    if (begin(thread, way)) tell(thread, task ? task_id(way == WAY_MAIN ? slots : parallel_slots, task, &text) : 0, way);
    end(way);
    text_done(&text);
    drop_ref(name);
    drop_ref(task);
    error_restore(&error);
}

void task_leave(enum detail_way way) {
    struct thread *thread = this_thread;
    if (!thread->coroutines || --thread->coroutines || !thread->task) return;
    if (begin(thread, way)) tell(thread, 0, way);
    end(way);
}
