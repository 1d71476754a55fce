/* The examples run, can be attached to, and show what they say that there is to see. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base.h"
#include "tests/lib/suite.h"

static const struct {
    const char *file, *option, *second; /* second: word before another pid to attach to */
    const char *shows[4];
} rows[] = {
    {"threads.py", "", NULL, {"resize", "mix", "pack", "zlib.compress"}},
    {"blocking.py", "--log_async", NULL, {"read_price_list", "handle_order", "look_up", "serve"}},
    {"pool.py", "", "workers ", {"Pool._handle_tasks", "_ForkingPickler.dumps|ForkingPickler.dumps", "posix.write", NULL}},
};

static void attach(pid_t pid, int row, const char *const *shows, size_t n) {
    struct tool t;
    struct trace trace;
    const char *out = temp_path(".json");
    tool_runf(&t, "--attach %d -t 1.2 %s -o %s", (int)pid, rows[row].option, out);
    must_exit(&t, 0, rows[row].file);
    must_load(&trace, out, rows[row].file);
    for (size_t i = 0; i < n && shows[i]; i++) {
        char any[128], *save = NULL;
        size_t found = 0;
        snprintf(any, sizeof any, "%s", shows[i]);
        for (char *name = strtok_r(any, "|", &save); name; name = strtok_r(NULL, "|", &save))
            found += trace_count(&trace, name, 0);
        ck_assert_msg(found > 0, "%s: no %s in %zu events", rows[row].file, shows[i], trace.n);
    }
    trace_free(&trace);
    unlink(out);
}

START_TEST(test_example) {
    static const char *const worker[] = {"count_words"};
    struct tool t;
    char path[128];
    const char *args[] = {path, NULL};
    snprintf(path, sizeof path, "examples/%s", rows[_i].file);
    tool_start(&t, args, &(struct tool_opts){.program = "/usr/bin/python3"});
    ck_assert_msg(tool_expect(&t, "pid ", 30000) == 0 && tool_expect(&t, "\n", 30000) == 0, "%s: %s", path, t.err);
    sleep(1); /* past its imports */
    attach(atoi(strstr(t.out, "pid ") + 4), _i, rows[_i].shows, VT_ARRAY_LEN(rows[_i].shows));
    if (rows[_i].second) attach(atoi(strstr(t.out, rows[_i].second) + strlen(rows[_i].second)), _i, worker, 1);
    tool_kill(&t);
}
END_TEST

int main(void) {
    Suite *s = suite_create("examples");
    TCase *tests = tcase_create("examples");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, test_example, 0, (int)VT_ARRAY_LEN(rows));
    suite_add_tcase(s, tests);
    return suite_main(s);
}
