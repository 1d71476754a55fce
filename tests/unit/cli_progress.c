/* The live line on terminals of several widths: it never wraps, it follows the size, and it is rewritten rarely. */
#include <check.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/base/clean_text.h"
#include "cli/term/progress.h"
#include "proto/abi/arena.h"

#define REDRAW_US 260000 /* a little more than the least time between two lines */

static int terminal = -1, saved_stdout = -1;

static void resize(unsigned columns) {
    struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
    ck_assert_int_eq(ioctl(terminal, TIOCSWINSZ, &size), 0);
}

/* stdout becomes a terminal. */
static void set_up(void) {
    int other;
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    unsetenv("COLUMNS");
    fflush(stdout);
    saved_stdout = dup(STDOUT_FILENO);
    ck_assert_int_eq(openpty(&terminal, &other, NULL, NULL, NULL), 0);
    ck_assert(fcntl(terminal, F_SETFL, O_NONBLOCK) == 0 && dup2(other, STDOUT_FILENO) == STDOUT_FILENO);
    close(other);
}

static void tear_down(void) {
    fflush(stdout);
    dup2(saved_stdout, STDOUT_FILENO);
    close(saved_stdout);
    close(terminal);
}

/* What the terminal got since the last time. */
static const char *got(void) {
    static char text[65536];
    ssize_t n = read(terminal, text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    return text;
}

/* The columns of the widest line, without the sequences that rewrite it. */
static unsigned widest(const char *text) {
    unsigned most = 0, now = 0;
    for (; *text; text++) {
        if (*text == '\r' || *text == '\n') {
            now = 0;
        } else if (!strncmp(text, "\033[K", 3)) {
            text += 2;
        } else if (((unsigned char)*text & 0xc0) != 0x80 && ++now > most) {
            most = now;
        }
    }
    return most;
}

static unsigned lines(const char *text) {
    unsigned n = 0;
    for (; *text; text++) n += *text == '\r';
    return n;
}

static const struct progress_output json = {.name = "result.json", .bytes_per_call = 125};

static void show(struct progress *p, uint64_t calls) {
    Vt__Stats s = VT__STATS__INIT;
    s.state = VT_AGENT_TRACING;
    s.calls = calls;
    s.bytes = calls;
    s.dropped = 1234;
    s.elapsed_ns = calls * 1000; /* 1,000,000 calls a second */
    progress_stats(p, &s);
}

START_TEST(test_progress_line_fits_and_says_what_matters) {
    static const struct {
        unsigned columns;
        const char *holds[5];
    } rows[] = {
        {20, {"100 s", NULL}},
        {40, {"1,000,000/s", "12.5 GB", "1,234 dropped", NULL}},
        {60, {"1,000,000 calls/s", "12.5 GB", "1,234 dropped", NULL}},
        {80, {"1,000,000 calls/s", "result.json about 12.5 GB", "1,234 dropped", NULL}},
        {200, {"100,000,000 calls,", "1,000,000 calls/s", "result.json about 12.5 GB", "1,234 events dropped", "Ctrl+C"}},
    };
    struct progress p;
    progress_init(&p, false, &json);
    resize(rows[_i].columns);
    show(&p, 100000000);
    const char *text = got();
    ck_assert_msg(widest(text) < rows[_i].columns, "%u columns of %u: %s", widest(text), rows[_i].columns, text);
    for (int i = 0; i < 5 && rows[_i].holds[i]; i++)
        ck_assert_msg(strstr(text, rows[_i].holds[i]) != NULL, "%u columns: no %s in %s", rows[_i].columns, rows[_i].holds[i],
                      text);
}
END_TEST

START_TEST(test_progress_line_follows_the_size) {
    static const unsigned columns[] = {200, 40, 80};
    struct progress p;
    progress_init(&p, false, &json);
    for (unsigned i = 0; i < 3; i++) {
        resize(columns[i]);
        show(&p, 1000000 * (i + 1));
        const char *text = got();
        ck_assert_msg(text[0] && widest(text) < columns[i], "%u columns: %s", columns[i], text);
        usleep(REDRAW_US);
    }
    setenv("COLUMNS", "50", 1); /* the narrower of both counts */
    show(&p, 9000000);
    ck_assert_uint_lt(widest(got()), 50);
}
END_TEST

START_TEST(test_progress_line_is_rewritten_four_times_a_second_at_most) {
    struct progress p;
    resize(80);
    progress_init(&p, false, &json);
    uint64_t begin = vt_mono_ns();
    for (unsigned i = 0; i < 600; i++) {
        show(&p, i + 1);
        usleep(1000);
    }
    uint64_t most = (vt_mono_ns() - begin) / 250000000 + 1;
    const char *text = got();
    ck_assert_msg(lines(text) >= 2 && lines(text) <= most, "%u lines, at most %llu", lines(text), (unsigned long long)most);
    ck_assert_ptr_null(strchr(text, '\n'));
}
END_TEST

START_TEST(test_progress_saving_bar_fits) {
    static const unsigned columns[] = {20, 40, 80, 200};
    struct progress p;
    progress_init(&p, false, &json);
    resize(columns[_i]);
    progress_saving(&p, 50, 100);
    const char *text = got();
    ck_assert_msg(strstr(text, "50 %") && widest(text) < columns[_i], "%u columns: %s", columns[_i], text);
    progress_clear(&p);
    ck_assert_str_eq(got(), "\r\033[K");
    progress_clear(&p);
    ck_assert_str_eq(got(), "");
}
END_TEST

START_TEST(test_progress_dumb_terminals_and_quiet_get_no_line) {
    static const char *const terms[] = {"dumb", "", "xterm"};
    struct progress p;
    setenv("TERM", terms[_i], 1);
    progress_init(&p, _i == 2, &json);
    show(&p, 1000);
    progress_saving(&p, 1, 2);
    progress_clear(&p);
    ck_assert_str_eq(got(), "");
}
END_TEST

START_TEST(test_progress_no_color_means_no_escape_sequences) {
    struct progress p;
    setenv("NO_COLOR", "1", 1);
    resize(200);
    progress_init(&p, false, &json);
    show(&p, 100000000);
    unsigned before = widest(got());
    usleep(REDRAW_US);
    resize(40);
    show(&p, 100000001);
    const char *text = got();
    ck_assert_ptr_null(strchr(text, '\033'));
    ck_assert_uint_lt(widest(text), 40); /* blanks that would wrap do not blank out the longer line */
    ck_assert_uint_gt(before, 40);
    progress_clear(&p);
    ck_assert_ptr_null(strchr(got(), '\033'));
}
END_TEST

START_TEST(test_progress_formats_without_a_size_by_calls_show_what_was_recorded) {
    struct progress p;
    resize(200);
    progress_init(&p, false, &(struct progress_output){.name = "recorded"});
    show(&p, 2000000);
    ck_assert_ptr_nonnull(strstr(got(), "recorded 2.0 MB"));
    progress_init(&p, false, &(struct progress_output){.name = "r.json", .bytes_per_call = 125, .most_calls = 1000});
    show(&p, 2000000);
    ck_assert_ptr_nonnull(strstr(got(), "r.json about 125.0 kB"));
}
END_TEST

START_TEST(test_progress_more_calls_than_json_takes_well_become_a_vzt) {
    struct progress p;
    resize(200);
    struct progress_output out_of = json;
    out_of.whole_above = 5000000;
    out_of.whole_name = "result.vzt";
    progress_init(&p, false, &out_of);
    show(&p, 5000000);
    ck_assert_ptr_nonnull(strstr(got(), "result.json about 625.0 MB"));
    usleep(REDRAW_US);
    show(&p, 5000001);
    ck_assert_ptr_nonnull(strstr(got(), "result.vzt 5.0 MB"));
    usleep(REDRAW_US);
    Vt__Stats s = VT__STATS__INIT; /* one generator, resumed very often */
    s.state = VT_AGENT_TRACING;
    s.calls = 1;
    s.events = 10000002;
    s.bytes = 7000000;
    s.elapsed_ns = 9000000000;
    progress_stats(&p, &s);
    const char *text = got();
    ck_assert_msg(strstr(text, "result.vzt 7.0 MB") != NULL, "%s", text);
}
END_TEST

START_TEST(test_progress_without_the_gil_says_what_ctrl_c_does) {
    Vt__Stats s = VT__STATS__INIT;
    struct progress p;
    s.state = VT_AGENT_TRACING - 1;
    resize(60);
    progress_init(&p, false, &json);
    progress_gil(&p, ", held by thread 4711 (MainThread) in a_function_with_a_name at /a/long/path/of/a/file.py:4");
    progress_stats(&p, &s);
    const char *text = got();
    ck_assert_msg(strstr(text, "Ctrl+C gives up") && strstr(text, "thread 4711") && widest(text) < 60, "%s", text);
}
END_TEST

int main(void) {
    Suite *s = suite_create("cli_progress");
    TCase *tests = tcase_create("progress");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, test_progress_line_fits_and_says_what_matters, 0, 5);
    tcase_add_test(tests, test_progress_line_follows_the_size);
    tcase_add_test(tests, test_progress_line_is_rewritten_four_times_a_second_at_most);
    tcase_add_loop_test(tests, test_progress_saving_bar_fits, 0, 4);
    tcase_add_loop_test(tests, test_progress_dumb_terminals_and_quiet_get_no_line, 0, 3);
    tcase_add_test(tests, test_progress_no_color_means_no_escape_sequences);
    tcase_add_test(tests, test_progress_formats_without_a_size_by_calls_show_what_was_recorded);
    tcase_add_test(tests, test_progress_without_the_gil_says_what_ctrl_c_does);
    tcase_add_test(tests, test_progress_more_calls_than_json_takes_well_become_a_vzt);
    suite_add_tcase(s, tests);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
