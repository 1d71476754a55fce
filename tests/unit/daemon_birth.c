/* Parent and birth of a process, from /proc/PID/stat: any name, cut texts, nonsense; and a child of our own. */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/session/birth.h"
#include "tests/lib/case.h"

#define HEAD "77 (a) b (c) 9 "
#define MIDDLE " 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 "

START_TEST(test_birth_finds_the_fields_behind_any_name) {
    struct birth b;
    ck_assert_int_eq(birth_of_stat(HEAD ") S 41" MIDDLE "12345 999 1\n", 100, 450000000, &b), 0);
    ck_assert_uint_eq(b.parent_pid, 41);
    ck_assert_uint_eq(b.born_ns, 123450000000 - 450000000);
    ck_assert_int_eq(birth_of_stat(HEAD ") S 41" MIDDLE "5", 100, 450000000, &b), 0);
    ck_assert_uint_eq(b.born_ns, 0); /* before the clock began */
}
END_TEST

START_TEST(test_birth_refuses_cut_and_changed_texts) {
    static const char whole[] = HEAD ") S 41" MIDDLE "12345 999\n";
    struct birth b;
    char text[sizeof whole];
    for (size_t len = 0; len < strlen(whole) - 9; len++) {
        memcpy(text, whole, len);
        text[len] = 0;
        ck_assert_int_eq(birth_of_stat(text, 100, 0, &b), -EBADMSG);
    }
    ck_assert_int_eq(birth_of_stat(HEAD ") S -1" MIDDLE "12345 9", 100, 0, &b), -EBADMSG);
    ck_assert_int_eq(birth_of_stat(whole, 0, 0, &b), -EBADMSG);
}
END_TEST

START_TEST(test_birth_of_a_child_is_between_two_looks_at_the_clock) {
    struct birth b, own;
    uint64_t before = vt_mono_ns();
    pid_t pid = fork();
    if (!pid) {
        pause();
        _exit(0);
    }
    uint64_t after = vt_mono_ns();
    int rc = birth_read(pid, &b), own_rc = birth_read(getpid(), &own);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    ck_assert_int_eq(rc, 0);
    ck_assert_int_eq(own_rc, 0);
    ck_assert_uint_eq(b.parent_pid, (uint32_t)getpid());
    ck_assert_uint_ge(b.born_ns + 20000000, before); /* steps of 10 ms */
    ck_assert_uint_le(b.born_ns, after + 20000000);
    ck_assert_uint_le(own.born_ns, b.born_ns + 20000000);
    ck_assert_int_eq(birth_read(pid, &b), -ENOENT);
    ck_assert_uint_eq(b.parent_pid, 0);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_birth_finds_the_fields_behind_any_name, test_birth_refuses_cut_and_changed_texts,
                                  test_birth_of_a_child_is_between_two_looks_at_the_clock};
    return case_main("daemon/birth", tests, VT_ARRAY_LEN(tests), NULL, NULL);
}
