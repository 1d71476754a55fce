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
    const char *bottleneck; /* the first function of the report */
} rows[] = {
    {"threads.py", "", NULL, {"resize", "mix", "pack", "zlib.compress"}, "resize|mix"},
    {"blocking.py", "--log_async", NULL, {"read_price_list", "handle_order", "look_up", "serve"}, "time.sleep < read_price_list"},
    {"pool.py",
     "",
     "workers ",
     {"Pool._handle_tasks", "_ForkingPickler.dumps|ForkingPickler.dumps", "posix.write", NULL},
     "posix.write|_pickle.Pickler.dump"},
};

/* The name in the first row of the first table after that time of tracing. */
static const char *first_row(struct tool *t, pid_t pid, const char *seconds, const char *who) {
    const char *out = temp_path(".vzt");
    static struct tool cpu;
    tool_runf(t, "--attach %d -t %s -o %s", (int)pid, seconds, out);
    must_exit(t, 0, who);
    tool_runf(t, "report %s --limit 1 --slowest 0", out);
    must_exit(t, 0, who);
    tool_runf(&cpu, "report %s --json --limit 1 --slowest 0", out);
    must_exit(&cpu, 0, who);
    unlink(out);
    ck_assert_msg(strstr(cpu.out, "\"cpu_exact\":true"), "%s: no CPU times in %s", who, cpu.out);
    const char *head = strstr(t->out, "  function\n"), *row = head ? strchr(head, '\n') + 1 : NULL;
    ck_assert_msg(row != NULL, "%s: no table in %s", who, t->out);
    for (int figures = 0; figures < 8; figures++) { /* "1.234 s", "12.3", "1,234" ... */
        row += strspn(row, " ");
        row += strcspn(row, " ");
        static const char *const units[] = {" s ", " ms ", " us ", " ns "};
        for (size_t i = 0; i < VT_ARRAY_LEN(units); i++)
            if (!strncmp(row, units[i], strlen(units[i]))) row += strlen(units[i]) - 1;
    }
    return row + strspn(row, " ");
}

static bool begins(const char *row, const char *names) {
    char any[128], *save = NULL;
    bool found = false;
    snprintf(any, sizeof any, "%s", names);
    for (char *name = strtok_r(any, "|", &save); name; name = strtok_r(NULL, "|", &save))
        found |= !strncmp(row, name, strlen(name));
    return found;
}

/* The report's first row is the example's bottleneck. A loaded machine gives a short trace too little of the program's time. */
static void must_lead(pid_t pid, const char *names, const char *who) {
    static const char *const seconds[] = {"1.2", "4", "12"};
    struct tool report;
    const char *row = "";
    for (size_t i = 0; i < VT_ARRAY_LEN(seconds); i++) {
        row = first_row(&report, pid, seconds[i], who);
        if (begins(row, names)) return;
    }
    ck_abort_msg("%s: the first row is not %s but %s", who, names, row);
}

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

START_TEST(test_example_shows_what_it_says) {
    static const char *const worker[] = {"count_words"};
    struct tool t;
    char path[128];
    const char *args[] = {path, NULL};
    snprintf(path, sizeof path, "examples/%s", rows[_i].file);
    tool_start(&t, args, &(struct tool_opts){.program = "/usr/bin/python3"});
    ck_assert_msg(tool_expect(&t, "pid ", 30000) == 0 && tool_expect(&t, "\n", 30000) == 0, "%s: %s", path, t.err);
    sleep(1); /* past its imports */
    attach(atoi(strstr(t.out, "pid ") + 4), _i, rows[_i].shows, VT_ARRAY_LEN(rows[_i].shows));
    must_lead(atoi(strstr(t.out, "pid ") + 4), rows[_i].bottleneck, path);
    if (rows[_i].second) attach(atoi(strstr(t.out, rows[_i].second) + strlen(rows[_i].second)), _i, worker, 1);
    tool_kill(&t);
}
END_TEST

/* tax_rate walks a table in each call; the rest of the threads' time is waiting for requests. */
START_TEST(test_example_shop_shows_its_waits) {
    struct tool shop, load;
    tool_start(&shop, (const char *[]){"examples/shop.py", "serve", NULL}, &(struct tool_opts){.program = "/usr/bin/python3"});
    ck_assert_msg(tool_expect(&shop, "\n", 30000) == 0, "no port: %s", shop.err);
    tool_start(&load, (const char *[]){"examples/shop.py", "load", strtok(shop.out, "\n"), "4", NULL},
               &(struct tool_opts){.program = "/usr/bin/python3"});
    sleep(1);
    must_lead(shop.pid, "tax_rate", "shop.py");
    tool_kill(&load);
    tool_kill(&shop);
}
END_TEST

/* Without -o, more calls than a JSON file takes well become a .vzt; an explicit name is obeyed; stdout gets the trace alone. */
START_TEST(test_example_many_calls_without_a_name_become_a_vzt) {
    struct tool t, tool;
    char dir[] = "/tmp/vt-examples-XXXXXX", path[64];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    tool_start(&t, (const char *[]){"examples/threads.py", NULL}, &(struct tool_opts){.program = "/usr/bin/python3"});
    ck_assert_msg(tool_expect(&t, "\n", 30000) == 0, "%s", t.err);
    tool_runf(&tool, "--attach %d -t 0.2 -o -", (int)t.pid);
    must_exit(&tool, 0, "-o -");
    ck_assert_msg(tool.out[0] == '{' && strstr(tool.err, "Saved to stdout"), "-o -: %.80s %s", tool.out, tool.err);
    tool_runf(&tool, "--attach %d -t 12 --output_dir %s", (int)t.pid, dir);
    must_exit(&tool, 0, "many calls");
    snprintf(path, sizeof path, "%s/result.vzt", dir);
    ck_assert_msg(access(path, F_OK) == 0 && strstr(tool.out, "--budget 500k") && strstr(tool.out, "vizviewer") &&
                      strstr(tool.out, "viztracer report"),
                  "%s", tool.out);
    unlink(path);
    snprintf(path, sizeof path, "%s/result.json", dir);
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_eq(rmdir(dir), 0);
    tool_kill(&t);
}
END_TEST

/* A generator that is resumed often is one call, and has an event in a JSON file for each time. */
START_TEST(test_example_many_pieces_without_a_name_become_a_vzt) {
    static const char *const code = "sum(1 for _ in range(6000000))";
    struct tool tool;
    char dir[] = "/tmp/vt-examples-XXXXXX", path[64];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    tool_run(&tool, (const char *const[]){"--output_dir", dir, "--python", "/usr/bin/python3", "-c", code, NULL});
    must_exit(&tool, 0, code);
    snprintf(path, sizeof path, "%s/result.vzt", dir);
    ck_assert_msg(!access(path, F_OK) && strstr(tool.err, "It is a .vzt because a .json would take about "), "%s", tool.err);
    unlink(path);
    ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("examples");
    TCase *tests = tcase_create("examples");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, test_example_shows_what_it_says, 0, (int)VT_ARRAY_LEN(rows));
    tcase_add_test(tests, test_example_shop_shows_its_waits);
    tcase_add_test(tests, test_example_many_calls_without_a_name_become_a_vzt);
    tcase_add_test(tests, test_example_many_pieces_without_a_name_become_a_vzt);
    suite_add_tcase(s, tests);
    return suite_main(s);
}
