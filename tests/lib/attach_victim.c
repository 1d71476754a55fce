/* Owns the victims of the ladder and the injector child (attach_victim.h). */
#include "tests/lib/attach_victim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/abi/arena.h"

#define NCHUNKS 16u
#define INJECTOR_MS 20000u
#define RUNS_ON_MS 30000u /* the slowest of five threads that share the GIL, on a loaded machine: 2.9 s at load 17 */
#define SETTLE_MS 3000u

const struct victim_kind victim_kinds[] = {
    {"busy", false, true, false},     {"registers", true, true, false}, {"sleep", false, false, false},
    {"churn", false, true, false},    {"nanosleep", true, true, false}, {"read", false, false, true},
    {"epoll", true, true, false},     {"busy4", false, true, false},    {"poll", true, true, false},
    {"aio", false, true, false},      {"futex", true, true, false},     {"lock", false, true, false},
    {"filtered", false, true, false}, {"fiber", true, true, false},
};
const unsigned victim_nkinds = sizeof victim_kinds / sizeof victim_kinds[0];

static char agent_path[4200], real_agent_path[4200], checker_path[4200];
static bool use_real_agent;

/* ---- what the victims load ---- */
static int compile(const char *flags, const char *source, const char *out) {
    char command[16384];
    const char *cc = getenv("CC");
    snprintf(command, sizeof command, "%s -O2 -fPIC -shared -I '%s' %s -o '%s.%d' '%s/tests/targets/%s' && mv '%s.%d' '%s'",
             cc && *cc ? cc : "cc", tree_root(), flags, out, (int)getpid(), tree_root(), source, out, (int)getpid(), out);
    return system(command);
}

static pid_t tools_owner;
static void remove_tools(void) {
    if (getpid() != tools_owner) return;
    unlink(agent_path);
    unlink(checker_path);
}

const char *victim_tools(void) {
    if (agent_path[0]) return NULL;
    /* files of our own: another program of the suite, built again meanwhile, would change what our victims have mapped */
    tools_owner = getpid();
    snprintf(agent_path, sizeof agent_path, "%s/../attach_test_agent.%d.so", tree_bin(), (int)tools_owner);
    snprintf(checker_path, sizeof checker_path, "%s/../attach_check.%d.so", tree_bin(), (int)tools_owner);
    atexit(remove_tools);
    snprintf(real_agent_path, sizeof real_agent_path, "%s/../lib/libviztracer_agent.so", tree_bin());
    if (compile("-nostdlib -ffreestanding -fvisibility=hidden", "attach_agent.c", agent_path))
        return "cannot build the test agent";
    return compile("-march=native", "attach_check.c", checker_path) ? "cannot build the checker" : NULL;
}

void victim_use_real_agent(bool real) { use_real_agent = real && !access(real_agent_path, R_OK); }

/* ---- the victim ---- */
int victim_start(struct victim *v, const struct interp *ip, const struct victim_kind *kind) {
    char real[PATH_MAX];
    memset(v, 0, sizeof *v);
    v->kind = kind;
    v->ip = ip;
    if (!realpath(checker_path, real)) return -errno;
    int rc = target_spawn(&v->t, ip, "attach_kinds.py", (const char *[]){kind->name, real, NULL}, NULL);
    if (rc) return rc;
    sleep_ms(300); /* past its imports */
    const char *bad = victim_check(v);
    if (bad) {
        fprintf(stderr, "%s on %s is wrong before anything was done: %s\n", kind->name, ip->version, bad);
        victim_stop(v);
        return -EINVAL;
    }
    victim_state_take(v, &v->before);
    return 0;
}

void victim_stop(struct victim *v) { target_kill(&v->t); }

/* ---- the injector ---- */
static int prepare(void *ctx, int fd, struct vt_err *err) {
    struct vt_ctl *ctl = mmap(NULL, VT_CTL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)ctx;
    if (ctl == MAP_FAILED) return vt_err_set(err, -errno, "map: %s", strerror(errno));
    ctl->magic = VT_ARENA_MAGIC;
    ctl->abi_major = VT_ABI_MAJOR;
    ctl->nchunks = NCHUNKS;
    munmap(ctl, VT_CTL_SIZE);
    return 0;
}

static void inject_and_exit(const struct victim *v, const char *const *env, int log_fd, struct injection *shared) {
    struct attach_opts o = {.pid = v->t.pid,
                            .method = ATTACH_PTRACE,
                            .agent_path = use_real_agent ? real_agent_path : agent_path,
                            .arena_bytes = vt_arena_bytes(NCHUNKS),
                            .prepare_arena = prepare,
                            .timeout_ms = 8000};
    struct attach_info info;
    for (; env && *env; env++) putenv((char *)(uintptr_t)*env);
    if (log_fd >= 0) dup2(log_fd, 2);
    shared->rc = attach_inject(&o, &info, &shared->result, &shared->err);
    shared->end = shared->rc ? INJECTOR_ERROR : INJECTOR_OK;
    _exit(0);
}

void victim_inject(struct victim *v, const char *const *env, int log_fd, struct injection *out) {
    struct injection *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(out, 0, sizeof *out);
    out->end = INJECTOR_HANGS;
    if (shared == MAP_FAILED) return;
    shared->end = INJECTOR_KILLED;
    pid_t pid = fork();
    if (pid == 0) inject_and_exit(v, env, log_fd, shared);
    uint64_t limit = now_ms() + INJECTOR_MS;
    int status;
    pid_t ended;
    while ((ended = waitpid(pid, &status, WNOHANG)) == 0 && now_ms() < limit) usleep(300);
    if (ended == pid) {
        *out = *shared;
    } else {
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
    }
    munmap(shared, sizeof *shared);
}

/* ---- state ---- */
static size_t read_text(const char *path, char *buf, size_t size) {
    size_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return buf[0] = 0;
    for (ssize_t r; n < size - 1 && (r = read(fd, buf + n, size - 1 - n)) > 0;) n += (size_t)r;
    close(fd);
    buf[n] = 0;
    return n;
}

static void status_field(const char *status, const char *name, char *out, size_t size) {
    char key[32];
    snprintf(key, sizeof key, "\n%s:\t", name);
    const char *at = strstr(status, key);
    out[0] = 0;
    if (!at) return;
    at += strlen(key);
    snprintf(out, size, "%.*s", (int)strcspn(at, "\n"), at);
}

static void take_fds(pid_t pid, char *out, size_t size) {
    size_t n = 0;
    out[0] = 0;
    for (int i = 0; i < 64; i++) {
        char path[64], link[256];
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, i);
        ssize_t len = readlink(path, link, sizeof link - 1);
        if (len < 0) continue;
        link[len] = 0;
        if (n < size) n += (size_t)snprintf(out + n, size - n, "%d %s\n", i, link);
    }
}

/* Files with their protection. Unnamed memory is in motion by itself; its amount is looked at instead. */
static void take_maps(pid_t pid, struct victim_state *s) {
    static char text[1 << 20];
    char path[64];
    size_t n = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    read_text(path, text, sizeof text);
    s->maps[0] = 0;
    s->anonymous_kb = 0;
    for (char *line = text, *next; *line; line = next) {
        next = line + strcspn(line, "\n");
        if (*next) *next++ = 0;
        const char *name = strchr(line, '/');
        if (name && strstr(name, "viztracer-agent")) continue;
        if (name) {
            if (n < sizeof s->maps) n += (size_t)snprintf(s->maps + n, sizeof s->maps - n, "%.30s%s\n", line, name);
        } else if (!strchr(line, '[')) {
            unsigned long a, b;
            if (sscanf(line, "%lx-%lx", &a, &b) == 2) s->anonymous_kb += (b - a) / 1024;
        }
    }
}

void victim_state_take(const struct victim *v, struct victim_state *s) {
    pid_t tids[VICTIM_THREADS];
    char path[64], status[8192], caught[32], ignored[32];
    memset(s, 0, sizeof *s);
    s->nthreads = thread_ids(v->t.pid, tids, VICTIM_THREADS);
    for (int i = 0; i < s->nthreads; i++) {
        struct thread_state *t = &s->threads[i];
        t->tid = tids[i];
        snprintf(path, sizeof path, "/proc/%d/task/%d/status", (int)v->t.pid, (int)tids[i]);
        read_text(path, status, sizeof status);
        status_field(status, "SigBlk", t->sigblk, sizeof t->sigblk);
        snprintf(t->name, sizeof t->name, "%.*s", (int)strcspn(status + (status[0] ? 6 : 0), "\n"), status + (status[0] ? 6 : 0));
        status_field(status, "SigCgt", caught, sizeof caught);
        status_field(status, "SigIgn", ignored, sizeof ignored);
    }
    snprintf(s->handlers, sizeof s->handlers, "caught %s ignored %s", caught, ignored);
    take_fds(v->t.pid, s->fds, sizeof s->fds);
    take_maps(v->t.pid, s);
}

const char *victim_compare(const struct victim_state *a, const struct victim_state *b) {
    static char why[9000];
    if (strcmp(a->fds, b->fds)) {
        snprintf(why, sizeof why, "descriptors were\n%sand are\n%s", a->fds, b->fds);
    } else if (strcmp(a->maps, b->maps)) {
        size_t i = 0;
        while (a->maps[i] == b->maps[i]) i++;
        while (i && a->maps[i - 1] != '\n') i--;
        snprintf(why, sizeof why, "mappings differ: was %.300s; is %.300s", a->maps + i, b->maps + i);
    } else if (strcmp(a->handlers, b->handlers)) {
        snprintf(why, sizeof why, "signal handlers were %s and are %s", a->handlers, b->handlers);
    } else {
        return NULL;
    }
    return why;
}

/* ---- the check ---- */
static const struct thread_state *thread_of(const struct victim_state *s, pid_t tid) {
    for (int i = 0; i < s->nthreads; i++)
        if (s->threads[i].tid == tid) return &s->threads[i];
    return NULL;
}

static bool threads_as_before(const struct victim *v, char *why, size_t size) {
    struct victim_state now;
    struct census c;
    if (census_take(v->t.pid, &c)) return snprintf(why, size, "gone"), false;
    if (c.tracer) return snprintf(why, size, "traced by %d", (int)c.tracer), false;
    if (c.state == 'T' || c.state == 't') return snprintf(why, size, "state %c", c.state), false;
    pid_t tids[VICTIM_THREADS];
    now.nthreads = thread_ids(v->t.pid, tids, VICTIM_THREADS);
    if (!v->before.nthreads) return true; /* first look */
    for (int i = 0; i < now.nthreads; i++) {
        char path[64], status[8192], blocked[20], tracer[20], state[20];
        const struct thread_state *was = thread_of(&v->before, tids[i]);
        snprintf(path, sizeof path, "/proc/%d/task/%d/status", (int)v->t.pid, (int)tids[i]);
        read_text(path, status, sizeof status);
        status_field(status, "SigBlk", blocked, sizeof blocked);
        status_field(status, "TracerPid", tracer, sizeof tracer);
        status_field(status, "State", state, sizeof state);
        if (!status[0]) continue;
        if (!was) return snprintf(why, size, "a thread more"), false;
        if (strcmp(was->sigblk, blocked)) return snprintf(why, size, "signal mask %s, was %s", blocked, was->sigblk), false;
        if (strcmp(tracer, "0")) return snprintf(why, size, "thread %d traced", (int)tids[i]), false;
        if (state[0] == 't' || state[0] == 'T')
            return snprintf(why, size, "thread %d in state %c", (int)tids[i], state[0]), false;
    }
    if (now.nthreads < v->before.nthreads) return snprintf(why, size, "a thread less"), false;
    return true;
}

static bool echoes(struct victim *v) {
    struct pollfd p = {v->t.out, POLLIN, 0};
    char answer = 0;
    if (write(v->t.in, "x", 1) != 1) return false;
    return poll(&p, 1, (int)RUNS_ON_MS) == 1 && read(v->t.out, &answer, 1) == 1 && answer == 'x';
}

const char *victim_check(struct victim *v) {
    static char why[300];
    int status;
    pid_t ended = waitpid(v->t.leader, &status, WNOHANG);
    if (ended == v->t.leader) {
        snprintf(why, sizeof why, "DEAD, status %x", (unsigned)status);
        return why;
    }
    if (v->kind->progresses) {
        uint64_t was = v->t.slots[0], limit = now_ms() + RUNS_ON_MS;
        while (v->t.slots[0] < was + 2 && now_ms() < limit) usleep(500);
        if (v->t.slots[0] < was + 2) return "does not run on";
    }
    if (v->kind->echoes && !echoes(v)) return "does not answer";
    for (uint64_t limit = now_ms() + SETTLE_MS;; usleep(1000)) {
        if (threads_as_before(v, why, sizeof why)) break;
        if (now_ms() > limit) return why;
    }
    if (v->t.slots[1]) {
        snprintf(why, sizeof why, "noticed %lu things, bits %lx", (unsigned long)v->t.slots[1], (unsigned long)v->t.slots[3]);
        return why;
    }
    return NULL;
}
