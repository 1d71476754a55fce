/* PEP 768 on the Pythons that have it. The agent comes in while the main thread works or sleeps, and is used again the next
 * time. A request that is not taken is withdrawn. Nothing remains: no module, name, file or pending request. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/attach_priv.h"
#include "proto/abi/arena.h"
#include "tests/lib/elf_build.h"
#include "tests/lib/suite.h"

#include <elf.h>

#define NCHUNKS 64u

static char agent[PATH_MAX];

/* What the daemon writes for a session that lasts a few seconds. */
static int prepare(void *ctx, int fd, struct vt_err *err) {
    (void)ctx;
    struct vt_ctl *ctl = mmap(NULL, VT_CTL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ctl == MAP_FAILED) return vt_err_set(err, -errno, "mmap: %s", strerror(errno));
    ctl->abi_major = VT_ABI_MAJOR;
    ctl->abi_minor = VT_ABI_MINOR;
    ctl->nchunks = NCHUNKS;
    ctl->clock = VT_CLOCK_MONOTONIC_NS;
    ctl->flags = VT_F_C_CALLS;
    ctl->max_stack_depth = -1;
    ctl->span = 20000000;
    ctl->session_start = vt_real_ns();
    ctl->owner_pid = (uint32_t)getpid();
    strcpy(ctl->owner_name, "the test");
    ctl->enabled = 1;
    ctl->lease = vt_mono_ns() + 30000000000ull;
    ctl->free[0] = UINT64_MAX;
    ctl->magic = VT_ARENA_MAGIC;
    munmap(ctl, VT_CTL_SIZE);
    return 0;
}

struct session {
    int rc;
    struct vt_err err;
    struct attach_info info;
    struct attach_result result;
    struct vt_ctl *ctl;
};

static void begin(struct session *s, pid_t pid, unsigned timeout_ms) {
    struct attach_opts o = {.pid = pid,
                            .method = ATTACH_REMOTE_EXEC,
                            .timeout_ms = timeout_ms,
                            .agent_path = agent,
                            .arena_bytes = vt_arena_bytes(NCHUNKS),
                            .prepare_arena = prepare};
    memset(s, 0, sizeof *s);
    s->result.arena_fd = -1;
    s->rc = attach_preflight(&o, &s->info, &s->err);
    if (!s->rc) s->rc = attach_remote_exec(&o, &s->info, &s->result, &s->err);
    if (s->rc) return;
    s->ctl = mmap(NULL, VT_CTL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, s->result.arena_fd, 0);
    ck_assert(s->ctl != MAP_FAILED);
}

static bool reaches(struct session *s, uint32_t state, unsigned ms) {
    for (uint64_t end = now_ms() + ms; now_ms() < end; sleep_ms(2))
        if (vt_load_acquire(&s->ctl->state) >= state) return vt_load_acquire(&s->ctl->state) == state;
    return false;
}

/* The target leaves at its next event; one that sleeps has none, so it is sent a signal. */
static void end(struct session *s) {
    vt_store_release(&s->ctl->enabled, 0u);
    munmap(s->ctl, VT_CTL_SIZE);
    vt_close(&s->result.arena_fd);
}

/* Scripts of ours; those that other tests left with a killed injector are swept some time. */
static unsigned files_before;
static unsigned files_left(const struct interp *ip) {
    static const char *const dirs[] = {"/dev/shm", "/tmp", "/var/tmp", "/run"};
    unsigned n = 0;
    for (size_t i = 0; i < VT_ARRAY_LEN(dirs); i++) {
        char path[PATH_MAX + 32];
        snprintf(path, sizeof path, "%s%s", ip->root, dirs[i]);
        DIR *d = opendir(path);
        for (struct dirent *e; d && (e = readdir(d));) {
            size_t len = strlen(e->d_name);
            n += !strncmp(e->d_name, VT_AGENT_FILE, strlen(VT_AGENT_FILE)) && len > 3 && !strcmp(e->d_name + len - 3, ".py");
        }
        if (d) closedir(d);
    }
    return n;
}

static bool start(struct target *t, int i, const char *mode) {
    const struct interp *ip = suite_interp(i);
    if (ip->minor < 14) return false;
    if (!agent[0]) snprintf(agent, sizeof agent, "%s/../lib/libviztracer_agent.so", tree_bin());
    files_before = files_left(ip);
    ck_assert_int_eq(target_spawn(t, ip, "remote.py", (const char *[]){mode, NULL}, NULL), 0);
    sleep_ms(50);
    return true;
}

static void finish(struct target *t, int i) {
    kill(t->pid, SIGUSR1);
    ck_assert_msg(target_expect(t, "left: [] 0 None", 5000) == 0, "the target said: %s", t->text);
    ck_assert_uint_le(files_left(suite_interp(i)), files_before);
    target_kill(t);
}

static void once(int i, const char *mode) {
    struct target t;
    struct session s;
    if (!start(&t, i, mode)) return;
    begin(&s, t.pid, 5000);
    ck_assert_msg(s.rc == 0, "%s: %s", mode, s.err.msg);
    ck_assert_int_eq(s.result.method, ATTACH_REMOTE_EXEC);
    ck_assert(!s.result.reused);
    ck_assert_msg(reaches(&s, VT_AGENT_TRACING, 3000), "%s: state %u: %s", mode, s.ctl->state, s.ctl->err);
    struct attach_agent a;
    ck_assert_int_eq(attach_find_agent(t.pid, &a, NULL), 0);
    ck_assert(a.busy && a.lease_left_ns);
    ck_assert_str_eq(a.owner_name, "the test");
    struct session again;
    begin(&again, t.pid, 1000);
    ck_assert_msg(again.rc == -EBUSY && strstr(again.err.msg, "the test"), "%s: %s", mode, again.err.msg);
    vt_store_release(&s.ctl->enabled, 0u);
    for (uint32_t c = 0; c < NCHUNKS; c++) { /* as the daemon does it: at the next event */
        uint64_t none = 0;
        ck_assert_int_eq(pwrite(s.result.arena_fd, &none, 8, (off_t)(VT_CTL_SIZE + c * VT_CHUNK_SIZE)), 8);
    }
    ck_assert_msg(reaches(&s, VT_AGENT_GONE, 3000), "%s: does not leave, state %u", mode, s.ctl->state);
    end(&s);
    finish(&t, i);
}

START_TEST(test_remote_exec_attaches_at_work) { once(_i, "work"); }
END_TEST
START_TEST(test_remote_exec_attaches_while_asleep) { once(_i, "sleep"); }
END_TEST
START_TEST(test_remote_exec_attaches_while_waiting) { once(_i, "wait"); }
END_TEST
START_TEST(test_remote_exec_attaches_in_an_event_loop) { once(_i, "loop"); }
END_TEST
START_TEST(test_remote_exec_attaches_at_a_lock) { once(_i, "lock"); }
END_TEST

START_TEST(test_remote_exec_attaches_again_and_again) {
    struct target t;
    struct census before, after;
    if (!start(&t, _i, "work")) return;
    int times = suite_times(5, 100);
    for (int n = 0; n < times; n++) {
        struct session s;
        begin(&s, t.pid, 5000);
        ck_assert_msg(s.rc == 0, "%d: %s", n, s.err.msg);
        ck_assert_int_eq(s.result.reused, n > 0);
        ck_assert_msg(reaches(&s, VT_AGENT_TRACING, 3000), "%d: state %u: %s", n, s.ctl->state, s.ctl->err);
        sleep_ms(5);
        vt_store_release(&s.ctl->enabled, 0u);
        for (uint32_t c = 0; c < NCHUNKS; c++) {
            uint64_t none = 0;
            ck_assert_int_eq(pwrite(s.result.arena_fd, &none, 8, (off_t)(VT_CTL_SIZE + c * VT_CHUNK_SIZE)), 8);
        }
        ck_assert_msg(reaches(&s, VT_AGENT_GONE, 3000), "%d: does not leave, state %u", n, s.ctl->state);
        end(&s);
        sleep_ms(20);
        if (n == 0) census_take(t.pid, &before);
    }
    census_take(t.pid, &after);
    ck_assert_uint_eq(before.maps, after.maps);
    ck_assert_uint_eq(before.fds, after.fds);
    ck_assert_uint_eq(before.threads, after.threads);
    finish(&t, _i);
}
END_TEST

/* How to get at the request of a target from outside. */
static void look(pid_t pid, struct mem *mem, struct debug_state *d) {
    struct maps maps;
    struct py_runtime py;
    ck_assert_int_eq(maps_read(pid, &maps), 0);
    ck_assert_int_eq(mem_open(mem, pid), 0);
    ck_assert_int_eq(pyruntime_find(mem, &maps, NULL, &py), 0);
    ck_assert_int_eq(debug_state_read(mem, &py, d), 0);
    maps_free(&maps);
}

START_TEST(test_remote_exec_withdraws_a_request_nobody_takes) {
    struct target t;
    struct session s;
    struct mem mem;
    struct debug_state d;
    uint32_t pending = 9;
    if (!start(&t, _i, "blocked")) return;
    begin(&s, t.pid, 600);
    ck_assert_msg(s.rc == -ETIMEDOUT && strstr(s.err.msg, "--method ptrace"), "%d: %s", s.rc, s.err.msg);
    ck_assert_int_eq(s.result.arena_fd, -1);
    look(t.pid, &mem, &d);
    ck_assert_int_eq(mem_read_u32(&mem, d.pending, &pending), 0);
    ck_assert_uint_eq(pending, 0);
    mem_close(&mem);
    /* awake again, it runs nothing of ours */
    kill(t.pid, SIGUSR1);
    ck_assert_msg(target_expect(&t, "left: [] 0 None", 5000) == 0, "the target said: %s", t.text);
    ck_assert_msg(!strstr(t.text, "rror"), "the target said: %s", t.text);
    ck_assert_uint_le(files_left(suite_interp(_i)), files_before);
    target_kill(&t);
}
END_TEST

START_TEST(test_remote_exec_leaves_the_request_of_another) {
    struct target t;
    struct session s;
    struct mem mem;
    struct debug_state d;
    uint32_t one = 1, pending = 0;
    char path[64] = "";
    if (!start(&t, _i, "blocked")) return;
    look(t.pid, &mem, &d);
    ck_assert_int_eq(mem.write(&mem, d.script_path, "/another.py", 12), 0);
    ck_assert_int_eq(mem.write(&mem, d.pending, &one, sizeof one), 0);
    begin(&s, t.pid, 600);
    ck_assert_msg(s.rc == -EBUSY && strstr(s.err.msg, "another debugger"), "%d: %s", s.rc, s.err.msg);
    ck_assert_int_eq(mem_read_u32(&mem, d.pending, &pending), 0);
    ck_assert_int_eq(mem_read_str(&mem, d.script_path, path, sizeof path), 0);
    ck_assert_uint_eq(pending, 1);
    ck_assert_str_eq(path, "/another.py");
    mem_close(&mem);
    ck_assert_uint_le(files_left(suite_interp(_i)), files_before);
    target_kill(&t);
}
END_TEST

/* A file that says it is our agent and cannot be loaded: the cause comes back, the target goes on. */
START_TEST(test_remote_exec_names_an_agent_that_does_not_load) {
    static const struct elf_build_symbol symbols[] = {
        {.name = "vt_agent_main", .value = 0x11000, .type = STT_FUNC, .version = 2},
        {.name = "vt_agent_boot", .value = 0x11100, .type = STT_OBJECT, .version = 2},
        {.name = "vt_agent_info", .value = 0x11800, .type = STT_OBJECT, .version = 2},
    };
    struct vt_agent_info info = {.magic = VT_AGENT_INFO_MAGIC, .abi_major = VT_ABI_MAJOR, .build = "broken"};
    uint8_t image[ELF_BUILD_MAX];
    struct target t;
    struct session s;
    if (!start(&t, _i, "work")) return;
    size_t len = elf_build(image, symbols, 3, NULL);
    memcpy(image + 0x1800, &info, sizeof info);
    memset(image + 18, 0xee, 2); /* of a machine that is not ours */
    snprintf(agent, sizeof agent, "%s", temp_path("-agent.so"));
    int fd = open(agent, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0700);
    ck_assert_int_eq(vt_write_full(fd, image, len), 0);
    vt_close(&fd);
    begin(&s, t.pid, 3000);
    unlink(agent);
    ck_assert_msg(s.rc == -EIO && strstr(s.err.msg, "ImportError"), "%d: %s", s.rc, s.err.msg);
    ck_assert_int_eq(target_progresses(&t, 1, 5000), 0);
    finish(&t, _i);
}
END_TEST

/* Killed at any moment: the target goes on, and the next attach works. */
START_TEST(test_remote_exec_survives_a_killed_injector) {
    struct target t;
    if (!start(&t, _i, "work")) return;
    int times = suite_times(25, 300);
    for (int n = 0; n < times; n++) {
        pid_t child = fork();
        if (!child) {
            struct session s;
            begin(&s, t.pid, 2000);
            for (;;) pause();
        }
        usleep((useconds_t)(500 + n * 30000 / times));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        ck_assert_msg(target_progresses(&t, 1, 5000) == 0, "kill %d: the target said: %s", n, t.text);
        struct attach_agent a;
        ck_assert_int_eq(attach_find_agent(t.pid, &a, NULL), 0);
        if (!a.busy || !a.ctl_addr) continue;
        /* nobody renews this lease: let it be over now */
        struct mem mem;
        uint64_t over = 1;
        ck_assert_int_eq(mem_open(&mem, t.pid), 0);
        ck_assert_int_eq(mem.write(&mem, a.ctl_addr + offsetof(struct vt_ctl, lease), &over, sizeof over), 0);
        mem_close(&mem);
        for (uint64_t until = now_ms() + 5000; a.busy && now_ms() < until; sleep_ms(5))
            ck_assert_int_eq(attach_find_agent(t.pid, &a, NULL), 0);
        if (a.busy) {
            struct vt_ctl ctl;
            ck_assert_int_eq(mem_open(&mem, t.pid), 0);
            ck_assert_int_eq(mem.read(&mem, a.ctl_addr, &ctl, offsetof(struct vt_ctl, drops)), 0);
            mem_close(&mem);
            ck_abort_msg("kill %d: the agent stays: state %u why %u enabled %u lease %lu dropped %lu free %lx", n, ctl.state,
                         ctl.why, ctl.enabled, ctl.lease, ctl.dropped, ctl.free[0]);
        }
    }
    struct session s;
    for (int tries = 0; tries < 20; tries++) { /* the last one may have left a request that is just being taken */
        begin(&s, t.pid, 3000);
        if (s.rc != -EBUSY) break;
        sleep_ms(50);
    }
    ck_assert_msg(s.rc == 0 && reaches(&s, VT_AGENT_TRACING, 3000), "after all: %s", s.err.msg);
    end(&s);
    target_kill(&t);
}
END_TEST

int main(void) {
    Suite *s = suite_create("attach_remote_exec");
    suite_add(s, "work", test_remote_exec_attaches_at_work, 60);
    suite_add(s, "sleep", test_remote_exec_attaches_while_asleep, 60);
    suite_add(s, "wait", test_remote_exec_attaches_while_waiting, 60);
    suite_add(s, "loop", test_remote_exec_attaches_in_an_event_loop, 60);
    suite_add(s, "lock", test_remote_exec_attaches_at_a_lock, 60);
    suite_add(s, "again", test_remote_exec_attaches_again_and_again, 300);
    suite_add(s, "nobody-takes-it", test_remote_exec_withdraws_a_request_nobody_takes, 60);
    suite_add(s, "another", test_remote_exec_leaves_the_request_of_another, 60);
    suite_add(s, "bad-agent", test_remote_exec_names_an_agent_that_does_not_load, 60);
    suite_add(s, "killed", test_remote_exec_survives_a_killed_injector, 600);
    return suite_main(s);
}
