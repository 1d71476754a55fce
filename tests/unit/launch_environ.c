/* The environment that the launch library gives to a program: what it changes, and what it passes on unchanged. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "launch/launch.h"
#include "tests/lib/case.h"

struct own own;
void origin_write(char *value) { memset(value + VT_LAUNCH_ORIGIN, 'o', VT_LAUNCH_ORIGIN_LEN); }

static void set_up(void) {
    memset(&own, 0, sizeof own);
    own.carries = true;
    memset(own.value, 'v', VT_LAUNCH_VALUE);
    strcpy(own.path, "/opt/" VT_LAUNCH_LIBRARY);
}

START_TEST(test_environ_puts_the_library_first) {
    char *had[] = {(char *)"A=1", (char *)"LD_PRELOAD=/x.so", NULL}, *list[8], text[16384];
    ck_assert(environ_fits(had));
    ck_assert_uint_le(environ_text(had), sizeof text);
    environ_with(had, true, list, text);
    ck_assert_str_eq(list[0], "A=1");
    ck_assert_str_eq(list[1], "LD_PRELOAD=/opt/" VT_LAUNCH_LIBRARY ":/x.so");
    ck_assert_int_eq(strncmp(list[2], VT_LAUNCH_VARIABLE "=", strlen(VT_LAUNCH_VARIABLE "=")), 0);
    const char *value = list[2] + strlen(VT_LAUNCH_VARIABLE "=");
    ck_assert_uint_eq(strlen(value), VT_LAUNCH_VALUE);
    ck_assert_uint_eq(strspn(value, "v"), VT_LAUNCH_ORIGIN); /* who starts it is written behind the rest */
    ck_assert_uint_eq(strspn(value + VT_LAUNCH_ORIGIN, "o"), VT_LAUNCH_ORIGIN_LEN);
    ck_assert_ptr_null(list[3]);
    environ_with(list, false, list + 4, text + 8192);
    ck_assert_str_eq(list[4], "A=1");
    ck_assert_str_eq(list[5], "LD_PRELOAD=/x.so");
    ck_assert_ptr_null(list[6]);
}
END_TEST

/* Room is made for one LD_PRELOAD. */
START_TEST(test_environ_leaves_two_preloads_alone) {
    static char longer[9000] = "LD_PRELOAD=";
    memset(longer + strlen(longer), 'x', sizeof longer - 1 - strlen(longer));
    char *had[] = {(char *)"LD_PRELOAD=/x.so", longer, NULL};
    ck_assert(!environ_fits(had));
}
END_TEST

/* The stack of a thread may be small. */
START_TEST(test_environ_leaves_large_environments_alone) {
    static char *many[6001], *one[2];
    static char huge[20000] = "LD_PRELOAD=";
    for (int i = 0; i < 6000; i++) many[i] = (char *)"A=1";
    ck_assert(!environ_fits(many));
    many[1000] = NULL;
    ck_assert(environ_fits(many));
    memset(huge + strlen(huge), 'x', sizeof huge - 1 - strlen(huge));
    one[0] = huge;
    ck_assert(!environ_fits(one));
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_environ_puts_the_library_first, test_environ_leaves_two_preloads_alone,
                                  test_environ_leaves_large_environments_alone};
    return case_main("launch/environ", tests, sizeof tests / sizeof *tests, set_up, NULL);
}
