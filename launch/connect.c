/* Owns the conversation with the daemon. Raw system calls, each with a limit of time: a daemon that does not answer costs the
 * program two seconds at most, and it then runs untraced. */
#include "agent/cpython/arch.h"
#include "launch/launch.h"
#include "proto/abi/arena.h"

enum {
    FAMILY_UNIX = 1,
    SEQPACKET_CLOEXEC = 5 | 02000000,
    SOCKET_LEVEL = 1,
    RECEIVE_TIMEOUT = 20,
    SEND_TIMEOUT = 21,
    NO_SIGNAL = 0x4000,
    FD_CLOEXEC_FLAG = 0x40000000, /* MSG_CMSG_CLOEXEC */
    RIGHTS = 1,
    PATIENCE_SECONDS = 2,
    TRIES = 16,
    INTERRUPTED = -4
};

struct address {
    uint16_t family;
    char path[108];
};
struct vector {
    void *base;
    uint64_t len;
};
struct control {
    uint64_t len;
    int32_t level, type, fd, pad;
};
struct message {
    void *name;
    uint32_t name_len, pad0;
    struct vector *vectors;
    uint64_t nvectors;
    void *control;
    uint64_t control_len;
    int32_t flags, pad1;
};

static int connect_to(int64_t s) {
    struct address address = {.family = FAMILY_UNIX};
    const int64_t patience[2] = {PATIENCE_SECONDS, 0};
    const size_t prefix = sizeof VT_LAUNCH_SOCKET - 1;
    arch_syscall6(SYS_SETSOCKOPT, (uint64_t)s, SOCKET_LEVEL, RECEIVE_TIMEOUT, (uint64_t)patience, sizeof patience, 0);
    arch_syscall6(SYS_SETSOCKOPT, (uint64_t)s, SOCKET_LEVEL, SEND_TIMEOUT, (uint64_t)patience, sizeof patience, 0);
    memcpy(address.path + 1, VT_LAUNCH_SOCKET, prefix);
    memcpy(address.path + 1 + prefix, own.value, VT_LAUNCH_KEY);
    int64_t rc = INTERRUPTED;
    for (int i = 0; i < TRIES && rc == INTERRUPTED; i++)
        rc = arch_syscall3(SYS_CONNECT, (uint64_t)s, (uint64_t)&address, sizeof address.family + 1 + prefix + VT_LAUNCH_KEY);
    return (int)rc;
}

static int receive(int64_t s, int *fd, uint64_t *arena_bytes) {
    struct vt_launch_answer answer = {0};
    struct vector vector = {&answer, sizeof answer};
    struct control control = {0};
    struct message message = {.vectors = &vector, .nvectors = 1, .control = &control, .control_len = sizeof control};
    int64_t n = INTERRUPTED;
    for (int i = 0; i < TRIES && n == INTERRUPTED; i++)
        n = arch_syscall3(SYS_RECVMSG, (uint64_t)s, (uint64_t)&message, FD_CLOEXEC_FLAG);
    bool has_fd = n > 0 && message.control_len >= 20 && control.level == SOCKET_LEVEL && control.type == RIGHTS;
    if (has_fd && n == (int64_t)sizeof answer && answer.magic == VT_LAUNCH_ANSWER_MAGIC) {
        *fd = control.fd;
        *arena_bytes = answer.arena_bytes;
        own.pid = answer.pid;
        return 0;
    }
    if (has_fd) arch_syscall3(SYS_CLOSE, (uint64_t)control.fd, 0, 0);
    return n < 0 ? (int)n : -VT_ENOENT;
}

int connect_daemon(const struct vt_launch_origin *origin, int rc, const char *text, int *fd, uint64_t *arena_bytes) {
    struct vt_launch_hello hello = {.magic = VT_LAUNCH_HELLO_MAGIC, .abi_major = VT_ABI_MAJOR, .rc = rc, .origin = *origin};
    hello.pid = (uint32_t)arch_syscall3(SYS_GETPID, 0, 0, 0);
    memcpy(hello.token, own.value + VT_LAUNCH_KEY, VT_LAUNCH_KEY);
    text_append(hello.text, sizeof hello.text, text);
    int64_t s = arch_syscall3(SYS_SOCKET, FAMILY_UNIX, SEQPACKET_CLOEXEC, 0);
    if (s < 0) return (int)s;
    int result = connect_to(s);
    if (!result) {
        int64_t n = arch_syscall6(SYS_SENDTO, (uint64_t)s, (uint64_t)&hello, sizeof hello, NO_SIGNAL, 0, 0);
        result = n == (int64_t)sizeof hello ? receive(s, fd, arena_bytes) : n < 0 ? (int)n : -VT_EINVAL;
    }
    arch_syscall3(SYS_CLOSE, (uint64_t)s, 0, 0);
    return result;
}

int connect_child(int *fd, uint64_t *arena_bytes) {
    struct vt_launch_origin origin;
    origin_of_fork(&origin);
    return own.filtered || own_is_filtered() ? -VT_ENOTSUP : connect_daemon(&origin, 0, "", fd, arena_bytes);
}
