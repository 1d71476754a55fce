/* Many attaches in a row: none fails, nothing grows in the target, and nothing remains. VT_LONG=1: 200 a version. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/lib/steps.h"
#include "tests/lib/suite.h"

#define COUNT_ROUNDS 4 /* as tests/targets/probe.py does it */

struct state {
    char text[1024];
    uint64_t
        id_steps; /* instructions of 5 times id(1); how full the allocator's pools are moves it by 3 %, any hook by far more */
};

static void tell_count(void *target) { ck_assert(!target_send(target, "count\n")); }

static void ask(struct target *t, struct state *s, const char *who) {
    must_tell_hooks(t, s->text, sizeof s->text, who);
    t->text_len = 0;
    int rc = steps_count(t->pid, SYS_getppid, COUNT_ROUNDS, tell_count, t, &s->id_steps);
    ck_assert_msg(!rc, "%s: counting instructions: %s", who, strerror(-rc));
    ck_assert_msg(!target_expect(t, "counted", 20000), "%s: the target does not go on after the count: %s", who, t->text);
    t->text_len = 0;
}

/* A thread that the daemon sent in ends soon after its client: it needs the processor once more. */
static void census_settled(pid_t pid, unsigned threads, struct census *c) {
    for (int i = 0; i < 500; i++) {
        census_take(pid, c);
        if (c->threads == threads) return;
        sleep_ms(10);
    }
}

static void many_times(const struct interp *ip, const char *kind, int times) {
    struct target t;
    struct tool tool;
    struct census bare, first, last;
    struct state before, after;
    char who[96];
    const char *out = temp_path(".json");
    snprintf(who, sizeof who, "repeat %s on %s", kind, ip->version);
    ck_assert_int_eq(target_spawn(&t, ip, "probe.py", (const char *[]){kind, "2", NULL}, NULL), 0);
    ask(&t, &before, who);
    census_take(t.pid, &bare);
    for (int i = 0; i < times; i++) {
        unlink(out);
        tool_runf(&tool, "--attach %d -t 0.05 -o %s", (int)t.pid, out);
        char round[128];
        snprintf(round, sizeof round, "%s, attach %d", who, i + 1);
        must_exit(&tool, 0, round);
        ck_assert_msg(access(out, R_OK) == 0, "%s: exit 0 and no trace", round);
        if (i == 2) census_settled(t.pid, bare.threads, &first);
        ck_assert_msg(!target_progresses(&t, 2, 5000), "%s: the target does not run on", round);
    }
    struct trace trace;
    must_load(&trace, out, who);
    trace_free(&trace);
    sleep_ms(300);
    census_settled(t.pid, bare.threads, &last);
    ask(&t, &after, who);
    ck_assert_msg(last.threads == bare.threads, "%s: threads %u, then %u", who, bare.threads, last.threads);
    ck_assert_msg(last.fds == first.fds, "%s: descriptors %u, then %u", who, first.fds, last.fds);
    ck_assert_msg(last.maps <= first.maps + 4, "%s: mappings %u, then %u", who, first.maps, last.maps);
    ck_assert_msg(last.rss_kb <= first.rss_kb + 4096 + first.rss_kb / 10, "%s: RSS %llu kB, then %llu kB", who,
                  (unsigned long long)first.rss_kb, (unsigned long long)last.rss_kb);
    ck_assert_msg(!strcmp(before.text, after.text), "%s: hooks before %s after %s", who, before.text, after.text);
    ck_assert_msg(after.id_steps <= before.id_steps + before.id_steps / 10, "%s: 5 times id(1) took %llu instructions, then %llu",
                  who, (unsigned long long)before.id_steps, (unsigned long long)after.id_steps);
    target_kill(&t);
    unlink(out);
}

START_TEST(test_repeat_busy_target) { many_times(suite_interp(_i), "busy", suite_times(10, 200)); }
END_TEST

START_TEST(test_repeat_target_in_malloc) { many_times(suite_interp(_i), "malloc", suite_times(10, 200)); }
END_TEST

int main(void) {
    Suite *s = suite_create("repeat");
    suite_add(s, "busy", test_repeat_busy_target, suite_times(120, 1200));
    suite_add(s, "malloc", test_repeat_target_in_malloc, suite_times(180, 1800));
    return suite_main(s);
}
