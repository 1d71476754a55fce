/* The second thread of a conversion: it hands over everything, in order, up to the end, to the first damage, or until it is
 * stopped. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/format/vzt/ahead.h"
#include "tests/lib/trace_build.h"

enum { BLOCKS = 60, EVENTS = 200 };

static struct trace_build trace;
static struct vt_trace *t;
static struct ahead *ahead;
static off_t middle; /* where block 30 begins */

static void set_up(void) {
    static struct vt_event ev[EVENTS];
    trace_build_open(&trace);
    trace_build_name(&trace, 1, 0, "f", "a.py", 1);
    for (uint32_t b = 0; b < BLOCKS; b++) {
        if (b == BLOCKS / 2) middle = lseek(trace.fd, 0, SEEK_CUR);
        for (uint32_t i = 0; i < EVENTS; i++)
            ev[i] = (struct vt_event){.ticks = b * EVENTS + i, .type = i % 2 ? VT_REC_RETURN : VT_REC_CALL, .id = 1};
        trace_build_block(&trace, b % 3, 9, 7, ev, EVENTS);
        if (b % 10 == 9) {
            Vt__Drops drops = VT__DROPS__INIT;
            drops.count = b;
            trace_build_frame(&trace, VT_FRAME_DROPS, &drops.base);
        }
    }
    trace_build_end(&trace, 0, 0);
    struct vt_err err = {0};
    ck_assert_msg(vt_trace_open(trace.path, &t, &err) == 0, "%s", err.msg);
}
static void tear_down(void) {
    ahead_stop(ahead);
    ahead = NULL;
    vt_trace_close(t);
    trace_build_remove(&trace);
}

/* Blocks that come, all of them checked; *rc is what came last. */
static uint32_t read_all(uint64_t until, int *rc, struct vt_err *err) {
    const struct ahead_frame *frame;
    uint32_t blocks = 0, drops = 0;
    ck_assert_int_eq(ahead_start(t, until, 1, &ahead), 0);
    while ((*rc = ahead_next(ahead, &frame, err)) == 1) {
        ck_assert_int_eq(frame->rc, 0);
        if (frame->type == VT_FRAME_DROPS) {
            ck_assert_uint_eq(blocks % 10, 0);
            ck_assert_ptr_nonnull(frame->payload);
            drops++;
            continue;
        }
        ck_assert_uint_eq(frame->serial, blocks % 3);
        ck_assert_uint_eq(frame->n, EVENTS);
        for (size_t i = 0; i < frame->n; i++) ck_assert_uint_eq(frame->ev[i].ticks, blocks * EVENTS + i);
        blocks++;
    }
    ck_assert_uint_eq(drops, blocks / 10);
    ck_assert_int_eq(ahead_next(ahead, &frame, err), 0); /* nothing after the end */
    ahead_stop(ahead);
    ahead = NULL;
    return blocks;
}

START_TEST(test_ahead_everything_comes_again_and_again) {
    struct vt_err err = {0};
    for (int i = 0, rc; i < 3; i++) {
        ck_assert_uint_eq(read_all(UINT64_MAX, &rc, &err), BLOCKS);
        ck_assert_int_eq(rc, 0);
    }
}
END_TEST

START_TEST(test_ahead_ends_at_the_given_time) {
    struct vt_err err = {0};
    int rc;
    ck_assert_uint_eq(read_all((uint64_t)middle, &rc, &err), BLOCKS / 2);
    ck_assert_int_eq(rc, 0);
}
END_TEST

START_TEST(test_ahead_reports_damage) {
    struct vt_err err = {0};
    int rc;
    ck_assert_int_eq(pwrite(trace.fd, "\xff\xff", 2, middle + 40), 2);
    ck_assert_uint_eq(read_all(UINT64_MAX, &rc, &err), BLOCKS / 2);
    ck_assert_int_eq(rc, -EBADMSG);
    ck_assert_msg(strstr(err.msg, "damaged at byte"), "%s", err.msg);
}
END_TEST

START_TEST(test_ahead_can_be_stopped) {
    const struct ahead_frame *frame;
    struct vt_err err = {0};
    for (int n = 0; n < 20; n++) {
        ck_assert_int_eq(ahead_start(t, UINT64_MAX, 1, &ahead), 0);
        for (int i = 0; i < n; i++) ck_assert_int_eq(ahead_next(ahead, &frame, &err), 1);
        ahead_stop(ahead);
        ahead = NULL;
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli/ahead");
    TCase *tests = tcase_create("ahead");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_ahead_everything_comes_again_and_again);
    tcase_add_test(tests, test_ahead_ends_at_the_given_time);
    tcase_add_test(tests, test_ahead_reports_damage);
    tcase_add_test(tests, test_ahead_can_be_stopped);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
