/* The governor on a clock of our own: the agent's governor.c, throttle.c and window.c drive a program that is only told here,
 * so that what it costs, when a period ends and how often it runs are exact. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "agent/detail.h"
#include "agent/governor.h"
#include "agent/hooks.h"

#define MS 1000000ull /* a tick of this clock is a nanosecond */
#define BASE 1000u    /* number of the first name */
#define COST_EVENT 100u
#define COST_SKIP 50u
#define FUNCTIONS 64
#define FRAMES 3

/* ---- what the three files need of the agent ---- */

struct agent agent;
struct layout layout;
struct py_api py;
struct thread thread_nobody;
__thread struct thread *this_thread;

static struct vt_ctl ctl;
static struct thread threads[2];
static uint64_t now, cpu, looks, told_windows, payloads_refused;
static bool hooks_in, subtrees, cpu_clock_stands;
static uint32_t left_why, pauses;
static struct vt_pl_throttled told[FUNCTIONS];
static uint32_t ntold;
static struct {
    struct vt_pl_window head;
    uint32_t ids[FRAMES];
} window_told;
static union {
    uint8_t bytes[VT_PAYLOAD_MAX];
    uint64_t words[VT_PAYLOAD_MAX / 8];
} payload;

static int clock_of_ours(int which, int64_t *time) {
    uint64_t ns = which == 1 ? now : cpu;
    time[0] = (int64_t)(ns / 1000000000u);
    time[1] = (int64_t)(ns % 1000000000u);
    return 0;
}

uint8_t *payload_reserve(uint32_t bytes) {
    ck_assert_uint_le(bytes, VT_PAYLOAD_MAX);
    if (!payloads_refused) return payload.bytes;
    payloads_refused--;
    return NULL;
}

void payload_commit(uint32_t kind, uint32_t bytes) {
    if (kind == VT_PL_WINDOW) {
        ck_assert_uint_le(bytes, sizeof window_told);
        memcpy(&window_told, payload.bytes, bytes);
        ck_assert_uint_eq(bytes, sizeof window_told.head + 4 * window_told.head.nframes);
        told_windows++;
        return;
    }
    ck_assert_uint_eq(kind, VT_PL_THROTTLED);
    ntold = bytes / (uint32_t)sizeof told[0];
    ck_assert_uint_le(ntold, FUNCTIONS);
    memcpy(told, payload.bytes, bytes);
}

bool filter_has_subtrees(void) { return subtrees; }

bool session_visit(void) {
    if (!ctl.enabled) session_leave(VT_WHY_STOP);
    if (agent.state != AGENT_TRACING) return false;
    if (now >= agent.visit_at) {
        agent.visit_at = now + ctl.span;
        agent.hooks->visit();
    }
    return true;
}

void session_leave(uint32_t why) {
    left_why = why;
    governor_stop();
    agent.state = AGENT_IDLE;
}

/* Three are open; the innermost is the last one. */
uint32_t stack_ids(void *tstate, uint32_t *ids, uint32_t most, bool without_first) {
    uint32_t n = without_first ? FRAMES - 1 : FRAMES;
    ck_assert_ptr_eq(tstate, this_thread);
    ck_assert_uint_ge(most, FRAMES);
    for (uint32_t i = 0; i < n; i++) ids[i] = BASE + i;
    return n;
}

static void *thread_state(void) { return this_thread; }
static void no_error(void **type, void **value, void **traceback) { *type = *value = *traceback = NULL; }
static void same_error(void *type, void *value, void *traceback) { ck_assert(!type && !value && !traceback); }

/* ---- the program ---- */

static struct function {
    uint64_t calls, recorded, ended, passed;
    bool c_function, enter_off, leave_off;
} functions[FUNCTIONS];
static uint64_t spent; /* what its events have cost */

static void all_on(void) {
    for (int i = 0; i < FUNCTIONS; i++) functions[i].enter_off = functions[i].leave_off = false;
}

static void visit_functions(void) {
    if (agent.visit_at < agent.rearm_at) return;
    agent.rearm_at = agent.visit_at + agent.rearm_ticks;
    all_on();
    looks++;
    throttle_looks_begin(now);
}
static void visit_nothing(void) {}
static void take_out(void) {
    hooks_in = false;
    pauses++;
}
static void put_in(void) { hooks_in = true; }

static const struct hook_ops monitoring = {.kind = VT_HOOK_MONITORING, .visit = visit_functions};
static const struct hook_ops profile = {.kind = VT_HOOK_PROFILE, .visit = visit_nothing, .pause = take_out, .resume = put_in};
static const struct hook_ops evaluation = {.kind = VT_HOOK_EVAL, .visit = visit_nothing, .pause = take_out, .resume = put_in};

static void begin(const struct hook_ops *hooks, uint32_t limit) {
    memset(functions, 0, sizeof functions);
    memset(&ctl, 0, sizeof ctl);
    memset(threads, 0, sizeof threads);
    ctl.enabled = 1;
    ctl.lease = ~0ull;
    ctl.max_overhead = limit;
    ctl.span = 20 * MS;
    py = (struct py_api){
        .clock_gettime = clock_of_ours, .PyThreadState_Get = thread_state, .PyErr_Fetch = no_error, .PyErr_Restore = same_error};
    layout.python = hooks->kind == VT_HOOK_MONITORING ? 0x30c : 0x30b;
    static struct family family = {.live = 1};
    agent = (struct agent){.state = AGENT_TRACING,
                           .base_id = BASE << VT_REC_TYPE_BITS,
                           .ctl = &ctl,
                           .family = &family,
                           .clock = VT_CLOCK_MONOTONIC_NS,
                           .hooks = hooks,
                           .governed = true,
                           .rearm_ticks = 1000 * MS,
                           .ticks_per_ms = MS};
    now = 5000 * MS;
    cpu = 77 * MS;
    agent.visit_at = now + ctl.span;
    agent.rearm_at = now + agent.rearm_ticks;
    this_thread = &threads[0];
    hooks_in = true;
    subtrees = cpu_clock_stands = false;
    looks = told_windows = payloads_refused = spent = 0;
    left_why = pauses = ntold = 0;
    governor_start();
    ck_assert(agent.governed);
}

static void run(uint64_t ns) {
    now += ns;
    if (!cpu_clock_stands) cpu += ns;
}
static void costs(uint64_t ns) {
    spent += ns;
    run(ns);
}

/* As a callback of monitoring: switched off where it says so, C functions with both ends, since it is one place. */
static enum governor_verdict event(uint32_t i, bool enter) {
    struct function *f = &functions[i];
    if (enter ? f->enter_off : f->leave_off) return GOVERNOR_OFF;
    enum governor_verdict verdict = throttle_event((BASE + i) << VT_REC_TYPE_BITS, enter, f->c_function);
    costs(verdict == GOVERNOR_RECORD ? COST_EVENT : COST_SKIP);
    if (verdict == GOVERNOR_RECORD) enter ? f->recorded++ : f->ended++;
    if (verdict == GOVERNOR_PASS) f->passed++;
    if (verdict == GOVERNOR_OFF && enter) f->enter_off = true;
    if (verdict == GOVERNOR_OFF && enter == f->c_function) f->leave_off = true;
    return verdict;
}

static void call(uint32_t i, uint64_t body_ns) {
    functions[i].calls++;
    event(i, true);
    run(body_ns);
    event(i, false);
    if (ctl.wake_cpu_ns && cpu >= ctl.wake_cpu_ns) window_wake(); /* the daemon does */
}

/* The newest word on a function; NULL = it is not throttled. */
static const struct vt_pl_throttled *word_on(uint32_t i) {
    throttle_tell();
    for (uint32_t k = 0; k < ntold; k++)
        if (told[k].id == BASE + i) return &told[k];
    return NULL;
}

static void must_be_whole(uint32_t i) {
    const struct function *f = &functions[i];
    ck_assert_msg(f->recorded == f->ended, "function %u: %llu calls recorded, %llu ends", i, (unsigned long long)f->recorded,
                  (unsigned long long)f->ended);
}

static void must_be_exact(uint32_t i) {
    const struct vt_pl_throttled *word = word_on(i);
    const struct function *f = &functions[i];
    must_be_whole(i);
    if (word) ck_assert_msg(!word->off && !word->estimated, "function %u is off", i);
    ck_assert_uint_eq(f->recorded + (word ? word->counted : 0), f->calls);
}

static void must_be_near(uint64_t value, uint64_t truth, const char *what) {
    ck_assert_msg(value > truth - truth / 10 && value < truth + truth / 10, "%s: %llu instead of %llu", what,
                  (unsigned long long)value, (unsigned long long)truth);
}

static void end(void) {
    governor_stop();
    ck_assert(!agent.governed);
    ck_assert_uint_eq(throttle_event((BASE + 1) << VT_REC_TYPE_BITS, true, false), GOVERNOR_RECORD);
}

/* ---- 3.12+ ---- */

enum { HOT, HOT_C, MID, RARE };

static void hot_loop(uint64_t for_ns) {
    functions[HOT_C].c_function = true;
    for (uint64_t until = now + for_ns, i = 0; now < until; i++) {
        call(HOT, 60);
        call(HOT_C, 40);
        if (i % 1000 == 0) call(MID, 500);
        if (i % 100000 == 0) call(RARE, 5000);
    }
}

START_TEST(never_reached) {
    begin(&monitoring, 10000 * 100);
    hot_loop(100 * MS);
    for (uint32_t i = HOT; i <= RARE; i++) {
        must_be_exact(i);
        ck_assert_ptr_null(word_on(i));
        ck_assert_uint_gt(functions[i].calls, 0);
    }
    ck_assert_uint_eq(ctl.wake_cpu_ns, 0);
    end();
}
END_TEST

/* Hot ones go, rare ones stay, and the limit holds for the session. */
START_TEST(kept) {
    static const uint32_t limits[] = {20, 100, 500, 2000};
    for (size_t k = 0; k < sizeof limits / sizeof limits[0]; k++) {
        begin(&monitoring, limits[k]);
        uint64_t from = now;
        hot_loop(3000 * MS);
        uint64_t own = now - from - spent;
        ck_assert_msg(spent < own * limits[k] / 10000, "limit %u: %llu ns of %llu", limits[k], (unsigned long long)spent,
                      (unsigned long long)own);
        must_be_exact(RARE);
        ck_assert_ptr_null(word_on(RARE));
        for (uint32_t i = HOT; i <= HOT_C; i++) {
            const struct vt_pl_throttled *word = word_on(i);
            must_be_whole(i);
            ck_assert(word && word->off);
            ck_assert_uint_lt(word->counted, functions[i].calls / 20);
            must_be_near(functions[i].recorded + word->counted + word->estimated, functions[i].calls, "all calls");
        }
        must_be_near(governor_bare(now), own, "own time");
        end();
    }
}
END_TEST

/* Together too dear to record, not too dear to count: then none of them is switched off. */
START_TEST(counted) {
    begin(&monitoring, 540);
    for (int round = 0; round < 10000; round++) {
        for (uint32_t i = 0; i < 40; i++) call(i, 1000);
        run(60000);
    }
    for (uint32_t i = 0; i < 40; i++) {
        ck_assert_ptr_nonnull(word_on(i));
        must_be_exact(i);
    }
    end();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("agent_governor");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, never_reached);
    tcase_add_test(tc, kept);
    tcase_add_test(tc, counted);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
