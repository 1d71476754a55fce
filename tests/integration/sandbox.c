/* Programs under a strict seccomp filter. One that puts itself under it while it is traced lives on, what it does then is in the
 * trace, and nothing is sent into it any more. One that is under it before is refused if the filter would kill it for what an
 * attach needs, and is traced otherwise. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/filters.h"
#include "tests/lib/suite.h"

enum { WANTED = 60, DONE = 61 };

#define ON(minor) (1u << (minor))
static const struct kind {
    const char *name, *options, *threads;
    bool silent;       /* it makes no call any more at the detach: the hooks cannot be removed */
    unsigned versions; /* minor ones: one for each kind of hook, or fewer */
} kinds[] = {
    {"default", "", "0", false, ON(8) | ON(11) | ON(12) | ON(14)},
    {"threads", "", "2", false, ON(10) | ON(13)},
    {"silent", "", "0", true, ON(8) | ON(14)},
    {"overhead", "--max_overhead 5%", "0", false, ON(9) | ON(11) | ON(12)},
    {"overhead-threads", "--max_overhead 5% --ignore_c_function", "1", false, ON(8) | ON(15)},
    {"evaluation", "--ignore_c_function", "0", false, ON(10) | ON(11)},
    {"values", "--log_func_args --log_func_retval --log_gc --log_async --exclude_functions pause", "0", false, ON(11) | ON(12)},
};

static void wait_for(struct target *t, unsigned slot, uint64_t least, const char *who) {
    for (uint64_t end = now_ms() + 60000; t->slots[slot] < least; sleep_ms(5)) {
        ck_assert_msg(!kill(t->pid, 0) && !target_progresses(t, 0, 0), "%s: the target is dead", who);
        ck_assert_msg(now_ms() < end, "%s: slot %u is %llu, not %llu", who, slot, (unsigned long long)t->slots[slot],
                      (unsigned long long)least);
    }
}

START_TEST(test_sandbox_that_comes_later_kills_nothing) {
    const struct kind *k = &kinds[suite_row(_i)];
    const struct interp *ip = suite_interp(_i);
    struct target t;
    struct tool tool;
    struct trace trace;
    char who[96];
    const char *out = temp_path(".json");
    if (!(k->versions & ON(ip->minor))) return;
    snprintf(who, sizeof who, "%s on %s", k->name, ip->version);
    ck_assert_int_eq(target_spawn(&t, ip, "sandboxed.py", (const char *[]){k->threads, NULL}, NULL), 0);
    tool_startf(&tool, "--attach %d -o %s %s", (int)t.pid, out, k->options);
    must_attach(&tool, who);
    wait_for(&t, 0, t.slots[0] + 3, who);
    t.slots[WANTED] = 1;
    wait_for(&t, DONE, 1, who);
    uint64_t from = t.slots[0], begun = now_ms();
    /* longer than from one look of the hooks, and of the daemon, to the next */
    while (now_ms() < begun + 500) sleep_ms(20);
    wait_for(&t, 0, from + 50, who);
    if (k->silent) {
        t.slots[WANTED] = 2;
        sleep_ms(100);
    }
    kill(tool.pid, SIGINT);
    tool_wait(&tool, 60000);
    must_exit(&tool, 0, who);
    if (k->silent)
        ck_assert_msg(strstr(tool.out, "seccomp filter since the attach") || strstr(tool.err, "seccomp filter since the attach"),
                      "%s: says %s%s", who, tool.out, tool.err);
    must_load(&trace, out, who);
    ck_assert_msg(trace_count(&trace, "seldom", 0) > 0, "%s: no calls", who);
    ck_assert_msg(trace_count(&trace, "enclosed", 0) > 1, "%s: no calls after the filter", who);
    trace_free(&trace);
    sleep_ms(100);
    ck_assert_msg(!target_progresses(&t, 0, 1000), "%s: the target is dead", who);
    if (!k->silent) wait_for(&t, 0, t.slots[0] + 20, who);
    target_kill(&t);
    unlink(out);
}
END_TEST

/* ---- the filter is there before the attach ---- */

#define TABLES (ON(8) | ON(11) | ON(12) | ON(14)) /* one for each kind of hook, and another C library */
enum reader { READS, UNREAD, UNREAD_UNDER_ONE };  /* viztracer may read filters, or not, or not and is under one itself */
static const struct before {
    const char *name, *options, *action, *missing;
    const char *words; /* of the refusal; NULL: it is traced */
    unsigned versions;
    enum reader reader;
} befores[] = {
    {"allows-what-is-needed", "", "KILL_PROCESS", NULL, NULL, TABLES, READS},
    {"remote-exec-allowed", "--method remote-exec", "KILL_PROCESS", NULL, NULL, ON(14) | ON(15), READS},
    {"lets-fail", "", "EPERM_ERRNO", "set_robust_list", NULL, ON(8) | ON(14), READS},
    {"kills", "", "KILL_PROCESS", "set_robust_list", "would kill it for set_robust_list", TABLES, READS},
    {"kills-the-thread", "", "KILL_THREAD", "madvise", "would kill it for madvise", ON(11), READS},
    {"raises", "", "TRAP", "openat", "would send it SIGSYS for openat", ON(12), READS},
    {"asks-a-supervisor", "", "SUPERVISOR", "getpid", "leaves to a supervisor what happens at getpid", ON(10), READS},
    {"asks-a-tracer", "", "TRACER", "mprotect", "leaves to a tracer what happens at mprotect", ON(13), READS},
    {"remote-exec-kills", "--method remote-exec", "KILL_PROCESS", "lseek", "would kill it for lseek", ON(14), READS},
    {"unread", "", "KILL_PROCESS", NULL, "filters cannot be read", ON(8) | ON(14), UNREAD},
    {"unread-remote-exec", "--method remote-exec", "KILL_PROCESS", NULL, "filters cannot be read", ON(14), UNREAD},
    {"unread-force", "--force", "KILL_PROCESS", NULL, NULL, ON(12), UNREAD},
    {"unread-remote-exec-force", "--method remote-exec --force", "KILL_PROCESS", NULL, NULL, ON(14), UNREAD},
    {"unread-under-one-itself", "", "KILL_PROCESS", NULL, NULL, ON(11), UNREAD_UNDER_ONE},
};

START_TEST(test_sandbox_that_was_there_kills_nothing) {
    const struct before *b = &befores[suite_row(_i)];
    const struct interp *ip = suite_interp(_i);
    struct target t;
    struct tool tool;
    struct trace trace;
    struct census before, after;
    char who[96];
    const char *out = temp_path(".json");
    if (!(b->versions & ON(ip->minor))) return;
    snprintf(who, sizeof who, "%s on %s", b->name, ip->version);
    if (b->words && b->reader == READS && !filters_can_be_read())
        skip_test("sandbox %s: this user or kernel cannot read seccomp filters", who);
    ck_assert_int_eq(target_spawn(&t, ip, "filtered.py", (const char *[]){b->action, b->missing, NULL}, NULL), 0);
    wait_for(&t, 0, 3, who);
    census_take(t.pid, &before);
    bool force = b->reader == READS && !filters_can_be_read();
    if (b->reader == UNREAD_UNDER_ONE) ck_assert(filters_allow_all());
    if (b->reader != READS) ck_assert(filters_forbid_reading());
    tool_runf(&tool, "--attach %d -t 0.5 -o %s %s %s", (int)t.pid, out, b->options, force ? "--force" : "");
    ck_assert_msg(!target_progresses(&t, 1, 10000), "%s: the target is dead: %s", who, tool.err);
    /* The thread of an attach may need a moment to end. */
    for (int i = 0; i < 1000 && (census_take(t.pid, &after), after.threads != before.threads); i++) sleep_ms(10);
    ck_assert_msg(before.threads == after.threads && before.fds == after.fds && !after.tracer,
                  "%s: threads %u, then %u; descriptors %u, then %u", who, before.threads, after.threads, before.fds, after.fds);
    if (b->words) {
        must_exit(&tool, 1, who);
        const char *end = strchr(tool.err, '\n');
        ck_assert_msg(strstr(tool.err, b->words) && end && !end[1], "%s: says %s", who, tool.err);
        ck_assert_msg(before.maps == after.maps && !maps_have(t.pid, "viztracer"), "%s: something was left in it", who);
        ck_assert_msg(access(out, F_OK), "%s: a trace was saved", who);
    } else {
        must_exit(&tool, 0, who);
        must_load(&trace, out, who);
        ck_assert_msg(trace_count(&trace, "leaf", 0) > 0, "%s: no calls", who);
        trace_free(&trace);
    }
    target_kill(&t);
    unlink(out);
}
END_TEST

/* The system calls of tests/targets/filtered.py. A C library makes one of each pair. */
static const struct missing {
    const char *name, *sibling;
} missing[] = {
    {"mmap", NULL},           {"mprotect", NULL},
    {"munmap", NULL},         {"brk", NULL},
    {"madvise", NULL},        {"rt_sigaction", NULL},
    {"rt_sigprocmask", NULL}, {"rt_sigreturn", NULL},
    {"futex", NULL},          {"sched_getaffinity", NULL},
    {"clone", "clone3"},      {"clone3", "clone"},
    {"rseq", NULL},           {"set_robust_list", NULL},
    {"exit", NULL},           {"openat", NULL},
    {"read", NULL},           {"fstat", "newfstatat"},
    {"newfstatat", "fstat"},  {"close", NULL},
    {"getpid", NULL},         {"gettid", NULL},
};

/* Whichever call the filter does not allow, the target lives: the attach is refused, or does not make that call. */
START_TEST(test_sandbox_without_any_one_call_lives) {
    const struct interp *ip = suite_interp(_i);
    const char *out = temp_path(".vzt");
    char who[96];
    if (!((ON(11) | ON(14)) & ON(ip->minor))) return; /* two C libraries */
    if (!filters_can_be_read()) skip_test("sandbox without-one-call on %s: this user or kernel cannot read filters", ip->version);
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        const struct missing *m = &missing[i];
        struct target t;
        struct tool tool;
        snprintf(who, sizeof who, "without %s on %s", m->name, ip->version);
        ck_assert_int_eq(target_spawn(&t, ip, "filtered.py", (const char *[]){"KILL_PROCESS", m->name, NULL}, NULL), 0);
        wait_for(&t, 0, 3, who);
        tool_runf(&tool, "--attach %d -t 0.05 -o %s", (int)t.pid, out);
        ck_assert_msg(!target_progresses(&t, 1, 10000), "%s: the target is dead: %s", who, tool.err);
        char words[64];
        snprintf(words, sizeof words, "would kill it for %s,", m->name);
        if (!m->sibling || strstr(tool.err, "would kill")) {
            must_exit(&tool, 1, who);
            ck_assert_msg(strstr(tool.err, words), "%s: says %s", who, tool.err);
        } else {
            must_exit(&tool, 0, who);
        }
        target_kill(&t);
        unlink(out);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("sandbox");
    for (int i = 0; i < (int)(sizeof kinds / sizeof *kinds); i++)
        suite_add_row(s, kinds[i].name, test_sandbox_that_comes_later_kills_nothing, i, 150);
    for (int i = 0; i < (int)(sizeof befores / sizeof *befores); i++)
        suite_add_row(s, befores[i].name, test_sandbox_that_was_there_kills_nothing, i, 90);
    suite_add(s, "without-any-one-call", test_sandbox_without_any_one_call_lives, 200);
    return suite_main(s);
}
