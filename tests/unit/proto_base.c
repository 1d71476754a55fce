/* Errors keep their first cause on one line, transfers are whole or fail, files are bounded. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base.h"

START_TEST(test_err_first_one_wins) {
    struct vt_err err = {0};
    errno = EXDEV;
    ck_assert_int_eq(vt_err_set(&err, -EPERM, "process %d: %s", 7, "no"), -EPERM);
    ck_assert_int_eq(errno, EXDEV);
    ck_assert_int_eq(vt_err_set(&err, -EIO, "later"), -EIO);
    ck_assert_str_eq(err.msg, "process 7: no");
    ck_assert_int_eq(err.code, -EPERM);
    ck_assert_int_eq(vt_err_set(NULL, -EIO, "nobody listens"), -EIO);
}
END_TEST

START_TEST(test_err_is_one_short_line) {
    struct vt_err err = {0};
    char big[1000];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = 0;
    vt_err_set(&err, -EIO, "a\nb\tc\x1b[31m%s", big);
    ck_assert_uint_eq(strlen(err.msg), sizeof(err.msg) - 1);
    ck_assert_int_eq(strncmp(err.msg, "a b c [31mxx", 12), 0);
}
END_TEST

START_TEST(test_io_transfers_in_pieces) {
    int p[2];
    char sent[200000], got[200000];
    ck_assert_int_eq(pipe(p), 0);
    for (size_t i = 0; i < sizeof(sent); i++) sent[i] = (char)(i * 7);
    pid_t child = fork();
    if (!child) { /* more than a pipe holds: write is torn */
        close(p[0]);
        _exit(vt_write_full(p[1], sent, sizeof(sent)) != 0);
    }
    close(p[1]);
    ck_assert_int_eq(vt_read_full(p[0], got, sizeof(got)), 0);
    ck_assert_mem_eq(sent, got, sizeof(got));
    ck_assert_int_eq(vt_read_full(p[0], got, 1), -EPIPE);
    int status;
    waitpid(child, &status, 0);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(vt_read_full(-1, got, 1), -EBADF);
    ck_assert_int_eq(vt_write_full(-1, got, 1), -EBADF);
    ck_assert_int_eq(vt_write_full(-1, got, 0), 0);
}
END_TEST

START_TEST(test_file_is_bounded_and_terminated) {
    char path[] = "/tmp/vt-base-XXXXXX", buf[16];
    size_t len = 99;
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(vt_write_full(fd, "123456789012345", 15), 0);
    memset(buf, 'x', sizeof(buf));
    ck_assert_int_eq(vt_read_file(path, buf, sizeof(buf), &len), 0);
    ck_assert_uint_eq(len, 15);
    ck_assert_str_eq(buf, "123456789012345");
    ck_assert_int_eq(vt_write_full(fd, "6", 1), 0);
    ck_assert_int_eq(vt_read_file(path, buf, sizeof(buf), &len), -E2BIG);
    ck_assert_str_eq(buf, "123456789012345");
    ck_assert_int_eq(vt_read_file(path, buf, 0, &len), -E2BIG);
    unlink(path);
    ck_assert_int_eq(vt_read_file(path, buf, sizeof(buf), &len), -ENOENT);
    vt_close(&fd);
}
END_TEST

START_TEST(test_close_keeps_errno) {
    int fd = open("/dev/null", O_RDONLY), copy = fd;
    errno = EXDEV;
    vt_close(&fd);
    ck_assert_int_eq(fd, -1);
    vt_close(&fd);
    ck_assert_int_eq(errno, EXDEV);
    ck_assert_int_eq(fcntl(copy, F_GETFD), -1);
}
END_TEST

/* What `log` writes to stderr, NUL-terminated. */
static ssize_t logged(void (*log)(void), char *text, size_t size) {
    int p[2];
    ck_assert_int_eq(pipe(p), 0);
    int err = dup(2);
    dup2(p[1], 2);
    close(p[1]);
    log();
    dup2(err, 2);
    close(err);
    ssize_t n = read(p[0], text, size - 1);
    close(p[0]);
    ck_assert_int_ge(n, 0);
    text[n] = 0;
    return n;
}

static void log_long_line(void) {
    char big[3000];
    memset(big, 'y', sizeof(big) - 1);
    big[sizeof(big) - 1] = 0;
    errno = EXDEV;
    vt_log(VT_LOG_INFO, "%s", big);
    ck_assert_int_eq(errno, EXDEV);
    vt_debug(VT_AREA_DRAIN, "not this");
    ck_assert_int_eq(errno, EXDEV);
}

START_TEST(test_log_is_one_line_and_keeps_errno) {
    char text[4096];
    ck_assert_int_eq(vt_log_set("info"), 0);
    ssize_t n = logged(log_long_line, text, sizeof(text));
    ck_assert_int_gt(n, 900);
    ck_assert_int_lt(n, 1100);
    ck_assert_ptr_eq(memchr(text, '\n', (size_t)n), text + n - 1);
    ck_assert_int_eq(strncmp(text, "viztracerd: info: yyy", 21), 0);
}
END_TEST

static void log_forged(void) { vt_log(VT_LOG_ERROR, "%s", "a\nviztracerd: error: forged\033[2J\177"); }

START_TEST(test_log_line_cannot_be_forged) {
    char text[256];
    vt_log_name("viztracer");
    logged(log_forged, text, sizeof(text));
    ck_assert_str_eq(text, "viztracer: error: a viztracerd: error: forged [2J \n");
    vt_log_name("viztracerd");
}
END_TEST

static void log_all_kinds(void) {
    vt_log(VT_LOG_ERROR, "e");
    vt_log(VT_LOG_INFO, "i");
    vt_debug(VT_AREA_ATTACH, "a");
    vt_debug(VT_AREA_SESSION, "s");
    vt_debug(VT_AREA_DRAIN, "d");
    vt_debug(VT_AREA_CLIENT, "c");
}

START_TEST(test_log_areas_choose_debug_lines) {
#define E "viztracerd: error: e\n"
#define I "viztracerd: info: i\n"
#define A "viztracerd: attach: a\n"
#define S "viztracerd: session: s\n"
#define D "viztracerd: drain: d\n"
#define C "viztracerd: client: c\n"
    static const struct {
        const char *words, *text;
        int rc;
    } cases[] = {
        {"", E, 0},
        {"error", E, 0},
        {"info", E I, 0},
        {"debug", E I A S D C, 0},
        {"all", E I A S D C, 0},
        {"attach,drain", E I A D, 0},
        {"session", E I S, 0},
        {"client,error", E I C, 0},
        {"attachment", E, -EINVAL},
        {"nothing,drain", E I D, -EINVAL},
    };
    char text[512];
    for (size_t i = 0; i < VT_ARRAY_LEN(cases); i++) {
        ck_assert_int_eq(vt_log_set(cases[i].words), cases[i].rc);
        logged(log_all_kinds, text, sizeof(text));
        ck_assert_msg(!strcmp(text, cases[i].text), "%s: %s", cases[i].words, text);
    }
    ck_assert_str_eq(vt_log_areas(), "attach, session, drain, client");
}
END_TEST

START_TEST(test_clean_line_is_bounded) {
    char to[8];
    vt_clean_line(to, sizeof(to),
                  "a\tb\x7f"
                  "c",
                  5);
    ck_assert_str_eq(to, "a b c");
    vt_clean_line(to, sizeof(to), "0123456789", 10);
    ck_assert_str_eq(to, "0123456");
    vt_clean_line(to, sizeof(to),
                  "012\0"
                  "45",
                  6);
    ck_assert_str_eq(to, "012");
    vt_clean_line(to, sizeof(to), "unterminated", 2);
    ck_assert_str_eq(to, "un");
}
END_TEST

START_TEST(test_text_ends_with) {
    ck_assert(vt_ends_with("a.vzt", ".vzt"));
    ck_assert(vt_ends_with(".vzt", ".vzt"));
    ck_assert(!vt_ends_with("vzt", ".vzt"));
    ck_assert(!vt_ends_with("a.vzt.gz", ".vzt"));
}
END_TEST

START_TEST(test_grow_doubles_up_to_its_limit) {
    uint64_t *items = NULL;
    uint32_t room = 0;
    ck_assert_int_eq(vt_grow(&items, &room, 1, sizeof(*items), 100), 0);
    ck_assert_uint_eq(room, 16);
    items[15] = 7;
    ck_assert_int_eq(vt_grow(&items, &room, 17, sizeof(*items), 100), 0);
    ck_assert_uint_eq(room, 32);
    ck_assert_uint_eq(items[15], 7);
    ck_assert_int_eq(vt_grow(&items, &room, 90, sizeof(*items), 100), 0);
    ck_assert_uint_eq(room, 100);
    ck_assert_int_eq(vt_grow(&items, &room, 101, sizeof(*items), 100), -ENOMEM);
    ck_assert_uint_eq(room, 100);
    ck_assert_uint_eq(items[15], 7);
    free(items);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("proto/base");
    TCase *tests = tcase_create("base");
    tcase_add_test(tests, test_err_first_one_wins);
    tcase_add_test(tests, test_err_is_one_short_line);
    tcase_add_test(tests, test_io_transfers_in_pieces);
    tcase_add_test(tests, test_file_is_bounded_and_terminated);
    tcase_add_test(tests, test_close_keeps_errno);
    tcase_add_test(tests, test_log_is_one_line_and_keeps_errno);
    tcase_add_test(tests, test_log_line_cannot_be_forged);
    tcase_add_test(tests, test_log_areas_choose_debug_lines);
    tcase_add_test(tests, test_clean_line_is_bounded);
    tcase_add_test(tests, test_text_ends_with);
    tcase_add_test(tests, test_grow_doubles_up_to_its_limit);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
