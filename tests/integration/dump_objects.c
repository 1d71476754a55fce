/* What a dump tells of objects is what the process itself says of them, and no code of the process runs for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_tree.h>

#include "outside/outside.h"
#include "tests/lib/suite.h"

static struct outside *must_open(pid_t pid, const char *who) {
    struct outside *o;
    struct vt_err err = {0};
    ck_assert_msg(!outside_open(&o, pid, &err), "%s: %s", who, err.msg);
    outside_want_values(o);
    return o;
}

static void must_read(struct outside *o, const char *who) {
    struct vt_err err = {0};
    ck_assert_msg(!outside_read(o, &err), "%s: %s", who, err.msg);
}

/* The frame of this function in any thread, or NULL; *of = the thread. */
static const struct outside_frame *frame_of(const struct outside *o, const char *function, const struct outside_thread **of) {
    size_t n;
    const struct outside_thread *threads = outside_threads(o, &n);
    for (size_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < threads[i].nframes; k++) {
            const struct outside_frame *f = &threads[i].frames[k];
            const char *name = f->code ? f->code->name : "", *dot = strrchr(name, '.');
            *of = &threads[i];
            if (!strcmp(dot ? dot + 1 : name, function)) return f;
        }
    return NULL;
}

static const char *value_of(const struct outside_frame *f, const char *name) {
    for (uint32_t i = 0; f && i < f->nvalues; i++)
        if (!strcmp(f->values[i].name, name)) return f->values[i].text;
    return NULL;
}

/* ---- variables ---- */

START_TEST(test_locals_are_told_as_their_repr) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    struct tool tool;
    char who[64], text[sizeof t.text], *save = NULL;
    const struct outside_thread *thread;
    unsigned said = 0;
    snprintf(who, sizeof who, "values on %s", ip->version);
    ck_assert_msg(!target_spawn(&t, ip, "values.py", NULL, NULL), "%s: the target does not start", who);
    struct outside *o = must_open(t.pid, who);
    for (uint64_t end = now_ms() + 10000;;) { /* it has said all just before it is there */
        target_expect(&t, "\f", 20);
        must_read(o, who);
        if (value_of(frame_of(o, "inner", &thread), "mine")) break;
        ck_assert_msg(now_ms() < end, "%s: not there", who);
    }
    const struct outside_frame *work = frame_of(o, "work", &thread), *inner = frame_of(o, "inner", &thread);
    memcpy(text, t.text, sizeof text);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *name = line + strlen("value "), *value = strncmp(line, "value ", 6) ? NULL : strchr(name, ' ');
        if (!value) continue;
        *value++ = 0;
        const char *found = value_of(work, name);
        ck_assert_msg(found && !strcmp(found, value), "%s: %s is %s and is told as %s", who, name, value, found);
        said++;
    }
    ck_assert_msg(said == 53, "%s: %u values are said", who, said);
    ck_assert_msg(!value_of(work, "later"), "%s: a variable without a value is told", who);
    ck_assert_str_eq(value_of(inner, "mine"), "[4711]");
    ck_assert_str_eq(value_of(inner, "used_inside"), "[4711]");
    ck_assert_msg(strlen(value_of(work, "names")) == 255 && vt_ends_with(value_of(work, "names"), "..."), "%s: %s", who,
                  value_of(work, "names"));
    outside_close(o);
    tool_runf(&tool, "dump --locals %d", (int)t.pid);
    must_exit(&tool, 0, who);
    ck_assert_msg(strstr(tool.out, ")\n        mine = [4711]\n"), "%s: %s", who, tool.out);
    tool_runf(&tool, "dump --json --locals %d", (int)t.pid);
    must_exit(&tool, 0, who);
    ck_assert_msg(strstr(tool.out, "\"locals\": {\"mine\": \"[4711]\""), "%s: %s", who, tool.out);
    tool_runf(&tool, "dump --json %d", (int)t.pid);
    ck_assert_msg(!strstr(tool.out, "\"locals\""), "%s: told unasked: %s", who, tool.out);
    target_expect(&t, "harmed", 100);
    ck_assert_msg(!strstr(t.text, "harmed"), "%s: code of the target has run", who);
    target_kill(&t);
}
END_TEST

/* x is y or one more, at any moment. */
START_TEST(test_locals_of_a_busy_thread_are_of_one_moment) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    char who[64];
    unsigned told = 0, wanted = (unsigned)suite_times(100, 5000);
    snprintf(who, sizeof who, "busy values on %s", ip->version);
    ck_assert_msg(!target_spawn(&t, ip, "values.py", (const char *[]){"busy", NULL}, NULL), "%s: does not start", who);
    struct outside *o = must_open(t.pid, who);
    for (uint64_t end = now_ms() + 30000; told < wanted && (!told || now_ms() < end);) {
        const struct outside_thread *thread;
        ck_assert_msg(now_ms() < end, "%s: never told", who);
        must_read(o, who);
        const struct outside_frame *f = frame_of(o, "spin", &thread);
        const char *x = value_of(f, "x"), *y = value_of(f, "y");
        if (!x || !y) continue; /* it has just begun, or has changed all the time */
        long ahead = strtol(x, NULL, 10) - strtol(y, NULL, 10);
        ck_assert_msg(ahead == 0 || ahead == 1, "%s: x = %s, y = %s", who, x, y);
        told++;
    }
    outside_close(o);
    target_kill(&t);
}
END_TEST

/* ---- tasks of asyncio ---- */

static const struct outside_task *task_named(const struct outside *o, const char *name) {
    size_t n;
    bool cut;
    const struct outside_task *tasks = outside_tasks(o, &n, &cut);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(tasks[i].name, name)) return &tasks[i];
    return NULL;
}

/* WAITS and FRAMES as tests/targets/tasks.py says them. */
static void say_task(const struct outside *o, const struct outside_task *task, char *text, size_t size) {
    size_t n, len = 0;
    bool cut;
    const struct outside_task *tasks = outside_tasks(o, &n, &cut);
    for (uint32_t i = 0; i < task->nwaits && len < size; i++)
        len += (size_t)snprintf(text + len, size - len, "%s%s", i ? "," : "", tasks[task->waits[i]].name);
    if (!task->nwaits) len += (size_t)snprintf(text + len, size - len, "%s", task->waits_for);
    for (uint32_t i = 0; i < task->nframes && len < size; i++) {
        const struct outside_frame *f = &task->frames[i];
        len += (size_t)snprintf(text + len, size - len, "\t%s|%u|%s", f->code ? f->code->name : "?", f->line,
                                f->code ? f->code->file : "?");
    }
}

START_TEST(test_async_tells_where_tasks_are_and_what_they_wait_for) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    struct tool tool;
    struct vt_err err = {0};
    char who[64], text[sizeof t.text], found[8192], *save = NULL;
    unsigned said = 0;
    size_t n;
    bool cut;
    snprintf(who, sizeof who, "tasks on %s", ip->version);
    ck_assert_msg(!target_spawn(&t, ip, "tasks.py", NULL, NULL), "%s: the target does not start", who);
    for (uint64_t end = now_ms() + 20000; !strstr(t.text, "\nsaid\n") && now_ms() < end;) target_expect(&t, "\f", 50);
    struct outside *o = must_open(t.pid, who);
    must_read(o, who);
    ck_assert_msg(!outside_read_tasks(o, &err), "%s: %s", who, err.msg);
    outside_tasks(o, &n, &cut);
    memcpy(text, t.text, sizeof text);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *name = line + strlen("task "), *there = strncmp(line, "task ", 5) ? NULL : strchr(name, '\t');
        if (!there) continue;
        *there++ = 0;
        said++;
        const struct outside_task *task = task_named(o, name);
        ck_assert_msg(task != NULL, "%s: %s is not found among %zu", who, name, n);
        if (!strcmp(name, "main")) {
            ck_assert_msg(task->runs && task->tid == t.pid && task->nframes == 2, "%s: main, %u frames", who, task->nframes);
            continue;
        }
        say_task(o, task, found, sizeof found);
        ck_assert_msg(!task->runs && !task->changed && !strcmp(found, there), "%s: %s says\n%s\nand is read as\n%s", who, name,
                      there, found);
    }
    ck_assert_msg(said == 6 && n == 6 && !cut, "%s: %u tasks are said, %zu are found", who, said, n);
    ck_assert(!task_named(o, "gathers")->is_awaited && task_named(o, "deep")->is_awaited);
    outside_close(o);
    tool_runf(&tool, "dump --async %d", (int)t.pid);
    must_exit(&tool, 0, who);
    ck_assert_msg(strstr(tool.out, "\n6 tasks of asyncio:\n") && strstr(tool.out, "\n  gathers waits for 2 tasks\n") &&
                      strstr(tool.out, "\n    loops waits for a Future\n"),
                  "%s: %s", who, tool.out);
    tool_runf(&tool, "dump --async --json %d", (int)t.pid);
    must_exit(&tool, 0, who);
    char why[256];
    yajl_val v = yajl_tree_parse(tool.out, why, sizeof why);
    ck_assert_msg(v && strstr(tool.out, "\"name\": \"wants-deep\", \"runs\": false, \"waits_for\": \"Own\""), "%s: %s", who,
                  tool.out);
    yajl_tree_free(v);
    target_kill(&t);
}
END_TEST

/* A loop at full speed: whatever is told of its tasks is in the program. */
START_TEST(test_async_of_a_busy_loop_is_bounded) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    struct vt_err err = {0};
    char who[64];
    size_t n, most = 0;
    bool cut;
    snprintf(who, sizeof who, "busy tasks on %s", ip->version);
    ck_assert_msg(!target_spawn(&t, ip, "aio.py", NULL, NULL), "%s: the target does not start", who);
    struct outside *o = must_open(t.pid, who);
    for (unsigned i = 0; i < 20; i++) {
        must_read(o, who);
        ck_assert_msg(!outside_read_tasks(o, &err), "%s: %s", who, err.msg);
        const struct outside_task *tasks = outside_tasks(o, &n, &cut);
        for (size_t k = 0; k < n; k++)
            for (uint32_t w = 0; w < tasks[k].nwaits; w++) ck_assert_uint_lt(tasks[k].waits[w], n);
        if (n > most) most = n;
    }
    ck_assert_msg(most > 8, "%s: %zu tasks", who, most);
    ck_assert_msg(!target_progresses(&t, 1, 20000), "%s: the target does not run on", who);
    outside_close(o);
    target_kill(&t);
}
END_TEST

int main(void) {
    Suite *s = suite_create("dump_objects");
    suite_add(s, "locals", test_locals_are_told_as_their_repr, 60);
    suite_add(s, "busy-locals", test_locals_of_a_busy_thread_are_of_one_moment, 60);
    suite_add(s, "tasks", test_async_tells_where_tasks_are_and_what_they_wait_for, 60);
    suite_add(s, "busy-tasks", test_async_of_a_busy_loop_is_bounded, 60);
    return suite_main(s);
}
