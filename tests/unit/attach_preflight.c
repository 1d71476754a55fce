/* The parts of the preflight on simulated processes: status texts, opt-outs, interpreters, debug offsets, our own agent; and
 * the refusals that need no Python. */
#include <check.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/attach_priv.h"
#include "proto/abi/arena.h"
#include "tests/lib/elf_build.h"

/* ---- /proc/PID/status ---- */

static const char status_text[] = "Name:\tpy) (x\n"
                                  "Umask:\t0022\n"
                                  "State:\tt (tracing stop)\n"
                                  "Tgid:\t120\n"
                                  "Pid:\t120\n"
                                  "PPid:\t7\n"
                                  "TracerPid:\t99\n"
                                  "Uid:\t1000\t1001\t1002\t1003\n"
                                  "Gid:\t10\t11\t12\t13\n"
                                  "NSpid:\t120\t45\t3\n"
                                  "VmSize:\t  1234 kB\n"
                                  "CapPrm:\t00000000a80425fb\n"
                                  "NoNewPrivs:\t1\n"
                                  "Seccomp:\t2\n";
#define STAT_TAIL " t 7 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 100 200\n"

START_TEST(test_preflight_reads_status) {
    struct target_status st;
    ck_assert_int_eq(target_status_parse(status_text, "120 (py) (x)" STAT_TAIL, &st), 0);
    ck_assert_int_eq(st.state, 't');
    ck_assert_int_eq(st.tgid, 120);
    ck_assert_int_eq(st.ppid, 7);
    ck_assert_int_eq(st.tracer, 99);
    ck_assert_int_eq(st.ns_pid, 3);
    ck_assert_str_eq(st.comm, "py) (x");
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_eq(st.uid[i], 1000 + i);
        ck_assert_uint_eq(st.gid[i], 10 + i);
    }
    ck_assert_uint_eq(st.cap_permitted, 0xa80425fb);
    ck_assert_int_eq(st.seccomp, 2);
    ck_assert(st.no_new_privs && st.has_memory && !st.kernel_thread);
    ck_assert_uint_eq(st.start_time, 4711);
}
END_TEST

START_TEST(test_preflight_status_of_a_kernel_thread) {
    struct target_status st;
    const char *text = "Name:\tkthreadd\nState:\tS (sleeping)\nTgid:\t2\nPPid:\t0\n";
    ck_assert_int_eq(target_status_parse(text, "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0\n", &st), 0);
    ck_assert(st.kernel_thread && !st.has_memory);
    ck_assert_int_eq(st.ns_pid, 2); /* kernels without NSpid */
}
END_TEST

START_TEST(test_preflight_status_cut_anywhere) {
    struct target_status st;
    char text[sizeof(status_text)];
    for (size_t n = 0; n < sizeof(status_text); n++) {
        memcpy(text, status_text, n);
        text[n] = 0;
        int rc = target_status_parse(text, "120 (x)" STAT_TAIL, &st);
        ck_assert(rc == 0 || rc == -EINVAL);
    }
    const char *stats[] = {"", "120", "120 (x", "120 (x)", "120 (x) S 1 2", "120 (x) S 1 1 1 0 -1 z"};
    for (size_t i = 0; i < VT_ARRAY_LEN(stats); i++) ck_assert_int_eq(target_status_parse(status_text, stats[i], &st), -EINVAL);
}
END_TEST

START_TEST(test_preflight_identity_is_pid_and_start) {
    struct target_status st;
    ck_assert_int_eq(target_status_read(getpid(), &st), 0);
    ck_assert_int_eq(st.tgid, getpid());
    ck_assert_uint_eq(st.uid[1], geteuid());
    ck_assert_int_eq(target_check(getpid(), st.start_time), 0);
    ck_assert_int_eq(target_check(getpid(), st.start_time + 1), -ESRCH);
    pid_t pid = fork();
    if (!pid) _exit(0);
    waitpid(pid, NULL, 0);
    ck_assert_int_eq(target_check(pid, st.start_time), -ESRCH);
    ck_assert_int_eq(target_status_read(pid, &st), -ESRCH);
    ck_assert_int_eq(target_status_read(-1, &st), -ESRCH);
}
END_TEST

/* ---- opting out ---- */

#define STRINGS(s) s, sizeof(s) - 1 /* as in /proc: NULs between */

START_TEST(test_preflight_opt_out_by_environment) {
    ck_assert(pyruntime_env_opt_out(STRINGS("A=1\0PYTHON_DISABLE_REMOTE_DEBUG=1\0B=2\0")));
    ck_assert(pyruntime_env_opt_out(STRINGS("PYTHON_DISABLE_REMOTE_DEBUG=0")));
    ck_assert(pyruntime_env_opt_out(STRINGS("PYTHON_DISABLE_REMOTE_DEBUG=\0B=2\0"))); /* for CPython too */
    ck_assert(!pyruntime_env_opt_out(STRINGS("PYTHON_DISABLE_REMOTE_DEBUG")));
    ck_assert(pyruntime_env_opt_out(STRINGS("PYTHON_DISABLE_REMOTE_DEBUG=")));
    ck_assert(!pyruntime_env_opt_out(STRINGS("XPYTHON_DISABLE_REMOTE_DEBUG=1\0")));
    ck_assert(!pyruntime_env_opt_out(STRINGS("")));
}
END_TEST

START_TEST(test_preflight_opt_out_by_argument) {
    static const struct {
        const char *args;
        size_t len;
        bool out;
    } rows[] = {
        {STRINGS("python\0-X\0disable-remote-debug\0app.py\0"), true},
        {STRINGS("python\0-Xdisable-remote-debug\0app.py\0"), true},
        {STRINGS("python\0-uX\0disable-remote-debug\0"), true},
        {STRINGS("python\0-W\0-X\0-X\0disable-remote-debug\0"), true},
        {STRINGS("python\0--check-hash-based-pycs\0never\0-Xdisable-remote-debug\0"), true},
        {STRINGS("python\0-X\0disable-remote-debug"), true},
        {STRINGS("python\0-X\0disable_remote_debug\0"), false}, /* CPython does not take it either */
        {STRINGS("python\0-X\0disable-remote-debugger\0"), false},
        {STRINGS("python\0app.py\0-X\0disable-remote-debug\0"), false},
        {STRINGS("python\0-m\0app\0-Xdisable-remote-debug\0"), false},
        {STRINGS("python\0-mapp\0-Xdisable-remote-debug\0"), false},
        {STRINGS("python\0-c\0pass\0-Xdisable-remote-debug\0"), false},
        {STRINGS("python\0-\0-Xdisable-remote-debug\0"), false},
        {STRINGS("python\0-W\0-Xdisable-remote-debug\0app.py\0"), false},
        {STRINGS("python\0-X"), false},
        {STRINGS("python\0-X\0"), false},
        {STRINGS("python\0-"), false},
        {STRINGS("python"), false},
        {STRINGS(""), false},
    };
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        char *copy = malloc(rows[i].len ? rows[i].len : 1);
        memcpy(copy, rows[i].args, rows[i].len);
        ck_assert_msg(pyruntime_args_opt_out(copy, rows[i].len) == rows[i].out, "row %zu", i);
        free(copy);
    }
}
END_TEST

/* ---- interpreters ---- */

#define DATA_AT (ELF_BUILD_BASE + ELF_BUILD_DATA)
#define MEM_BASE 0x5000000ull
#define BIAS (MEM_BASE - ELF_BUILD_BASE)

static uint8_t image[ELF_BUILD_MAX];

#define FUNC(n)                                                                                                                  \
    { .name = n, .value = DATA_AT, .type = STT_FUNC, .version = 2 }
#define DATA(n, at)                                                                                                              \
    { .name = n, .value = DATA_AT + (at), .type = STT_OBJECT, .version = 2 }
#define API FUNC("Py_GetVersion"), FUNC("PyGILState_Ensure"), FUNC("PyEval_SetProfile"), FUNC("PyUnicode_FromString")

static void probe(const struct elf_build_symbol *symbols, size_t n, const char *section, const uint64_t *words, size_t nwords,
                  struct py_runtime *out) {
    struct mem mem;
    struct elf e;
    size_t len = elf_build(image, symbols, n, section);
    if (nwords) memcpy(image + ELF_BUILD_DATA, words, nwords * 8);
    mem_buffer(&mem, MEM_BASE, image, 0x2000);
    ck_assert_int_eq(elf_parse(&e, image, len), 0);
    ck_assert_int_eq(pyruntime_probe(&mem, &e, BIAS, out), 0);
}
#define PROBE(symbols, section, words, out) probe(symbols, VT_ARRAY_LEN(symbols), section, words, VT_ARRAY_LEN(words), out)

START_TEST(test_preflight_finds_versions_by_symbols) {
    static const uint64_t none[] = {0};
    struct py_runtime py;
    struct elf_build_symbol s[] = {API,
                                   FUNC("PyOS_FSPath"),
                                   DATA("_PyRuntime", 0x80),
                                   FUNC("Py_InitializeFromConfig"),
                                   FUNC("PyFrame_GetBack"),
                                   FUNC("PyModule_AddObjectRef")};
    static const int minors[] = {0, 6, 7, 8, 9, 10};
    for (size_t i = 0; i < VT_ARRAY_LEN(minors); i++) {
        probe(s, 4 + i, NULL, none, 1, &py);
        ck_assert_int_eq(py.major, 3);
        ck_assert_int_eq(py.minor, minors[i]);
        ck_assert(py.has_api && !py.has_offsets && !py.free_threaded && !py.debug_build && !py.trace_refs);
    }
    struct elf_build_symbol two[] = {FUNC("Py_GetVersion"), FUNC("PyString_FromString"), FUNC("PyUnicodeUCS4_FromString")};
    PROBE(two, NULL, none, &py);
    ck_assert_int_eq(py.major, 2);
    ck_assert_int_eq(py.minor, 7);
    struct elf_build_symbol user[] = {{.name = "Py_GetVersion", .type = STT_FUNC, .undefined = 1}, FUNC("PyInit_x")};
    PROBE(user, NULL, none, &py);
    ck_assert_int_eq(py.major, 0); /* an extension module is no interpreter */
    ck_assert_uint_eq(py.runtime, 0);
}
END_TEST

START_TEST(test_preflight_finds_versions_by_data) {
    struct py_runtime py;
    /* 3.12 with Py_Version; _PyRuntime without cookie */
    uint64_t number[] = {0x030c01f0, 0, 0};
    struct elf_build_symbol s12[] = {API, DATA("Py_Version", 0), DATA("_PyRuntime", 0x80), FUNC("_Py_NegativeRefcount"),
                                     FUNC("_Py_PrintReferences")};
    PROBE(s12, NULL, number, &py);
    ck_assert_int_eq(py.minor, 12);
    ck_assert_uint_eq(py.runtime, MEM_BASE + ELF_BUILD_DATA + 0x80);
    ck_assert(py.debug_build && py.trace_refs && !py.has_offsets);
    /* the cookie wins */
    uint64_t cookie[] = {0, 0x030e08f0, 1};
    memcpy(cookie, "xdebugpy", 8);
    struct elf_build_symbol s14[] = {API, DATA("_PyRuntime", 0), DATA("Py_Version", 0x200)};
    PROBE(s14, NULL, cookie, &py);
    ck_assert_int_eq(py.minor, 14);
    ck_assert(py.has_offsets && py.free_threaded);
    /* nothing exported, but the section is there */
    struct elf_build_symbol hidden[] = {FUNC("main")};
    cookie[2] = 0;
    PROBE(hidden, ".PyRuntime", cookie, &py);
    ck_assert_int_eq(py.minor, 14);
    ck_assert(!py.has_api && !py.free_threaded);
    uint64_t nothing[] = {0};
    PROBE(hidden, ".PyRuntime", nothing, &py);
    ck_assert_int_eq(py.major, 0);
    ck_assert_uint_eq(py.runtime, MEM_BASE + ELF_BUILD_DATA);
    PROBE(hidden, ".data", nothing, &py);
    ck_assert_uint_eq(py.runtime, 0);
}
END_TEST

/* ---- debug offsets ---- */

/* A little 3.14: table at 0, interpreters 1 -> 0 at 0x2000 and 0x3000, main thread at 0x4000. */
static uint64_t world[0x6000 / 8];
static void put(size_t at, uint64_t value) { memcpy((char *)world + at, &value, 8); }
static void world_make(unsigned table) {
    static const unsigned names[][2] = {{40, 0x400}, {56, 16}, {64, 8}, {72, 32}, {80, 40}, {192, 8}};
    memset(world, 0, sizeof(world));
    memcpy(world, "xdebugpy", 8);
    for (size_t i = 0; i < VT_ARRAY_LEN(names); i++) put(names[i][0], names[i][1]);
    static const unsigned support[] = {24, 0x100, 0x200, 4, 8, 512};
    for (size_t i = 0; i < 6; i++) put(table + 8 * i, support[i]);
    put(0x400, MEM_BASE + 0x2000);
    put(0x2000 + 8, MEM_BASE + 0x3000);
    put(0x2000 + 16, 1);
    put(0x3000 + 40, MEM_BASE + 0x4000);
    put(0x3000 + 0x200, 1);
}

static int world_read(int minor, struct debug_state *out) {
    struct mem mem;
    struct py_runtime py = {.major = 3, .minor = minor, .runtime = MEM_BASE, .has_offsets = true};
    mem_buffer(&mem, MEM_BASE, world, sizeof(world));
    return debug_state_read(&mem, &py, out);
}

START_TEST(test_preflight_reads_debug_offsets) {
    struct debug_state d;
    static const unsigned tables[] = {712, 840};
    for (int i = 0; i < 2; i++) {
        world_make(tables[i]);
        ck_assert_int_eq(world_read(14 + i, &d), 0);
        ck_assert_uint_eq(d.interpreter, MEM_BASE + 0x3000); /* id 0, not the newest */
        ck_assert_uint_eq(d.thread, MEM_BASE + 0x4000);
        ck_assert_uint_eq(d.eval_breaker, d.thread + 24);
        ck_assert_uint_eq(d.pending, d.thread + 0x100 + 4);
        ck_assert_uint_eq(d.script_path, d.thread + 0x100 + 8);
        ck_assert_uint_eq(d.script_path_size, 512);
        ck_assert(d.enabled);
    }
    world_make(712);
    ck_assert_int_eq(world_read(13, &d), -ENOTSUP);
    ck_assert_int_eq(world_read(16, &d), -ENOTSUP);
}
END_TEST

START_TEST(test_preflight_refuses_wrong_debug_offsets) {
    static const struct {
        size_t at;
        uint64_t value;
        int rc;
    } rows[] = {
        {0x3000 + 0x200, 0, 0},                   /* off: that is an answer */
        {0x3000 + 0x200, 7, -EINVAL},             /* not a switch */
        {0x400, 0, -ENOENT},                      /* no interpreter yet */
        {0x400, MEM_BASE + 0x2001, -EINVAL},      /* unaligned */
        {0x400, MEM_BASE + 0x100000, -EFAULT},    /* not there */
        {0x2000 + 8, 0, -ENOENT},                 /* no interpreter 0 */
        {0x2000 + 8, MEM_BASE + 0x2000, -EINVAL}, /* a ring without 0 */
        {0x3000 + 40, 0, -ENOENT},                /* no main thread */
        {0x3000 + 40, 8, -EINVAL},
        {712 + 40, 8, -EINVAL},       /* path too short */
        {712 + 40, 1 << 19, -EINVAL}, /* or longer than any */
        {712, 1 << 21, -EINVAL},      /* offset out of any struct */
        {40, UINT64_MAX, -EINVAL},
    };
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        struct debug_state d;
        world_make(712);
        put(rows[i].at, rows[i].value);
        int rc = world_read(14, &d);
        ck_assert_msg(rc == rows[i].rc, "row %zu: %d", i, rc);
        if (!rc) ck_assert(!d.enabled);
    }
}
END_TEST

/* ---- our own agent ---- */

#define INFO_AT 0x100u

struct staged {
    char *agent, *arena;
    struct vt_agent_info *info;
    struct vt_ctl *ctl;
};

/* A mapped agent and arena in this very process, under the names that the real ones have. */
static void stage(struct staged *s, const char *build, bool busy) {
    static const struct elf_build_symbol symbols[] = {FUNC("vt_agent_main"), DATA("vt_agent_info", INFO_AT)};
    uint8_t file[ELF_BUILD_MAX];
    size_t len = elf_build(file, symbols, 2, NULL);
    struct vt_agent_info info = {.magic = VT_AGENT_INFO_MAGIC, .abi_major = VT_ABI_MAJOR, .busy = busy};
    snprintf(info.build, sizeof(info.build), "%s", build);
    memcpy(file + ELF_BUILD_DATA + INFO_AT, &info, sizeof(info));
    int fd = memfd_create(VT_AGENT_MEMFD, MFD_CLOEXEC);
    ck_assert_int_eq(vt_write_full(fd, file, len), 0);
    s->agent = mmap(NULL, 0x2000, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, fd, 0);
    ck_assert(s->agent != MAP_FAILED);
    vt_close(&fd);
    s->info = (struct vt_agent_info *)(void *)(s->agent + ELF_BUILD_DATA + INFO_AT);
    fd = memfd_create(VT_ARENA_MEMFD, MFD_CLOEXEC);
    ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
    s->arena = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert(s->arena != MAP_FAILED);
    vt_close(&fd);
    s->ctl = (struct vt_ctl *)(void *)s->arena;
    s->ctl->magic = VT_ARENA_MAGIC;
    s->ctl->abi_major = VT_ABI_MAJOR;
    s->ctl->clock = VT_CLOCK_MONOTONIC_NS;
    s->ctl->span = 20000000;
    s->ctl->lease = vt_mono_ns() + 5000000000ull;
    s->ctl->owner_pid = 4242;
    s->ctl->owner_uid = 1000;
    s->ctl->session_start = 1700000000000000000ull;
    strcpy(s->ctl->owner_name, "alice");
    s->info->ctl = busy ? (uintptr_t)s->ctl : 0;
}

static void unstage(struct staged *s) {
    munmap(s->agent, 0x2000);
    munmap(s->arena, 1 << 20);
}

static void find(struct attach_agent *a) {
    struct vt_err err = {0};
    ck_assert_msg(attach_find_agent(getpid(), a, &err) == 0, "%s", err.msg);
}

START_TEST(test_preflight_finds_an_agent_at_work) {
    struct staged s;
    struct attach_agent a;
    find(&a);
    ck_assert(!a.present);
    stage(&s, "one", true);
    find(&a);
    ck_assert(a.present && a.busy);
    ck_assert_uint_eq(a.info_addr, (uintptr_t)s.info);
    ck_assert_uint_eq(a.ctl_addr, (uintptr_t)s.ctl);
    ck_assert_uint_eq(a.owner_pid, 4242);
    ck_assert_uint_eq(a.owner_uid, 1000);
    ck_assert_str_eq(a.owner_name, "alice");
    ck_assert_uint_eq(a.session_start, 1700000000000000000ull);
    ck_assert_uint_gt(a.lease_left_ns, 3000000000ull);
    ck_assert_uint_le(a.lease_left_ns, 5000000000ull);
    s.ctl->lease = vt_mono_ns() - 1;
    find(&a);
    ck_assert(a.busy && !a.lease_left_ns);
    s.ctl->lease = UINT64_MAX;
    s.ctl->state = VT_AGENT_GONE; /* hooks are out */
    find(&a);
    ck_assert(a.busy && !a.lease_left_ns);
    unstage(&s);
}
END_TEST

START_TEST(test_preflight_reads_the_lease_in_ticks) {
    struct staged s;
    struct attach_agent a;
    stage(&s, "one", true);
    s.ctl->clock = VT_CLOCK_TSC;
    s.ctl->span = 60000000; /* 3 GHz */
    s.ctl->lease = __builtin_ia32_rdtsc() + 6000000000ull;
    find(&a);
    ck_assert_uint_gt(a.lease_left_ns, 1000000000ull);
    ck_assert_uint_le(a.lease_left_ns, 2000000000ull);
    s.ctl->span = 0;
    find(&a);
    ck_assert_uint_eq(a.lease_left_ns, 0);
    s.ctl->span = UINT64_MAX;
    find(&a);
    ck_assert_uint_eq(a.lease_left_ns, 0);
    unstage(&s);
}
END_TEST

START_TEST(test_preflight_survives_an_agent_that_lies) {
    struct staged s;
    struct attach_agent a;
    stage(&s, "one", true);
    memset(s.ctl->owner_name, 'x', sizeof(s.ctl->owner_name));
    find(&a);
    ck_assert_uint_eq(strlen(a.owner_name), sizeof(a.owner_name) - 1);
    static const uint64_t elsewhere[] = {1, 4096, UINT64_MAX, UINT64_MAX - 65536};
    for (size_t i = 0; i < VT_ARRAY_LEN(elsewhere); i++) {
        s.info->ctl = elsewhere[i];
        find(&a);
        ck_assert(a.present && a.busy && !a.ctl_addr && !a.lease_left_ns);
    }
    memcpy(s.arena + (1 << 20) - 4096, s.ctl, 4096);
    s.info->ctl = (uintptr_t)s.ctl + (1 << 20) - 4096; /* begins in the arena, ends outside */
    find(&a);
    ck_assert(!a.ctl_addr);
    int fd = memfd_create("other", MFD_CLOEXEC); /* looks right, and is no arena */
    ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
    char *other = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert(other != MAP_FAILED);
    memcpy(other, s.ctl, 4096);
    s.info->ctl = (uintptr_t)other;
    find(&a);
    ck_assert(!a.ctl_addr);
    munmap(other, 1 << 20);
    vt_close(&fd);
    s.info->ctl = (uintptr_t)s.ctl;
    s.ctl->magic = 0;
    find(&a);
    ck_assert(!a.ctl_addr);
    s.info->abi_major++;
    find(&a);
    ck_assert(!a.present);
    s.info->abi_major--;
    s.info->magic++;
    find(&a);
    ck_assert(!a.present);
    unstage(&s);
}
END_TEST

START_TEST(test_preflight_finds_an_agent_to_use_again) {
    struct staged old, one;
    struct attach_agent a;
    struct maps m;
    struct mem mem;
    uint64_t entry, info;
    char build[32] = "one", other[32] = "two";
    stage(&old, "zero", true);
    stage(&one, "one", false);
    find(&a);
    ck_assert(a.busy); /* of several the one at work */
    ck_assert_uint_eq(a.info_addr, (uintptr_t)old.info);
    ck_assert_int_eq(maps_read(getpid(), &m), 0);
    ck_assert_int_eq(mem_open(&mem, getpid()), 0);
    ck_assert_int_eq(agent_find_inert(&mem, &m, build, &entry, &info), 0);
    ck_assert_uint_eq(entry, (uintptr_t)one.agent + ELF_BUILD_DATA);
    ck_assert_uint_eq(info, (uintptr_t)one.info);
    ck_assert_int_eq(agent_find_inert(&mem, &m, other, &entry, &info), 0);
    ck_assert_uint_eq(entry, 0);
    one.info->busy = 1;
    old.info->busy = 0;
    find(&a);
    ck_assert(a.busy); /* wherever it is among them */
    ck_assert_uint_eq(a.info_addr, (uintptr_t)one.info);
    ck_assert_int_eq(agent_find_inert(&mem, &m, build, &entry, &info), 0);
    ck_assert_uint_eq(entry, 0);
    mem_close(&mem);
    maps_free(&m);
    unstage(&old);
    unstage(&one);
}
END_TEST

START_TEST(test_preflight_checks_the_agent_file) {
    static const struct elf_build_symbol symbols[] = {FUNC("vt_agent_main"), DATA("vt_agent_info", INFO_AT)};
    struct vt_agent_info info = {.magic = VT_AGENT_INFO_MAGIC, .abi_major = VT_ABI_MAJOR, .build = "b"}, got;
    struct elf e;
    size_t len = elf_build(image, symbols, 2, NULL);
    ck_assert_int_eq(elf_parse(&e, image, len), 0);
    ck_assert_int_eq(agent_file_info(&e, &got), -ENOEXEC);
    memcpy(image + ELF_BUILD_DATA + INFO_AT, &info, sizeof(info));
    ck_assert_int_eq(agent_file_info(&e, &got), 0);
    ck_assert_str_eq(got.build, "b");
    memset(image + ELF_BUILD_DATA + INFO_AT + offsetof(struct vt_agent_info, build), 'b', 32);
    ck_assert_int_eq(agent_file_info(&e, &got), -ENOEXEC);
    ck_assert_int_eq(elf_parse(&e, image, ELF_BUILD_DATA + INFO_AT + 8), 0);
    ck_assert_int_eq(agent_file_info(&e, &got), -ENOEXEC); /* cut */
}
END_TEST

/* ---- refusals without any Python ---- */

static void refused(pid_t pid, int code, const char *word) {
    struct attach_opts o = {.pid = pid};
    struct attach_info info;
    struct vt_err err = {0};
    int rc = attach_preflight(&o, &info, &err);
    ck_assert_msg(rc == code && err.code == code && strstr(err.msg, word) && !strchr(err.msg, '\n'), "%d: %s", rc, err.msg);
    ck_assert_int_eq(attach_preflight(&o, &info, NULL), code);
}

START_TEST(test_preflight_refusals_are_one_line) {
    refused(0, -ESRCH, "not a process id");
    refused(-5, -ESRCH, "not a process id");
    refused(getpid(), -ENOEXEC, "viztracer itself");
    pid_t pid = fork();
    if (!pid) _exit(0);
    siginfo_t si;
    waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT);
    refused(pid, -ESRCH, "zombie");
    waitpid(pid, NULL, 0);
    refused(pid, -ESRCH, "no process");
    pid = fork();
    if (!pid)
        for (;;) pause();
    refused(pid, -ENOEXEC, "not a Python process");
    kill(pid, SIGSTOP);
    waitpid(pid, NULL, WUNTRACED);
    refused(pid, -EAGAIN, "kill -CONT");
    kill(pid, SIGCONT);
    ck_assert_int_eq(ptrace(PTRACE_SEIZE, pid, 0, 0), 0);
    refused(pid, -EBUSY, "already traced by process");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
END_TEST

/* ---- the lock on a target ---- */

START_TEST(test_claim_is_not_kept_out_by_another_user) {
    char status[64], mem[64], done;
    int fd = -1, second = -1, ready[2];
    struct vt_err err = {0};
    pid_t target = fork();
    if (target == 0) pause(), _exit(0);
    snprintf(status, sizeof status, "/proc/%d/status", (int)target);
    snprintf(mem, sizeof mem, "/proc/%d/mem", (int)target);
    ck_assert_int_eq(pipe(ready), 0);
    pid_t other = fork();
    if (other == 0) {
        if (!geteuid() && (setgroups(0, NULL) || setgid(65534) || setuid(65534))) _exit(1);
        int lock = open(status, O_RDONLY), bad = open(mem, O_RDONLY);
        done = lock >= 0 && !flock(lock, LOCK_EX | LOCK_NB) && (getuid() != 65534 || bad < 0);
        if (bad >= 0) close(bad);
        if (write(ready[1], &done, 1) != 1) _exit(1);
        pause();
        _exit(0);
    }
    ck_assert_int_eq(read(ready[0], &done, 1), 1);
    ck_assert_int_eq(done, 1); /* it locks what all may open, and cannot open what we lock */
    ck_assert_msg(!claim_target(target, 0, &fd, &err) && fd >= 0, "%s", err.msg);
    ck_assert_int_eq(claim_target(target, 0, &second, &err), -EBUSY); /* one injector at a time */
    ck_assert_int_eq(second, -1);
    close(fd);
    kill(other, SIGKILL);
    kill(target, SIGKILL);
    waitpid(other, NULL, 0);
    waitpid(target, NULL, 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("attach/preflight");
    TCase *tests = tcase_create("preflight");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_preflight_reads_status);
    tcase_add_test(tests, test_preflight_status_of_a_kernel_thread);
    tcase_add_test(tests, test_preflight_status_cut_anywhere);
    tcase_add_test(tests, test_preflight_identity_is_pid_and_start);
    tcase_add_test(tests, test_preflight_opt_out_by_environment);
    tcase_add_test(tests, test_preflight_opt_out_by_argument);
    tcase_add_test(tests, test_preflight_finds_versions_by_symbols);
    tcase_add_test(tests, test_preflight_finds_versions_by_data);
    tcase_add_test(tests, test_preflight_reads_debug_offsets);
    tcase_add_test(tests, test_preflight_refuses_wrong_debug_offsets);
    tcase_add_test(tests, test_preflight_finds_an_agent_at_work);
    tcase_add_test(tests, test_preflight_reads_the_lease_in_ticks);
    tcase_add_test(tests, test_preflight_survives_an_agent_that_lies);
    tcase_add_test(tests, test_preflight_finds_an_agent_to_use_again);
    tcase_add_test(tests, test_preflight_checks_the_agent_file);
    tcase_add_test(tests, test_preflight_refusals_are_one_line);
    tcase_add_test(tests, test_claim_is_not_kept_out_by_another_user);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
