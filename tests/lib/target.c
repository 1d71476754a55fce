/* Owns starting, watching and ending victims. */
#include "tests/lib/target.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROGRESS_FD 100
#define MAX_ARGS 48

uint64_t now_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void sleep_ms(unsigned ms) {
    struct timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};
    while (nanosleep(&ts, &ts) && errno == EINTR) continue;
}

/* ---- files for a target in a chroot ---- */

static int copy_file(const char *from, const char *to) {
    char temp[2 * PATH_MAX + 32], buf[65536];
    int rc = 0, in = -1, out = -1;
    snprintf(temp, sizeof temp, "%s.%d", to, (int)getpid());
    in = open(from, O_RDONLY | O_CLOEXEC);
    out = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (in < 0 || out < 0) rc = -errno;
    for (ssize_t n = 1; !rc && n > 0;) {
        n = read(in, buf, sizeof buf);
        if (n < 0 || (n > 0 && write(out, buf, (size_t)n) != n)) rc = -EIO;
    }
    if (in >= 0) close(in);
    if (out >= 0) close(out);
    if (!rc && rename(temp, to)) rc = -errno;
    return rc;
}

/* tests/targets is copied into the chroot; dir becomes its path as seen by the target. */
static int targets_dir(const struct interp *ip, char *dir, size_t size) {
    char from[PATH_MAX], source[PATH_MAX * 2], dest[PATH_MAX * 2];
    snprintf(from, sizeof from, "%s/tests/targets", tree_root());
    if (!ip->root[0]) return snprintf(dir, size, "%s", from) < (int)size ? 0 : -ENAMETOOLONG;
    snprintf(dest, sizeof dest, "%s/tmp/vt-targets", ip->root);
    if (mkdir(dest, 0755) && errno != EEXIST) return -errno;
    DIR *d = opendir(from);
    if (!d) return -errno;
    int rc = 0;
    for (struct dirent *e; !rc && (e = readdir(d));) {
        if (!strstr(e->d_name, ".py")) continue;
        snprintf(source, sizeof source, "%s/%s", from, e->d_name);
        snprintf(dest, sizeof dest, "%s/tmp/vt-targets/%s", ip->root, e->d_name);
        struct stat a, b;
        if (stat(source, &a) || (!stat(dest, &b) && b.st_mtime >= a.st_mtime && b.st_size == a.st_size)) continue;
        rc = copy_file(source, dest);
    }
    closedir(d);
    snprintf(dir, size, "/tmp/vt-targets");
    return rc;
}

int target_copy_in(const struct interp *ip, const char *from, char *inside, size_t size) {
    char dest[PATH_MAX * 2];
    const char *name = strrchr(from, '/');
    int n = snprintf(inside, size, "%s%s", ip->root[0] ? "/tmp/vt-targets" : "", ip->root[0] && name ? name : from);
    if (n < 0 || (size_t)n >= size) return -ENAMETOOLONG;
    if (!ip->root[0]) return 0;
    snprintf(dest, sizeof dest, "%s/tmp/vt-targets", ip->root);
    if (mkdir(dest, 0755) && errno != EEXIST) return -errno;
    snprintf(dest, sizeof dest, "%s%s", ip->root, inside);
    return copy_file(from, dest);
}

/* ---- start and end ---- */

static void child_exec(const char *const *argv, const struct target_opts *o, int in, int out, int progress, pid_t parent) {
    setpgid(0, 0);
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 || dup2(progress, PROGRESS_FD) < 0) _exit(126);
    for (const char *const *e = o->env; e && *e; e++)
        if (putenv((char *)(uintptr_t)*e)) _exit(126);
    if (o->uid && (setgroups(0, NULL) || setgid(o->uid) || setuid(o->uid))) _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* after setuid: that clears it */
    if (getppid() != parent) _exit(126);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    fprintf(stderr, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static pid_t find_process(pid_t pid, const char *comm, int depth) {
    char path[64], name[64] = "", line[4096] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    FILE *f = fopen(path, "re");
    if (f) {
        if (!fgets(name, sizeof name, f)) name[0] = 0;
        fclose(f);
    }
    if (!strncmp(name, comm, strlen(comm))) return pid;
    if (depth > 6) return -1;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    f = fopen(path, "re");
    if (!f) return -1;
    if (!fgets(line, sizeof line, f)) line[0] = 0;
    fclose(f);
    for (char *p = line, *end; *p; p = end) {
        pid_t child = (pid_t)strtol(p, &end, 10);
        if (end == p) break;
        pid_t found = find_process(child, comm, depth + 1);
        if (found > 0) return found;
    }
    return -1;
}

pid_t process_below(pid_t pid, const char *comm) { return find_process(pid, comm, 0); }

/* A program that does not say when it is ready is so when it runs under a name of its own and sleeps: a loaded machine takes its
 * time to load it. An end is no reason to wait either, and a program that never sleeps is waited for 5 s. */
static void wait_asleep(pid_t pid) {
    char path[64], ours[PATH_MAX] = "", its[PATH_MAX];
    if (readlink("/proc/self/exe", ours, sizeof ours - 1) < 0) return;
    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    for (int i = 0; i < 1000; i++, sleep_ms(5)) {
        struct census c;
        memset(its, 0, sizeof its);
        if (readlink(path, its, sizeof its - 1) < 0 || census_take(pid, &c)) return;
        if (strcmp(ours, its) != 0 && c.state == 'S') return;
    }
}

int process_stop(pid_t pid) {
    struct census c;
    kill(pid, SIGSTOP);
    for (int i = 0; i < 2000; i++, sleep_ms(5))
        if (!census_take(pid, &c) && c.state == 'T') return 0;
    return -ETIMEDOUT;
}

int target_spawn_argv(struct target *t, const char *const *argv, const struct target_opts *o) {
    static const struct target_opts none;
    int in[2] = {-1, -1}, out[2] = {-1, -1}, progress = -1, rc = 0;
    void *map = MAP_FAILED;
    if (!o) o = &none;
    memset(t, 0, sizeof *t);
    t->in = t->out = -1;
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC)) rc = -errno;
    if (!rc && (progress = memfd_create("progress", MFD_CLOEXEC)) < 0) rc = -errno;
    if (!rc && ftruncate(progress, 4096)) rc = -errno;
    if (!rc && (map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, progress, 0)) == MAP_FAILED) rc = -errno;
    if (rc) goto out;
    t->slots = map;
    pid_t parent = getpid(), pid = fork();
    if (pid < 0) {
        rc = -errno;
        goto out;
    }
    if (pid == 0) child_exec(argv, o, in[0], out[1], progress, parent);
    setpgid(pid, pid);
    t->pid = t->leader = pid;
    t->in = in[1];
    t->out = out[0];
    in[1] = out[0] = -1;
    if (o->no_ready)
        wait_asleep(pid);
    else
        rc = target_expect(t, "ready", 20000);
    if (!rc && (o->wrapper || o->comm)) {
        t->pid = process_below(pid, o->comm ? o->comm : "python");
        if (t->pid <= 0) rc = -ESRCH;
    }
out:
    if (in[0] >= 0) close(in[0]);
    if (in[1] >= 0) close(in[1]);
    if (out[0] >= 0) close(out[0]);
    if (out[1] >= 0) close(out[1]);
    if (progress >= 0) close(progress);
    if (rc) {
        fprintf(stderr, "target %s: %s; it said: %.*s\n", argv[0], strerror(-rc), (int)t->text_len, t->text);
        target_kill(t);
    }
    return rc;
}

int target_spawn(struct target *t, const struct interp *ip, const char *script, const char *const *args,
                 const struct target_opts *o) {
    const char *argv[MAX_ARGS];
    char dir[PATH_MAX], path[PATH_MAX + 256];
    int n = 0, rc = targets_dir(ip, dir, sizeof dir);
    if (rc) return rc;
    snprintf(path, sizeof path, "%s/%s", dir, script);
    for (const char *const *w = o ? o->wrapper : NULL; w && *w && n < 16; w++) argv[n++] = *w;
    if (ip->root[0]) {
        argv[n++] = "chroot";
        argv[n++] = ip->root;
    }
    argv[n++] = ip->path;
    for (const char *const *f = o ? o->flags : NULL; f && *f && n < 24; f++) argv[n++] = *f;
    argv[n++] = path;
    for (; args && *args && n < MAX_ARGS - 1; args++) argv[n++] = *args;
    argv[n] = NULL;
    return target_spawn_argv(t, argv, o);
}

void target_kill(struct target *t) {
    if (t->leader > 0) {
        if (t->pid > 0 && t->pid != t->leader) kill(t->pid, SIGKILL);
        kill(-t->leader, SIGKILL);
        kill(t->leader, SIGKILL);
        waitpid(t->leader, NULL, 0);
    }
    if (t->in >= 0) close(t->in);
    if (t->out >= 0) close(t->out);
    if (t->slots) munmap((void *)(uintptr_t)t->slots, 4096);
    t->leader = t->pid = 0;
    t->in = t->out = -1;
    t->slots = NULL;
}

int target_wait(struct target *t, unsigned ms, int *status) {
    for (uint64_t end = now_ms() + ms;; sleep_ms(2)) {
        pid_t got = waitpid(t->leader, status, WNOHANG);
        if (got == t->leader) {
            t->leader = t->pid = 0;
            return 0;
        }
        if (got < 0) { /* reaped already: the number may be of another process by now */
            t->leader = t->pid = 0;
            return -ECHILD;
        }
        if (now_ms() >= end) return -ETIMEDOUT;
    }
}

/* ---- talking and watching ---- */

int target_expect(struct target *t, const char *text, unsigned ms) {
    for (uint64_t end = now_ms() + ms;;) {
        t->text[t->text_len] = 0;
        char *hit = strstr(t->text, text);
        if (hit) {
            char *rest = hit + strlen(text);
            t->text_len -= (size_t)(rest - t->text);
            memmove(t->text, rest, t->text_len);
            return 0;
        }
        uint64_t now = now_ms();
        if (now >= end) return -ETIMEDOUT;
        struct pollfd p = {t->out, POLLIN, 0};
        if (poll(&p, 1, (int)(end - now)) <= 0) continue;
        if (t->text_len >= sizeof t->text - 1) t->text_len = 0;
        ssize_t n = read(t->out, t->text + t->text_len, sizeof t->text - 1 - t->text_len);
        if (n == 0) return -EPIPE;
        if (n > 0) t->text_len += (size_t)n;
    }
}

int target_send(struct target *t, const char *line) {
    size_t len = strlen(line);
    return write(t->in, line, len) == (ssize_t)len ? 0 : -EPIPE;
}

int target_progresses(struct target *t, unsigned n, unsigned ms) {
    uint64_t before[TARGET_SLOTS];
    for (unsigned i = 0; i < n; i++) before[i] = t->slots[i];
    for (uint64_t end = now_ms() + ms;; sleep_ms(5)) {
        unsigned grown = 0;
        struct census c;
        if (census_take(t->pid, &c) || c.state == 'Z') return -ESRCH;
        for (unsigned i = 0; i < n; i++) grown += t->slots[i] != before[i];
        if (grown == n) return 0;
        if (now_ms() >= end) return -ETIMEDOUT;
    }
}

/* ---- census ---- */

static int count_entries(const char *path) {
    DIR *d = opendir(path);
    if (!d) return -errno;
    int n = 0;
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

int census_take(pid_t pid, struct census *c) {
    char path[64], line[1024];
    memset(c, 0, sizeof *c);
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");
    if (!f) return -ESRCH;
    while (fgets(line, sizeof line, f)) {
        unsigned long long v;
        int tracer;
        if (sscanf(line, "State: %c", &c->state) == 1) continue;
        if (sscanf(line, "VmRSS: %llu", &v) == 1) c->rss_kb = v;
        if (sscanf(line, "RssAnon: %llu", &v) == 1) c->anon_kb = v;
        if (sscanf(line, "TracerPid: %d", &tracer) == 1) c->tracer = tracer;
        if (sscanf(line, "SigBlk: %19s", c->sigblk) == 1) continue;
        if (sscanf(line, "SigCgt: %llx", &v) == 1) {
            /* 32 and 33 are the C library's own: it takes them at the first pthread_create of a process */
            snprintf(c->sigcgt, sizeof c->sigcgt, "%016llx", v & ~(3ull << 31));
            continue;
        }
        if (sscanf(line, "SigIgn: %19s", c->sigign) == 1) continue;
    }
    fclose(f);
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    int threads = count_entries(path);
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    int fds = count_entries(path);
    c->threads = threads > 0 ? (unsigned)threads : 0;
    c->fds = fds > 0 ? (unsigned)fds : 0;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) c->maps += strchr(line, '\n') != NULL;
    if (f) fclose(f);
    return 0;
}

bool maps_have(pid_t pid, const char *text) {
    char path[64], line[PATH_MAX + 128];
    bool found = false;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *f = fopen(path, "re");
    while (f && !found && fgets(line, sizeof line, f)) found = strstr(line, text) != NULL;
    if (f) fclose(f);
    return found;
}

static int by_id(const void *a, const void *b) {
    pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;
    return (x > y) - (x < y);
}

int thread_ids(pid_t pid, pid_t *ids, int max) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *d = opendir(path);
    if (!d) return -errno;
    int n = 0;
    for (struct dirent *e; n < max && (e = readdir(d));)
        if (e->d_name[0] != '.') ids[n++] = (pid_t)atoi(e->d_name);
    closedir(d);
    qsort(ids, (size_t)n, sizeof *ids, by_id);
    return n;
}
