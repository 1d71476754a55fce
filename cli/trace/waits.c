/* Owns the table of functions that wait (waits.h). */
#include "cli/trace/waits.h"

#include <string.h>

#define IDLE (WAITS | WAITS_IDLE)
#define IDLE_BELOW (WAITS | WAITS_IDLE | WAITS_BELOW)

#define IN_C "[in C: "

static const struct waits_row rows[] = {
    {WAITS_C, "time", "sleep", IDLE},
    {WAITS_C, "greenlet.greenlet", "switch", WAITS},
    {WAITS_C, "greenlet.greenlet", "throw", WAITS},
    {WAITS_C, "select", "select", IDLE},
    {WAITS_C, "select.poll", "poll", IDLE},
    {WAITS_C, "select.epoll", "poll", IDLE},
    {WAITS_C, "select.devpoll", "poll", IDLE},
    {WAITS_C, "select.kqueue", "control", IDLE},
    {WAITS_C, "_queue.SimpleQueue", "get", IDLE},
    {WAITS_C, "_thread._ThreadHandle", "join", IDLE},
    {WAITS_C, "_thread.lock", "acquire", WAITS},
    {WAITS_C, "_thread.lock", "acquire_lock", WAITS},
    {WAITS_C, "_thread.lock", "__enter__", WAITS},
    {WAITS_C, "_thread.RLock", "acquire", WAITS},
    {WAITS_C, "_thread.RLock", "__enter__", WAITS},
    {WAITS_C, "_multiprocessing.SemLock", "acquire", WAITS},
    {WAITS_C, "_multiprocessing.SemLock", "__enter__", WAITS},
    {WAITS_C, "_signal", "pause", IDLE},
    {WAITS_C, "_signal", "sigwait", IDLE},
    {WAITS_C, "_signal", "sigwaitinfo", IDLE},
    {WAITS_C, "_signal", "sigtimedwait", IDLE},
    {WAITS_C, "_socket.socket", "_accept", IDLE},
    {WAITS_C, "_socket.socket", "connect", WAITS},
    {WAITS_C, "_socket.socket", "connect_ex", WAITS},
    {WAITS_C, "_socket.socket", "recv", WAITS},
    {WAITS_C, "_socket.socket", "recv_into", WAITS},
    {WAITS_C, "_socket.socket", "recvfrom", WAITS},
    {WAITS_C, "_socket.socket", "recvfrom_into", WAITS},
    {WAITS_C, "_socket.socket", "recvmsg", WAITS},
    {WAITS_C, "_socket.socket", "recvmsg_into", WAITS},
    {WAITS_C, "_socket.socket", "send", WAITS},
    {WAITS_C, "_socket.socket", "sendall", WAITS},
    {WAITS_C, "_socket.socket", "sendmsg", WAITS},
    {WAITS_C, "_socket.socket", "sendto", WAITS},
    {WAITS_C, "_socket", "getaddrinfo", WAITS},
    {WAITS_C, "_socket", "gethostbyaddr", WAITS},
    {WAITS_C, "_socket", "gethostbyname", WAITS},
    {WAITS_C, "_socket", "gethostbyname_ex", WAITS},
    {WAITS_C, "_socket", "getnameinfo", WAITS},
    {WAITS_C, "_ssl._SSLSocket", "do_handshake", WAITS},
    {WAITS_C, "_ssl._SSLSocket", "read", WAITS},
    {WAITS_C, "_ssl._SSLSocket", "shutdown", WAITS},
    {WAITS_C, "_ssl._SSLSocket", "write", WAITS},
    {WAITS_C, "_io.FileIO", "read", WAITS},
    {WAITS_C, "_io.FileIO", "readall", WAITS},
    {WAITS_C, "_io.FileIO", "readinto", WAITS},
    {WAITS_C, "_io.BufferedReader", "peek", WAITS},
    {WAITS_C, "_io.BufferedReader", "read", WAITS},
    {WAITS_C, "_io.BufferedReader", "read1", WAITS},
    {WAITS_C, "_io.BufferedReader", "readinto", WAITS},
    {WAITS_C, "_io.BufferedReader", "readline", WAITS},
    {WAITS_C, "fcntl", "flock", WAITS},
    {WAITS_C, "fcntl", "lockf", WAITS},
    {WAITS_C, "posix", "lockf", WAITS},
    {WAITS_C, "posix", "read", WAITS},
    {WAITS_C, "posix", "readv", WAITS},
    {WAITS_C, "posix", "wait", WAITS},
    {WAITS_C, "posix", "wait3", WAITS},
    {WAITS_C, "posix", "wait4", WAITS},
    {WAITS_C, "posix", "waitid", WAITS},
    {WAITS_C, "posix", "waitpid", WAITS},

    /* Their own time is the wait where C functions are not recorded, or are called from C. */
    {WAITS_PYTHON, "asyncio/events", "Handle._run", WAITS_IN_LOOP},
    {WAITS_PYTHON, "concurrent/futures/thread", "_WorkItem.run", WAITS_OFF_CPU},
    {WAITS_PYTHON, "concurrent/futures/thread", "_worker", IDLE},
    {WAITS_PYTHON, "gevent/_socketcommon", "SocketMixin._internal_connect", WAITS},
    {WAITS_PYTHON, "gevent/_socketcommon", "SocketMixin.recv", WAITS},
    {WAITS_PYTHON, "gevent/_socketcommon", "SocketMixin.recv_into", WAITS},
    {WAITS_PYTHON, "gevent/_socketcommon", "SocketMixin.recvfrom", WAITS},
    {WAITS_PYTHON, "gevent/_socketcommon", "SocketMixin.recvfrom_into", WAITS},
    {WAITS_PYTHON, "gevent/_socketcommon", "SocketMixin.send", WAITS},
    {WAITS_PYTHON, "gevent/_socketcommon", "SocketMixin.sendall", WAITS},
    {WAITS_PYTHON, "gevent/_socketcommon", "SocketMixin.sendto", WAITS},
    {WAITS_PYTHON, "gevent/_socket3", "socket.accept", IDLE},
    {WAITS_PYTHON, "gevent/baseserver", "BaseServer.serve_forever", IDLE},
    {WAITS_PYTHON, "gevent/hub", "Hub.join", IDLE},
    {WAITS_PYTHON, "gevent/hub", "Hub.run", IDLE},
    {WAITS_PYTHON, "gevent/hub", "sleep", IDLE},
    {WAITS_PYTHON, "gevent/pool", "Group.join", IDLE},
    {WAITS_PYTHON, "gevent/pool", "GroupMappingMixin.apply", WAITS},
    {WAITS_PYTHON, "gevent/pool", "Pool.add", WAITS},
    {WAITS_PYTHON, "gevent/select", "select", IDLE},
    {WAITS_PYTHON, "gevent/select", "poll.poll", IDLE},
    {WAITS_PYTHON, "gevent/subprocess", "Popen.wait", WAITS},
    {WAITS_PYTHON, "gevent/threadpool", "ThreadPool.spawn", WAITS},
    {WAITS_PYTHON, "http/server", "BaseHTTPRequestHandler.handle_one_request", WAITS_NEXT},
    {WAITS_PYTHON, "multiprocessing/connection", "Connection._recv", WAITS},
    {WAITS_PYTHON, "multiprocessing/connection", "wait", IDLE_BELOW},
    {WAITS_PYTHON, "multiprocessing/pool", "Pool._handle_results", WAITS_BELOW},
    {WAITS_PYTHON, "multiprocessing/pool", "Pool._handle_tasks", IDLE},
    {WAITS_PYTHON, "multiprocessing/pool", "Pool._handle_workers", WAITS_BELOW},
    {WAITS_PYTHON, "multiprocessing/popen_fork", "Popen.poll", WAITS},
    {WAITS_PYTHON, "multiprocessing/queues", "Queue.get", IDLE_BELOW},
    {WAITS_PYTHON, "multiprocessing/queues", "SimpleQueue.get", IDLE_BELOW},
    {WAITS_PYTHON, "multiprocessing/synchronize", "Condition.wait", IDLE_BELOW},
    {WAITS_PYTHON, "multiprocessing/synchronize", "SemLock.__enter__", WAITS},
    {WAITS_PYTHON, "queue", "Queue.get", IDLE_BELOW},
    {WAITS_PYTHON, "queue", "_PySimpleQueue.get", IDLE_BELOW},
    {WAITS_PYTHON, "selectors", "DevpollSelector.select", IDLE_BELOW},
    {WAITS_PYTHON, "selectors", "EpollSelector.select", IDLE_BELOW},
    {WAITS_PYTHON, "selectors", "KqueueSelector.select", IDLE_BELOW},
    {WAITS_PYTHON, "selectors", "SelectSelector.select", IDLE_BELOW},
    {WAITS_PYTHON, "selectors", "_PollLikeSelector.select", IDLE_BELOW},
    {WAITS_PYTHON, "socket", "SocketIO.readinto", WAITS},
    {WAITS_PYTHON, "socket", "socket.accept", IDLE_BELOW},
    {WAITS_PYTHON, "ssl", "SSLSocket.do_handshake", WAITS},
    {WAITS_PYTHON, "ssl", "SSLSocket.read", WAITS},
    {WAITS_PYTHON, "subprocess", "Popen._try_wait", WAITS},
    {WAITS_PYTHON, "threading", "Condition.wait", IDLE_BELOW},
    {WAITS_PYTHON, "threading", "Thread._wait_for_tstate_lock", IDLE_BELOW},
    {WAITS_PYTHON, "threading", "Thread.join", IDLE_BELOW},

    {WAITS_SYSCALL, "", "accept", IDLE},
    {WAITS_SYSCALL, "", "accept4", IDLE},
    {WAITS_SYSCALL, "", "clock_nanosleep", IDLE},
    {WAITS_SYSCALL, "", "connect", WAITS},
    {WAITS_SYSCALL, "", "epoll_pwait", IDLE},
    {WAITS_SYSCALL, "", "epoll_pwait2", IDLE},
    {WAITS_SYSCALL, "", "epoll_wait", IDLE},
    {WAITS_SYSCALL, "", "fcntl", WAITS},
    {WAITS_SYSCALL, "", "flock", WAITS},
    {WAITS_SYSCALL, "", "futex", WAITS},
    {WAITS_SYSCALL, "", "nanosleep", IDLE},
    {WAITS_SYSCALL, "", "pause", IDLE},
    {WAITS_SYSCALL, "", "poll", IDLE},
    {WAITS_SYSCALL, "", "ppoll", IDLE},
    {WAITS_SYSCALL, "", "pselect6", IDLE},
    {WAITS_SYSCALL, "", "read", WAITS},
    {WAITS_SYSCALL, "", "readv", WAITS},
    {WAITS_SYSCALL, "", "recvfrom", WAITS},
    {WAITS_SYSCALL, "", "recvmmsg", WAITS},
    {WAITS_SYSCALL, "", "recvmsg", WAITS},
    {WAITS_SYSCALL, "", "restart_syscall", IDLE},
    {WAITS_SYSCALL, "", "rt_sigtimedwait", IDLE},
    {WAITS_SYSCALL, "", "select", IDLE},
    {WAITS_SYSCALL, "", "sendmsg", WAITS},
    {WAITS_SYSCALL, "", "sendto", WAITS},
    {WAITS_SYSCALL, "", "wait4", WAITS},
    {WAITS_SYSCALL, "", "waitid", WAITS},
};

const struct waits_row *waits_row(size_t i) { return i < VT_ARRAY_LEN(rows) ? &rows[i] : NULL; }

struct piece {
    const char *at;
    size_t len;
};

static bool takes(struct piece *p, const char *text) {
    size_t len = strlen(text);
    if (p->len < len || memcmp(p->at, text, len)) return false;
    p->at += len;
    p->len -= len;
    return true;
}

static bool ends_with(struct piece *p, const char *text) {
    size_t len = strlen(text);
    if (p->len < len || memcmp(p->at + p->len - len, text, len)) return false;
    p->len -= len;
    return true;
}

/* The row's "module.name", the whole text. */
static bool is_c(const struct waits_row *row, struct piece text) {
    return (!row->module[0] || (takes(&text, row->module) && takes(&text, "."))) && takes(&text, row->name) && !text.len;
}

/* The folder of the standard library, without its last slash: ".../python3.12", ".../python3.13t", ".../Lib". */
static bool is_library(struct piece folder) {
    size_t at = folder.len;
    while (at && folder.at[at - 1] != '/') at--;
    struct piece last = {folder.at + at, folder.len - at};
    if (takes(&last, "Lib")) return !last.len;
    if (!takes(&last, "python3.")) return false;
    size_t digits = 0;
    while (digits < last.len && last.at[digits] >= '0' && last.at[digits] <= '9') digits++;
    return digits && (digits == last.len || (digits + 1 == last.len && last.at[digits] == 't'));
}

static bool is_python(const struct waits_row *row, const struct trace_name *name) {
    struct piece file = {name->file, name->file_len}, text = {name->name, name->name_len};
    if (!ends_with(&file, ".py") || !ends_with(&file, row->module) || !ends_with(&file, "/") || !is_library(file)) return false;
    const char *dot = strrchr(row->name, '.');
    bool bare = dot && !memchr(text.at, '.', text.len);
    return takes(&text, bare ? dot + 1 : row->name) && !text.len;
}

static unsigned of_c_text(struct piece text, enum waits_kind also) {
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++)
        if ((rows[i].kind == WAITS_C || rows[i].kind == also) && is_c(&rows[i], text)) return rows[i].bits;
    return 0;
}

/* The name of a C function came in two parts, or as one text from a JSON trace. */
static unsigned of_c(const struct trace_name *name) {
    char whole[128];
    struct piece text = {name->name, name->name_len};
    if (takes(&text, IN_C)) {
        const char *end = memchr(text.at, '(', text.len);
        if (!end) end = memchr(text.at, ']', text.len);
        if (end) text.len = (size_t)(end - text.at);
        return of_c_text(text, WAITS_SYSCALL);
    }
    if (name->file_len) {
        if (name->file_len + 1u + name->name_len > sizeof whole) return 0;
        memcpy(whole, name->file, name->file_len);
        whole[name->file_len] = '.';
        memcpy(whole + name->file_len + 1, name->name, name->name_len);
        text = (struct piece){whole, name->file_len + 1u + name->name_len};
    }
    return of_c_text(text, WAITS_C);
}

unsigned waits_of(const struct trace_name *name) {
    struct piece text = {name->name, name->name_len};
    if (name->kind || takes(&text, IN_C)) return of_c(name);
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++)
        if (rows[i].kind == WAITS_PYTHON && is_python(&rows[i], name)) return rows[i].bits;
    return 0;
}

bool waits_in_library(const struct trace_name *name) {
    struct piece rest = {name->file, name->file_len};
    if (name->kind) return true;
    if (takes(&rest, "<frozen ")) return true;
    for (size_t at = 1; at < name->file_len; at++) {
        if (name->file[at] != '/' || !is_library((struct piece){name->file, at})) continue;
        rest = (struct piece){name->file + at + 1, name->file_len - at - 1};
        return !takes(&rest, "site-packages/") && !takes(&rest, "dist-packages/");
    }
    return false;
}
