/* Places for agent and arena (place.h): memfds that the target made itself, reached through /proc/PID/fd,
 * or files in a directory of the target where programs may be run from. */
#include "attach/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define STALE_LOCKED_NS 1000000000ull
#define STALE_AGENT_NS 600000000000ull
#define PATH_DOTS 20 /* bits of a path that no earlier attach has used */

static uint32_t random_bits(void) {
    uint32_t bits;
    if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) == (ssize_t)sizeof(bits)) return bits;
    return (uint32_t)(vt_mono_ns() * 2654435761u) ^ (uint32_t)getpid();
}

bool place_target_has_proc(pid_t pid, pid_t ns_pid) {
    char path[96], theirs[512], real[512];
    struct statfs fs;
    snprintf(path, sizeof(path), "/proc/%d/root/proc", (int)pid);
    if (statfs(path, &fs) || fs.f_type != PROC_SUPER_MAGIC) return false;
    snprintf(path, sizeof(path), "/proc/%d/root/proc/%d/exe", (int)pid, (int)ns_pid); /* is it of the target's pid namespace? */
    ssize_t a = readlink(path, theirs, sizeof(theirs));
    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    ssize_t b = readlink(path, real, sizeof(real));
    return a > 0 && a == b && !memcmp(theirs, real, (size_t)a);
}

void place_init(struct place *p) { *p = (struct place){.agent_fd = -1, .arena_fd = -1, .dir_fd = -1}; }

/* -- files -- */

/* A directory as the target sees it: links are followed inside its root, never into ours. */
static int open_dir(pid_t pid, const char *dir) {
    char path[64];
    struct open_how how = {.flags = O_DIRECTORY | O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
    int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) return -errno;
    int fd = (int)syscall(SYS_openat2, root, dir, &how, sizeof(how));
    int rc = fd < 0 ? -errno : fd;
    close(root);
    return rc;
}

static int create(int dir_fd, const char *name, mode_t mode, uint32_t uid, uint32_t gid) {
    int fd = openat(dir_fd, name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0) return -errno;
    if (fchmod(fd, mode) || (fchown(fd, uid, gid) && geteuid() != uid)) {
        int rc = -errno;
        unlinkat(dir_fd, name, 0);
        close(fd);
        return rc;
    }
    return fd;
}

static int create_both(struct place *p, const char *dir, uint32_t uid, uint32_t gid, bool with_agent) {
    snprintf(p->arena_name, sizeof(p->arena_name), "%s%08x", VT_ARENA_FILE, random_bits());
    snprintf(p->arena_path, sizeof(p->arena_path), "%s/%s", dir, p->arena_name);
    int fd = create(p->dir_fd, p->arena_name, 0600, uid, gid);
    if (fd < 0) p->arena_name[0] = 0;
    p->arena_fd = fd < 0 ? -1 : fd;
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB)) vt_log(VT_LOG_DEBUG, "%s: cannot lock it: %s", p->arena_path, strerror(errno));
    if (fd >= 0 && p->reserve && fallocate(fd, 0, 0, (off_t)p->reserve)) return -errno;
    if (fd < 0 || !with_agent) return fd < 0 ? fd : 0;
    snprintf(p->agent_name, sizeof(p->agent_name), "%s%08x.so", VT_AGENT_FILE, random_bits());
    snprintf(p->agent_path, sizeof(p->agent_path), "%s/%s", dir, p->agent_name);
    fd = create(p->dir_fd, p->agent_name, 0700, uid, gid);
    if (fd < 0) p->agent_name[0] = 0;
    p->agent_fd = fd < 0 ? -1 : fd;
    return fd < 0 ? fd : 0;
}

/* What injectors left that were killed between create and unlink. Arenas (big) and scripts are locked by who
 * makes them, and the lock ends with him. Agents are in use for seconds. */
static bool is_left(int dir_fd, const char *name) {
    struct stat st;
    size_t len = strlen(name);
    bool locked = !strncmp(name, VT_ARENA_FILE, strlen(VT_ARENA_FILE)) || (len > 3 && !strcmp(name + len - 3, ".py"));
    if (strncmp(name, VT_ARENA_FILE, strlen(VT_ARENA_FILE)) && strncmp(name, VT_AGENT_FILE, strlen(VT_AGENT_FILE))) return false;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode)) return false;
    uint64_t made = (uint64_t)st.st_ctim.tv_sec * 1000000000u + (uint64_t)st.st_ctim.tv_nsec, now = vt_real_ns();
    if (now < made || now - made < (locked ? STALE_LOCKED_NS : STALE_AGENT_NS)) return false;
    if (!locked) return true;
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool left = fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB);
    vt_close(&fd);
    return left;
}

static void sweep(int dir_fd) {
    struct dirent *entry;
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        vt_close(&fd);
        return;
    }
    while ((entry = readdir(dir)))
        if (is_left(dir_fd, entry->d_name)) unlinkat(dir_fd, entry->d_name, 0);
    closedir(dir);
}

int place_files(struct place *p, pid_t pid, uint32_t uid, uint32_t gid, bool with_agent, struct vt_err *err) {
    static const char *const dirs[] = {"/dev/shm", "/tmp", "/var/tmp", "/run"};
    p->files = true;
    for (size_t i = 0; i < VT_ARRAY_LEN(dirs); i++) {
        struct statvfs fs;
        int fd = open_dir(pid, dirs[i]);
        if (fd < 0) continue;
        p->dir_fd = fd;
        sweep(fd);
        if (!fstatvfs(fd, &fs) && !(fs.f_flag & (ST_RDONLY | ST_NOEXEC)) && !create_both(p, dirs[i], uid, gid, with_agent))
            return 0;
        place_close(p);
        vt_close(&p->arena_fd);
    }
    return vt_err_set(
        err, -EACCES,
        "process %d has no directory to put the agent in (tried /dev/shm, /tmp, /var/tmp, /run: read-only, noexec or "
        "not enough room); mount one of them writable and executable",
        (int)pid);
}

/* -- memfds -- */
static int open_memfd(pid_t pid, int number, const char *name, int *out) {
    char path[64], link[128], expected[64];
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, number);
    snprintf(expected, sizeof(expected), "/memfd:%s", name);
    *out = open(path, O_RDWR | O_CLOEXEC);
    if (*out < 0) return -errno;
    /* the program may have closed and reused the number */
    snprintf(path, sizeof(path), "/proc/self/fd/%d", *out);
    ssize_t n = readlink(path, link, sizeof(link) - 1);
    if (n > 0 && (size_t)n >= strlen(expected) && !memcmp(link, expected, strlen(expected))) return 0;
    vt_close(out);
    return -EBADF;
}

/* dlopen recognises a library by the text of its path: it must be another one at each attach. */
static void unique_fd_path(char *path, size_t size, int number) {
    uint32_t bits = random_bits();
    size_t n = (size_t)snprintf(path, size, "/proc/self/fd");
    for (int i = 0; i < PATH_DOTS; i++) n += (size_t)snprintf(path + n, size - n, "%s", bits >> i & 1 ? "/." : "/");
    snprintf(path + n, size - n, "/%d", number);
}

int place_memfds(struct place *p, pid_t pid, int agent_fd, int arena_fd, struct vt_err *err) {
    int rc = open_memfd(pid, arena_fd, VT_ARENA_MEMFD, &p->arena_fd);
    if (!rc && agent_fd >= 0) rc = open_memfd(pid, agent_fd, VT_AGENT_MEMFD, &p->agent_fd);
    if (rc) return vt_err_set(err, rc, "cannot open the shared memory made in process %d: %s", (int)pid, strerror(-rc));
    if (agent_fd >= 0) unique_fd_path(p->agent_path, sizeof(p->agent_path), agent_fd);
    return 0;
}

int place_fill(struct place *p, const void *agent, size_t agent_len, uint64_t arena_bytes, struct vt_err *err) {
    int rc = 0;
    if (p->agent_fd >= 0) rc = vt_write_full(p->agent_fd, agent, agent_len);
    if (!rc && ftruncate(p->arena_fd, (off_t)arena_bytes)) rc = -errno;
    /* dlopen of a file that is open for writing is fine; executing it would not be */
    vt_close(&p->agent_fd);
    return rc ? vt_err_set(err, rc, "cannot write the agent and its shared memory: %s", strerror(-rc)) : 0;
}

int place_seal(struct place *p, struct vt_err *err) {
    if (p->files || !fcntl(p->arena_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) return 0;
    int rc = -errno;
    return vt_err_set(err, rc, "cannot seal the shared memory: %s", strerror(-rc));
}

void place_unlink(struct place *p) {
    if (p->agent_name[0]) unlinkat(p->dir_fd, p->agent_name, 0);
    if (p->arena_name[0]) unlinkat(p->dir_fd, p->arena_name, 0);
    p->agent_name[0] = p->arena_name[0] = 0;
}

void place_close(struct place *p) {
    place_unlink(p);
    vt_close(&p->agent_fd);
    vt_close(&p->dir_fd);
}
