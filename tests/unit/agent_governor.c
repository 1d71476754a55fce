/* The governor on a simulated clock. The files of agent/limit drive a simulated program, so its costs, its periods and the
 * number of its calls are exact. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "agent/limit/cpu_time.h"
#include "agent/limit/governor.h"
#include "agent/limit/throttle.h"
#include "agent/names/filter.h"
#include "agent/names/ids.h"
#include "agent/record/thread.h"
#include "agent/session/session.h"

#define MS 1000000ull /* a tick of this clock is a nanosecond */
#define BASE 1000u    /* number of the first name */
#define COST_EVENT 100u
#define COST_SKIP 50u
#define FUNCTIONS 9000
#define THROTTLED_MAX 8192 /* as in agent/limit/throttle.c */
#define FRAMES 3

/* ---- what they need of the agent ---- */

struct agent agent;
struct py_layout layout;
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
    for (uint32_t i = 0; i < bytes / sizeof told[0]; i++) {
        struct vt_pl_throttled word;
        memcpy(&word, payload.bytes + i * sizeof word, sizeof word);
        ck_assert(word.id >= BASE && word.id - BASE < FUNCTIONS);
        ntold += !told[word.id - BASE].id;
        told[word.id - BASE] = word;
    }
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
    memset(told, 0, sizeof told);
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
    governor_looks();
    enum governor_verdict verdict = throttle_event((BASE + i) << VT_REC_TYPE_BITS, enter, f->c_function);
    costs(verdict == GOVERNOR_RECORD ? COST_EVENT : COST_SKIP);
    if (verdict == GOVERNOR_RECORD) enter ? f->recorded++ : f->ended++;
    if (verdict == GOVERNOR_PASS) f->passed++;
    if (verdict == GOVERNOR_OFF && enter) f->enter_off = true;
    if (verdict == GOVERNOR_OFF && enter == f->c_function) f->leave_off = true;
    return verdict;
}

static uint64_t held_ns; /* a thread that is sent in goes on after this time */

static void call(uint32_t i, uint64_t body_ns) {
    functions[i].calls++;
    event(i, true);
    run(body_ns);
    event(i, false);
    if (ctl.wake_cpu_ns && cpu >= ctl.wake_cpu_ns) { /* the daemon does */
        governor_wake();
        now += held_ns;
    }
}

/* The newest word on a function; NULL = it is not throttled. */
static const struct vt_pl_throttled *word_on(uint32_t i) {
    throttle_tell();
    return told[i].id ? &told[i] : NULL;
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
    if (word) ck_assert_msg(!(word->flags & VT_THROTTLED_OFF) && !word->estimated, "function %u is off", i);
    ck_assert_uint_eq(f->recorded + (word ? word->counted : 0), f->calls);
}

static void must_be_near(uint64_t value, uint64_t truth, const char *what) {
    ck_assert_msg(value > truth - truth / 10 && value < truth + truth / 10, "%s: %llu instead of %llu", what,
                  (unsigned long long)value, (unsigned long long)truth);
}

/* Calls that were not seen: within 15 % of the truth, or a lower bound. */
static void must_estimate(uint32_t i, const struct vt_pl_throttled *word) {
    uint64_t all = functions[i].recorded + word->counted + word->estimated, calls = functions[i].calls;
    bool at_least = word->flags & VT_THROTTLED_AT_LEAST;
    uint64_t low = at_least ? calls / 8 : calls - calls * 15 / 100,
             high = at_least ? calls + calls / 50 : calls + calls * 15 / 100;
    ck_assert_msg(all >= low && all <= high, "function %u: %s %llu of %llu calls", i, at_least ? "at least" : "about",
                  (unsigned long long)all, (unsigned long long)calls);
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

START_TEST(test_governor_below_the_limit_changes_nothing) {
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
START_TEST(test_governor_keeps_the_limit) {
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
            ck_assert(word && word->flags & VT_THROTTLED_OFF);
            ck_assert_uint_lt(word->counted, functions[i].calls / 20);
            must_estimate(i, word);
        }
        must_be_near(account_bare(now), own, "own time");
        end();
    }
}
END_TEST

/* Together too dear to record, not too dear to count: then none of them is switched off. */
START_TEST(test_governor_counts_calls_of_throttled_functions) {
    begin(&monitoring, 540);
    for (int round = 0; round < 10000; round++) {
        for (uint32_t i = 0; i < 40; i++) call(i, 1000);
        run(60000);
    }
    for (uint32_t i = 0; i < 40; i++) {
        ck_assert_ptr_nonnull(word_on(i));
        must_be_exact(i);
        ck_assert(functions[i].leave_off); /* nothing is to be known of its end */
    }
    /* what was saved is spent before one that gets hot is switched off */
    run(3000 * MS);
    for (uint64_t until = now + 60 * MS; now < until;) call(0, 100);
    must_be_exact(0);
    ctl.enabled = 0; /* nothing is recorded any more: that the session is over is seen all the same */
    for (uint64_t until = now + 100 * MS; now < until && !left_why;) call(0, 100);
    ck_assert_uint_eq(left_why, VT_WHY_STOP);
    agent.governed = false;
}
END_TEST

/* What is counted grows hot, and is switched off then, with what was counted kept. */
START_TEST(test_governor_switches_off_what_counting_cannot_pay) {
    begin(&monitoring, 540);
    for (uint64_t until = now + 50 * MS; now < until; run(60000))
        for (uint32_t i = 0; i < 40; i++) call(i, 1000);
    must_be_exact(0);
    ck_assert(throttle_is_transparent((BASE + 0) << VT_REC_TYPE_BITS));
    for (uint64_t until = now + 2000 * MS; now < until;) call(0, 100);
    const struct vt_pl_throttled *word = word_on(0);
    must_be_whole(0);
    ck_assert(word && word->flags & VT_THROTTLED_OFF && word->since >= 5000 * MS && word->since < 5010 * MS);
    must_estimate(0, word);
    must_be_exact(1);
    end();
}
END_TEST

/* Calls that were recorded get their ends, and no other does, however deep and in whatever order it was throttled. */
static void down(uint32_t i, uint32_t depth) {
    functions[i].calls++;
    event(i, true);
    if (depth) down(i, depth - 1);
    event(i, false);
}

START_TEST(test_governor_recursion_is_kept_whole) {
    begin(&monitoring, 50);
    for (int n = 0; n < 3000; n++) down(HOT, 300);
    ck_assert_uint_gt(functions[HOT].recorded, 300);
    must_be_whole(HOT);
    ck_assert(word_on(HOT)->flags & VT_THROTTLED_OFF);
    end();

    begin(&monitoring, 50); /* open from before the session on; its end comes after many calls of it */
    throttle_was_open((BASE + HOT) << VT_REC_TYPE_BITS);
    for (int n = 0; n < 20000; n++) call(HOT, 10);
    ck_assert(!throttle_is_transparent((BASE + HOT) << VT_REC_TYPE_BITS));
    must_be_exact(HOT);
    ck_assert_int_eq(event(HOT, false), GOVERNOR_RECORD);
    ck_assert(throttle_is_transparent((BASE + HOT) << VT_REC_TYPE_BITS));
    end();

    for (int needed = 0; needed < 2; needed++) { /* it never comes: given up, unless filters need it */
        begin(&monitoring, 50);
        subtrees = needed;
        throttle_was_open((BASE + HOT) << VT_REC_TYPE_BITS);
        for (int n = 0; n < 30000; n++) call(HOT, 10);
        ck_assert_int_eq(throttle_is_transparent((BASE + HOT) << VT_REC_TYPE_BITS), !needed);
        end();
    }
}
END_TEST

/* Off and on again: nothing of the state before is left. Ids that are too many for the table are recorded. */
START_TEST(test_governor_sessions_start_afresh) {
    begin(&monitoring, 50);
    hot_loop(100 * MS);
    ck_assert(throttle_is_transparent((BASE + HOT) << VT_REC_TYPE_BITS));
    end();
    begin(&monitoring, 50);
    ck_assert(!throttle_is_transparent((BASE + HOT) << VT_REC_TYPE_BITS));
    for (int n = 0; n < 200000; n++) {
        governor_looks();
        ck_assert_int_eq(throttle_event((BASE + (1u << 17)) << VT_REC_TYPE_BITS, n % 2 == 0, false), GOVERNOR_RECORD);
        costs(COST_EVENT);
    }
    throttle_was_open((BASE + (1u << 17)) << VT_REC_TYPE_BITS);
    ck_assert(!throttle_is_transparent((BASE + (1u << 17)) << VT_REC_TYPE_BITS));
    end();
}
END_TEST

/* The limit is on CPU time: what is waited for does not count, nor what others do beside the interpreter. */
START_TEST(test_governor_limit_is_a_share_of_cpu_time) {
    begin(&monitoring, 500);
    uint64_t before = cpu;
    for (int i = 0; i < 200; i++) {
        hot_loop(2 * MS);
        now += 100 * MS;
    }
    ck_assert_uint_lt(spent, (cpu - before - spent) / 20);
    ck_assert_ptr_nonnull(word_on(HOT));
    end();

    begin(&monitoring, 500);
    before = now;
    for (uint64_t until = now + 2000 * MS; now < until;) {
        hot_loop(MS);
        cpu += 9 * MS;
    }
    ck_assert_uint_lt(spent, (now - before - spent) / 20);
    must_be_near(account_bare(now), now - before - spent, "own time");
    end();

    begin(&monitoring, 500); /* no such clock: no limit */
    cpu_clock_stands = true;
    hot_loop(50 * MS);
    ck_assert_ptr_null(word_on(HOT));
    must_be_exact(HOT);
    end();
}
END_TEST

/* The limit holds where texts of values are what is dear, too: those that have them are throttled, those that have none stay. */
START_TEST(test_governor_pays_for_values) {
    begin(&monitoring, 1000);
    uint64_t from = now;
    for (uint64_t until = now + 1000 * MS; now < until;) {
        for (int k = 0; k < 4; k++) call(MID, 1000);
        functions[RARE].calls++;
        for (int enter = 1; enter >= 0; enter--) {
            if (event(RARE, enter) == GOVERNOR_RECORD) {
                throttle_values((BASE + RARE) << VT_REC_TYPE_BITS, 10000);
                costs(10000);
            }
            run(30000);
        }
    }
    ck_assert_uint_lt(spent, (now - from - spent) / 10);
    ck_assert_ptr_nonnull(word_on(RARE));
    ck_assert_ptr_null(word_on(MID));
    must_be_exact(MID);
    must_be_whole(RARE);
    throttle_values((BASE + (1u << 17)) << VT_REC_TYPE_BITS, 10000);
    end();
}
END_TEST

/* Names are told once, so that no throttling helps; but they are paid for. */
START_TEST(test_governor_names_do_not_throttle) {
    begin(&monitoring, 1000);
    call(HOT, 10000);
    agent.naming += 5 * MS;
    costs(5 * MS);
    for (uint64_t until = now + 20 * MS; now < until;) call(HOT, 10000);
    ck_assert_ptr_null(word_on(HOT));
    ck_assert_int_gt(account.debt, 3 * (int64_t)MS);
    for (uint64_t until = now + 200 * MS; now < until;) call(HOT, 10000);
    ck_assert_int_lt(account.debt, 0);
    /* nor one long text */
    event(RARE, true);
    throttle_values((BASE + RARE) << VT_REC_TYPE_BITS, MS);
    costs(MS);
    event(RARE, false);
    for (uint64_t until = now + 1000 * MS; now < until;) call(HOT, 10000);
    must_be_exact(HOT);
    ck_assert_ptr_null(word_on(HOT));
    int64_t debt = account.debt;
    /* nor calls of other code objects */
    account.others += 1000000;
    costs(1000000 * COST_SKIP);
    for (uint64_t until = now + 20 * MS; now < until;) call(HOT, 10000);
    ck_assert_int_gt(account.debt, debt + 30 * (int64_t)MS);
    for (uint64_t until = now + 9000 * MS; now < until;) call(HOT, 10000); /* no more is saved than for a second */
    ck_assert_int_eq(account.debt, -account_allowed(1000 * MS));
    end();
}
END_TEST

/* No function is hot, and they are many. */
START_TEST(test_governor_throttles_many_equal_functions) {
    begin(&monitoring, 500);
    uint64_t from = now;
    for (uint64_t until = now + 2000 * MS; now < until;)
        for (uint32_t i = 0; i < 4000; i++) call(i, 200);
    ck_assert_uint_lt(spent, (now - from - spent) / 20);
    word_on(0);
    ck_assert_uint_eq(ntold, 4000);
    for (uint32_t i = 0; i < 4000; i++) must_be_whole(i);
    uint64_t before = looks; /* one has a price for each function: not each second */
    for (uint64_t until = now + 11000 * MS; now < until;)
        for (uint32_t i = 0; i < 4000; i++) call(i, 2000); /* the daemon wakes us */
    ck_assert_uint_ge(looks - before, 2);
    ck_assert_uint_le(looks - before, 3);
    before = looks;
    for (uint64_t until = now + 11000 * MS, n = 0; now < until; n++) { /* events of another do */
        for (uint32_t i = 0; i < 4000; i++) call(i, 2000);
        for (uint32_t i = 0; i < 64; i++) call(4000 + (uint32_t)(n * 64 + i) % 4000, 2000);
    }
    ck_assert_uint_ge(looks - before, 1);
    ck_assert_uint_le(looks - before, 3);
    end();

    begin(&monitoring, 500); /* more than can be throttled */
    for (int times = 0; times < 50; times++)
        for (uint32_t i = 0; i < FUNCTIONS; i++) call(i, 50);
    word_on(0);
    ck_assert_uint_eq(ntold, THROTTLED_MAX);
    for (uint32_t i = 0; i < FUNCTIONS; i++) must_be_whole(i);
    end();
}
END_TEST

/* What is far too dear is off after the first millisecond, and the next period is short; the first look comes soon. */
START_TEST(test_governor_throttles_at_once) {
    begin(&monitoring, 500);
    hot_loop(MS + MS / 10);
    ck_assert(word_on(HOT)->flags & word_on(HOT_C)->flags & VT_THROTTLED_OFF);
    ck_assert_uint_le(account.tick_at, now + 2 * MS);
    hot_loop(200 * MS);
    ck_assert_uint_eq(looks, 0);
    const struct vt_pl_throttled *word = word_on(HOT); /* the first moment is what is known */
    must_estimate(HOT, word);
    hot_loop(100 * MS);
    ck_assert_uint_eq(looks, 1);
    end();
}
END_TEST

/* A daemon that is late, or early. */
START_TEST(test_governor_looks_when_due) {
    begin(&monitoring, 500);
    hot_loop(100 * MS);
    uint64_t due = ctl.wake_cpu_ns, before = looks;
    ck_assert_uint_gt(due, cpu);
    governor_wake();
    ck_assert_uint_eq(looks, before);
    ck_assert_uint_eq(ctl.wake_cpu_ns, due);
    cpu = due;
    governor_wake();
    ck_assert_uint_eq(looks, before + 1);
    ck_assert_uint_ge(ctl.wake_cpu_ns, cpu + 1250 * MS); /* a little more CPU time than until a look begins by itself */
    /* such a look begins with its first event, and sees 16 calls, however long they take, and a millisecond */
    uint64_t seen = word_on(HOT)->counted;
    for (int i = 0; i < 100; i++) call(HOT, MS);
    ck_assert_uint_eq(word_on(HOT)->counted, seen + 17);
    seen = word_on(HOT_C)->counted;
    for (int i = 0; i < 100; i++) call(HOT_C, 10 * MS);
    ck_assert_uint_eq(word_on(HOT_C)->counted, seen + 16);
    end();

    begin(&monitoring, 500); /* none are wanted */
    agent.rearm_ticks = 0;
    hot_loop(100 * MS);
    ck_assert(word_on(HOT)->flags & VT_THROTTLED_OFF);
    ck_assert_uint_eq(ctl.wake_cpu_ns, 0);
    end();
}
END_TEST

/* It is said twice a second. */
START_TEST(test_governor_tells_in_time) {
    begin(&monitoring, 500);
    hot_loop(450 * MS);
    ck_assert_uint_eq(ntold, 0);
    while (now < 5400 * MS) call(RARE, MS);
    for (int times = 0; times < 3; times++) {
        for (uint64_t until = now + 200 * MS; now < until;) call(RARE, MS);
        ck_assert_uint_eq(ntold, 2);
        memset(told, 0, sizeof told);
        ntold = 0;
        for (uint64_t until = now + 250 * MS; now < until;) call(RARE, MS);
        ck_assert_uint_eq(ntold, 0);
        for (uint64_t until = now + 50 * MS; now < until;) call(RARE, MS);
    }
    end();
}
END_TEST

/* ---- below 3.12 ---- */

/* As a callback of the profile function, see agent/hooks/detail.c; of the frame evaluation function where that is in use. */
static bool window_call_event(bool enter) {
    bool recorded;
    if (!hooks_in) return false;
    if (agent.hooks == &evaluation) {
        recorded = governor_whole();
    } else {
        window_event(&threads, enter);
        account.events++;
        governor_looks();
        recorded = !account.off;
    }
    costs((uint64_t)account.cost_event);
    functions[HOT].recorded += recorded;
    return recorded;
}

static void window_loop(uint64_t for_ns) {
    for (uint64_t until = now + for_ns; now < until;) {
        functions[HOT].calls++;
        window_call_event(true);
        run(500);
        window_call_event(false);
        if (ctl.wake_cpu_ns && cpu >= ctl.wake_cpu_ns) governor_wake();
    }
}

START_TEST(test_governor_windows_pay_for_themselves) {
    static const struct hook_ops *const kinds[] = {&profile, &evaluation};
    for (size_t k = 0; k < 2; k++) {
        begin(kinds[k], 200);
        uint64_t from = now;
        window_loop(8000 * MS);
        uint64_t own = now - from - spent;
        ck_assert_uint_lt(spent, own / 50);
        ck_assert_uint_gt(spent, own / 200); /* not all of it is used, and nearly half is kept for what is not seen */
        ck_assert_uint_eq(ctl.windows, pauses);
        ck_assert(ctl.windows >= 5 && ctl.windows <= 12);
        ck_assert_uint_eq(told_windows, hooks_in ? ctl.windows : ctl.windows - 1);
        ck_assert_uint_eq(window_told.head.nframes, kinds[k] == &profile ? FRAMES - 1 : 0);
        must_be_near(ctl.off_ticks + (ctl.off_since ? now - ctl.off_since : 0), own, "out for");
        must_be_near(account_bare(now), own, "own time");
        end();
        ck_assert(!ctl.off_since && !ctl.wake_cpu_ns);
    }
    begin(&profile, 10000 * 100);
    window_loop(100 * MS);
    ck_assert_uint_eq(functions[HOT].recorded, 2 * functions[HOT].calls);
    ck_assert(!ctl.windows && !told_windows && !pauses);
    end();
}
END_TEST

static void go_out(void) {
    while (!account.off) window_call_event(true);
    ck_assert(!hooks_in && ctl.off_since && governor_is_off());
}

/* Not before it is paid for; then for some time, as there are savings. */
START_TEST(test_governor_hooks_come_back) {
    begin(&profile, 200);
    go_out();
    uint64_t due = ctl.wake_cpu_ns, since = ctl.off_since;
    ck_assert_uint_gt(due, cpu + 800 * MS); /* the debt is paid first */
    ck_assert(!governor_whole());
    run(due - cpu - MS);
    governor_wake();
    ck_assert(!hooks_in && ctl.off_since == since && ctl.windows == 1);
    must_be_near(ctl.wake_cpu_ns - cpu, MS, "still to be waited");
    run(MS + 1000);
    governor_wake();
    ck_assert(hooks_in && !governor_is_off() && !ctl.off_since && !ctl.wake_cpu_ns);
    ck_assert_uint_eq(ctl.off_ticks, now - since);
    ck_assert_int_lt(account.debt, -10 * (int64_t)MS);
    governor_wake(); /* it is in */
    ck_assert(hooks_in && ctl.windows == 1);
    uint64_t before = now;
    go_out();
    ck_assert_uint_gt(now - before, 10 * MS);
    ck_assert_uint_eq(ctl.windows, 2);
    now += 1000 * MS; /* time without CPU time pays nothing */
    governor_wake();
    ck_assert(!hooks_in);
    end();
    ck_assert(!ctl.off_since && !ctl.wake_cpu_ns);
    ck_assert_uint_gt(ctl.off_ticks, 1000 * MS);
}
END_TEST

/* What is open in a thread is told before its first event, and what that enters is not yet open. */
START_TEST(test_governor_open_frames_are_told_first) {
    begin(&profile, 200);
    window_event(&ctl, true);
    ck_assert_uint_eq(told_windows, 0);
    go_out();
    run(ctl.wake_cpu_ns - cpu);
    governor_wake();
    ck_assert(hooks_in);
    static const struct {
        void *frame;
        bool enter;
        uint32_t frames;
    } events[] = {{&ctl, true, FRAMES - 1}, {&ctl, false, FRAMES}, {NULL, true, FRAMES}, {NULL, false, FRAMES}};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        this_thread->window = 1;
        told_windows = 0;
        payloads_refused = 1;
        for (int times = 0; times < 3; times++) window_event(events[i].frame, events[i].enter);
        ck_assert_uint_eq(told_windows, 1);
        ck_assert_uint_eq(window_told.head.nframes, events[i].frames);
        for (uint32_t n = 0; n < events[i].frames; n++) ck_assert_uint_eq(window_told.ids[n], BASE + n);
    }
    this_thread = &threads[1]; /* new since then */
    window_event(&ctl, false);
    ck_assert_uint_eq(told_windows, 2);
    window_event(&ctl, false);
    ck_assert_uint_eq(told_windows, 2);
    this_thread = &threads[0];
    window_event(&ctl, false);
    ck_assert_uint_eq(told_windows, 2);
    this_thread->window = 1;
    ctl.enabled = 0;
    window_event(&ctl, false); /* it is over: nothing is told */
    ck_assert_uint_eq(told_windows, 2);
    ck_assert_uint_eq(left_why, VT_WHY_STOP);
}
END_TEST

/* Whoever is sent in leaves, where that is due; and does nothing where there is nothing to do. */
START_TEST(test_governor_wake_ends_where_due) {
    for (int what = 0; what < 5; what++) {
        begin(&profile, 200);
        go_out();
        run(ctl.wake_cpu_ns - cpu);
        struct family *family = agent.family;
        struct family child = {.live = 0};
        if (what == 0) ctl.enabled = 0;
        if (what == 1) ctl.lease = now;
        if (what == 2) agent.state = AGENT_INERT;
        if (what == 3) agent.governed = false;
        if (what == 4) agent.family = &child;
        governor_wake();
        ck_assert(!hooks_in);
        ck_assert_uint_eq(left_why, what == 0 ? VT_WHY_STOP : what == 1 ? VT_WHY_LEASE : 0);
        agent.family = family;
        agent.governed = true;
        governor_stop();
    }
    begin(&monitoring, 200);
    ctl.enabled = 0;
    governor_wake();
    ck_assert_uint_eq(left_why, VT_WHY_STOP);
    begin(&profile, 200); /* the hooks are in: they see for themselves */
    ctl.enabled = 0;
    governor_wake();
    ck_assert_uint_eq(left_why, 0);
    end();
}
END_TEST

/* ---- the CPU time as the daemon tells it ---- */

static int no_clock(int which, int64_t *time) {
    ck_assert_int_eq(which, 1); /* a seccomp filter may kill for the other one */
    return clock_of_ours(which, time);
}

static void begin_told(const struct hook_ops *hooks) {
    static uint32_t sessions;
    begin(hooks, 200);
    agent.flags = VT_F_CPU_TOLD;
    agent.session = ++sessions;
    py.clock_gettime = no_clock;
}

/* The daemon tells what it has seen. */
static void tell(uint64_t ns) { ctl.cpu_seq += 2, ctl.cpu_ns = ns, ctl.cpu_at = now; }

/* The program runs `on` of each `on` + `off` ns, and an event comes each `every` ns of that. The daemon looks each `look` ns, and
 * sees what the kernel has booked: up to the last scheduler tick, or to where the program stopped. */
static void must_follow(const char *what, uint64_t on, uint64_t off, uint64_t every, uint64_t look, double most_off) {
    const uint64_t tick = 4 * MS, ends = 3000 * MS, settles = 500 * MS;
    begin_told(&monitoring);
    uint64_t start = now, real = cpu, booked = cpu, looked = now, known = 0, known_real = 0, before = 0;
    tell(real);
    for (bool first = true; now < start + ends; first = false) {
        bool runs = !off || (now - start) % (on + off) < on;
        uint64_t step = runs ? every : off;
        now += step;
        if (runs) real += step;
        if (!runs || now / tick != (now - step) / tick) booked = real;
        if (now >= looked + look) {
            looked = now;
            tell(booked);
        }
        if (!runs) continue;
        cpu_time_passes(now);
        uint64_t told_ns = process_cpu_ns();
        ck_assert_msg(first || told_ns >= before, "%s: it goes back", what);
        before = told_ns;
        if (!known && now > start + settles) {
            known = told_ns;
            known_real = real;
        }
    }
    double ratio = (double)(before - known) / (double)(real - known_real);
    ck_assert_msg(ratio > 1 - most_off && ratio < 1 + most_off, "%s: %.3f of the truth", what, ratio);
    uint64_t gap = before > real ? before - real : real - before;
    ck_assert_msg(gap < 60 * MS, "%s: %lu us from the truth", what, (unsigned long)(gap / 1000));
    governor_stop();
}

START_TEST(test_governor_cpu_time_follows_the_daemon) {
    must_follow("alone", 100 * MS, 0, 10000, 4 * MS, 0.03);
    must_follow("one of eight", 4 * MS, 28 * MS, 10000, 6 * MS, 0.08);
    must_follow("one of three", 3 * MS, 6 * MS, 10000, 4 * MS, 0.08);
    must_follow("requests", 2 * MS, 18 * MS, 50000, 20 * MS, 0.08);
    must_follow("long C calls", 100 * MS, 0, 5 * MS, 4 * MS, 0.05);
    must_follow("long C calls, one of two", 20 * MS, 20 * MS, 5 * MS, 4 * MS, 0.12);
    must_follow("short waits", MS / 10, MS / 10, MS / 20, 4 * MS, 0.08);
    must_follow("a daemon that is late", 100 * MS, 0, 10000, 150 * MS, 0.03);
}
END_TEST

/* Before the first figure, and while one is being written, no system call is made either. */
START_TEST(test_governor_cpu_time_is_never_asked_for) {
    begin_told(&profile);
    static const uint32_t sequences[] = {0, 1, 3, UINT32_MAX};
    uint64_t before = process_cpu_ns();
    for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
        ctl.cpu_seq = sequences[i];
        ctl.cpu_ns = 1000000 * MS;
        ctl.cpu_at = now;
        now += 5 * MS;
        ck_assert_uint_ge(process_cpu_ns(), before);
        ck_assert_uint_le(process_cpu_ns(), before + 5 * MS * (i + 1));
    }
    ctl.cpu_seq = 4;
    ck_assert_uint_ge(process_cpu_ns(), 1000000 * MS);
    governor_stop();
}
END_TEST

/* What is said of calls that were not seen, with the CPU time that the daemon tells: from the last scheduler tick, each `look`
 * ns. The program gets `on` of each `on` + `off` ns. */
static void must_estimate_told(const char *what, uint64_t on, uint64_t off, uint64_t look, uint64_t held, bool at_least) {
    begin_told(&monitoring);
    governor_stop();
    agent.governed = true;
    held_ns = held;
    tell(cpu);
    governor_start();
    uint64_t looked = now, stops = cpu + on, booked = cpu;
    for (uint64_t until = now + 8000 * MS; now < until;) {
        uint64_t tick = now / (4 * MS);
        call(HOT, 600);
        if (off && cpu >= stops) stops = cpu + on, now += off;
        if (now / (4 * MS) != tick) booked = cpu;
        if (now >= looked + look) tell(booked), looked = now;
    }
    const struct vt_pl_throttled *word = word_on(HOT);
    const struct function *f = &functions[HOT];
    ck_assert_msg(word && word->flags & VT_THROTTLED_OFF, "%s: nothing is switched off", what);
    uint64_t all = f->recorded + word->counted + word->estimated;
    bool said = word->flags & VT_THROTTLED_AT_LEAST;
    ck_assert_msg(said == at_least, "%s: %s", what, said ? "at least" : "about");
    ck_assert_msg(all <= f->calls + f->calls * (said ? 5 : 15) / 100 && (said || all >= f->calls - f->calls * 15 / 100),
                  "%s: %llu of %llu calls", what, (unsigned long long)all, (unsigned long long)f->calls);
    held_ns = 0;
    end();
}

START_TEST(test_governor_estimates_with_told_cpu_time_hold) {
    must_estimate_told("alone", MS, 0, 4 * MS, 0, false);
    must_estimate_told("alone, a daemon that is late", MS, 0, 150 * MS, 0, false);
    must_estimate_told("alone, threads are held", MS, 0, 4 * MS, 3 * MS, false);
    must_estimate_told("one of eight", 3 * MS, 21 * MS, 6 * MS, 0, true);
    must_estimate_told("one of eight, a daemon that is late", 3 * MS, 21 * MS, 150 * MS, 20 * MS, true);
    must_estimate_told("short waits", MS / 4, MS / 4, 4 * MS, 0, true);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("agent_governor");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_governor_cpu_time_follows_the_daemon);
    tcase_add_test(tc, test_governor_cpu_time_is_never_asked_for);
    tcase_add_test(tc, test_governor_estimates_with_told_cpu_time_hold);
    tcase_add_test(tc, test_governor_below_the_limit_changes_nothing);
    tcase_add_test(tc, test_governor_keeps_the_limit);
    tcase_add_test(tc, test_governor_counts_calls_of_throttled_functions);
    tcase_add_test(tc, test_governor_switches_off_what_counting_cannot_pay);
    tcase_add_test(tc, test_governor_recursion_is_kept_whole);
    tcase_add_test(tc, test_governor_sessions_start_afresh);
    tcase_add_test(tc, test_governor_limit_is_a_share_of_cpu_time);
    tcase_add_test(tc, test_governor_pays_for_values);
    tcase_add_test(tc, test_governor_names_do_not_throttle);
    tcase_add_test(tc, test_governor_throttles_many_equal_functions);
    tcase_add_test(tc, test_governor_throttles_at_once);
    tcase_add_test(tc, test_governor_looks_when_due);
    tcase_add_test(tc, test_governor_tells_in_time);
    tcase_add_test(tc, test_governor_windows_pay_for_themselves);
    tcase_add_test(tc, test_governor_hooks_come_back);
    tcase_add_test(tc, test_governor_open_frames_are_told_first);
    tcase_add_test(tc, test_governor_wake_ends_where_due);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
