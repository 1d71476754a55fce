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

int main(void) {
    Suite *s = suite_create("dump_objects");
    suite_add(s, "locals", test_locals_are_told_as_their_repr, 60);
    suite_add(s, "busy-locals", test_locals_of_a_busy_thread_are_of_one_moment, 60);
    return suite_main(s);
}
