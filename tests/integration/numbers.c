/* Every output of one trace tells the same numbers: the line of what was saved, report, report --json, and both again of each
 * format that a trace can be converted to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base.h"
#include "tests/lib/suite.h"

#define TEXT_MAX 512

/* The words of the figures in a line, like "1,234 calls on 5 threads". */
struct said {
    char calls[48], threads[48];
};

/* What lies before `after` back to the blank before the number. */
static void word_before(const char *text, const char *after, char *to, size_t size, const char *who) {
    const char *end = strstr(text, after), *start = end;
    ck_assert_msg(end, "%s: no \"%s\" in %s", who, after, text);
    while (start > text && strchr("0123456789,", start[-1])) start--;
    ck_assert_msg(start < end, "%s: no number before \"%s\" in %s", who, after, text);
    snprintf(to, size, "%.*s", (int)(end - start), start);
}

/* The number behind " on " there: "5 threads", "1 thread". */
static void threads_behind(const char *text, const char *before, char *to, size_t size, const char *who) {
    const char *at = strstr(text, before), *on = at ? strstr(at, " on ") : NULL;
    ck_assert_msg(on, "%s: no threads behind \"%s\" in %s", who, before, text);
    snprintf(to, size, "%.*s", (int)strspn(on + 4, "0123456789,"), on + 4);
}

static struct said saved(const char *text, const char *who) {
    struct said s;
    word_before(text, " calls on ", s.calls, sizeof s.calls, who);
    threads_behind(text, " calls on ", s.threads, sizeof s.threads, who);
    return s;
}

static void must_say_the_same(const struct said *a, const struct said *b, const char *who, const char *where) {
    ck_assert_msg(!strcmp(a->calls, b->calls) && !strcmp(a->threads, b->threads),
                  "%s: saved %s calls on %s threads, but %s has %s on %s", who, a->calls, a->threads, where, b->calls,
                  b->threads);
}

/* All figures of the trace in report --json, from the calls to the time that threads waited. */
static void figures(const char *path, char text[TEXT_MAX], const char *who) {
    struct tool tool;
    tool_runf(&tool, "report --json %s", path);
    must_exit(&tool, 0, who);
    const char *from = strstr(tool.out, "\"calls\":"), *to = strstr(tool.out, ",\"dropped\":");
    ck_assert_msg(from && to && from < to && to - from < TEXT_MAX, "%s: report --json %s says %.600s", who, path, tool.out);
    snprintf(text, TEXT_MAX, "%.*s", (int)(to - from), from);
}

static void report_must_say(const char *path, const struct said *want, const char *who) {
    struct tool tool;
    struct said got;
    char json[TEXT_MAX];
    tool_runf(&tool, "report %s", path);
    must_exit(&tool, 0, who);
    word_before(tool.out, " calls of ", got.calls, sizeof got.calls, who);
    threads_behind(tool.out, " calls of ", got.threads, sizeof got.threads, who);
    must_say_the_same(want, &got, who, "report");
    figures(path, json, who);
    unsigned long long calls = strtoull(json + strlen("\"calls\":"), NULL, 10), n = 0;
    for (const char *p = want->calls; *p; p++)
        if (*p != ',') n = n * 10 + (unsigned long long)(*p - '0');
    ck_assert_msg(calls == n, "%s: saved %s calls, report --json has %llu", who, want->calls, calls);
}

/* line: what the tool said when it saved the .vzt. */
static void must_agree(const char *vzt, const char *line, const char *who) {
    static const struct {
        const char *suffix;
        const char *until; /* the figure that is the first one not to be compared; NULL = we do not read this format */
    } formats[] = {{".json", ""},
                   {".pftrace", ""},
                   {".vzt", ""},
                   {".cvf", ",\"total_ns\":"}, /* steps of 10 ns */
                   {".html", NULL}};
    struct said want = saved(strstr(line, "Saved ") ? strstr(line, "Saved ") : line, who);
    char whole[TEXT_MAX], again[TEXT_MAX], where[192];
    report_must_say(vzt, &want, who);
    figures(vzt, whole, who);
    for (size_t i = 0; i < VT_ARRAY_LEN(formats); i++) {
        const char *path = temp_path(formats[i].suffix);
        struct tool tool;
        tool_runf(&tool, "convert %s -o %s", vzt, path);
        snprintf(where, sizeof where, "%s to %s", who, formats[i].suffix);
        must_exit(&tool, 0, where);
        struct said got = saved(tool.out, where);
        must_say_the_same(&want, &got, where, "convert");
        if (formats[i].until) {
            figures(path, again, where);
            size_t n = TEXT_MAX;
            if (formats[i].until[0]) n = (size_t)(strstr(whole, formats[i].until) - whole);
            ck_assert_msg(!strncmp(whole, again, n), "%s: the .vzt has %s, this has %s", where, whole, again);
        }
        unlink(path);
    }
}

START_TEST(test_numbers_of_a_launched_program) {
    const struct interp *ip = suite_interp(_i);
    const char *out = temp_path(".vzt");
    struct tool tool;
    if (ip->root[0]) skip_test("%s: --python takes no chroot", ip->version);
    tool_runf(&tool, "-o %s --python %s -- %s/tests/targets/ending.py", out, ip->path, tree_root());
    must_exit(&tool, 0, ip->version);
    must_agree(out, tool.err, ip->version);
    unlink(out);
}
END_TEST

/* A program that ends by itself takes the CPU times of its threads with it: what was read while it ran is told. */
START_TEST(test_numbers_have_the_cpu_time_of_a_launched_program) {
    const struct interp *ip = interp_debian();
    const char *out = temp_path(".vzt");
    struct tool tool;
    if (!ip) skip_test("no /usr/bin/python3");
    tool_runf(&tool, "-o %s --python %s -- %s/tests/targets/burner.py", out, ip->path, tree_root());
    must_exit(&tool, 0, "burner.py");
    tool_runf(&tool, "report --json --slowest 0 --match burn %s", out);
    must_exit(&tool, 0, "burner.py");
    unsigned busy = 0;
    for (const char *at = tool.out; (at = strstr(at, "\"cpu_ns\":")); at++)
        busy += strtod(at + strlen("\"cpu_ns\":"), NULL) > 50e6;
    ck_assert_msg(busy == 2, "%u of 2 threads have a CPU time: %s", busy, tool.out);
    unlink(out);
}
END_TEST

static void attached(int i, const char *script, const char *const *args, const char *options) {
    const struct interp *ip = suite_interp(i);
    const char *out = temp_path(".vzt");
    struct target target;
    struct tool tool;
    char who[128];
    snprintf(who, sizeof who, "%s on %s", options, ip->version);
    ck_assert_msg(!target_spawn(&target, ip, script, args, NULL), "%s: the target does not start", who);
    tool_runf(&tool, "--attach %d -o %s %s", (int)target.pid, out, options);
    must_exit(&tool, 0, who);
    must_agree(out, tool.out, who);
    target_kill(&target);
    unlink(out);
}

START_TEST(test_numbers_of_an_attached_process) { attached(_i, "crowd.py", (const char *[]){"9", NULL}, "-t 0.3"); }
END_TEST

START_TEST(test_numbers_with_a_limit_of_size) { attached(_i, "busy.py", (const char *[]){"2", NULL}, "-t 30 --max_size 100K"); }
END_TEST

START_TEST(test_numbers_with_a_limit_of_overhead) {
    attached(_i, "probe.py", (const char *[]){"pausing", "2", NULL}, "-t 2 --max_overhead 20%");
}
END_TEST

/* One version of each kind of hook: what is counted comes from the daemon and the readers. */
static void add(Suite *s, const char *name, const TTest *fn) {
    static const int some[] = {11, 12};
    size_t n;
    const struct interp *ips = interp_list(&n);
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 120);
    for (size_t i = 0; i < n; i++) {
        bool wanted = false, second = i && ips[i - 1].minor == ips[i].minor;
        for (size_t k = 0; k < VT_ARRAY_LEN(some); k++) wanted |= some[k] == ips[i].minor && !second;
        if (wanted) tcase_add_loop_test(tc, fn, (int)i, (int)i + 1);
    }
    suite_add_tcase(s, tc);
}

int main(void) {
    Suite *s = suite_create("numbers");
    add(s, "launched", test_numbers_of_a_launched_program);
    add(s, "attached", test_numbers_of_an_attached_process);
    add(s, "max-size", test_numbers_with_a_limit_of_size);
    add(s, "max-overhead", test_numbers_with_a_limit_of_overhead);
    suite_add_once(s, "cpu-time", test_numbers_have_the_cpu_time_of_a_launched_program, 60);
    return suite_main(s);
}
