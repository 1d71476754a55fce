/* Owns telling which system call the threads of a target are in (inside.h). */
#include "attach/inside.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "attach/attach_priv.h"

#define ROUNDS 3
#define ROUND_NS 500000
#define SOCKET_LINES_MAX 20000u /* read of each table of sockets: a host may have very many */

/* The calls that threads are found in. fd: which argument is a descriptor, -1 = none. */
static const struct call {
    long nr;
    const char *name;
    int fd;
} calls[] = {
    {SYS_read, "read", 0},
    {SYS_readv, "readv", 0},
    {SYS_pread64, "pread64", 0},
    {SYS_preadv, "preadv", 0},
    {SYS_write, "write", 0},
    {SYS_writev, "writev", 0},
    {SYS_pwrite64, "pwrite64", 0},
    {SYS_pwritev, "pwritev", 0},
    {SYS_recvfrom, "recvfrom", 0},
    {SYS_recvmsg, "recvmsg", 0},
    {SYS_recvmmsg, "recvmmsg", 0},
    {SYS_sendto, "sendto", 0},
    {SYS_sendmsg, "sendmsg", 0},
    {SYS_sendfile, "sendfile", 1},
    {SYS_splice, "splice", 0},
    {SYS_accept, "accept", 0},
    {SYS_accept4, "accept4", 0},
    {SYS_connect, "connect", 0},
    {SYS_poll, "poll", -1},
    {SYS_ppoll, "ppoll", -1},
    {SYS_select, "select", -1},
    {SYS_pselect6, "pselect6", -1},
    {SYS_epoll_wait, "epoll_wait", -1},
    {SYS_epoll_pwait, "epoll_pwait", -1},
    {SYS_futex, "futex", -1},
    {SYS_nanosleep, "nanosleep", -1},
    {SYS_clock_nanosleep, "clock_nanosleep", -1},
    {SYS_pause, "pause", -1},
    {SYS_wait4, "wait4", -1},
    {SYS_waitid, "waitid", -1},
    {SYS_rt_sigtimedwait, "rt_sigtimedwait", -1},
    {SYS_rt_sigsuspend, "rt_sigsuspend", -1},
    {SYS_semtimedop, "semtimedop", -1},
    {SYS_msgrcv, "msgrcv", -1},
    {SYS_mq_timedreceive, "mq_timedreceive", -1},
    {SYS_flock, "flock", 0},
    {SYS_fcntl, "fcntl", 0},
    {SYS_ioctl, "ioctl", 0},
    {SYS_fsync, "fsync", 0},
    {SYS_fdatasync, "fdatasync", 0},
    {SYS_openat, "openat", -1},
    {SYS_getdents64, "getdents64", 0},
    {SYS_io_uring_enter, "io_uring_enter", -1},
    {SYS_vfork, "vfork", -1},
    {SYS_restart_syscall, "restart_syscall", -1}, /* a wait that a signal or a stop interrupted, and that goes on */
};

struct inside {
    pid_t pid;
    struct maps maps;
    bool have_maps;
};

/* ---- descriptors ---- */

/* "0100007F:1F90": the address as the host's words in hex, the port as a number. */
static bool put_address(char *to, size_t size, const char *hex) {
    uint32_t words[4];
    unsigned port;
    size_t digits = strspn(hex, "0123456789ABCDEF");
    char address[INET6_ADDRSTRLEN];
    if ((digits != 8 && digits != 32) || sscanf(hex + digits, ":%4X", &port) != 1) return false;
    for (size_t i = 0; i < digits / 8; i++)
        if (sscanf(hex + i * 8, "%8X", &words[i]) != 1) return false;
    if (!inet_ntop(digits == 8 ? AF_INET : AF_INET6, words, address, sizeof(address))) return false;
    return snprintf(to, size, digits == 8 ? "%s:%u" : "[%s]:%u", address, port) < (int)size;
}

uint64_t inside_parse_socket(const char *line, const char *proto, char *text, size_t size) {
    char local[48], remote[48], from[INET6_ADDRSTRLEN + 10], to[INET6_ADDRSTRLEN + 10];
    unsigned long inode;
    if (sscanf(line, " %*u: %47s %47s %*s %*s %*s %*s %*s %*s %lu", local, remote, &inode) != 3) return 0;
    if (!put_address(from, sizeof(from), local) || !put_address(to, sizeof(to), remote)) return 0;
    bool connected = strspn(remote, "0:") != strlen(remote);
    if (connected)
        snprintf(text, size, "%s %s -> %s", proto, from, to);
    else
        snprintf(text, size, "%s %s", proto, from);
    return inode;
}

static void put_socket(pid_t pid, uint64_t inode, char *text, size_t size) {
    static const char *const tables[][2] = {{"tcp", "tcp"}, {"tcp6", "tcp"}, {"udp", "udp"}, {"udp6", "udp"}};
    char path[64], line[512];
    snprintf(text, size, "socket");
    for (size_t i = 0; i < VT_ARRAY_LEN(tables); i++) {
        char found[120];
        snprintf(path, sizeof(path), "/proc/%d/net/%s", (int)pid, tables[i][0]);
        FILE *f = fopen(path, "re");
        for (unsigned n = 0; f && n < SOCKET_LINES_MAX && fgets(line, sizeof(line), f); n++) {
            if (inside_parse_socket(line, tables[i][1], found, sizeof(found)) != inode) continue;
            snprintf(text, size, "%s", found);
            fclose(f);
            return;
        }
        if (f) fclose(f);
    }
}

static void put_fd(pid_t pid, uint64_t fd, char *text, size_t size) {
    char path[64], link[256];
    uint64_t inode;
    text[0] = 0;
    if (fd > INT32_MAX) return;
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, (int)fd);
    ssize_t n = readlink(path, link, sizeof(link) - 1);
    if (n <= 0) return;
    link[n] = 0;
    if (sscanf(link, "socket:[%lu]", &inode) == 1)
        put_socket(pid, inode, text, size);
    else if (!strncmp(link, "pipe:", 5))
        snprintf(text, size, "pipe");
    else
        snprintf(text, size, "%.120s", link);
}

/* ---- threads ---- */

/* The interpreter's lock is a condition variable in _PyRuntime: in the zeroed data of the program or of libpython. */
static bool is_interpreter_lock(struct inside *l, uint64_t address) {
    if (!l->have_maps) {
        if (maps_read(l->pid, &l->maps)) return false;
        l->have_maps = true;
    }
    for (size_t i = 0; i < l->maps.nmods; i++) {
        const struct map_module *m = &l->maps.mods[i];
        const char *slash = strrchr(m->path, '/');
        if (address >= m->start && address < m->end) return slash && strstr(slash, "python") != NULL;
    }
    return false;
}

int inside_call(pid_t pid, pid_t tid, long *nr, unsigned long arg[2]) {
    char path[64], words[256];
    snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", (int)pid, (int)tid);
    if (vt_read_file(path, words, sizeof(words), NULL)) return 0;
    if (!strncmp(words, "running", 7)) return -EAGAIN;
    return sscanf(words, "%ld %lx %lx", nr, &arg[0], &arg[1]) == 3 && *nr >= 0; /* else stopped, and not in a call */
}

int inside_sp(pid_t pid, pid_t tid, uint64_t *sp) {
    char path[64], words[256];
    unsigned long at;
    long nr;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", (int)pid, (int)tid);
    if (vt_read_file(path, words, sizeof(words), NULL)) return 0;
    if (!strncmp(words, "running", 7)) return -EAGAIN;
    if (sscanf(words, "%ld %*x %*x %*x %*x %*x %*x %lx", &nr, &at) != 2 || nr < 0) return 0;
    *sp = at;
    return 1;
}

/* Which wait goes on in restart_syscall: the registers still have its arguments, and the kernel may tell where it sleeps. */
static long restarted(pid_t pid, pid_t tid, const unsigned long arg[2]) {
    static const struct {
        const char *where;
        long nr;
    } rows[] = {{"futex", SYS_futex}, {"nanosleep", SYS_clock_nanosleep}, {"poll", SYS_poll}};
    enum { CLOCKS = 16 };
    char path[64], where[64];
    snprintf(path, sizeof(path), "/proc/%d/task/%d/wchan", (int)pid, (int)tid);
    if (vt_read_file(path, where, sizeof(where), NULL)) where[0] = 0;
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++)
        if (strstr(where, rows[i].where)) return rows[i].nr;
    return arg[0] < CLOCKS ? SYS_clock_nanosleep : SYS_restart_syscall;
}

const char *inside_call_name(long nr) {
    for (size_t i = 0; i < VT_ARRAY_LEN(calls); i++)
        if (calls[i].nr == nr) return calls[i].name;
    return NULL;
}

static void put_call(pid_t pid, long nr, const unsigned long arg[2], char *text, size_t size) {
    char fd[INSIDE_TEXT_MAX], raw[INSIDE_TEXT_MAX + 40];
    snprintf(raw, sizeof(raw), "system call %ld", nr);
    for (size_t i = 0; i < VT_ARRAY_LEN(calls); i++) {
        const struct call *c = &calls[i];
        if (c->nr != nr) continue;
        if (c->fd >= 0) put_fd(pid, arg[c->fd], fd, sizeof(fd));
        if (c->fd >= 0 && fd[0])
            snprintf(raw, sizeof(raw), "%s(%lu: %s)", c->name, arg[c->fd], fd);
        else
            snprintf(raw, sizeof(raw), "%s", c->name);
    }
    vt_clean_line(text, size, raw, strlen(raw));
}

int inside_look(struct inside *l, pid_t tid, char *text, size_t size) {
    unsigned long arg[2] = {0, 0};
    long nr;
    int told = inside_call(l->pid, tid, &nr, arg);
    if (told != 1) return told;
    if ((nr == SYS_futex || nr == SYS_restart_syscall) && is_interpreter_lock(l, arg[0])) return 0;
    if (nr == SYS_restart_syscall) nr = restarted(l->pid, tid, arg);
    put_call(l->pid, nr, arg, text, size);
    return 1;
}

struct inside *inside_open(pid_t pid) {
    struct inside *l = calloc(1, sizeof(*l));
    if (l) l->pid = pid;
    return l;
}

void inside_close(struct inside *l) {
    if (l && l->have_maps) maps_free(&l->maps);
    free(l);
}

int inside_thread(pid_t pid, pid_t tid, char *text, size_t size) {
    struct inside l = {.pid = pid};
    int told = inside_look(&l, tid, text, size);
    if (l.have_maps) maps_free(&l.maps);
    return told;
}

void inside_each(pid_t pid, int (*fn)(void *ctx, pid_t tid, const char *text), void *ctx) {
    static const struct timespec nap = {0, ROUND_NS};
    struct inside l = {.pid = pid};
    pid_t tids[INSIDE_THREADS_MAX];
    char path[64], text[INSIDE_TEXT_MAX];
    unsigned n = 0, left;
    int rc = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && n < INSIDE_THREADS_MAX && (e = readdir(d));)
        if (e->d_name[0] >= '0' && e->d_name[0] <= '9') tids[n++] = (pid_t)strtol(e->d_name, NULL, 10);
    if (d) closedir(d);
    /* A thread that was stopped a moment ago is about to go on with its call: those that run are looked at again. */
    for (unsigned round = 0; n && !rc && round < ROUNDS; round++, n = left) {
        if (round) nanosleep(&nap, NULL);
        left = 0;
        for (unsigned i = 0; i < n && !rc; i++) {
            int told = inside_look(&l, tids[i], text, sizeof(text));
            if (told == -EAGAIN) tids[left++] = tids[i];
            if (told == 1) rc = fn(ctx, tids[i], text);
        }
    }
    if (l.have_maps) maps_free(&l.maps);
}
