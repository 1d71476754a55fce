/* Targets with a memory limit: an attach takes a part of the remaining memory, or refuses in one line because there is too
 * little. The kernel never kills them for it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/suite.h"

#define MIB (1ull << 20)

/* ---- memory cgroups ---- */

struct cgroup {
    char dir[512]; /* "" = none */
    bool v1;
};

static int put(const char *dir, const char *file, uint64_t value) {
    char path[600], text[32];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC), n = snprintf(text, sizeof text, "%lu", value);
    ssize_t rc = fd < 0 ? -1 : write(fd, text, (size_t)n);
    if (fd >= 0) close(fd);
    return rc == n ? 0 : -1;
}

static uint64_t get(const char *dir, const char *file) {
    char path[600], text[32] = "";
    snprintf(path, sizeof path, "%s/%s", dir, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    return n > 0 ? strtoull(text, NULL, 10) : 0;
}

/* Below our own cgroup, so that the limits of the machine hold there, too. */
static bool cgroup_make(struct cgroup *g) {
    static const char *const roots[] = {"/sys/fs/cgroup/memory", "/sys/fs/cgroup"};
    char line[512], own[512] = "";
    FILE *f = fopen("/proc/self/cgroup", "re");
    g->dir[0] = 0;
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *at = strstr(line, ":memory:");
        if (at) snprintf(own, sizeof own, "%.400s", at + 8);
        if (!strncmp(line, "0::", 3) && !own[0]) snprintf(own, sizeof own, "%.400s", line + 3);
    }
    if (f) fclose(f);
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        g->v1 = i == 0;
        snprintf(g->dir, sizeof g->dir, "%s%.380s/vt-memory-%d", roots[i], strcmp(own, "/") ? own : "", (int)getpid());
        if (mkdir(g->dir, 0755)) continue;
        if (!put(g->dir, g->v1 ? "memory.limit_in_bytes" : "memory.max", 512 * MIB)) return true;
        rmdir(g->dir);
    }
    g->dir[0] = 0;
    return false;
}

static void cgroup_limit(const struct cgroup *g, uint64_t bytes) {
    ck_assert_msg(!put(g->dir, g->v1 ? "memory.limit_in_bytes" : "memory.max", bytes), "cannot set the limit");
}
static uint64_t cgroup_usage(const struct cgroup *g) { return get(g->dir, g->v1 ? "memory.usage_in_bytes" : "memory.current"); }
static void cgroup_end(const struct cgroup *g) {
    for (int i = 0; i < 100 && rmdir(g->dir); i++) sleep_ms(20);
}

static void spawn_in(const struct cgroup *g, struct target *t, const struct interp *ip, const char *who) {
    char procs[600];
    snprintf(procs, sizeof procs, "%s/cgroup.procs", g->dir);
    char script[700];
    snprintf(script, sizeof script, "echo $$ >%s && exec \"$@\"", procs);
    const char *const wrapper[] = {"sh", "-c", script, "sh", NULL};
    struct target_opts o = {.wrapper = wrapper};
    ck_assert_msg(target_spawn(t, ip, "busy.py", (const char *[]){"4", NULL}, &o) == 0, "%s: the target does not start", who);
}

/* The daemon of a client that was just started, and is busy with one target. */
static pid_t daemon_of(const struct tool *tool) {
    for (int i = 0; i < 200; i++, sleep_ms(10)) {
        pid_t pid = process_below(tool->pid, "viztracerd");
        if (pid > 0) return pid;
    }
    return -1;
}

/* 24 MB for four threads that fill megabytes of trace while the daemon does not run. */
START_TEST(test_memory_limit_of_a_busy_cgroup_is_kept) {
    const struct interp *ip = suite_interp(_i);
    struct cgroup g;
    struct target t;
    struct tool tool;
    const char *out = temp_path(".vzt");
    char who[96];
    snprintf(who, sizeof who, "cgroup-busy on %s", ip->version);
    if (ip->root[0]) skip_test("memory %s: not for an interpreter in a chroot", who);
    if (!cgroup_make(&g)) skip_test("memory %s: no memory cgroup can be made here", who);
    spawn_in(&g, &t, ip, who);
    uint64_t before = cgroup_usage(&g);
    cgroup_limit(&g, before + 20 * MIB);
    ck_assert_int_eq(tool_startf(&tool, "--attach %d -t 1 -o %s", (int)t.pid, out), 0);
    ck_assert_msg(!tool_expect(&tool, "Attached", 20000), "%s: %s", who, tool.err);
    pid_t daemon = daemon_of(&tool);
    ck_assert_msg(daemon > 0, "%s: no daemon", who);
    ck_assert_int_eq(process_stop(daemon), 0);
    sleep_ms(400);
    kill(daemon, SIGCONT);
    ck_assert_msg(!tool_wait(&tool, 60000), "%s: %s", who, tool.err);
    ck_assert_msg(!target_progresses(&t, 4, 10000), "%s: the target was killed or hangs", who);
    uint64_t most = get(g.dir, g.v1 ? "memory.max_usage_in_bytes" : "memory.peak");
    ck_assert_msg(most < before + 8 * MIB, "%s: %lu kB before, then up to %lu kB", who, before >> 10, most >> 10);
    struct stat st; /* a megabyte of .vzt is about as many calls */
    ck_assert_msg(!stat(out, &st) && st.st_size > (off_t)MIB / 4, "%s: no trace: %s", who, tool.out);
    target_kill(&t);
    cgroup_end(&g);
    unlink(out);
}
END_TEST

static void must_refuse(const struct target *t, const char *words, const char *who) {
    struct tool tool;
    const char *out = temp_path(".json");
    tool_runf(&tool, "--attach %d -t 1 -o %s", (int)t->pid, out);
    ck_assert_msg(tool.exit_code == 1 && tool_one_line(&tool) && strstr(tool.err, words), "%s: exit %d: %s", who, tool.exit_code,
                  tool.err);
    ck_assert_msg(access(out, F_OK) != 0, "%s: something was saved", who);
}

START_TEST(test_memory_full_cgroup_is_refused) {
    const struct interp *ip = suite_interp(_i);
    struct cgroup g;
    struct target t;
    char who[96];
    snprintf(who, sizeof who, "cgroup-full on %s", ip->version);
    if (ip->root[0]) skip_test("memory %s: not for an interpreter in a chroot", who);
    if (!cgroup_make(&g)) skip_test("memory %s: no memory cgroup can be made here", who);
    spawn_in(&g, &t, ip, who);
    cgroup_limit(&g, cgroup_usage(&g) + 256 * 1024);
    must_refuse(&t, "memory limit of its cgroup", who);
    cgroup_limit(&g, 512 * MIB);
    ck_assert_msg(!target_progresses(&t, 4, 10000), "%s: the target was killed or hangs", who);
    target_kill(&t);
    cgroup_end(&g);
}
END_TEST

/* ---- address space ---- */

static void limit_address_space(const struct target *t, uint64_t more, const char *who) {
    char path[64], text[64] = "";
    snprintf(path, sizeof path, "/proc/%d/statm", (int)t->pid);
    FILE *f = fopen(path, "re");
    ck_assert_msg(f && fgets(text, sizeof text, f), "%s: no statm", who);
    fclose(f);
    uint64_t now = strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
    struct rlimit limit = {now + more, RLIM_INFINITY};
    ck_assert_msg(!prlimit(t->pid, RLIMIT_AS, &limit, NULL), "%s: prlimit", who);
}

START_TEST(test_memory_address_space_limit_is_kept) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    struct tool tool;
    struct trace trace;
    const char *out = temp_path(".json");
    char who[96];
    snprintf(who, sizeof who, "address-space on %s", ip->version);
    ck_assert_int_eq(target_spawn(&t, ip, "busy.py", (const char *[]){"2", NULL}, NULL), 0);
    limit_address_space(&t, 100 * MIB, who);
    must_refuse(&t, "RLIMIT_AS", who);
    limit_address_space(&t, 220 * MIB, who); /* not enough for the whole arena */
    tool_runf(&tool, "--attach %d -t 0.3 -o %s", (int)t.pid, out);
    must_exit(&tool, 0, who);
    ck_assert_msg(!target_progresses(&t, 2, 10000), "%s: the target does not run on", who);
    must_load(&trace, out, who);
    ck_assert_msg(trace_count(&trace, "fib", 0) > 0, "%s: no calls", who);
    trace_free(&trace);
    target_kill(&t);
    unlink(out);
}
END_TEST

int main(void) {
    Suite *s = suite_create("memory");
    suite_add(s, "cgroup-busy", test_memory_limit_of_a_busy_cgroup_is_kept, 90);
    suite_add(s, "cgroup-full", test_memory_full_cgroup_is_refused, 90);
    suite_add(s, "address-space", test_memory_address_space_limit_is_kept, 90);
    return suite_main(s);
}
