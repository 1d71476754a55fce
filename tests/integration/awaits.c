/* Tasks of asyncio: a service with known waits (tests/targets/awaits.py) gets exactly these back, with what it waited for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/format/format.h"
#include "cli/profile/tasks.h"
#include "proto/base.h"
#include "tests/lib/suite.h"

enum { TURNS = 6, MS = 1000000 };

/* The waits of the tasks, and from which Python on. */
static const struct wait {
    const char *task;
    int minor;
    enum await_kind kind;
    const char *in; /* the coroutine that is named; NULL = what the kind says is enough */
} waits[] = {
    {"timer", 8, AWAIT_TIMER, "sleep"},       {"task", 8, AWAIT_TASK, "task"},        {"gather", 8, AWAIT_TASKS, "gather"},
    {"wait_for", 8, AWAIT_TASKS, "wait_for"}, {"wait_for", 12, AWAIT_TIMER, "sleep"}, {"lock", 8, AWAIT_LOCK, NULL},
    {"event", 8, AWAIT_EVENT, NULL},          {"queue", 8, AWAIT_QUEUE, NULL},        {"executor", 8, AWAIT_OTHER, "executor"},
    {"stream", 8, AWAIT_SOCKET, NULL},        {"generator", 8, AWAIT_TIMER, "sleep"}, {"cancelled", 8, AWAIT_TIMER, "sleep"},
};

static const struct wait *wait_of(const char *task, int minor) {
    const struct wait *found = NULL;
    for (size_t i = 0; i < VT_ARRAY_LEN(waits); i++)
        if (!strcmp(waits[i].task, task) && waits[i].minor <= minor) found = &waits[i];
    return found;
}

/* The clock's readings that the target has printed. */
static uint64_t told_ns(const struct target *t, const char *task, const char *who) {
    char line[64];
    snprintf(line, sizeof line, "\n%s ", task);
    const char *at = strstr(t->text, line);
    ck_assert_msg(at != NULL, "%s: the target says nothing of %s", who, task);
    return strtoull(at + strlen(line), NULL, 10);
}

static const struct tasks_task *find(const struct tasks_profile *p, const char *name, const char *who) {
    for (uint32_t i = 0; i < p->ntasks; i++)
        if (p->tasks[i].task->name_len == strlen(name) && !memcmp(p->tasks[i].task->name, name, strlen(name)))
            return &p->tasks[i];
    ck_abort_msg("%s: no task %s among %u", who, name, p->ntasks);
}

/* The wait of that kind, in nanoseconds. */
static uint64_t waited(const struct tasks_task *t, const struct wait *wait, const char *who) {
    char seen[1024] = "";
    for (uint32_t i = 0; i < t->nwaits; i++) {
        const struct tasks_wait *w = &t->waits[i];
        size_t len = wait->in ? strlen(wait->in) : 0;
        bool named = !len || (w->in->name_len == len && !memcmp(w->in->name, wait->in, len));
        if (w->kind == wait->kind && named) return w->ns;
        snprintf(seen + strlen(seen), sizeof seen - strlen(seen), " %s in %.*s", await_words[w->kind], (int)w->in->name_len,
                 w->in->name);
    }
    ck_abort_msg("%s: %.*s of %lu ns has no wait for %s, but%s", who, (int)t->task->name_len, t->task->name,
                 (unsigned long)(t->end_ns - t->start_ns), await_words[wait->kind], seen);
}

static const struct trace_task *awaited_by(const struct tasks_task *t) {
    const struct trace_task *awaited = NULL;
    for (uint32_t i = 0; i < t->nwaits; i++)
        if (t->waits[i].kind == AWAIT_TASK) awaited = t->waits[i].awaited;
    return awaited;
}

/* What the trace tells is inside what the target measured. The rest is the code between the clock and the yield: a machine with
 * other work may interrupt that in some turns, not in all of them. */
static void must_be_told(const struct target *t, const struct tasks_profile *p, const struct wait *wait, const char *who) {
    uint64_t least = UINT64_MAX;
    for (int turn = 0; turn < TURNS; turn++) {
        char name[32];
        snprintf(name, sizeof name, "%s-%d", wait->task, turn);
        uint64_t truth = told_ns(t, name, who);
        const struct tasks_task *task = find(p, name, who);
        uint64_t ns = waited(task, wait, who), wall = task->end_ns - task->start_ns;
        ck_assert_msg(ns <= truth + MS, "%s: %s waited %lu ns, not %lu", who, name, (unsigned long)ns, (unsigned long)truth);
        ck_assert_msg(task->wait_ns >= ns && wall >= task->wait_ns, "%s: %s waited %lu of %lu ns", who, name,
                      (unsigned long)task->wait_ns, (unsigned long)wall);
        ck_assert_msg(!task->open && task->function, "%s: %s has not ended", who, name);
        if (wait->kind == AWAIT_TASK) {
            char helper[48];
            const struct trace_task *awaited = awaited_by(task);
            snprintf(helper, sizeof helper, "helper of %s", name);
            ck_assert_msg(awaited && awaited->name_len == strlen(helper) && !memcmp(awaited->name, helper, strlen(helper)),
                          "%s: %s awaits %.*s", who, name, awaited ? (int)awaited->name_len : 0, awaited ? awaited->name : "");
        }
        if (truth > ns && truth - ns < least) least = truth - ns;
        if (truth <= ns) least = 0;
    }
    ck_assert_msg(least <= MS, "%s: of %s at least %lu ns are missing", who, wait->task, (unsigned long)least);
}

/* A coroutine's call lasts from its first step to its return, however often it was suspended. */
static void must_add_up(const struct tasks_profile *p, const char *who) {
    unsigned seen = 0;
    for (uint32_t i = 0; i < p->nfunctions; i++) {
        const struct tasks_function *f = &p->functions[i];
        uint64_t sum = 0;
        for (uint32_t k = 0; k < f->nwaits; k++) sum += f->waits[k].ns;
        ck_assert_msg(f->wall_ns == f->running_ns + f->wait_ns && sum == f->wait_ns, "%s: %.*s does not add up", who,
                      (int)f->name->name_len, f->name->name);
        if (f->name->name_len != 6 || memcmp(f->name->name, "helper", 6)) continue;
        seen++;
        ck_assert_msg(f->calls == 4 * TURNS, "%s: %lu calls of helper", who, (unsigned long)f->calls);
        ck_assert_msg(f->wait_ns >= 4ull * TURNS * 9 * MS, "%s: helper waited %lu ns", who, (unsigned long)f->wait_ns);
    }
    ck_assert_msg(seen == 1, "%s: helper is there %u times", who, seen);
}

START_TEST(test_awaits_are_what_the_service_measured) {
    const struct interp *ip = suite_interp(_i);
    const char *out = temp_path(".vzt");
    struct target t;
    struct trace_source *source;
    struct tasks_profile *p;
    struct vt_err err = {0};
    char who[64];
    snprintf(who, sizeof who, "awaits on %s", ip->version);
    ck_assert_int_eq(target_spawn(&t, ip, "awaits.py", NULL, NULL), 0);
    must_trace_round(&t, 1, "--log_async", out, NULL, who);
    ck_assert_msg(!target_expect(&t, "told", 10000), "%s: the target tells nothing", who);
    ck_assert_msg(!trace_source_open(out, &source, &err), "%s: %s", who, err.msg);
    ck_assert_msg(!tasks_profile_make(source, NULL, &p, &err), "%s: %s", who, err.msg);
    for (size_t i = 0; i < VT_ARRAY_LEN(waits); i++)
        if (wait_of(waits[i].task, ip->minor) == &waits[i]) must_be_told(&t, p, &waits[i], who);
    must_add_up(p, who);
    tasks_profile_free(p);
    trace_source_close(source);
    unlink(out);
    target_kill(&t);
}
END_TEST

int main(void) {
    Suite *s = suite_create("awaits");
    suite_add(s, "known-waits", test_awaits_are_what_the_service_measured, 120);
    return suite_main(s);
}
