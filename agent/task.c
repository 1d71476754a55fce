/* Owns --log_async: which asyncio task a thread runs. Asked when the event loop enters a coroutine, forgotten
 * when the outermost coroutine is left. */
#include "agent/detail.h"
#include "agent/emit.h"

enum { TASK_SLOTS = 4096, TASK_PROBES = 16, TASK_NAME_MAX = 256 };

/* A task's address may be reused by another one: its name is part of the key. */
struct task_slot {
    uint64_t address, name_hash;
    uint32_t id;
};
static struct task_slot slots[TASK_SLOTS];
static uint32_t next_task;
static void *current_task; /* asyncio.tasks.current_task, owned; NULL until asyncio is there */

void tasks_start(void) {
    memset(slots, 0, sizeof slots);
    next_task = 1;
}

void tasks_stop(void) {
    drop_ref(current_task);
    current_task = NULL;
}

static void *running_task(void) {
    if (!current_task && !(py.Py_IsFinalizing && py.Py_IsFinalizing())) { /* modules may be gone then */
        void *modules = py.PyImport_GetModuleDict();
        void *module = modules ? py.PyDict_GetItemString(modules, "asyncio.tasks") : NULL;
        current_task = module ? py.PyObject_GetAttrString(module, "current_task") : NULL;
    }
    void *task = current_task ? py.PyObject_CallObject(current_task, NULL) : NULL;
    if (!task) py.PyErr_Clear();
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

static uint32_t task_id(void *task) {
    struct text text;
    uint64_t hash = 14695981039346656037ull;
    uint32_t home = (uint32_t)(((uint64_t)task >> 4) * 0x9E3779B1u) % TASK_SLOTS;
    void *name = py.PyObject_CallMethod(task, "get_name", NULL);
    if (!name) py.PyErr_Clear();
    text_of_unicode(&text, name);
    for (int64_t i = 0; i < text.len; i++) hash = (hash ^ (uint8_t)text.bytes[i]) * 1099511628211ull;
    struct task_slot *slot = NULL;
    for (uint32_t i = 0; i < TASK_PROBES && !slot; i++) {
        struct task_slot *at = &slots[(home + i) % TASK_SLOTS];
        if (at->address == (uint64_t)task || !at->address) slot = at;
    }
    if (!slot) slot = &slots[home];
    if (slot->address != (uint64_t)task || slot->name_hash != hash) {
        *slot = (struct task_slot){(uint64_t)task, hash, next_task < VT_ID_MAX ? next_task++ : VT_ID_MAX};
        tell_task(slot->id, task, &text);
    }
    text_done(&text);
    drop_ref(name);
    return slot->id;
}

void task_enter(void) {
    struct pending_error error;
    struct thread *thread = this_thread;
    if (thread->coroutines++) return;
    error_save(&error);
    thread->paused = 1;
    void *task = running_task();
    uint32_t id = task ? task_id(task) : 0;
    drop_ref(task);
    if (thread == this_thread) thread->paused = 0;
    error_restore(&error);
    if (thread != this_thread || id == thread->task || agent.state != AGENT_TRACING) return;
    thread->task = id;
    emit_any_clock((uint64_t)id << VT_REC_TYPE_BITS | VT_REC_TASK);
}

void task_leave(void) {
    struct thread *thread = this_thread;
    if (!thread->coroutines || --thread->coroutines || !thread->task) return;
    thread->task = 0;
    emit_any_clock(VT_REC_TASK);
}
