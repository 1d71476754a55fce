/* Frames: found wherever the stream was cut, refused when length or checksum is wrong. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/msg.h"

static size_t put_frame(uint8_t *to, uint32_t type, const char *payload) {
    uint32_t len = (uint32_t)strlen(payload);
    vt_frame_put_header(to, type, payload, len);
    memcpy(to + VT_FRAME_HDR, payload, len);
    return VT_FRAME_HDR + len;
}

START_TEST(test_frame_header_bytes_are_fixed) { /* the bytes FORMAT.md draws */
    uint8_t hdr[VT_FRAME_HDR];
    uint32_t type, len, crc;
    vt_frame_put_header(hdr, VT_FRAME_DROPS, "123456789", 9);
    ck_assert_mem_eq(hdr, "\x09\0\0\0\x08\0\0\0\x26\x39\xf4\xcb", VT_FRAME_HDR);
    ck_assert_int_eq(vt_frame_get_header(hdr, &type, &len, &crc), 0);
    ck_assert_uint_eq(type, VT_FRAME_DROPS);
    ck_assert_uint_eq(len, 9);
    ck_assert_int_eq(vt_frame_check(crc, "123456789", 9), 0);
    ck_assert_int_eq(vt_frame_check(crc, "123456780", 9), -EBADMSG);
    ck_assert_int_eq(vt_frame_check(0, NULL, 0), 0);
}
END_TEST

START_TEST(test_frame_length_above_the_limit_is_refused) {
    uint8_t hdr[VT_FRAME_HDR];
    uint32_t type, len, crc;
    for (uint32_t t = 0; t < 200; t++) {
        uint32_t limit = vt_msg_desc(t) ? vt_msg_desc(t)->max_len : VT_FRAME_MAX;
        vt_frame_put_header(hdr, t, NULL, 0);
        memcpy(hdr, &limit, 4);
        ck_assert_int_eq(vt_frame_get_header(hdr, &type, &len, &crc), 0);
        limit++;
        memcpy(hdr, &limit, 4);
        ck_assert_int_eq(vt_frame_get_header(hdr, &type, &len, &crc), -EPROTO);
    }
}
END_TEST

START_TEST(test_frame_stream_torn_anywhere_is_read) {
    uint8_t stream[400];
    size_t n = 0;
    n += put_frame(stream + n, VT_FRAME_CLOCK, "first");
    n += put_frame(stream + n, VT_CTL_STATUS, "");
    n += put_frame(stream + n, 999, "a type nobody knows");
    for (size_t piece = 1; piece <= n; piece++) {
        struct vt_frame_buf b = {0};
        uint32_t types[3] = {0}, type, len;
        size_t got = 0;
        for (size_t at = 0; at < n; at += piece) {
            const uint8_t *payload;
            size_t left = n - at;
            ck_assert_int_eq(vt_frame_buf_add(&b, stream + at, left < piece ? left : piece), 0);
            int rc;
            while ((rc = vt_frame_buf_next(&b, &type, &payload, &len)) == 1) {
                ck_assert_uint_lt(got, 3);
                if (got == 0) ck_assert_mem_eq(payload, "first", 5);
                types[got++] = type;
            }
            ck_assert_int_eq(rc, 0);
        }
        ck_assert_uint_eq(got, 3);
        ck_assert(types[0] == VT_FRAME_CLOCK && types[1] == VT_CTL_STATUS && types[2] == 999);
        vt_frame_buf_free(&b);
    }
}
END_TEST

START_TEST(test_frame_wrong_checksum_and_length_are_refused) {
    uint8_t stream[64];
    size_t n = put_frame(stream, VT_FRAME_CLOCK, "first");
    struct vt_frame_buf b = {0};
    const uint8_t *payload;
    uint32_t type, len;
    stream[n - 1] ^= 1;
    ck_assert_int_eq(vt_frame_buf_add(&b, stream, n), 0);
    ck_assert_int_eq(vt_frame_buf_next(&b, &type, &payload, &len), -EBADMSG);
    vt_frame_buf_free(&b);
    stream[3] = 0xff; /* 4 GB: refused before any of it has come */
    ck_assert_int_eq(vt_frame_buf_add(&b, stream, VT_FRAME_HDR), 0);
    ck_assert_int_eq(vt_frame_buf_next(&b, &type, &payload, &len), -EPROTO);
    vt_frame_buf_free(&b);
}
END_TEST

START_TEST(test_frame_buffer_is_bounded_and_reused) {
    struct vt_frame_buf b = {0};
    static uint8_t megabyte[1u << 20];
    const uint8_t *payload;
    uint32_t type, len;
    int rc = 0;
    for (int i = 0; i < 64 && !rc; i++) rc = vt_frame_buf_add(&b, megabyte, sizeof megabyte);
    ck_assert_int_eq(rc, -ENOBUFS);
    vt_frame_buf_free(&b);

    for (int i = 0; i < 100; i++) { /* 100 MB through it: it stays as large as what is open */
        vt_frame_put_header(megabyte, 999, megabyte + VT_FRAME_HDR, sizeof megabyte - VT_FRAME_HDR);
        ck_assert_int_eq(vt_frame_buf_add(&b, megabyte, sizeof megabyte), 0);
        ck_assert_int_eq(vt_frame_buf_next(&b, &type, &payload, &len), 1);
    }
    ck_assert_uint_le(b.size, 4u << 20);
    vt_frame_buf_free(&b);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("proto/frame");
    TCase *tests = tcase_create("frame");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_frame_header_bytes_are_fixed);
    tcase_add_test(tests, test_frame_length_above_the_limit_is_refused);
    tcase_add_test(tests, test_frame_stream_torn_anywhere_is_read);
    tcase_add_test(tests, test_frame_wrong_checksum_and_length_are_refused);
    tcase_add_test(tests, test_frame_buffer_is_bounded_and_reused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
