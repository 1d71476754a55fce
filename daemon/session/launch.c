/* Owns the launch socket: who connects, what is checked, what is handed over. */
#include "daemon/session/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/io/creds.h"
#include "proto/abi/boot.h"

#define BACKLOG 64

/* ---- one connection ---- */

static void close_waiting(struct launch_waiting *w) {
    if (w->fd < 0) return;
    loop_del(w->launch->loop, &w->io);
    vt_close(&w->fd);
}

static void send_answer(int fd, pid_t pid, int arena_fd, uint64_t arena_bytes) {
    struct vt_launch_answer answer = {VT_LAUNCH_ANSWER_MAGIC, arena_bytes, (uint32_t)pid, 0};
    struct iovec iov = {&answer, sizeof(answer)};
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof(control.buf)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &arena_fd, sizeof(int));
    if (sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) vt_log(VT_LOG_INFO, "launch: no answer sent: %s", strerror(errno));
}

/* The time that this takes must not tell how much of a guess was right. */
static bool same_token(const char *a, const char *b) {
    unsigned char different = 0;
    for (unsigned i = 0; i < VT_LAUNCH_KEY; i++) different |= (unsigned char)(a[i] ^ b[i]);
    return !different;
}

/* False: nothing has come yet. */
static bool hear(struct launch *l, int fd) {
    struct vt_launch_hello hello;
    struct ucred peer;
    socklen_t len = sizeof(peer);
    int arena_fd = -1;
    uint64_t arena_bytes = 0;
    ssize_t n = recv(fd, &hello, sizeof(hello), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (n != (ssize_t)sizeof(hello) || hello.magic != VT_LAUNCH_HELLO_MAGIC) return true;
    if (!same_token(hello.token, l->key + VT_LAUNCH_KEY) || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len)) return true;
    hello.text[sizeof(hello.text) - 1] = 0;
    if (hello.abi_major != VT_ABI_MAJOR) {
        hello.rc = -EPROTO;
        snprintf(hello.text, sizeof(hello.text), "the launch library is of another version than viztracerd");
    }
    if (peer.pid > 0 && l->fn(l->ctx, &hello, peer.pid, &arena_fd, &arena_bytes))
        send_answer(fd, peer.pid, arena_fd, arena_bytes);
    return true;
}

static void on_waiting(void *ctx, uint32_t events) {
    struct launch_waiting *w = ctx;
    (void)events;
    if (hear(w->launch, w->fd)) close_waiting(w);
}

/* ---- the socket ---- */

static void keep_waiting(struct launch *l, int fd) {
    struct launch_waiting *w = &l->waiting[0];
    for (int i = 0; i < LAUNCH_WAITING && w->fd >= 0; i++)
        if (l->waiting[i].fd < 0 || l->waiting[i].since_ns < w->since_ns) w = &l->waiting[i];
    close_waiting(w);
    w->launch = l;
    w->fd = fd;
    w->since_ns = vt_mono_ns();
    if (loop_add(l->loop, &w->io, fd, EPOLLIN, on_waiting, w)) vt_close(&w->fd);
}

static void on_listen(void *ctx, uint32_t events) {
    (void)events;
    launch_take(ctx);
}

void launch_take(struct launch *l) {
    for (int i = 0; i < LAUNCH_WAITING && l->fd >= 0; i++) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) break;
        if (hear(l, fd))
            vt_close(&fd);
        else
            keep_waiting(l, fd);
    }
}

static int make_key(char *key) {
    unsigned char bytes[VT_LAUNCH_KEY];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) return -EIO;
    for (unsigned i = 0; i < sizeof(bytes); i++) snprintf(key + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

int launch_listen(struct launch *l, struct loop *loop,
                  bool (*fn)(void *ctx, const struct vt_launch_hello *hello, pid_t pid, int *arena_fd, uint64_t *arena_bytes),
                  void *ctx, struct vt_err *err) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    const size_t prefix = strlen(VT_LAUNCH_SOCKET);
    l->loop = loop;
    l->fn = fn;
    l->ctx = ctx;
    for (int i = 0; i < LAUNCH_WAITING; i++) l->waiting[i].fd = -1;
    l->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int rc = l->fd < 0 ? -errno : make_key(l->key);
    memcpy(sa.sun_path + 1, VT_LAUNCH_SOCKET, prefix);
    memcpy(sa.sun_path + 1 + prefix, l->key, VT_LAUNCH_KEY);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + prefix + VT_LAUNCH_KEY);
    if (!rc && (bind(l->fd, (struct sockaddr *)&sa, len) || listen(l->fd, BACKLOG))) rc = -errno;
    if (!rc) rc = loop_add(loop, &l->io, l->fd, EPOLLIN, on_listen, l);
    if (rc) {
        vt_close(&l->fd);
        return vt_err_set(err, rc, "cannot make the socket for the program: %s", strerror(-rc));
    }
    return 0;
}

void launch_close(struct launch *l) {
    if (l->fd < 0) return;
    for (int i = 0; i < LAUNCH_WAITING; i++) close_waiting(&l->waiting[i]);
    loop_del(l->loop, &l->io);
    vt_close(&l->fd);
}

/* ---- the arena ---- */

int launch_make_arena(const struct vt_ctl *request, uint32_t nchunks, uint64_t lease, struct vt_err *err) {
    int fd = memfd_create(VT_ARENA_MEMFD, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct vt_ctl *ctl = malloc(sizeof(*ctl));
    int rc = fd < 0 ? -errno : ctl ? 0 : -ENOMEM;
    if (!rc && ftruncate(fd, (off_t)vt_arena_bytes(nchunks))) rc = -errno;
    if (!rc && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) rc = -errno;
    if (!rc) {
        *ctl = *request;
        arena_ctl_begin(ctl, nchunks, nchunks, lease);
        ssize_t n = pwrite(fd, ctl, sizeof(*ctl), 0);
        if (n != (ssize_t)sizeof(*ctl)) rc = n < 0 ? -errno : -ENOSPC;
    }
    free(ctl);
    if (!rc) return fd;
    vt_close(&fd);
    return vt_err_set(err, rc, "no memory for the shared arena: %s; free some, or raise the memory limit of viztracerd",
                      strerror(-rc));
}

/* ---- the process ---- */

void launch_describe(pid_t pid, uint32_t ns_pid, struct attach_info *info) {
    char path[64], text[sizeof(info->cmdline)];
    struct stat st;
    size_t len = 0;
    memset(info, 0, sizeof(*info));
    info->pid = pid;
    info->ns_pid = (pid_t)ns_pid;
    snprintf(path, sizeof(path), "/proc/%d", pid);
    if (!stat(path, &st)) info->uid = st.st_uid;
    snprintf(path, sizeof(path), "/proc/%d/exe", pid);
    ssize_t n = readlink(path, info->exe, sizeof(info->exe) - 1);
    info->exe[n > 0 ? n : 0] = 0;
    snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
    int rc = vt_read_file(path, text, sizeof(text), &len);
    if (rc && rc != -E2BIG) return;
    if (rc) len = sizeof(text) - 1;
    while (len && !text[len - 1]) len--;
    for (size_t i = 0; i < len; i++) info->cmdline[i] = (unsigned char)text[i] < ' ' || text[i] == 127 ? ' ' : text[i];
    info->cmdline[len] = 0;
}
