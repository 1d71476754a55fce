/* attach_preflight on real processes. Every interpreter is recognised, whatever its name and whoever asks. A process that
 * cannot be traced is refused for the right reason, in one line, and untouched. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/attach.h"
#include "tests/lib/suite.h"

/* Asks in a child, which may be somebody else. */
struct asking {
    uid_t uid;
    bool no_ptrace_cap; /* of the bounding set: a container */
    bool no_ptrace;     /* seccomp: EPERM for ptrace */
    enum attach_method method;
    bool force;
};

struct answer {
    int rc;
    struct vt_err err;
    struct attach_info info;
};

static void forbid_ptrace(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {sizeof code / sizeof code[0], code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog)) _exit(1);
}

static struct answer ask(pid_t pid, struct asking how) {
    struct answer a = {0};
    int p[2];
    ck_assert_int_eq(pipe(p), 0);
    pid_t child = fork();
    if (!child) {
        if (how.no_ptrace_cap && prctl(PR_CAPBSET_DROP, 19, 0, 0, 0)) _exit(1);
        if (how.uid && (setgroups(0, NULL) || setgid(how.uid) || setuid(how.uid))) _exit(1);
        if (how.no_ptrace) forbid_ptrace();
        struct attach_opts o = {.pid = pid, .method = how.method, .force = how.force};
        a.rc = attach_preflight(&o, &a.info, &a.err);
        _exit(write(p[1], &a, sizeof a) != (ssize_t)sizeof a);
    }
    close(p[1]);
    ck_assert_int_eq(read(p[0], &a, sizeof a), (ssize_t)sizeof a);
    close(p[0]);
    int status;
    waitpid(child, &status, 0);
    ck_assert_int_eq(status, 0);
    return a;
}

static void must_refuse(pid_t pid, struct asking how, int code, const char *const *words, const char *who) {
    struct census before = {0}, after = {0};
    bool known = !census_take(pid, &before);
    for (int i = 0; i < 100 && known && before.state == 'R'; i++) { /* it has said "ready" and goes to sleep */
        sleep_ms(10);
        known = !census_take(pid, &before);
    }
    struct answer a = ask(pid, how);
    ck_assert_msg(a.rc == code, "%s: %d instead of %d: %s", who, a.rc, code, a.err.msg);
    ck_assert_msg(a.err.msg[0] && !strchr(a.err.msg, '\n'), "%s: not one line: %s", who, a.err.msg);
    for (; *words; words++) ck_assert_msg(strstr(a.err.msg, *words), "%s: does not say %s: %s", who, *words, a.err.msg);
    if (!known) return;
    census_take(pid, &after);
    ck_assert_msg(before.state == after.state && before.tracer == after.tracer && before.maps == after.maps &&
                      before.fds == after.fds,
                  "%s: the target has changed", who);
}
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- Python is recognised ---- */

static void must_know(pid_t pid, const struct interp *ip, struct asking how, const char *who) {
    struct answer a = ask(pid, how);
    ck_assert_msg(a.rc == 0, "%s: %s", who, a.err.msg);
    ck_assert_msg(a.info.py_major == 3 && a.info.py_minor == ip->minor, "%s: found %d.%d for 3.%d", who, a.info.py_major,
                  a.info.py_minor, ip->minor);
    ck_assert_msg(a.info.has_remote_exec == (ip->minor >= 14), "%s: remote exec %d", who, a.info.has_remote_exec);
    ck_assert(!a.info.free_threaded && !a.info.debug_build && !a.info.musl && !a.info.opted_out && !a.info.seccomp);
    ck_assert(a.info.pid == pid && a.info.ns_pid == pid && a.info.start_time && a.info.exe[0] == '/' && a.info.cmdline[0]);
}

START_TEST(test_preflight_recognises_python) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    ck_assert_int_eq(target_spawn(&t, ip, "blocked.py", (const char *[]){"read", NULL}, NULL), 0);
    must_know(t.pid, ip, (struct asking){0}, ip->version);
    target_kill(&t);
    if (geteuid() || ip->root[0] || access(ip->path, X_OK)) return;
    /* as nobody: without the right to open /proc/PID/map_files. An interpreter in root's home cannot be reached then */
    const char *argv[] = {ip->path, "-c", "print('ready', flush=True); import time; time.sleep(100)", NULL};
    ck_assert_int_eq(target_spawn_argv(&t, argv, &(struct target_opts){.uid = 65534, .no_ready = true}), 0);
    if (!target_expect(&t, "ready", 5000)) must_know(t.pid, ip, (struct asking){.uid = 65534}, ip->version);
    target_kill(&t);
}
END_TEST

/* Neither the executable nor the process is called python. */
START_TEST(test_refuse_renamed_python_is_recognised) {
    const struct interp *ip = suite_interp(_i);
    char dir[PATH_MAX], command[4 * PATH_MAX], program[PATH_MAX + 16];
    struct target t;
    if (ip->root[0]) return;
    snprintf(dir, sizeof dir, "%s", temp_path("-renamed"));
    snprintf(program, sizeof program, "%s/myservice", dir);
    snprintf(command, sizeof command, "mkdir -p %s && cp -L %s %s", dir, ip->path, program);
    ck_assert_int_eq(system(command), 0);
    char home[PATH_MAX + 32];
    snprintf(home, sizeof home, "PYTHONHOME=%s", ip->path);
    for (int i = 0; i < 2; i++) *strrchr(home, '/') = 0;
    const char *argv[] = {program, "-c", "print('ready', flush=True); import time; time.sleep(100)", NULL};
    ck_assert_int_eq(target_spawn_argv(&t, argv, &(struct target_opts){.env = (const char *[]){home, NULL}}), 0);
    /* the file is gone, as after an upgrade */
    unlink(program);
    rmdir(dir);
    must_know(t.pid, ip, (struct asking){0}, "renamed and deleted");
    target_kill(&t);
}
END_TEST

START_TEST(test_refuse_methods_by_version) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    struct asking remote = {.method = ATTACH_REMOTE_EXEC};
    ck_assert_int_eq(target_spawn(&t, ip, "blocked.py", (const char *[]){"read", NULL}, NULL), 0);
    if (ip->minor < 14)
        must_refuse(t.pid, remote, -ENOTSUP, WORDS("3.14", "--method ptrace"), "remote exec on an old Python");
    else
        ck_assert_int_eq(ask(t.pid, remote).rc, 0);
    must_refuse(t.pid, (struct asking){.no_ptrace = true}, -EPERM, WORDS("ptrace is forbidden"), "sandboxed tracer");
    if (ip->minor >= 14) {
        remote.no_ptrace = true;
        ck_assert_int_eq(ask(t.pid, remote).rc, 0);
    }
    target_kill(&t);
}
END_TEST

START_TEST(test_refuse_opted_out) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    const char *env[] = {"PYTHON_DISABLE_REMOTE_DEBUG=yes", NULL}, *flags[] = {"-X", "disable-remote-debug", NULL};
    for (int by_flag = 0; by_flag < 2; by_flag++) {
        struct target_opts o = {.env = by_flag ? NULL : env, .flags = by_flag ? flags : NULL};
        ck_assert_int_eq(target_spawn(&t, ip, "blocked.py", (const char *[]){"read", NULL}, &o), 0);
        must_refuse(t.pid, (struct asking){0}, -ECANCELED,
                    WORDS("opted out", by_flag ? "-X disable" : "PYTHON_DISABLE", "--force"), "opted out");
        must_refuse(t.pid, (struct asking){.method = ATTACH_PTRACE}, -ECANCELED, WORDS("opted out"), "opted out, ptrace");
        struct answer a = ask(t.pid, (struct asking){.force = true});
        ck_assert_msg(a.rc == 0 && a.info.opted_out && !a.info.has_remote_exec, "forced: %s", a.err.msg);
        must_refuse(t.pid, (struct asking){.force = true, .method = ATTACH_REMOTE_EXEC}, ip->minor < 14 ? -ENOTSUP : -ECANCELED,
                    WORDS("--method ptrace"), "forced remote exec");
        target_kill(&t);
    }
    /* as CPython itself reads it: set to nothing is set */
    struct target_opts o = {.env = (const char *[]){"PYTHON_DISABLE_REMOTE_DEBUG=", NULL}};
    ck_assert_int_eq(target_spawn(&t, ip, "blocked.py", (const char *[]){"read", NULL}, &o), 0);
    must_refuse(t.pid, (struct asking){0}, -ECANCELED, WORDS("opted out"), "set to nothing");
    if (ip->minor >= 14)
        must_refuse(t.pid, (struct asking){.force = true, .method = ATTACH_REMOTE_EXEC}, -ECANCELED,
                    WORDS("remote debugging is off"), "CPython agrees");
    target_kill(&t);
}
END_TEST

/* ---- processes that only look like it ---- */

/* Compiles a program that exports what a Python of that kind exports, and starts it. False: no compiler for that. */
static bool fake_start(struct target *t, const char *flags) {
    char program[PATH_MAX], command[4 * PATH_MAX];
    snprintf(program, sizeof program, "%s", temp_path("-fake"));
    snprintf(command, sizeof command,
             "cc -w -O1 -Wl,--export-dynamic %s -x c -o %s - 2>/dev/null <<'EOF'\n"
             "#include <pthread.h>\n#include <dlfcn.h>\n#include <stdio.h>\n#include <unistd.h>\n"
             "struct { char cookie[8]; unsigned long version, threads, rest[64]; } _PyRuntime = {COOKIE, VERSION, THREADS};\n"
             "unsigned long Py_Version = VERSION;\n"
             "void Py_GetVersion(void) {}\n"
             "#ifdef API\nvoid PyGILState_Ensure(void) {}\nvoid PyEval_SetProfile(void) {}\n#endif\n"
             "#ifdef REFS\nvoid _Py_PrintReferences(void) {}\n#endif\n"
             "#ifdef STATIC\n"
             "static void call(long n, long a, const void *b, long c) {\n"
             "    __asm__ volatile(\"syscall\" : \"+a\"(n) : \"D\"(a), \"S\"(b), \"d\"(c) : \"rcx\", \"r11\", \"memory\");\n"
             "}\n"
             "void _start(void) { call(1, 1, \"ready\\n\", 6); for (;;) call(34, 0, 0, 0); }\n"
             "#else\n"
             "int main(void) { puts(\"ready\"); fflush(stdout); return sleep(100); }\n"
             "#endif\n"
             "EOF\n",
             flags, program);
    if (system(command)) return false;
    int rc = target_spawn_argv(t, (const char *[]){program, NULL}, NULL);
    unlink(program);
    ck_assert_int_eq(rc, 0);
    return true;
}

static const struct {
    const char *name, *flags;
    int code;
    const char *words[3];
} fakes[] = {
    {"ordinary", "-DCOOKIE='\"\"' -DVERSION=0x030c00f0 -DTHREADS=0 -DAPI", 0, {0}},
    {"newer than known", "-DCOOKIE='\"xdebugpy\"' -DVERSION=0x031000f0 -DTHREADS=0 -DAPI", -ENOTSUP, {"3.16", "update"}},
    {"version 4", "-DCOOKIE='\"\"' -DVERSION=0x040000f0 -DTHREADS=0 -DAPI", -ENOTSUP, {"4.0", "does not know"}},
    {"too old", "-DCOOKIE='\"\"' -DVERSION=0x030700f0 -DTHREADS=0 -DAPI", -ENOTSUP, {"3.7", "too old"}},
    {"free-threaded", "-DCOOKIE='\"xdebugpy\"' -DVERSION=0x030e00f0 -DTHREADS=1 -DAPI", -ENOTSUP, {"free-threaded", "3.14t"}},
    {"trace refs", "-DCOOKIE='\"\"' -DVERSION=0x030b00f0 -DTHREADS=0 -DAPI -DREFS", -ENOTSUP, {"Py_TRACE_REFS"}},
    {"no API", "-DCOOKIE='\"\"' -DVERSION=0x030b00f0 -DTHREADS=0", -ENOTSUP, {"does not export", "-Wl,-export-dynamic"}},
    {"static",
     "-nostdlib -static-pie -DSTATIC -DCOOKIE='\"\"' -DVERSION=0x030b00f0 -DTHREADS=0 -DAPI",
     -ENOTSUP,
     {"statically", "dlopen"}},
};

START_TEST(test_refuse_builds_that_cannot_be_traced) {
    struct target t;
    if (!fake_start(&t, fakes[_i].flags)) skip_test("attach_refuse %s: cannot be compiled here", fakes[_i].name);
    if (fakes[_i].code)
        must_refuse(t.pid, (struct asking){0}, fakes[_i].code, fakes[_i].words, fakes[_i].name);
    else
        ck_assert_int_eq(ask(t.pid, (struct asking){0}).rc, 0);
    target_kill(&t);
}
END_TEST

/* ---- any other process ---- */

static void start_sleep(struct target *t, const struct target_opts *more) {
    struct target_opts o = more ? *more : (struct target_opts){0};
    o.no_ready = true;
    ck_assert_int_eq(target_spawn_argv(t, (const char *[]){"sleep", "100", NULL}, &o), 0);
    sleep_ms(50);
}

START_TEST(test_refuse_what_is_no_python) {
    struct target t;
    start_sleep(&t, NULL);
    must_refuse(t.pid, (struct asking){0}, -ENOEXEC, WORDS("not a Python process", "sleep"), "sleep");
    target_kill(&t);
    struct answer a = ask(2, (struct asking){0}); /* kthreadd, where we can see it */
    if (a.rc == -ESRCH || !strstr(a.err.msg, "kernel")) skip_test("attach_refuse kernel-thread: none to be seen");
    ck_assert_int_eq(a.rc, -ENOEXEC);
}
END_TEST

START_TEST(test_refuse_a_thread_id) {
    struct target t;
    pid_t ids[8];
    ck_assert_int_eq(target_spawn(&t, suite_interp(0), "blocked.py", (const char *[]){"lock", NULL}, NULL), 0);
    int n = thread_ids(t.pid, ids, 8);
    ck_assert_int_gt(n, 1);
    char whole[32];
    snprintf(whole, sizeof whole, "--attach %d", (int)t.pid);
    for (int i = 0; i < n; i++)
        if (ids[i] != t.pid) must_refuse(ids[i], (struct asking){0}, -ESRCH, WORDS("is a thread of process", whole), "a thread");
    target_kill(&t);
}
END_TEST

/* A 32-bit program, made by hand: it pauses. */
static const unsigned char program32[] = {0x7f, 'E', 'L', 'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 1, 0, 0, 0, 0x54,
                                          0x80, 4, 8, 52, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 52, 0, 32, 0, 1, 0, 0, 0, 0, 0, 0, 0,
                                          /* PT_LOAD of 0x5d bytes at 0x8048000, r-x */
                                          1, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 4, 8, 0, 0x80, 4, 8, 0x5d, 0, 0, 0, 0x5d, 0, 0, 0, 5,
                                          0, 0, 0, 0, 0x10, 0, 0,
                                          /* mov eax, 29; int 0x80; jmp back */
                                          0xb8, 29, 0, 0, 0, 0xcd, 0x80, 0xeb, 0xf7};

START_TEST(test_refuse_a_program_of_32_bits) {
    struct target t;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", temp_path("-32"));
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
    ck_assert_int_eq(vt_write_full(fd, program32, sizeof program32), 0);
    close(fd);
    ck_assert_int_eq(target_spawn_argv(&t, (const char *[]){path, NULL}, &(struct target_opts){.no_ready = true}), 0);
    sleep_ms(100);
    unlink(path);
    struct answer a = ask(t.pid, (struct asking){0});
    if (a.rc == -ESRCH) skip_test("attach_refuse 32-bit: this kernel does not run such programs");
    must_refuse(t.pid, (struct asking){0}, -ENOTSUP, WORDS("32-bit"), "32-bit");
    target_kill(&t);
}
END_TEST

START_TEST(test_refuse_a_vfork_child) {
    struct target t;
    pid_t child = 0;
    ck_assert_int_eq(target_spawn(&t, suite_interp(_i), "vfork.py", NULL, NULL), 0);
    for (int i = 0; i < 50 && child <= 0; i++) {
        char path[64], line[64] = "";
        sleep_ms(10);
        snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)t.pid, (int)t.pid);
        FILE *f = fopen(path, "re");
        if (f && fgets(line, sizeof line, f)) child = atoi(line);
        if (f) fclose(f);
    }
    ck_assert_int_gt(child, 0);
    char parent[32];
    snprintf(parent, sizeof parent, "attach to %d", (int)t.pid);
    must_refuse(child, (struct asking){0}, -EAGAIN, WORDS("vfork", parent), "vfork child");
    target_kill(&t);
}
END_TEST

/* ---- rights ---- */

START_TEST(test_refuse_without_rights) {
    struct target t;
    if (geteuid()) skip_test("attach_refuse rights: needs root to become somebody else");
    struct asking nobody = {.uid = 65534};
    start_sleep(&t, NULL);
    must_refuse(t.pid, nobody, -EPERM, WORDS("belongs to", "(uid 0)", "uid 65534", "CAP_SYS_PTRACE"), "root's process");
    must_refuse(t.pid, (struct asking){.uid = 65534, .no_ptrace_cap = true}, -EPERM, WORDS("--cap-add=SYS_PTRACE"),
                "in a container");
    target_kill(&t);
    start_sleep(&t, &(struct target_opts){.uid = 65533});
    must_refuse(t.pid, nobody, -EPERM, WORDS("belongs to", "uid 65533", "sudo"), "another user's process");
    must_refuse(t.pid, (struct asking){0}, -ENOEXEC, WORDS("not a Python"), "root may look");
    target_kill(&t);
    start_sleep(&t, &(struct target_opts){.uid = 65534});
    must_refuse(t.pid, nobody, -ENOEXEC, WORDS("not a Python"), "own process");
    target_kill(&t);
}
END_TEST

START_TEST(test_refuse_not_dumpable) {
    if (geteuid()) skip_test("attach_refuse not-dumpable: needs root to become somebody else");
    int p[2];
    char byte;
    ck_assert_int_eq(pipe(p), 0);
    pid_t pid = fork();
    if (!pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (setgroups(0, NULL) || setgid(65534) || setuid(65534) || prctl(PR_SET_DUMPABLE, 0)) _exit(1);
        if (write(p[1], "r", 1) != 1) _exit(1);
        for (;;) pause();
    }
    ck_assert_int_eq(read(p[0], &byte, 1), 1);
    must_refuse(pid, (struct asking){.uid = 65534}, -EPERM, WORDS("not dumpable", "CAP_SYS_PTRACE"), "not dumpable");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("attach_refuse");
    suite_add(s, "recognised", test_preflight_recognises_python, 60);
    suite_add(s, "renamed", test_refuse_renamed_python_is_recognised, 60);
    suite_add(s, "methods", test_refuse_methods_by_version, 60);
    suite_add(s, "opt-out", test_refuse_opted_out, 60);
    TCase *tc = tcase_create("builds");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_refuse_builds_that_cannot_be_traced, 0, (int)VT_ARRAY_LEN(fakes));
    suite_add_tcase(s, tc);
    suite_add_once(s, "no-python", test_refuse_what_is_no_python, 30);
    suite_add_once(s, "thread-id", test_refuse_a_thread_id, 30);
    suite_add_once(s, "32-bit", test_refuse_a_program_of_32_bits, 30);
    suite_add(s, "vfork-child", test_refuse_a_vfork_child, 30);
    suite_add_once(s, "rights", test_refuse_without_rights, 30);
    suite_add_once(s, "not-dumpable", test_refuse_not_dumpable, 30);
    return suite_main(s);
}
