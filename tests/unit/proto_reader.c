/* Reading .vzt files: whole, cut, damaged, with frames of a newer version; twice over; heads only. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/trace_reader.h"
#include "tests/lib/trace_build.h"

static struct trace_build file;
static struct vt_trace *trace;
static struct vt_err err;

static void set_up(void) {
    trace_build_open(&file);
    memset(&err, 0, sizeof err);
    trace = NULL;
}
static void tear_down(void) {
    vt_trace_close(trace);
    trace_build_remove(&file);
}

static void add_block(uint32_t serial, uint32_t events) {
    struct vt_event *ev = calloc(events, sizeof *ev);
    for (uint32_t i = 0; i < events; i++)
        ev[i] = (struct vt_event){.ticks = i * 1000003ull % 0xfffff + i * 0x100000ull, .type = VT_REC_CALL, .id = i * 7919 + 1};
    trace_build_block(&file, serial, 9, 7, ev, events);
    free(ev);
}

static void reopen(void) {
    vt_trace_close(trace);
    ck_assert_msg(vt_trace_open(file.path, &trace, &err) == 0, "%s", err.msg);
}

/* Types of the frames read, as letters; rc of the last read. */
static const char *types(bool heads_only, int *rc) {
    static char text[64];
    size_t n = 0;
    struct vt_trace_frame frame;
    while ((*rc = vt_trace_next(trace, heads_only, &frame, &err)) == 1 && n < sizeof text - 1)
        text[n++] = "?HCNTSBKD.E"[frame.type];
    text[n] = 0;
    return text;
}

START_TEST(test_reader_gives_frames_in_order_twice) {
    int rc;
    trace_build_name(&file, 1, 0, "f", "a.py", 1);
    add_block(0, 100);
    trace_build_end(&file, 0, 0);
    reopen();
    for (int pass = 0; pass < 3; pass++) {
        ck_assert_str_eq(types(pass == 1, &rc), "HCNBE");
        ck_assert_int_eq(rc, 0);
        ck_assert(!vt_trace_truncated(trace));
        ck_assert_uint_eq(vt_trace_pos(trace), vt_trace_size(trace));
        vt_trace_rewind(trace);
    }
}
END_TEST

START_TEST(test_reader_block_fields_whole_and_head) {
    struct vt_trace_frame frame;
    struct vt_trace_block block;
    add_block(300, 4000); /* many kilobytes */
    reopen();
    for (int heads = 0; heads < 2; heads++) {
        vt_trace_rewind(trace);
        do ck_assert_int_eq(vt_trace_next(trace, heads, &frame, &err), 1);
        while (frame.type != VT_FRAME_BLOCK);
        int rc =
            heads ? vt_trace_block_head(frame.payload, frame.len, &block) : vt_trace_get_block(frame.payload, frame.len, &block);
        ck_assert_int_eq(rc, 0);
        ck_assert_uint_eq(block.serial, 300);
        ck_assert_uint_eq(block.ident, 9);
        ck_assert_uint_eq(block.tid, 7);
        ck_assert_uint_eq(block.events, 4000);
        ck_assert_uint_eq(block.base_ticks, 0);
        ck_assert_int_eq(block.data_len > 4000, !heads);
    }
    ck_assert_int_eq(vt_trace_next(trace, true, &frame, &err), 0);
}
END_TEST

START_TEST(test_reader_unknown_frames_are_skipped) {
    int rc;
    uint8_t frame[VT_FRAME_HDR + 5];
    memcpy(frame + VT_FRAME_HDR, "later", 5);
    vt_frame_put_header(frame, 50, "later", 5);
    ck_assert_int_eq(vt_write_full(file.fd, frame, sizeof frame), 0);
    vt_frame_put_header(frame, VT_CTL_STOP, "later", 5); /* has no place in a file */
    ck_assert_int_eq(vt_write_full(file.fd, frame, sizeof frame), 0);
    trace_build_end(&file, 0, 0);
    reopen();
    ck_assert_str_eq(types(false, &rc), "HCE");
    ck_assert_int_eq(rc, 0);
}
END_TEST

START_TEST(test_reader_file_cut_anywhere) {
    int rc;
    add_block(0, 50);
    off_t good = lseek(file.fd, 0, SEEK_CUR);
    add_block(0, 50);
    for (off_t size = lseek(file.fd, 0, SEEK_CUR) - 1; size > good; size--) {
        ck_assert_int_eq(ftruncate(file.fd, size), 0);
        reopen();
        for (int heads = 0; heads < 2; heads++) {
            ck_assert_str_eq(types(heads, &rc), "HCB");
            ck_assert_int_eq(rc, 0);
            ck_assert(vt_trace_truncated(trace));
            vt_trace_rewind(trace);
        }
    }
    ck_assert_int_eq(ftruncate(file.fd, good), 0);
    reopen();
    ck_assert_str_eq(types(false, &rc), "HCB");
    ck_assert(!vt_trace_truncated(trace));
}
END_TEST

START_TEST(test_reader_tells_damage_with_its_place) {
    int rc;
    off_t at = lseek(file.fd, 0, SEEK_CUR);
    char place[32];
    snprintf(place, sizeof place, "at byte %lld:", (long long)at);
    add_block(0, 50);
    ck_assert_int_eq(pwrite(file.fd, "\xee", 1, at + 20), 1);
    reopen();
    ck_assert_str_eq(types(false, &rc), "HC");
    ck_assert_int_eq(rc, -EBADMSG);
    ck_assert_msg(strstr(err.msg, place) && strstr(err.msg, "checksum"), "%s", err.msg);
    memset(&err, 0, sizeof err);
    ck_assert_int_eq(pwrite(file.fd, "\xff\xff\xff\xff", 4, at), 4);
    reopen();
    ck_assert_str_eq(types(true, &rc), "HC");
    ck_assert_int_eq(rc, -EBADMSG);
    ck_assert_msg(strstr(err.msg, place) && strstr(err.msg, "length"), "%s", err.msg);
}
END_TEST

START_TEST(test_reader_survives_any_changed_byte) {
    int rc;
    add_block(0, 20);
    trace_build_end(&file, 0, 0);
    off_t size = lseek(file.fd, 0, SEEK_CUR);
    for (off_t at = 8; at < size; at++) {
        uint8_t was, now;
        ck_assert_int_eq(pread(file.fd, &was, 1, at), 1);
        now = (uint8_t)(was + 1 + at % 200);
        ck_assert_int_eq(pwrite(file.fd, &now, 1, at), 1);
        reopen();
        types(at & 1, &rc);
        ck_assert(rc == 0 || rc == -EBADMSG);
        ck_assert_int_eq(pwrite(file.fd, &was, 1, at), 1);
    }
}
END_TEST

START_TEST(test_reader_refuses_what_is_no_trace) {
    struct vt_trace *t;
    ck_assert_int_eq(vt_trace_open("/no/such/file", &t, &err), -ENOENT);
    memset(&err, 0, sizeof err);
    ck_assert_int_eq(vt_trace_open("/etc/passwd", &t, &err), -EBADMSG);
    memset(&err, 0, sizeof err);
    ck_assert_int_eq(vt_trace_open("/tmp", &t, &err), -EINVAL);
    memset(&err, 0, sizeof err);
    ck_assert_int_eq(ftruncate(file.fd, 5), 0);
    ck_assert_int_eq(vt_trace_open(file.path, &t, &err), -EBADMSG);
}
END_TEST

START_TEST(test_reader_hostile_block_fields_are_refused) {
    struct vt_trace_block block;
    static const char *bad[] = {"\x08", "\x08\xff", "\x42", "\x42\x05zz", "\x42\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                                "\x0f", "\x09zz",   "\x0dz"};
    for (size_t i = 0; i < VT_ARRAY_LEN(bad); i++)
        ck_assert_int_eq(vt_trace_get_block((const uint8_t *)bad[i], strlen(bad[i]), &block), -EBADMSG);
    ck_assert_int_eq(vt_trace_get_block((const uint8_t *)"\x08\x01", 2, &block), -EBADMSG); /* no data */
    /* unknown fields of each wire type, then data */
    static const uint8_t good[] = "\xf8\x07\x01\xf9\x07"
                                  "12345678"
                                  "\xfa\x07\x02zz\xfd\x07"
                                  "1234"
                                  "\x42\x01x";
    ck_assert_int_eq(vt_trace_get_block(good, sizeof good - 1, &block), 0);
    ck_assert_uint_eq(block.data_len, 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("proto/reader");
    TCase *tests = tcase_create("reader");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, test_reader_gives_frames_in_order_twice);
    tcase_add_test(tests, test_reader_block_fields_whole_and_head);
    tcase_add_test(tests, test_reader_unknown_frames_are_skipped);
    tcase_add_test(tests, test_reader_file_cut_anywhere);
    tcase_add_test(tests, test_reader_tells_damage_with_its_place);
    tcase_add_test(tests, test_reader_survives_any_changed_byte);
    tcase_add_test(tests, test_reader_refuses_what_is_no_trace);
    tcase_add_test(tests, test_reader_hostile_block_fields_are_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
