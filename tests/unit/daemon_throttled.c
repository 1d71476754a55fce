/* The list of throttled functions: the newest word counts, nonsense is refused, the frame holds everything. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/drain/throttled.h"
#include "proto/frame.h"

static Vt__Throttled *got;

static int take_frame(void *ctx, uint32_t type, const ProtobufCMessage *msg) {
    uint8_t *frame;
    size_t len;
    (void)ctx;
    ck_assert_uint_eq(type, VT_FRAME_THROTTLED);
    ck_assert_int_eq(vt_msg_pack(type, msg, &frame, &len), 0);
    ck_assert_int_eq(vt_msg_unpack(type, frame + VT_FRAME_HDR, (uint32_t)(len - VT_FRAME_HDR), (ProtobufCMessage **)(void *)&got),
                     0);
    free(frame);
    return 0;
}

static int take(struct throttled *t, const struct vt_pl_throttled *of, size_t n) {
    return throttled_take(t, (const uint8_t *)of, (uint32_t)(n * sizeof(*of)));
}

START_TEST(test_throttled_the_newest_word_counts) {
    static struct vt_ctl ctl = {.max_overhead = 500, .windows = 2, .off_ticks = 10, .off_since = 100};
    struct throttled t = {0};
    struct vt_pl_throttled first[] = {
        {.id = 7, .counted = 1},
        {.id = 9, .counted = 2, .flags = VT_THROTTLED_OFF | VT_THROTTLED_AT_LEAST, .estimated = 50, .since = 77}};
    struct vt_pl_throttled second[] = {{.id = 9, .counted = 3, .flags = VT_THROTTLED_OFF, .estimated = 60, .since = 77},
                                       {.id = 8, .counted = 4}};
    ck_assert_int_eq(take(&t, first, 2), 0);
    ck_assert_int_eq(take(&t, second, 2), 0);
    ck_assert_int_eq(throttled_put(&t, &ctl, 130, take_frame, NULL), 0);
    ck_assert_uint_eq(got->n_functions, 3);
    ck_assert_uint_eq(got->max_overhead, 500);
    ck_assert_uint_eq(got->windows, 2);
    ck_assert_uint_eq(got->off_ticks, 40); /* they are out still */
    ck_assert_uint_eq(got->functions[0]->id, 7);
    ck_assert_uint_eq(got->functions[1]->counted, 3);
    ck_assert_uint_eq(got->functions[1]->estimated, 60);
    ck_assert(got->functions[1]->off && !got->functions[2]->off);
    ck_assert_uint_eq(got->functions[2]->id, 8);
    vt_msg_free(&got->base);
    throttled_free(&t);
}
END_TEST

/* Functions without figures are the shortest elements that a frame can hold: the reader has to take them too. */
START_TEST(test_throttled_the_most_functions_are_read_back) {
    static struct vt_ctl ctl = {.max_overhead = 500};
    static struct vt_pl_throttled most[VT_THROTTLED_FUNCTIONS_MAX];
    struct throttled t = {0};
    for (int full = 0; full < 2; full++) {
        for (uint32_t i = 0; i < VT_THROTTLED_FUNCTIONS_MAX; i++) {
            most[i].id = full ? UINT32_MAX - i : i;
            if (full) most[i].since = most[i].counted = most[i].estimated = most[i].flags = UINT32_MAX;
            if (full) most[i].since = most[i].counted = most[i].estimated = UINT64_MAX;
        }
        ck_assert_int_eq(take(&t, most, VT_THROTTLED_FUNCTIONS_MAX), 0);
        ck_assert_int_eq(throttled_put(&t, &ctl, 1, take_frame, NULL), 0);
        ck_assert_uint_eq(got->n_functions, VT_THROTTLED_FUNCTIONS_MAX);
        vt_msg_free(&got->base);
        throttled_free(&t);
    }
}
END_TEST

START_TEST(test_throttled_more_functions_than_allowed_are_neither_packed_nor_unpacked) {
    Vt__Throttled m = VT__THROTTLED__INIT;
    Vt__ThrottledFunction one = VT__THROTTLED_FUNCTION__INIT;
    ProtobufCMessage *back = NULL;
    uint8_t *frame;
    size_t len;
    m.n_functions = VT_THROTTLED_FUNCTIONS_MAX + 1;
    m.functions = calloc(m.n_functions, sizeof(Vt__ThrottledFunction *));
    for (size_t i = 0; i < m.n_functions; i++) m.functions[i] = &one;
    ck_assert_int_eq(vt_msg_pack(VT_FRAME_THROTTLED, &m.base, &frame, &len), -EMSGSIZE);
    len = protobuf_c_message_get_packed_size(&m.base);
    frame = malloc(len);
    protobuf_c_message_pack(&m.base, frame);
    ck_assert_int_eq(vt_msg_unpack(VT_FRAME_THROTTLED, frame, (uint32_t)len, &back), -EPROTO);
    ck_assert_ptr_null(back);
    free(frame);
    free(m.functions);
}
END_TEST

/* The ids come in another order than the list has: the time of a payload does not grow with the list. Searching the list
 * for each of them takes minutes here. */
START_TEST(test_throttled_functions_in_any_order_cost_linear_time) {
    static struct vt_pl_throttled many[1024];
    struct throttled t = {0};
    for (uint32_t i = 0; i < VT_THROTTLED_FUNCTIONS_MAX; i++) {
        many[0].id = i;
        ck_assert_int_eq(take(&t, many, 1), 0);
    }
    for (uint32_t round = 0; round < 20000; round++) {
        for (uint32_t i = 0; i < 1024; i++) many[i].id = (i * 7919 + round) % VT_THROTTLED_FUNCTIONS_MAX;
        ck_assert_int_eq(take(&t, many, 1024), 0);
    }
    ck_assert_uint_eq(t.n, VT_THROTTLED_FUNCTIONS_MAX);
    throttled_free(&t);
}
END_TEST

START_TEST(test_throttled_nothing_to_tell_is_no_frame) {
    static struct vt_ctl ctl = {.max_overhead = 500};
    struct throttled t = {0};
    got = NULL;
    ck_assert_int_eq(throttled_put(&t, &ctl, 1, take_frame, NULL), 0);
    ck_assert_ptr_null(got);
}
END_TEST

START_TEST(test_throttled_nonsense_is_refused) {
    struct throttled t = {0};
    static struct vt_pl_throttled many[1000];
    int rc = 0;
    ck_assert_int_eq(throttled_take(&t, (const uint8_t *)many, 31), -EPROTO);
    ck_assert_int_eq(throttled_take(&t, NULL, 0), 0);
    for (uint32_t round = 0; round < 20 && !rc; round++) {
        for (uint32_t i = 0; i < 1000; i++) many[i].id = round * 1000 + i + 1;
        rc = take(&t, many, 1000);
    }
    ck_assert_int_eq(rc, -EPROTO); /* bounded */
    ck_assert_uint_le(t.n, 16384);
    throttled_free(&t);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("daemon_throttled");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, test_throttled_the_newest_word_counts);
    tcase_add_test(tc, test_throttled_the_most_functions_are_read_back);
    tcase_add_test(tc, test_throttled_more_functions_than_allowed_are_neither_packed_nor_unpacked);
    tcase_add_test(tc, test_throttled_functions_in_any_order_cost_linear_time);
    tcase_add_test(tc, test_throttled_nothing_to_tell_is_no_frame);
    tcase_add_test(tc, test_throttled_nonsense_is_refused);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
