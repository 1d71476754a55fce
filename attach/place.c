/* Owns the places for agent and arena (place.h): memfds that the target created itself, or files in a directory of the
 * target that allows executing programs. */
#include "attach/place.h"
#include "attach/advice.h"

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

#ifndef F_SEAL_EXEC
/* memfds have this seal from the start where vm.memfd_noexec requires it; dlopen works in spite of it */
#define F_SEAL_EXEC 0x20
#endif
#define STALE_LOCKED_NS 1000000000ull
#define STALE_AGENT_NS 600000000000ull
#define PATH_DOTS 20 /* bits that vary the path: no earlier attach has used it */

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
    snprintf(path, sizeof(path), "/proc/%d/root/proc/%d/exe", (int)pid, (int)ns_pid); /* /proc of the target's pid namespace? */
    ssize_t a = readlink(path, theirs, sizeof(theirs));
    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    ssize_t b = readlink(path, real, sizeof(real));
    return a > 0 && a == b && !memcmp(theirs, real, (size_t)a);
}

void place_init(struct place *p) { *p = (struct place){.agent_fd = -1, .arena_fd = -1, .dir_fd = -1}; }

/* -- files -- */

/* Opens a directory as the target sees it: links are followed inside the target's root, never into ours. */
static int open_dir(int root, const char *dir) {
    struct open_how how = {.flags = O_DIRECTORY | O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, root, dir, &how, sizeof(how));
    return fd < 0 ? -errno : fd;
}

/* File systems whose pages come from this host's kernel. The daemon maps the arena. With a file system that a user serves
 * (FUSE) or another host serves (NFS, 9P), any read could block forever. */
static bool is_local(int fd) {
    static const unsigned long types[] = {TMPFS_MAGIC,       RAMFS_MAGIC,      EXT4_SUPER_MAGIC,      XFS_SUPER_MAGIC,
                                          BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, 0x2fc12fc1ul /* ZFS */};
    struct statfs fs;
    if (fstatfs(fd, &fs)) return false;
    for (size_t i = 0; i < VT_ARRAY_LEN(types); i++)
        if ((unsigned long)fs.f_type == types[i]) return true;
    return false;
}

/* Uses the target's credentials: the file belongs to the target, and the kernel decides whether it may be made. */
static int create(int dir_fd, const char *name, mode_t mode) {
    int fd = openat(dir_fd, name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0) return -errno;
    if (fchmod(fd, mode)) {
        int rc = -errno;
        unlinkat(dir_fd, name, 0);
        close(fd);
        return rc;
    }
    return fd;
}

static int create_both(struct place *p, const char *dir, bool with_agent) {
    snprintf(p->arena_name, sizeof(p->arena_name), "%s%08x", VT_ARENA_FILE, random_bits());
    snprintf(p->arena_path, sizeof(p->arena_path), "%s/%s", dir, p->arena_name);
    int fd = create(p->dir_fd, p->arena_name, 0600);
    if (fd < 0) p->arena_name[0] = 0;
    p->arena_fd = fd < 0 ? -1 : fd;
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB))
        vt_debug(VT_AREA_ATTACH, "%s: cannot lock it: %s", p->arena_path, strerror(errno));
    if (fd >= 0 && fallocate(fd, 0, 0, (off_t)p->reserve)) return -errno;
    if (fd < 0 || !with_agent) return fd < 0 ? fd : 0;
    snprintf(p->agent_name, sizeof(p->agent_name), "%s%08x.so", VT_AGENT_FILE, random_bits());
    snprintf(p->agent_path, sizeof(p->agent_path), "%s/%s", dir, p->agent_name);
    fd = create(p->dir_fd, p->agent_name, 0700);
    if (fd < 0) p->agent_name[0] = 0;
    p->agent_fd = fd < 0 ? -1 : fd;
    return fd < 0 ? fd : 0;
}

/* Recognises files of injectors that were killed between create and unlink. The makers of arenas and scripts hold a lock,
 * which ends with the process. Agent files have no lock: they are used for a few seconds only. */
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

static void unlink_both(struct place *p) {
    if (p->agent_name[0]) unlinkat(p->dir_fd, p->agent_name, 0);
    if (p->arena_name[0]) unlinkat(p->dir_fd, p->arena_name, 0);
    p->agent_name[0] = p->arena_name[0] = 0;
}

/* At most half of the free room, because the target needs some, too. 0 = too little. */
static uint64_t fitting(uint64_t wanted, uint64_t left) {
    uint64_t bytes = wanted < left / 2 ? wanted : left / 2;
    if (bytes < vt_arena_bytes(VT_CHUNKS_MIN)) return 0;
    return vt_arena_bytes((uint32_t)((bytes - VT_CTL_SIZE) / VT_CHUNK_SIZE));
}

static int try_dirs(struct place *p, int root, bool with_agent) {
    uint64_t wanted = p->reserve;
    static const char *const dirs[] = {"/dev/shm", "/tmp", "/var/tmp", "/run"};
    for (size_t i = 0; i < VT_ARRAY_LEN(dirs); i++) {
        struct statvfs fs;
        int fd = open_dir(root, dirs[i]);
        if (fd < 0) continue;
        p->dir_fd = fd;
        if (is_local(fd) && !fstatvfs(fd, &fs) && !(fs.f_flag & (ST_RDONLY | ST_NOEXEC))) {
            sweep(fd);
            if (!fstatvfs(fd, &fs)) p->reserve = fitting(wanted, (uint64_t)fs.f_bavail * fs.f_frsize);
            if (p->reserve && !create_both(p, dirs[i], with_agent)) return 0;
        }
        unlink_both(p);
        vt_close(&p->agent_fd);
        vt_close(&p->arena_fd);
        vt_close(&p->dir_fd);
    }
    return -EACCES;
}

int place_files(struct place *p, pid_t pid, const struct target_creds *creds, bool with_agent, struct vt_err *err) {
    struct creds_saved saved;
    char path[64];

    p->files = true;
    p->creds = *creds;
    snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
    int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        int rc = -errno;
        return vt_err_set(err, rc, "cannot open the root folder of process %d: %s%s", (int)pid, strerror(-rc),
                          attach_advice(-rc));
    }
    int rc = creds_enter(creds, &saved);
    if (rc) {
        vt_err_set(err, rc, "cannot put files into process %d as its user %u: %s; attach as that user or as root", (int)pid,
                   creds->uid, strerror(-rc));
    } else {
        rc = try_dirs(p, root, with_agent);
        creds_leave(&saved);
        if (rc)
            vt_err_set(err, rc,
                       "process %d has no directory that its user can put the agent in (tried /dev/shm, /tmp, /var/tmp, /run: "
                       "read-only, noexec, not local or not enough room); mount one of them writable and executable",
                       (int)pid);
    }
    close(root);
    return rc;
}

int place_create(struct place *p, const char *name, mode_t mode) {
    struct creds_saved saved;
    int rc = creds_enter(&p->creds, &saved);
    if (rc) return rc;
    rc = create(p->dir_fd, name, mode);
    creds_leave(&saved);
    return rc;
}

void place_remove(struct place *p, const char *name) {
    struct creds_saved saved;
    if (creds_enter(&p->creds, &saved)) return;
    unlinkat(p->dir_fd, name, 0);
    creds_leave(&saved);
}

int place_open_file(pid_t pid, const struct target_creds *creds, const char *path) {
    struct open_how how = {.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    struct creds_saved saved;
    struct stat st;
    char root_path[64];
    snprintf(root_path, sizeof(root_path), "/proc/%d/root", (int)pid);
    int root = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) return -errno;
    int rc = creds_enter(creds, &saved);
    if (!rc) {
        rc = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
        if (rc < 0) rc = -errno;
        creds_leave(&saved);
    }
    close(root);
    if (rc < 0 || (!fstat(rc, &st) && S_ISREG(st.st_mode))) return rc;
    close(rc);
    return -EINVAL;
}

/* -- memfds -- */
/* The target's own open file: we can write through it only what the target could write, too. */
static int fd_of(pid_t pid, int number) {
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) return -errno;
    int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
    int rc = fd < 0 ? -errno : fd;
    close(pidfd);
    return rc;
}

/* Where pidfd_getfd(2) is missing (Linux < 5.6) or forbidden: opens it by name, as the target's user. */
static int open_fd_of(pid_t pid, int number, const struct target_creds *creds) {
    char path[64];
    struct creds_saved saved;
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, number);
    int rc = creds_enter(creds, &saved);
    if (rc) return rc;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) rc = -errno;
    creds_leave(&saved);
    return fd < 0 ? rc : fd;
}

/* The target may have closed the number and reused it, or may want us to write into another object of the same name (a file
 * that it mounted there). Our file is new, unnamed, on the kernel's own tmpfs, made by the target's user, empty, open for
 * writing and unsealed. A file with a name cannot be sealed. */
static bool is_our_memfd(int fd, const char *name, uint32_t uid) {
    char path[64], link[128], expected[64];
    struct statfs fs;
    struct stat st;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    snprintf(expected, sizeof(expected), "/memfd:%s", name);
    ssize_t n = readlink(path, link, sizeof(link) - 1);
    if (n < 0 || (size_t)n < strlen(expected) || memcmp(link, expected, strlen(expected))) return false;
    if (fstatfs(fd, &fs) || fs.f_type != TMPFS_MAGIC) return false;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_nlink != 0 || st.st_uid != uid || st.st_size != 0) return false;
    int mode = fcntl(fd, F_GETFL), seals = fcntl(fd, F_GET_SEALS);
    return mode >= 0 && (mode & O_ACCMODE) == O_RDWR && seals >= 0 && !(seals & ~F_SEAL_EXEC);
}

static int open_memfd(pid_t pid, int number, const char *name, const struct target_creds *creds, int *out) {
    int fd = fd_of(pid, number);
    if (fd == -ENOSYS || fd == -EPERM) fd = open_fd_of(pid, number, creds);
    *out = -1;
    if (fd < 0) return fd == -EBADF ? -ENOENT : fd;
    if (!is_our_memfd(fd, name, creds->uid)) {
        close(fd);
        return -EBADF;
    }
    *out = fd;
    return 0;
}

/* dlopen recognises a library by its path, so each attach needs a path of its own. */
static void unique_fd_path(char *path, size_t size, int number) {
    uint32_t bits = random_bits();
    size_t n = (size_t)snprintf(path, size, "/proc/self/fd");
    for (int i = 0; i < PATH_DOTS; i++) n += (size_t)snprintf(path + n, size - n, "%s", bits >> i & 1 ? "/." : "/");
    snprintf(path + n, size - n, "/%d", number);
}

int place_memfds(struct place *p, pid_t pid, const struct target_creds *creds, int agent_fd, int arena_fd, struct vt_err *err) {
    int rc = open_memfd(pid, arena_fd, VT_ARENA_MEMFD, creds, &p->arena_fd);
    if (!rc && agent_fd >= 0) rc = open_memfd(pid, agent_fd, VT_AGENT_MEMFD, creds, &p->agent_fd);
    if (rc == -EBADF)
        return vt_err_set(err, rc,
                          "process %d has exchanged the shared memory that was made in it for something else; nothing was "
                          "written, it goes on untraced; do not trust it",
                          (int)pid);
    if (rc)
        return vt_err_set(err, rc, "cannot open the shared memory made in process %d: %s%s", (int)pid, strerror(-rc),
                          attach_advice(-rc));
    if (agent_fd >= 0) unique_fd_path(p->agent_path, sizeof(p->agent_path), agent_fd);
    return 0;
}

int place_fill(struct place *p, const void *agent, size_t agent_len, uint64_t arena_bytes, struct vt_err *err) {
    int rc = 0;
    if (p->agent_fd >= 0) rc = vt_write_full(p->agent_fd, agent, agent_len);
    if (!rc && ftruncate(p->arena_fd, (off_t)arena_bytes)) rc = -errno;
    /* dlopen works on a file that is open for writing; executing it would not */
    vt_close(&p->agent_fd);
    return rc ? vt_err_set(err, rc, "cannot write the agent and its shared memory: %s%s", strerror(-rc), attach_advice(-rc)) : 0;
}

int place_seal(struct place *p, struct vt_err *err) {
    if (p->files || !fcntl(p->arena_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) return 0;
    int rc = -errno;
    return vt_err_set(err, rc, "cannot seal the shared memory: %s%s", strerror(-rc), attach_advice(-rc));
}

void place_unlink(struct place *p) {
    struct creds_saved saved;
    if (!p->agent_name[0] && !p->arena_name[0]) return;
    int rc = creds_enter(&p->creds, &saved);
    if (rc) {
        vt_log(VT_LOG_ERROR, "cannot remove %s: %s", p->arena_path, strerror(-rc));
        return;
    }
    unlink_both(p);
    creds_leave(&saved);
}

void place_close(struct place *p) {
    place_unlink(p);
    vt_close(&p->agent_fd);
    vt_close(&p->dir_fd);
}
