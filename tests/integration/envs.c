/* From the host into other environments: namespaces, another user without new privileges, a seccomp filter that kills, other
 * allocators. (Every suite has an interpreter in a chroot with another C library.) `envs --seccomp COMMAND…` runs COMMAND
 * under the filter. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/filters.h"
#include "tests/lib/suite.h"

/* ---- the launcher ---- */

/* What CPython itself and its C library need; any other call kills the process: no memfd_create, no ptrace, no socket. */
static const unsigned short allowed[] = {
    SYS_read,
    SYS_write,
    SYS_open,
    SYS_close,
    SYS_stat,
    SYS_fstat,
    SYS_lstat,
    SYS_poll,
    SYS_lseek,
    SYS_mmap,
    SYS_mprotect,
    SYS_munmap,
    SYS_brk,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_ioctl,
    SYS_pread64,
    SYS_pwrite64,
    SYS_readv,
    SYS_writev,
    SYS_access,
    SYS_pipe,
    SYS_select,
    SYS_sched_yield,
    SYS_mremap,
    SYS_madvise,
    SYS_dup,
    SYS_dup2,
    SYS_dup3,
    SYS_pause,
    SYS_nanosleep,
    SYS_getpid,
    SYS_clone,
    SYS_clone3,
    SYS_execve,
    SYS_exit,
    SYS_wait4,
    SYS_kill,
    SYS_uname,
    SYS_fcntl,
    SYS_ftruncate,
    SYS_getdents64,
    SYS_getcwd,
    SYS_readlink,
    SYS_readlinkat,
    SYS_getuid,
    SYS_getgid,
    SYS_geteuid,
    SYS_getegid,
    SYS_getppid,
    SYS_gettid,
    SYS_sigaltstack,
    SYS_arch_prctl,
    SYS_futex,
    SYS_sched_getaffinity,
    SYS_set_tid_address,
    SYS_restart_syscall,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_clock_nanosleep,
    SYS_exit_group,
    SYS_tgkill,
    SYS_openat,
    SYS_newfstatat,
    SYS_set_robust_list,
    SYS_ppoll,
    SYS_pselect6,
    SYS_pipe2,
    SYS_prlimit64,
    SYS_getrandom,
    SYS_rseq,
    SYS_statx,
    SYS_sysinfo,
    SYS_getrlimit,
    SYS_gettimeofday,
    SYS_prctl,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_sched_getparam,
    SYS_sched_getscheduler,
    SYS_epoll_create1,
};

static int launch(char **argv) {
    enum { N = sizeof allowed / sizeof *allowed };
    struct sock_filter code[N + 6];
    unsigned short n = 0;
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (unsigned i = 0; i < N; i++)
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], (unsigned char)(N - i), 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {n, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) return 126;
    execvp(argv[0], argv);
    return 127;
}

/* ---- the tests ---- */

struct world {
    const char *name;
    const char *wrapper[12];
    const char *env;
    const char *needs_file; /* skip when it is not there */
    const char *script, *arg;
    bool plain_only; /* not for an interpreter in a chroot */
    bool drops_user; /* the interpreter must be readable by nobody */
};

#define JEMALLOC "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"
#define TCMALLOC "/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4"

static const struct world worlds[] = {
    {"mount-and-pid-namespace",
     {"unshare", "-m", "-p", "-f", "--kill-child", "--mount-proc"},
     NULL,
     NULL,
     "busy.py",
     "2",
     false,
     false},
    {"user-namespace", {"unshare", "-U", "-r"}, NULL, NULL, "busy.py", "2", false, false},
    {"network-namespace", {"unshare", "-n"}, NULL, NULL, "busy.py", "2", false, false},
    {"all-namespaces",
     {"unshare", "-U", "-r", "-m", "-p", "-f", "-n", "-u", "-i", "-C", "--kill-child", "--mount-proc"},
     NULL,
     NULL,
     "busy.py",
     "2",
     false,
     false},
    {"nobody-no-new-privs",
     {"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs", "--bounding-set=-all",
      "--inh-caps=-all"},
     NULL,
     NULL,
     "busy.py",
     "2",
     true,
     true},
    {"seccomp-busy", {"/proc/self/exe", "--seccomp"}, NULL, NULL, "busy.py", "2", true, false},
    {"seccomp-blocked", {"/proc/self/exe", "--seccomp"}, NULL, NULL, "blocked.py", "lock", true, false},
    {"jemalloc", {NULL}, "LD_PRELOAD=" JEMALLOC, JEMALLOC, "churn.py", "4", true, false},
    {"tcmalloc", {NULL}, "LD_PRELOAD=" TCMALLOC, TCMALLOC, "churn.py", "4", true, false},
};

static bool nobody_may_run(const char *path) {
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) _exit(setgid(65534) || setuid(65534) || access(path, R_OK | X_OK) || access(tree_root(), X_OK));
    waitpid(pid, &status, 0);
    return status == 0;
}

START_TEST(test_env_other_worlds_are_traced) {
    const struct world *w = &worlds[suite_row(_i)];
    const struct interp *ip = suite_interp(_i);
    struct target t;
    struct tool tool;
    struct trace trace;
    struct census before, after;
    char who[96], self[PATH_MAX];
    const char *wrapper[16], *out = temp_path(".json");
    int n = 0;
    bool blocked = !strcmp(w->script, "blocked.py");
    snprintf(who, sizeof who, "%s on %s", w->name, ip->version);
    if (w->plain_only && ip->root[0]) skip_test("envs %s: not for an interpreter in a chroot", who);
    if (w->needs_file && access(w->needs_file, R_OK)) skip_test("envs %s: %s is not installed", who, w->needs_file);
    if (geteuid() && w->wrapper[0] && w->wrapper[0][0] != '/') skip_test("envs %s: needs root", who);
    if (w->drops_user && !nobody_may_run(ip->path))
        skip_test("envs %s: nobody may not run an interpreter in somebody's home", who);
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    ck_assert(len > 0);
    self[len] = 0;
    for (; n < 12 && w->wrapper[n]; n++) wrapper[n] = strcmp(w->wrapper[n], "/proc/self/exe") ? w->wrapper[n] : self;
    wrapper[n] = NULL;
    struct target_opts o = {.wrapper = n ? wrapper : NULL, .env = w->env ? (const char *[]){w->env, NULL} : NULL};
    ck_assert_msg(target_spawn(&t, ip, w->script, (const char *[]){w->arg, NULL}, &o) == 0, "%s: the target does not start", who);
    sleep_ms(50);
    census_take(t.pid, &before);
    for (int round = 0; round < suite_times(1, 5); round++) {
        tool_runf(&tool, "--attach %d -t 0.1 -o %s %s", (int)t.pid, out, filters_can_be_read() ? "" : "--force");
        must_exit(&tool, 0, who);
        if (blocked)
            ck_assert_msg(!target_send(&t, "\n") && !target_expect(&t, "awake", 5000), "%s: the target does not run on", who);
        else
            ck_assert_msg(!target_progresses(&t, (unsigned)atoi(w->arg), 10000), "%s: the target does not run on", who);
        must_load(&trace, out, who);
        pid_t ids[64];
        int threads = trace_threads(&trace, ids, 64);
        ck_assert_msg(threads >= (int)before.threads, "%s: %d of %u threads in the trace", who, threads, before.threads);
        if (!blocked)
            ck_assert_msg(trace_count(&trace, !strcmp(w->script, "busy.py") ? "fib" : "dumps", 0) > 0, "%s: no calls", who);
        trace_free(&trace);
    }
    /* The thread of an attach may need a moment to end. */
    for (uint64_t end = now_ms() + 10000; !census_take(t.pid, &after) && after.threads != before.threads && now_ms() < end;)
        sleep_ms(10);
    ck_assert_msg(before.threads == after.threads && before.fds == after.fds, "%s: threads %u, then %u; descriptors %u, then %u",
                  who, before.threads, after.threads, before.fds, after.fds);
    target_kill(&t);
    unlink(out);
}
END_TEST

/* The filter does kill: else the tests above prove nothing. */
START_TEST(test_env_seccomp_filter_kills_nothing) {
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        char *argv[] = {(char *)(uintptr_t) "python3", (char *)(uintptr_t) "-c",
                        (char *)(uintptr_t) "import socket; socket.socket()", NULL};
        _exit(launch(argv));
    }
    waitpid(pid, &status, 0);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "ended with %#x", (unsigned)status);
}
END_TEST

int main(int argc, char **argv) {
    if (argc > 2 && !strcmp(argv[1], "--seccomp")) return launch(argv + 2);
    Suite *s = suite_create("envs");
    for (int i = 0; i < (int)(sizeof worlds / sizeof *worlds); i++)
        suite_add_row(s, worlds[i].name, test_env_other_worlds_are_traced, i, 90);
    suite_add_once(s, "filter-kills", test_env_seccomp_filter_kills_nothing, 20);
    return suite_main(s);
}
