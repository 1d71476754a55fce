/* Owns the decision whether we may attach to a process and whether it would work. Each refusal is one line: what is wrong,
 * why, and what to do. Only reads, changes nothing.
 *
 * Tables hold the checks: for an attach, and for reading only (view.h). Each check may rely on those above it. */
#include "attach/advice.h"
#include "attach/attach_priv.h"
#include "attach/view.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PYTHON_OLDEST 8  /* 3.8 */
#define PYTHON_NEWEST 15 /* 3.15 */
#define CAP_SYS_PTRACE_BIT 19
#define ENVIRON_MAX (4u << 20)

struct flight {
    const struct attach_opts *o;
    struct attach_info *info;
    struct vt_err *err;
    struct target_status st;
    struct maps maps;
    struct mem mem;
    struct py_runtime py;
    char exe[512]; /* as the target sees it */
};

#define REFUSE(f, code, ...) vt_err_set((f)->err, code, __VA_ARGS__)

/* ---- small helpers ---- */

static void one_line(char *s, size_t len) {
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] < ' ' || s[i] == 0x7f) s[i] = ' ';
}

/* Reads a /proc file of NUL-terminated strings; malloc'd, NULL with *rc on error. */
static char *read_strings(pid_t pid, const char *name, size_t *len, int *rc) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    char *buf = malloc(ENVIRON_MAX);
    *rc = buf ? vt_read_file(path, buf, ENVIRON_MAX, len) : -ENOMEM;
    if (*rc == -E2BIG) *rc = 0;
    if (*rc) {
        free(buf);
        buf = NULL;
    }
    return buf;
}

static void read_cmdline(struct flight *f) {
    char text[sizeof(f->info->cmdline) + 1], path[64];
    size_t len = 0;
    snprintf(path, sizeof(path), "/proc/%d/cmdline", f->o->pid);
    int rc = vt_read_file(path, text, sizeof(text), &len);
    if (rc && rc != -E2BIG) return;
    while (len && !text[len - 1]) len--;
    if (len >= sizeof(f->info->cmdline)) len = sizeof(f->info->cmdline) - 1;
    one_line(text, len);
    memcpy(f->info->cmdline, text, len);
    f->info->cmdline[len] = '\0';
}

/* Logs what is allowed but unusual. */
static void note(const struct flight *f, const char *text) {
    if (f->o->log) f->o->log(f->o->ctx, text);
    vt_debug(VT_AREA_ATTACH, "process %d: %s", f->o->pid, text);
}

static bool read_number(const char *path, long *out) {
    char text[64];
    if (vt_read_file(path, text, sizeof(text), NULL)) return false;
    *out = strtol(text, NULL, 10);
    return true;
}

static uint64_t own_caps(const char *which) {
    char text[8192], key[16];
    int rc = vt_read_file("/proc/self/status", text, sizeof(text), NULL);
    if (rc && rc != -E2BIG) return 0;
    snprintf(key, sizeof(key), "\n%s:", which);
    const char *at = strstr(text, key);
    return at ? strtoull(at + strlen(key), NULL, 16) : 0;
}

static void user_name(uint32_t uid, char *buf, size_t size) {
    struct passwd pw, *found = NULL;
    char text[4096];
    if (!getpwuid_r(uid, &pw, text, sizeof(text), &found) && found)
        snprintf(buf, size, "%s (uid %u)", pw.pw_name, uid);
    else
        snprintf(buf, size, "uid %u", uid);
}

static bool same_link(pid_t pid, const char *name) {
    char a[64], b[64];
    struct stat x, y;
    snprintf(a, sizeof(a), "/proc/%d/%s", pid, name);
    snprintf(b, sizeof(b), "/proc/self/%s", name);
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Compares the id maps, which any process may read. */
static bool other_user_namespace(pid_t pid) {
    char path[64], theirs[512], ours[512];
    snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
    if (vt_read_file(path, theirs, sizeof(theirs), NULL) || vt_read_file("/proc/self/uid_map", ours, sizeof(ours), NULL))
        return false;
    return strcmp(theirs, ours) != 0;
}

/* ---- the checks ---- */

static int check_exists(struct flight *f) {
    pid_t pid = f->o->pid;
    if (pid <= 0) return REFUSE(f, -ESRCH, "%d is not a process id: give the pid of a running Python process", pid);
    int rc = target_status_read(pid, &f->st);
    if (rc == -ESRCH)
        return REFUSE(f, rc, "no process %d: it has exited or the pid is wrong; `pgrep -af python` lists what runs", pid);
    if (rc == -EACCES || rc == -EPERM)
        return REFUSE(f, -EPERM, "process %d is hidden (/proc is mounted with hidepid): run with sudo", pid);
    if (rc) return REFUSE(f, rc, "cannot read the status of process %d: %s%s", pid, strerror(-rc), attach_advice(rc));
    f->info->start_time = f->st.start_time;
    f->info->uid = f->st.uid[1];
    f->info->ns_pid = f->st.ns_pid;
    f->info->seccomp = f->st.seccomp != 0;
    if (f->st.tgid != pid) {
        return REFUSE(f, -ESRCH, "%d is a thread of process %d, not a process: use --attach %d", pid, f->st.tgid, f->st.tgid);
    }
    return 0;
}

static int check_not_ourselves(struct flight *f) {
    pid_t pid = f->o->pid;
    if (pid != getpid() && (pid != getppid() || !same_link(pid, "exe"))) return 0;
    return REFUSE(f, -ENOEXEC, "process %d is viztracer itself: give the pid of the Python process", pid);
}

static int check_alive(struct flight *f) {
    char parent[64];
    if (f->st.state != 'Z' && f->st.state != 'X') return 0;
    target_comm(f->st.ppid, parent, sizeof(parent));
    return REFUSE(f, -ESRCH, "process %d has exited already (zombie): its parent %d (%s) has not collected it yet", f->o->pid,
                  f->st.ppid, parent);
}

static int check_user_space(struct flight *f) {
    if (f->st.kernel_thread) return REFUSE(f, -ENOEXEC, "process %d (%s) is a kernel thread, not Python", f->o->pid, f->st.comm);
    if (!f->st.has_memory)
        return REFUSE(f, -ESRCH, "process %d (%s) is just exiting: nothing left to trace", f->o->pid, f->st.comm);
    return 0;
}

static int check_tracer(struct flight *f) {
    char tracer[64];
    if (!f->st.tracer) {
        if (f->st.state != 't') return 0;
        return REFUSE(f, -EBUSY, "process %d is stopped by a tracer outside of this pid namespace: detach that first", f->o->pid);
    }
    target_comm(f->st.tracer, tracer, sizeof(tracer));
    return REFUSE(f, -EBUSY, "process %d is already traced by process %d (%s): only one tracer at a time; detach that first",
                  f->o->pid, f->st.tracer, tracer);
}

static int check_running(struct flight *f) {
    if (f->st.state != 'T') return 0;
    return REFUSE(f, -EAGAIN, "process %d is stopped (SIGSTOP or job control): continue it with `kill -CONT %d`, then attach",
                  f->o->pid, f->o->pid);
}

/* Same user for the kernel: our real ids must equal all of the target's. */
static bool same_user(const struct target_status *st) {
    for (unsigned i = 0; i < 3; i++)
        if (st->uid[i] != getuid() || st->gid[i] != getgid()) return false;
    return true;
}

/* Why does the kernel refuse? Checks the conditions of ptrace(2), "Ptrace access mode checking". */
static int explain_denied(struct flight *f) {
    pid_t pid = f->o->pid;
    char owner[128], us[128], path[64];
    bool able = own_caps("CapEff") >> CAP_SYS_PTRACE_BIT & 1, could = own_caps("CapBnd") >> CAP_SYS_PTRACE_BIT & 1;
    const char *remedy = able    ? "run viztracer on the host"
                         : could ? "use sudo (CAP_SYS_PTRACE)"
                                 : "start this container with --cap-add=SYS_PTRACE, or run viztracer on the host";
    long scope = 0;
    struct stat st;
    user_name(f->st.uid[1], owner, sizeof(owner));
    user_name(getuid(), us, sizeof(us));
    if (!able && !same_user(&f->st)) {
        if (f->st.uid[1] == getuid())
            return REFUSE(f, -EPERM, "process %d has other user or group ids than you (%s) beside its own: %s", pid, us, remedy);
        return REFUSE(f, -EPERM, "process %d belongs to %s and you are %s: attach as that user; or %s", pid, owner, us, remedy);
    }
    if (read_number("/proc/sys/kernel/yama/ptrace_scope", &scope) && scope == 3)
        return REFUSE(f, -EPERM,
                      "this kernel forbids attaching to any process (kernel.yama.ptrace_scope=3): only a reboot changes that");
    if (!able && scope == 2)
        return REFUSE(f, -EPERM, "only the administrator may attach to processes here (kernel.yama.ptrace_scope=2): %s", remedy);
    /* The files of a process that is not dumpable belong to root. */
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    if (!able && !stat(path, &st) && st.st_uid != f->st.uid[1])
        return REFUSE(f, -EPERM, "process %d is not dumpable (it asked for that, or gained rights when it started): %s", pid,
                      remedy);
    if (!able && (f->st.cap_permitted & ~own_caps("CapPrm")))
        return REFUSE(f, -EPERM, "process %d has capabilities that you do not have: %s", pid, remedy);
    if (!able && scope == 1)
        return REFUSE(
            f, -EPERM,
            "process %d is no child of yours, which kernel.yama.ptrace_scope=1 demands: %s, or set that to 0 with sysctl", pid,
            remedy);
    if (able && other_user_namespace(pid))
        return REFUSE(f, -EPERM, "process %d is in a user namespace over which you have no rights: %s", pid, remedy);
    return REFUSE(f, -EPERM, "the kernel does not let you attach to process %d (AppArmor, SELinux or a sandbox): %s", pid,
                  remedy);
}

/* Makes the permission check of PTRACE_SEIZE by reading one word of memory. */
static int check_permission(struct flight *f) {
    pid_t pid = f->o->pid;
    int rc = maps_read(pid, &f->maps);
    if (rc == -EACCES || rc == -EPERM) return explain_denied(f);
    if (rc) return REFUSE(f, rc, "cannot read the memory map of process %d: %s%s", pid, strerror(-rc), attach_advice(rc));
    if (!f->maps.nlines) return REFUSE(f, -ESRCH, "process %d (%s) is just exiting: nothing left to trace", pid, f->st.comm);
    rc = mem_open(&f->mem, pid);
    for (size_t i = 0; !rc && i < f->maps.nlines; i++) {
        uint64_t word;
        if (!f->maps.lines[i].r) continue;
        rc = mem_read_u64(&f->mem, f->maps.lines[i].start, &word);
        if (rc != -EFAULT) break;
        rc = 0;
    }
    if (rc == -EPERM) return explain_denied(f);
    if (rc == -ESRCH) return REFUSE(f, rc, "process %d exited while viztracer looked at it", pid);
    if (rc) return REFUSE(f, rc, "cannot read the memory of process %d: %s%s", pid, strerror(-rc), attach_advice(rc));
    return 0;
}

/* Detects a sandbox that forbids ptrace: a call on ourselves returns ESRCH where ptrace is allowed. */
static int check_ptrace_works(struct flight *f) {
    if (f->o->method == ATTACH_REMOTE_EXEC) return 0;
    if (ptrace(PTRACE_CONT, getpid(), 0, 0) == -1 && (errno == EPERM || errno == ENOSYS || errno == EACCES))
        return REFUSE(
            f, -EPERM,
            "ptrace is forbidden where viztracer runs (a seccomp filter): start the container with --cap-add=SYS_PTRACE, "
            "or run viztracer on the host");
    if (f->st.seccomp == 1)
        return REFUSE(f, -ENOTSUP, "process %d runs in strict seccomp mode: no tracer can work inside it", f->o->pid);
    return 0;
}

static int check_machine(struct flight *f) {
    char path[64];
    unsigned char h[20];
    snprintf(path, sizeof(path), "/proc/%d/exe", f->o->pid);
    ssize_t n = readlink(path, f->exe, sizeof(f->exe) - 1);
    f->exe[n > 0 ? n : 0] = '\0';
    snprintf(f->info->exe, sizeof(f->info->exe), "%.255s", f->exe);
    one_line(f->info->exe, strlen(f->info->exe));
    read_cmdline(f);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return 0; /* the maps show enough */
    int rc = vt_read_full(fd, h, sizeof(h));
    vt_close(&fd);
    if (rc || memcmp(h, ELFMAG, SELFMAG)) return 0;
    if (h[EI_CLASS] == ELFCLASS32)
        return REFUSE(f, -ENOTSUP, "process %d (%s) is a 32-bit program: only 64-bit Python can be traced", f->o->pid,
                      f->st.comm);
    return 0;
}

static int check_own_memory(struct flight *f) {
    pid_t parent = f->st.ppid;
    char name[64];
    if (parent <= 1 || syscall(SYS_kcmp, f->o->pid, parent, KCMP_VM, 0, 0) != 0) return 0;
    target_comm(parent, name, sizeof(name));
    return REFUSE(
        f, -EAGAIN,
        "process %d still shares the memory of its parent %d (%s), which waits for it (vfork): attach to %d, or wait for "
        "the exec",
        f->o->pid, parent, name, parent);
}

static int check_python(struct flight *f) {
    pid_t pid = f->o->pid;
    struct py_runtime *py = &f->py;
    int rc = pyruntime_find(&f->mem, &f->maps, f->exe, py);
    if (rc == -ESRCH) return REFUSE(f, rc, "process %d exited while viztracer looked at it", pid);
    if (rc) return REFUSE(f, rc, "cannot read the memory of process %d: %s%s", pid, strerror(-rc), attach_advice(rc));
    f->info->musl = py->musl;
    if (!py->major && py->runtime)
        return REFUSE(
            f, -ENOTSUP,
            "process %d (%s) contains a Python whose functions are not exported: link it with -Wl,-export-dynamic or a shared "
            "libpython",
            pid, f->info->exe);
    if (!py->major)
        return REFUSE(
            f, -ENOEXEC,
            "process %d (%s) is not a Python process: no CPython is loaded in it; pgrep -af python lists those that are", pid,
            f->info->exe);
    f->info->py_major = py->major;
    f->info->py_minor = py->minor;
    f->info->free_threaded = py->free_threaded;
    f->info->debug_build = py->debug_build;
    return 0;
}

static int check_version(struct flight *f) {
    const struct py_runtime *py = &f->py;
    pid_t pid = f->o->pid;
    if (py->major < 3 || (py->major == 3 && py->minor < PYTHON_OLDEST))
        return REFUSE(f, -ENOTSUP, "process %d runs Python %d.%d, which is too old: 3.%d to 3.%d can be traced", pid, py->major,
                      py->minor, PYTHON_OLDEST, PYTHON_NEWEST);
    if (py->major > 3 || py->minor > PYTHON_NEWEST)
        return REFUSE(
            f, -ENOTSUP,
            "process %d runs Python %d.%d, which this viztracer does not know: 3.%d to 3.%d can be traced; update viztracer", pid,
            py->major, py->minor, PYTHON_OLDEST, PYTHON_NEWEST);
    return 0;
}

/* The builds of which we know the structures. */
static int check_build(struct flight *f) {
    const struct py_runtime *py = &f->py;
    pid_t pid = f->o->pid;
    if (py->free_threaded)
        return REFUSE(f, -ENOTSUP,
                      "process %d runs free-threaded Python %d.%dt, which is not supported yet: run it with the ordinary build",
                      pid, py->major, py->minor);
    if (py->trace_refs)
        return REFUSE(
            f, -ENOTSUP,
            "process %d runs a debug Python built with Py_TRACE_REFS: objects lie elsewhere there; use an ordinary build", pid);
    return 0;
}

static int check_api(struct flight *f) {
    if (!f->py.has_api)
        return REFUSE(f, -ENOTSUP,
                      "process %d (%s) contains a Python that does not export what the tracer needs: link it with "
                      "-Wl,-export-dynamic or a shared libpython",
                      f->o->pid, f->info->exe);
    return 0;
}

static int check_loadable(struct flight *f) {
    if (f->py.debug_build) note(f, "this is a debug build of Python: the timings mean little");
    if (f->py.musl) note(f, "the C library is musl: threads that are busy in C may have to be waited for");
    if (!f->py.has_dlopen)
        return REFUSE(f, -ENOTSUP,
                      "process %d (%s) is linked statically: it cannot load the tracer (no dlopen); use a dynamic build",
                      f->o->pid, f->info->exe);
    return 0;
}

static int check_opt_out(struct flight *f) {
    pid_t pid = f->o->pid;
    size_t len = 0;
    int rc;
    const char *how = NULL;
    char *env = read_strings(pid, "environ", &len, &rc);
    if (env && pyruntime_env_opt_out(env, len)) how = "PYTHON_DISABLE_REMOTE_DEBUG is set";
    free(env);
    char *args = read_strings(pid, "cmdline", &len, &rc);
    if (args && pyruntime_args_opt_out(args, len)) how = "-X disable-remote-debug";
    free(args);
    struct debug_state debug;
    if (f->py.minor >= 14) {
        rc = debug_state_read(&f->mem, &f->py, &debug);
        if (!rc && !debug.enabled && !how) how = "remote debugging is off in its interpreter";
        f->info->has_remote_exec = !rc && debug.enabled;
    }
    f->info->opted_out = how != NULL;
    if (!how || f->o->force) return 0;
    return REFUSE(f, -ECANCELED, "process %d has opted out of remote debugging (%s): use --force to attach nevertheless", pid,
                  how);
}

static int check_method(struct flight *f) {
    if (f->o->method != ATTACH_REMOTE_EXEC || f->info->has_remote_exec) return 0;
    if (f->py.minor < 14)
        return REFUSE(f, -ENOTSUP,
                      "--method remote-exec needs Python 3.14 or newer and process %d runs %d.%d: use --method ptrace", f->o->pid,
                      f->py.major, f->py.minor);
    if (f->info->opted_out)
        return REFUSE(f, -ECANCELED,
                      "remote debugging is off in process %d, so --method remote-exec cannot work: use --method ptrace",
                      f->o->pid);
    return REFUSE(f, -ENOTSUP, "the debugging interface of Python %d.%d in process %d is not as expected: use --method ptrace",
                  f->py.major, f->py.minor, f->o->pid);
}

static int check_not_traced_by_us(struct flight *f) {
    struct attach_agent a;
    char owner[96], when[32] = "an unknown time";
    int rc = agent_find(&f->mem, &f->maps, &a);
    if (rc) return REFUSE(f, rc, "cannot read the memory of process %d: %s%s", f->o->pid, strerror(-rc), attach_advice(rc));
    if (!a.busy || !a.lease_left_ns) return 0;
    one_line(a.owner_name, strlen(a.owner_name));
    snprintf(owner, sizeof(owner), "%s", a.owner_name[0] ? a.owner_name : "another user");
    time_t seconds = (time_t)(a.session_start / 1000000000u);
    struct tm tm;
    if (a.session_start && localtime_r(&seconds, &tm)) strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
    return REFUSE(f, -EBUSY,
                  "process %d is already being traced by %s (viztracer pid %u) since %s: end that with `viztracer --detach %d`",
                  f->o->pid, owner, a.owner_pid, when, f->o->pid);
}

typedef int check_fn(struct flight *f);
static check_fn *const to_attach[] = {
    check_exists,     check_not_ourselves, check_alive,    check_user_space, check_tracer, check_running,
    check_permission, check_ptrace_works,  check_machine,  check_own_memory, check_python, check_version,
    check_build,      check_api,           check_loadable, check_opt_out,    check_method, check_not_traced_by_us,
};
/* A process that is stopped or traced can be read, and nothing of ours comes into it that it could have opted out of. */
static check_fn *const to_read[] = {
    check_exists,  check_not_ourselves, check_alive,  check_user_space, check_permission,
    check_machine, check_own_memory,    check_python, check_version,    check_build,
};

static int make_checks(struct flight *f, check_fn *const *checks, size_t n) {
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++) rc = checks[i](f);
    if (!rc && target_check(f->o->pid, f->info->start_time))
        rc = REFUSE(f, -ESRCH, "process %d exited while viztracer looked at it", f->o->pid);
    return rc;
}

int attach_preflight(const struct attach_opts *o, struct attach_info *info, struct vt_err *err) {
    struct vt_err unused = {0};
    struct flight *f = calloc(1, sizeof(*f));
    *info = (struct attach_info){.pid = o->pid};
    if (!f) return vt_err_set(err, -ENOMEM, "out of memory");
    f->o = o;
    f->info = info;
    f->err = err ? err : &unused;
    f->mem.fd = -1;
    int rc = make_checks(f, to_attach, VT_ARRAY_LEN(to_attach));
    mem_close(&f->mem);
    maps_free(&f->maps);
    free(f);
    return rc;
}

int attach_view_open(struct attach_view *view, pid_t pid, struct vt_err *err) {
    struct attach_opts o = {.pid = pid};
    struct vt_err unused = {0};
    struct flight *f = calloc(1, sizeof(*f));
    *view = (struct attach_view){.info.pid = pid, .mem.fd = -1};
    if (!f) return vt_err_set(err, -ENOMEM, "out of memory");
    f->o = &o;
    f->info = &view->info;
    f->err = err ? err : &unused;
    f->mem.fd = -1;
    int rc = make_checks(f, to_read, VT_ARRAY_LEN(to_read));
    view->status = f->st;
    view->py = f->py;
    view->maps = f->maps;
    view->mem = f->mem;
    free(f);
    if (rc) attach_view_close(view);
    return rc;
}

void attach_view_close(struct attach_view *view) {
    mem_close(&view->mem);
    maps_free(&view->maps);
}
