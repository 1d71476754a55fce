/* A program that puts itself under a strict seccomp filter while it is traced: it lives on, what it does then is in the trace,
 * and nothing is sent into it any more. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

int main(void) {
    Suite *s = suite_create("sandbox");
    for (int i = 0; i < (int)(sizeof kinds / sizeof *kinds); i++)
        suite_add_row(s, kinds[i].name, test_sandbox_that_comes_later_kills_nothing, i, 150);
    return suite_main(s);
}
