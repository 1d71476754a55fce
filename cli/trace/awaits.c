/* Owns the table of asyncio's coroutines that wait (awaits.h). */
#include "cli/trace/awaits.h"

#include <errno.h>
#include <string.h>

#include "cli/base/memory.h"
#include "proto/abi/record.h"

const char *const await_words[AWAIT_KINDS] = {
    [AWAIT_OTHER] = "other",   [AWAIT_TIMER] = "timer",         [AWAIT_TASKS] = "tasks",     [AWAIT_TASK] = "task",
    [AWAIT_LOCK] = "lock",     [AWAIT_EVENT] = "event",         [AWAIT_QUEUE] = "queue",     [AWAIT_SOCKET] = "socket",
    [AWAIT_JOB] = "executor",  [AWAIT_CONDITION] = "condition", [AWAIT_BARRIER] = "barrier", [AWAIT_PROCESS] = "process",
    [AWAIT_SERVER] = "server", [AWAIT_TURN] = "turn",
};

static const struct row {
    const char *module, *name;
    enum await_kind kind;
} rows[] = {
    {"base_events", "BaseEventLoop.getaddrinfo", AWAIT_JOB},
    {"base_events", "BaseEventLoop.getnameinfo", AWAIT_JOB},
    {"base_events", "BaseEventLoop.shutdown_default_executor", AWAIT_JOB},
    {"base_events", "BaseEventLoop.sock_sendfile", AWAIT_SOCKET},
    {"base_events", "Server.serve_forever", AWAIT_SERVER},
    {"base_events", "Server.wait_closed", AWAIT_SERVER},
    {"base_subprocess", "BaseSubprocessTransport._connect_pipes", AWAIT_PROCESS},
    {"base_subprocess", "BaseSubprocessTransport._wait", AWAIT_PROCESS},
    {"locks", "Barrier._block", AWAIT_BARRIER},
    {"locks", "Barrier._wait", AWAIT_BARRIER},
    {"locks", "Event.wait", AWAIT_EVENT},
    {"locks", "Condition.wait", AWAIT_CONDITION},
    {"locks", "Lock.acquire", AWAIT_LOCK},
    {"locks", "Semaphore.acquire", AWAIT_LOCK},
    {"queues", "Queue.get", AWAIT_QUEUE},
    {"queues", "Queue.join", AWAIT_QUEUE},
    {"queues", "Queue.put", AWAIT_QUEUE},
    {"selector_events", "BaseSelectorEventLoop._sock_sendfile_native", AWAIT_SOCKET},
    {"selector_events", "BaseSelectorEventLoop.sock_accept", AWAIT_SOCKET},
    {"selector_events", "BaseSelectorEventLoop.sock_connect", AWAIT_SOCKET},
    {"selector_events", "BaseSelectorEventLoop.sock_recv", AWAIT_SOCKET},
    {"selector_events", "BaseSelectorEventLoop.sock_recv_into", AWAIT_SOCKET},
    {"selector_events", "BaseSelectorEventLoop.sock_recvfrom", AWAIT_SOCKET},
    {"selector_events", "BaseSelectorEventLoop.sock_recvfrom_into", AWAIT_SOCKET},
    {"selector_events", "BaseSelectorEventLoop.sock_sendall", AWAIT_SOCKET},
    {"selector_events", "BaseSelectorEventLoop.sock_sendto", AWAIT_SOCKET},
    {"streams", "FlowControlMixin._drain_helper", AWAIT_SOCKET},
    {"streams", "StreamReader._wait_for_data", AWAIT_SOCKET},
    {"streams", "StreamWriter.wait_closed", AWAIT_SOCKET},
    {"taskgroups", "TaskGroup.__aexit__", AWAIT_TASKS},
    {"taskgroups", "TaskGroup._aexit", AWAIT_TASKS},
    {"tasks", "__sleep0", AWAIT_TURN},
    {"tasks", "_cancel_and_wait", AWAIT_TASKS},
    {"tasks", "_wait", AWAIT_TASKS},
    {"tasks", "sleep", AWAIT_TIMER},
    {"tasks", "wait_for", AWAIT_TASKS},
    {"threads", "to_thread", AWAIT_JOB},
};

/* Below 3.11 the last part of a name is all that a trace has: where two rows of a module share it, the first one counts. */
static bool is(const struct row *row, const struct trace_name *name) {
    static const char folder[] = "asyncio/";
    const size_t flen = sizeof folder - 1, mlen = strlen(row->module);
    if (name->kind || name->file_len < flen + mlen + 3) return false;
    const char *at = name->file + name->file_len - mlen - 3 - flen;
    if (at > name->file && at[-1] != '/') return false;
    if (memcmp(at, folder, flen) || memcmp(at + flen, row->module, mlen) || memcmp(at + flen + mlen, ".py", 3)) return false;
    const char *dot = strrchr(row->name, '.'), *want = dot && !memchr(name->name, '.', name->name_len) ? dot + 1 : row->name;
    return name->name_len == strlen(want) && !memcmp(name->name, want, name->name_len);
}

/* Futures that are written in Python have a frame of their own below the coroutine. */
static bool is_future(const struct trace_name *name) {
    static const struct row rows_of[] = {{"futures", "Future.__await__", AWAIT_OTHER}, {"tasks", "Task.__await__", AWAIT_OTHER}};
    return is(&rows_of[0], name) || is(&rows_of[1], name);
}

enum await_kind await_kind_of(struct trace_name *const *chain, uint32_t n, struct trace_name **in) {
    *in = chain[n > 1 && is_future(chain[0])];
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++)
        if (is(&rows[i], *in)) return rows[i].kind;
    return AWAIT_OTHER;
}

/* ---- names of slices ---- */

int await_names_add(struct trace_info *info) {
    static const char *const texts[AWAIT_KINDS] = {
        [AWAIT_OTHER] = "await",
        [AWAIT_TIMER] = "await timer",
        [AWAIT_TASKS] = "await tasks",
        [AWAIT_TASK] = "await task",
        [AWAIT_LOCK] = "await lock",
        [AWAIT_EVENT] = "await event",
        [AWAIT_CONDITION] = "await condition",
        [AWAIT_QUEUE] = "await queue",
        [AWAIT_BARRIER] = "await barrier",
        [AWAIT_SOCKET] = "await socket",
        [AWAIT_JOB] = "await executor",
        [AWAIT_PROCESS] = "await process",
        [AWAIT_SERVER] = "await server",
        [AWAIT_TURN] = "await turn",
    };
    uint32_t page = 1; /* the first that has no names: so the table stays small */
    while (page < info->names.npages && info->names.pages[page]) page++;
    if (page > ID_TABLE_MAX / ID_TABLE_PAGE) return 0;
    info->await_base = page * ID_TABLE_PAGE;
    for (uint32_t kind = 0; kind < AWAIT_KINDS; kind++) {
        void **slot = id_table_slot(&info->names, info->await_base + kind);
        struct trace_name *name = slot && !*slot ? memory_calloc(1, sizeof *name) : NULL;
        if (slot && *slot) continue; /* a damaged trace, or one with that many functions */
        if (!name) return -ENOMEM;
        *name = (struct trace_name){.index = info->nnames++, .kind = 1, .name = texts[kind], .file = ""};
        name->name_len = (uint32_t)strlen(texts[kind]);
        *slot = name;
    }
    return 0;
}

struct trace_name *await_name(const struct trace_info *info, enum await_kind kind) {
    return info->await_base ? id_table_get(&info->names, info->await_base + (uint32_t)kind) : NULL;
}
