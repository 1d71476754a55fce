/* Ticks to nanoseconds: exact over days, monotone, and defined for any input. */
#include <check.h>
#include <errno.h>

#include "proto/abi/arena.h"
#include "proto/clock.h"

#define DAY_NS 86400000000000ull

START_TEST(test_clock_is_a_line_through_two_points) {
    struct vt_clock_map map;
    struct vt_clock_point first = {.ticks = 1000000, .mono_ns = 500, .hz = 1};
    struct vt_clock_point last = {.ticks = 1000000 + 3 * 2300000000ull, .mono_ns = 500 + 3000000000ull};
    ck_assert_int_eq(vt_clock_map_init(&map, VT_CLOCK_TSC, &first, &last), 0);
    ck_assert_uint_eq(vt_clock_to_ns(&map, first.ticks), 500);
    ck_assert(last.mono_ns - vt_clock_to_ns(&map, last.ticks) <= 1);
    uint64_t day = 86400ull * 2300000000ull; /* far beyond the last point */
    int64_t off = (int64_t)(vt_clock_to_ns(&map, first.ticks + day) - 500 - DAY_NS);
    ck_assert_msg(off <= 0 && off >= -1, "%lld ns off after a day", (long long)off);
}
END_TEST

START_TEST(test_clock_of_one_point_uses_the_frequency) {
    struct vt_clock_map map;
    struct vt_clock_point point = {.ticks = 5000, .mono_ns = 7000, .hz = 2000000000};
    ck_assert_int_eq(vt_clock_map_init(&map, VT_CLOCK_TSC, &point, &point), 0);
    ck_assert_uint_eq(vt_clock_to_ns(&map, 5000 + 2000000000ull), 7000 + 1000000000ull);
    struct vt_clock_point near = {.ticks = 5100, .mono_ns = 7100, .hz = 2000000000}; /* too near for a line */
    ck_assert_int_eq(vt_clock_map_init(&map, VT_CLOCK_TSC, &point, &near), 0);
    ck_assert_uint_eq(vt_clock_to_ns(&map, 5200), 7100);
}
END_TEST

START_TEST(test_clock_before_the_first_point_counts_back) {
    struct vt_clock_map map;
    struct vt_clock_point point = {.ticks = 5000, .mono_ns = 7000, .hz = 1000000000};
    ck_assert_int_eq(vt_clock_map_init(&map, VT_CLOCK_TSC, &point, &point), 0);
    ck_assert_uint_eq(vt_clock_to_ns(&map, 4000), 6000);
    point.mono_ns = 10;
    ck_assert_int_eq(vt_clock_map_init(&map, VT_CLOCK_TSC, &point, &point), 0);
    ck_assert_uint_eq(vt_clock_to_ns(&map, 0), 0);
}
END_TEST

START_TEST(test_clock_monotonic_is_itself) {
    struct vt_clock_map map;
    struct vt_clock_point point = {.ticks = 123, .mono_ns = 456};
    ck_assert_int_eq(vt_clock_map_init(&map, VT_CLOCK_MONOTONIC_NS, &point, &point), 0);
    ck_assert_uint_eq(vt_clock_to_ns(&map, 99), 99);
}
END_TEST

START_TEST(test_clock_unusable_is_refused) {
    struct vt_clock_map map;
    struct vt_clock_point a = {.ticks = 5, .mono_ns = 5}, b = {.ticks = 4, .mono_ns = 4};
    ck_assert_int_eq(vt_clock_map_init(&map, VT_CLOCK_TSC, &a, &a), -EBADMSG);
    ck_assert_int_eq(vt_clock_map_init(&map, VT_CLOCK_TSC, &a, &b), -EBADMSG);
    b = (struct vt_clock_point){.ticks = 6, .mono_ns = UINT64_MAX};
    ck_assert_int_eq(vt_clock_map_init(&map, VT_CLOCK_TSC, &a, &b), -EBADMSG);
    b = (struct vt_clock_point){.ticks = UINT64_MAX, .mono_ns = 6};
    ck_assert_int_eq(vt_clock_map_init(&map, VT_CLOCK_TSC, &a, &b), -EBADMSG);
}
END_TEST

START_TEST(test_clock_is_monotone) {
    uint64_t state = 88172645463325252ull;
    for (int round = 0; round < 20000; round++) {
        struct vt_clock_point p[2];
        uint64_t *words = (uint64_t *)(void *)p;
        for (int i = 0; i < 8; i++) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            words[i] = state >> (state & 63);
        }
        struct vt_clock_map map;
        if (vt_clock_map_init(&map, VT_CLOCK_TSC, &p[0], &p[1])) continue;
        uint64_t a = state, b = state >> (round & 63);
        if (a > b) {
            uint64_t t = a;
            a = b;
            b = t;
        }
        ck_assert_uint_le(vt_clock_to_ns(&map, a), vt_clock_to_ns(&map, b));
        ck_assert_uint_le(vt_clock_to_ns(&map, b), vt_clock_to_ns(&map, UINT64_MAX));
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("proto/clock");
    TCase *tests = tcase_create("clock");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_clock_is_a_line_through_two_points);
    tcase_add_test(tests, test_clock_of_one_point_uses_the_frequency);
    tcase_add_test(tests, test_clock_before_the_first_point_counts_back);
    tcase_add_test(tests, test_clock_monotonic_is_itself);
    tcase_add_test(tests, test_clock_unusable_is_refused);
    tcase_add_test(tests, test_clock_is_monotone);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
