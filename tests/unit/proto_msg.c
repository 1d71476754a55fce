/* Messages: every row of the table packs and unpacks; hostile bytes are refused within a memory budget. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/msg.h"

START_TEST(test_msg_table_is_sound) {
    for (uint32_t type = 0; type < 300; type++) {
        const struct vt_msg_desc *desc = vt_msg_desc(type);
        if (!desc) continue;
        ck_assert_uint_eq(desc->type, type);
        ck_assert_uint_le(desc->max_len, VT_FRAME_MAX);
        ck_assert_int_eq(desc->max_len == 0, desc->pb == NULL);
        if (type < VT_CTL_HELLO) ck_assert_ptr_nonnull(desc->pb);
        ck_assert_int_eq(desc->trace != 0, type < VT_CTL_HELLO && type != VT_FRAME_STATS);
    }
    ck_assert_ptr_null(vt_msg_desc(0));
    ck_assert_ptr_null(vt_msg_desc(UINT32_MAX));
}
END_TEST

START_TEST(test_msg_every_type_round_trips_empty) {
    for (uint32_t type = 0; type < 300; type++) {
        const struct vt_msg_desc *desc = vt_msg_desc(type);
        if (!desc) continue;
        uint8_t *frame;
        size_t len;
        ProtobufCMessage *msg = NULL, *back;
        if (desc->pb) {
            msg = calloc(1, desc->pb->sizeof_message);
            desc->pb->message_init(msg);
        }
        ck_assert_int_eq(vt_msg_pack(type, msg, &frame, &len), 0);
        ck_assert_uint_eq(len, VT_FRAME_HDR);
        int rc = vt_msg_unpack(type, frame + VT_FRAME_HDR, (uint32_t)(len - VT_FRAME_HDR), &back);
        ck_assert_int_eq(rc, desc->pb ? 0 : -ENOMSG);
        if (back) ck_assert_ptr_eq(back->descriptor, desc->pb);
        vt_msg_free(back);
        free(frame);
        free(msg);
    }
}
END_TEST

START_TEST(test_msg_pack_refuses_the_wrong_message) {
    Vt__Clock clock = VT__CLOCK__INIT;
    uint8_t *frame;
    size_t len;
    ck_assert_int_eq(vt_msg_pack(VT_FRAME_DROPS, &clock.base, &frame, &len), -EINVAL);
    ck_assert_int_eq(vt_msg_pack(VT_FRAME_CLOCK, NULL, &frame, &len), -EINVAL);
    ck_assert_int_eq(vt_msg_pack(VT_CTL_STATUS, &clock.base, &frame, &len), -EINVAL);
    ck_assert_int_eq(vt_msg_pack(12345, &clock.base, &frame, &len), -EINVAL);
    Vt__Error error = VT__ERROR__INIT;
    char *text = malloc(1u << 20);
    memset(text, 'x', (1u << 20) - 1);
    text[(1u << 20) - 1] = 0;
    error.text = text;
    ck_assert_int_eq(vt_msg_pack(VT_CTL_ERROR, &error.base, &frame, &len), -EMSGSIZE);
    free(text);
}
END_TEST

START_TEST(test_msg_unpack_stays_in_its_budget) {
    /* Names with 1,500,000 empty elements: two bytes each on the wire, a hundred in memory. */
    size_t n = 1500000;
    uint8_t *bytes = malloc(2 * n);
    for (size_t i = 0; i < n; i++) {
        bytes[2 * i] = 1 << 3 | 2;
        bytes[2 * i + 1] = 0;
    }
    ProtobufCMessage *msg;
    ck_assert_int_eq(vt_msg_unpack(VT_FRAME_NAMES, bytes, (uint32_t)(2 * n), &msg), -EPROTO);
    ck_assert_ptr_null(msg);
    ck_assert_int_eq(vt_msg_unpack(VT_FRAME_NAMES, bytes, 200, &msg), 0);
    ck_assert_uint_eq(((Vt__Names *)(void *)msg)->n_names, 100);
    vt_msg_free(msg);
    free(bytes);
}
END_TEST

START_TEST(test_msg_many_small_names_fit_the_budget) { /* what the daemon really sends must fit */
    Vt__Names names = VT__NAMES__INIT;
    size_t n = 20000;
    Vt__Name *all = calloc(n, sizeof *all), **list = calloc(n, sizeof(Vt__Name *));
    for (size_t i = 0; i < n; i++) {
        vt__name__init(&all[i]);
        all[i].id = (uint32_t)i + 1;
        all[i].line = 3;
        all[i].name = (ProtobufCBinaryData){1, (uint8_t *)"f"};
        all[i].file = (ProtobufCBinaryData){4, (uint8_t *)"a.py"};
        list[i] = &all[i];
    }
    names.n_names = n;
    names.names = list;
    uint8_t *frame;
    size_t len;
    ProtobufCMessage *back;
    ck_assert_int_eq(vt_msg_pack(VT_FRAME_NAMES, &names.base, &frame, &len), 0);
    ck_assert_int_eq(vt_msg_unpack(VT_FRAME_NAMES, frame + VT_FRAME_HDR, (uint32_t)(len - VT_FRAME_HDR), &back), 0);
    ck_assert_uint_eq(((Vt__Names *)(void *)back)->n_names, n);
    vt_msg_free(back);
    free(frame);
    free(list);
    free(all);
}
END_TEST

START_TEST(test_msg_hostile_bytes_are_safe) {
    uint64_t state = 88172645463325252ull;
    uint8_t bytes[300];
    for (int round = 0; round < 20000; round++) {
        for (size_t i = 0; i < sizeof bytes; i++) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            bytes[i] = (uint8_t)(state >> 24) & (round % 2 ? 0x1f : 0xff);
        }
        uint32_t type = (uint32_t)(state % 80);
        ProtobufCMessage *msg;
        if (vt_msg_unpack(type, bytes, (uint32_t)(state >> 32) % sizeof bytes, &msg) == 0) vt_msg_free(msg);
    }
}
END_TEST

START_TEST(test_msg_is_sent_and_received) {
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    Vt__PidReq req = VT__PID_REQ__INIT;
    req.pid = 77;
    ck_assert_int_eq(vt_msg_send(pair[0], VT_CTL_STOP, &req.base), 0);
    ck_assert_int_eq(vt_msg_send(pair[0], VT_CTL_STATUS, NULL), 0);
    close(pair[0]);
    struct vt_frame_buf b = {0};
    const uint8_t *payload;
    uint32_t type, len;
    ProtobufCMessage *msg;
    ck_assert_int_eq(vt_msg_recv(pair[1], &b, &type, &payload, &len), 0);
    ck_assert_uint_eq(type, VT_CTL_STOP);
    ck_assert_int_eq(vt_msg_unpack(type, payload, len, &msg), 0);
    ck_assert_uint_eq(((Vt__PidReq *)(void *)msg)->pid, 77);
    vt_msg_free(msg);
    ck_assert_int_eq(vt_msg_recv(pair[1], &b, &type, &payload, &len), 0);
    ck_assert_uint_eq(type, VT_CTL_STATUS);
    ck_assert_uint_eq(len, 0);
    ck_assert_int_eq(vt_msg_recv(pair[1], &b, &type, &payload, &len), -EPIPE);
    ck_assert_int_eq(vt_msg_send(pair[1], VT_CTL_STATUS, NULL), -EPIPE); /* and no SIGPIPE */
    vt_frame_buf_free(&b);
    close(pair[1]);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("proto/msg");
    TCase *tests = tcase_create("msg");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_msg_table_is_sound);
    tcase_add_test(tests, test_msg_every_type_round_trips_empty);
    tcase_add_test(tests, test_msg_pack_refuses_the_wrong_message);
    tcase_add_test(tests, test_msg_unpack_stays_in_its_budget);
    tcase_add_test(tests, test_msg_many_small_names_fit_the_budget);
    tcase_add_test(tests, test_msg_hostile_bytes_are_safe);
    tcase_add_test(tests, test_msg_is_sent_and_received);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
