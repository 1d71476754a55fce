/* `viztracer sample`: the shares of functions are those that the program makes, each format is written, threads that wait are
 * counted only when they are wanted, and what ends early is saved. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/suite.h"

/* The weight of the stacks of a .folded file that end in, or have, this function. */
static double weight(const char *path, const char *function, bool anywhere) {
    char line[8192], call[64];
    double sum = 0;
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "no %s", path);
    snprintf(call, sizeof call, function[0] == '[' ? "%s" : "%s (", function);
    while (fgets(line, sizeof line, f)) {
        char *space = strrchr(line, ' '), *last = strrchr(line, ';');
        last = last ? last + 1 : line;
        if (space && (!function[0] || !strncmp(last, call, strlen(call)) || (anywhere && strstr(line, call))))
            sum += strtod(space, NULL);
    }
    fclose(f);
    return sum;
}

START_TEST(test_sample_finds_the_shares_of_functions) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    struct tool tool;
    const char *out = temp_path(".folded");
    char who[64];
    snprintf(who, sizeof who, "shares on %s", ip->version);
    ck_assert_int_eq(target_spawn(&t, ip, "shares.py", NULL, NULL), 0);
    /* Where other programs take most of the processor, the target has few turns in 2 s, and each counts for long. */
    double much = 0, little = 0, all = 0;
    bool right = false;
    for (int seconds = 2; !right && seconds <= 18; seconds *= 3) {
        tool_runf(&tool, "sample %d -t %d -r 500 -o %s", (int)t.pid, seconds, out);
        must_exit(&tool, 0, who);
        much = weight(out, "much", false), little = weight(out, "little", false), all = weight(out, "", false);
        right = all > 0 && much / all > 0.6 && much / all < 0.9 && little / all > 0.1 && little / all < 0.4;
    }
    ck_assert_msg(right, "%s: %.0f and %.0f of %.0f; %s", who, much, little, all, tool.out);
    ck_assert_msg(weight(out, "waiting", true) == 0, "%s: a thread that waits is counted", who);
    ck_assert_msg(strstr(tool.out, " samples in ") && strstr(tool.out, "of the stacks changed"), "%s: %s", who, tool.out);
    tool_runf(&tool, "sample %d -t 0.5 --idle -o %s", (int)t.pid, out);
    must_exit(&tool, 0, who);
    ck_assert_msg(weight(out, "waiting", true) > 0, "%s: --idle: a thread that waits is not counted", who);
    ck_assert_msg(weight(out, "[in C: futex]", false) > 0, "%s: --idle: it does not tell what the thread waits in", who);
    ck_assert_msg(!target_progresses(&t, 2, 10000), "%s: the target does not run on", who);
    target_kill(&t);
    unlink(out);
}
END_TEST

START_TEST(test_sample_writes_each_format_and_report_says_what_it_is) {
    static const char *const suffixes[] = {".vzt", ".json", ".svg", ".html", ".pftrace", ".speedscope.json", ".pprof"};
    const struct interp *ip = suite_interp(0);
    struct target t;
    struct tool tool;
    ck_assert_int_eq(target_spawn(&t, ip, "shares.py", NULL, NULL), 0);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        const char *out = temp_path(suffixes[i]);
        tool_runf(&tool, "sample %d -t 0.3 --gil -o %s", (int)t.pid, out);
        must_exit(&tool, 0, suffixes[i]);
        ck_assert_msg(!access(out, F_OK), "no %s", out);
        if (i < 2) {
            tool_runf(&tool, "report %s", out);
            must_exit(&tool, 0, suffixes[i]);
            ck_assert_msg(strstr(tool.out, "These are samples, ") && strstr(tool.out, "much (") &&
                              strstr(tool.out, " on 1 thread"),
                          "%s: %s", suffixes[i], tool.out);
        }
        unlink(out);
    }
    target_kill(&t);
}
END_TEST

START_TEST(test_sample_says_that_nothing_ran) {
    const struct interp *ip = suite_interp(0);
    const char *out = temp_path(".vzt");
    struct target t;
    struct tool tool;
    ck_assert_int_eq(target_spawn(&t, ip, "crowd.py", (const char *[]){"3", NULL}, NULL), 0);
    sleep_ms(300);
    tool_runf(&tool, "sample %d -t 0.2 -o %s", (int)t.pid, out);
    must_exit(&tool, 0, "an idle process");
    ck_assert_msg(strstr(tool.err, "is empty: no thread ran in any of") && strstr(tool.err, "--idle"), "%s%s", tool.out,
                  tool.err);
    tool_runf(&tool, "sample %d -t 0.2 --idle -o %s", (int)t.pid, out);
    must_exit(&tool, 0, "an idle process");
    ck_assert_str_eq(tool.err, "");
    tool_runf(&tool, "report --json %s", out); /* of the whole time nothing is left that is not waiting */
    must_exit(&tool, 0, "an idle process");
    const char *total = strstr(tool.out, "\"total_ns\":"), *wait = strstr(tool.out, "\"wait_ns\":");
    ck_assert(total && wait);
    double all = strtod(total + strlen("\"total_ns\":"), NULL), waited = strtod(wait + strlen("\"wait_ns\":"), NULL);
    ck_assert_msg(all > 0 && waited > all / 2, "%.0f of %.0f ns is waiting", waited, all);
    target_kill(&t);
    unlink(out);
}
END_TEST

START_TEST(test_sample_saves_what_it_has_when_the_process_ends) {
    const struct interp *ip = suite_interp(0);
    struct target t;
    struct tool tool;
    const char *out = temp_path(".folded");
    ck_assert_int_eq(target_spawn(&t, ip, "shares.py", NULL, NULL), 0);
    tool_startf(&tool, "sample %d -t 60 -o %s", (int)t.pid, out);
    ck_assert_int_eq(tool_expect(&tool, "Sampling ", 20000), 0);
    sleep_ms(500);
    target_kill(&t);
    tool_wait(&tool, 30000);
    must_exit(&tool, 0, "ended");
    ck_assert_msg(strstr(tool.out, "The process has ended.") && weight(out, "much", false) > 0, "%s", tool.out);
    unlink(out);
}
END_TEST

/* `sample -o OUT OPTIONS -- INTERPRETER sampled.py WORDS` */
static void start_program(struct tool *tool, const struct interp *ip, const char *out, const char *options, const char *words) {
    char inside[PATH_MAX], script[2 * PATH_MAX];
    snprintf(script, sizeof script, "%s/tests/targets/sampled.py", tree_root());
    ck_assert_int_eq(target_copy_in(ip, script, inside, sizeof inside), 0);
    tool_startf(tool, "sample -o %s %s -- %s %s %s %s %s", out, options, ip->root[0] ? "chroot" : "env",
                ip->root[0] ? ip->root : "A=b", ip->path, inside, words);
}

START_TEST(test_sample_starts_a_program_and_ends_as_it_does) {
    const struct interp *ip = suite_interp(_i);
    struct tool tool;
    const char *out = temp_path(".folded");
    char who[64];
    snprintf(who, sizeof who, "program on %s", ip->version);
    start_program(&tool, ip, out, "-r 200", "3 -t --gil");
    tool_wait(&tool, 60000);
    must_exit(&tool, 3, who);
    ck_assert_msg(!strcmp(tool.out, "said ['-t', '--gil'] None\n"), "%s: stdout is not the program's own: %s", who, tool.out);
    ck_assert_msg(strstr(tool.err, "Saved ") && weight(out, "working", true) > 0, "%s: %s", who, tool.err);
    unlink(out);
}
END_TEST

START_TEST(test_sample_hands_signals_to_its_program) {
    const struct interp *ip = suite_interp(0);
    struct tool tool;
    const char *out = temp_path(".folded");
    start_program(&tool, ip, out, "", "0 signal");
    ck_assert_int_eq(tool_expect(&tool, "waits", 30000), 0);
    kill(tool.pid, SIGINT);
    tool_wait(&tool, 30000);
    must_exit(&tool, 0, "SIGINT");
    ck_assert_msg(strstr(tool.out, "interrupted") && weight(out, "interrupted", true) > 0, "%s %s", tool.out, tool.err);
    unlink(out);
    start_program(&tool, ip, out, "-t 0.3 --quiet", "4");
    tool_wait(&tool, 30000);
    must_exit(&tool, 4, "-t");
    ck_assert_msg(!tool.err[0] && strstr(tool.out, "said []"), "the program does not run on after -t: %s %s", tool.out, tool.err);
    unlink(out);
}
END_TEST

START_TEST(test_sample_refuses_what_it_cannot_do) {
    static const struct {
        const char *line;
        int code;
        const char *says;
    } rows[] = {
        {"sample", 2, "which process?"},
        {"sample 1 --gil --idle", 2, "cannot be combined"},
        {"sample 1 -r 0", 2, ""},
        {"sample 1 -o x.xyz", 2, "x.xyz"},
        {"sample 999999999", 1, "no process"},
        {"sample --", 2, "which program?"},
        {"sample 1 -- ls", 2, "not both"},
        {"sample -- no-such-command", 2, "no such command"},
        {"sample -o x.folded -- true", 1, "ended before Python ran in it"},
    };
    struct tool tool;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tool_runf(&tool, "%s", rows[i].line);
        must_exit(&tool, rows[i].code, rows[i].line);
        ck_assert_msg(tool_one_line(&tool) && strstr(tool.err, rows[i].says), "%s: %s", rows[i].line, tool.err);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("sample");
    suite_add(s, "shares", test_sample_finds_the_shares_of_functions, 90);
    suite_add_once(s, "formats", test_sample_writes_each_format_and_report_says_what_it_is, 90);
    suite_add_once(s, "idle", test_sample_says_that_nothing_ran, 60);
    suite_add_once(s, "process-ends", test_sample_saves_what_it_has_when_the_process_ends, 90);
    suite_add(s, "program", test_sample_starts_a_program_and_ends_as_it_does, 90);
    suite_add_once(s, "signals", test_sample_hands_signals_to_its_program, 90);
    suite_add_once(s, "refusals", test_sample_refuses_what_it_cannot_do, 60);
    return suite_main(s);
}
