/* A .vzt of several processes: whose bytes are whose, whatever the file is like: interleaved, cut anywhere, damaged, hostile. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/base/memory.h"
#include "cli/convert/convert.h"
#include "cli/format/format.h"
#include "cli/format/vzt/sections.h"
#include "tests/lib/case.h"
#include "tests/lib/record.h"
#include "tests/lib/trace_build.h"

static struct trace_build parts[2], file;
static struct record rec;

static void set_up(void) {
    memset(&rec, 0, sizeof rec);
    memset(parts, 0, sizeof parts);
    memset(&file, 0, sizeof file);
}
static void tear_down(void) {
    record_free(&rec);
    memory_limit(0);
    for (size_t i = 0; i < VT_ARRAY_LEN(parts); i++)
        if (parts[i].path[0]) trace_build_remove(&parts[i]);
    if (file.path[0]) trace_build_remove(&file);
}

static void put_head(void) {
    Vt__TraceHeader header = VT__TRACE_HEADER__INIT;
    trace_build_open_bare(&file);
    header.format = VT_TRACE_FORMAT_SECTIONS;
    trace_build_frame(&file, VT_FRAME_HEADER, &header.base);
}

static void put_piece(uint32_t number, const char *bytes, size_t len) {
    Vt__Section section = VT__SECTION__INIT;
    section.number = number;
    section.bytes = (uint32_t)len;
    trace_build_frame(&file, VT_FRAME_SECTION, &section.base);
    ck_assert_int_eq(vt_write_full(file.fd, bytes, len), 0);
}

/* Two processes: 100 with a b, 200 with c. */
static void build_parts(void) {
    for (int i = 0; i < 2; i++) {
        trace_build_open_as(&parts[i], 100 + 100 * (uint32_t)i);
        trace_build_letters(&parts[i]);
        trace_build_calls(&parts[i], 0, 9, 1000 + 50 * (uint64_t)i, 100, i ? "(c (d d) c)" : "(a (b b) a)");
        trace_build_end(&parts[i], 900, 0);
        trace_build_close(&parts[i]);
    }
}

/* Both in pieces of `step` bytes, in turn. */
static void build_in_turn(size_t step) {
    char *bytes[2];
    size_t len[2], at[2] = {8, 8};
    build_parts();
    for (int i = 0; i < 2; i++) bytes[i] = trace_build_slurp(parts[i].path, &len[i]);
    put_head();
    while (at[0] < len[0] || at[1] < len[1])
        for (uint32_t i = 0; i < 2; i++) {
            size_t n = len[i] - at[i] < step ? len[i] - at[i] : step;
            if (n) put_piece(i * 7, bytes[i] + at[i], n);
            at[i] += n;
        }
    trace_build_close(&file);
    for (int i = 0; i < 2; i++) free(bytes[i]);
}

#define BOTH                                                                                                                     \
    "call 100/7 b (x.py:2) 1100..1200\ncall 100/7 a (x.py:1) 1000..1300\n"                                                       \
    "call 200/7 d (x.py:4) 1150..1250\ncall 200/7 c (x.py:3) 1050..1350\n"

START_TEST(test_sections_are_read_in_pieces_of_any_size) {
    static const size_t steps[] = {1, 7, 64, 100000};
    for (size_t i = 0; i < VT_ARRAY_LEN(steps); i++) {
        build_in_turn(steps[i]);
        ck_assert_msg(record_file(&rec, file.path, NULL, NULL) == 0, "%s", rec.err.msg);
        ck_assert_str_eq(rec.text, BOTH);
        ck_assert_int_eq(record_run(&rec, rec.source, NULL), 0); /* twice the same */
        ck_assert_str_eq(rec.text, BOTH);
        ck_assert(!rec.info->cut_off && !rec.info->damage.code);
        ck_assert_str_eq(trace_source_kind(rec.source), "vzt");
        ck_assert_uint_eq(rec.info->nprocesses, 2);
        tear_down();
        set_up();
    }
}
END_TEST

/* What a killed client leaves: everything up to the cut is there, and the file says that it is cut off. */
START_TEST(test_sections_cut_anywhere_are_read_to_the_cut) {
    build_in_turn(100);
    size_t len, most = 0;
    free(trace_build_slurp(file.path, &len));
    for (size_t size = len - 1; size >= 20; size--) {
        ck_assert_int_eq(truncate(file.path, (off_t)size), 0);
        int rc = record_file(&rec, file.path, NULL, NULL);
        if (rc) {
            ck_assert_int_eq(rc, -EBADMSG);
            ck_assert_msg(rec.err.msg[0], "an error without words");
        } else {
            ck_assert(rec.info->cut_off);
            ck_assert(!strncmp(rec.text, BOTH, strcspn(rec.text, "\n")) || strstr(rec.text, " open") || !rec.text[0]);
            most = strlen(rec.text) > most ? strlen(rec.text) : most;
        }
        record_free(&rec);
        memset(&rec, 0, sizeof rec);
    }
    ck_assert_uint_ge(most, strlen(BOTH));
}
END_TEST

START_TEST(test_sections_with_a_changed_byte_are_read_without_harm) {
    build_in_turn(50);
    size_t len;
    char *bytes = trace_build_slurp(file.path, &len);
    FILE *f = fopen(file.path, "r+b");
    for (size_t at = 8; at < len; at++) {
        char changed = (char)(bytes[at] + 1 + (int)(at % 200));
        ck_assert_int_eq(pwrite(fileno(f), &changed, 1, (off_t)at), 1);
        int rc = record_file(&rec, file.path, NULL, NULL);
        ck_assert(rc == 0 || rec.err.msg[0]);
        record_free(&rec);
        memset(&rec, 0, sizeof rec);
        ck_assert_int_eq(pwrite(fileno(f), &bytes[at], 1, (off_t)at), 1);
    }
    fclose(f);
    free(bytes);
}
END_TEST

/* One process is damaged: the others are whole, and the damage is told with its place in the file. */
START_TEST(test_sections_damage_of_one_leaves_the_others) {
    build_in_turn(100000);
    size_t len;
    char *bytes = trace_build_slurp(file.path, &len), *at = memmem(bytes, len, "x.py", 4), place[64];
    ck_assert_ptr_nonnull(at);
    FILE *f = fopen(file.path, "r+b");
    ck_assert_int_eq(pwrite(fileno(f), "y", 1, at - bytes), 1);
    fclose(f);
    ck_assert_int_eq(record_file(&rec, file.path, NULL, NULL), 0);
    ck_assert_str_eq(rec.text, strstr(BOTH, "call 200"));
    unsigned long long said = 0;
    ck_assert_int_eq(sscanf(rec.info->damage.msg, "section 0: damaged at byte %llu: checksum%63s", &said, place), 1);
    ck_assert_uint_gt(said, 8);
    ck_assert_uint_lt(said, (size_t)(at - bytes));
    ck_assert_uint_gt(said + 64, (size_t)(at - bytes));
    free(bytes);
}
END_TEST

/* A section that is itself a file of several processes is none, and a number that is too large ends reading. */
START_TEST(test_sections_are_not_nested) {
    char *bytes;
    size_t len;
    build_in_turn(100000);
    bytes = trace_build_slurp(file.path, &len);
    trace_build_remove(&file);
    put_head();
    put_piece(0, bytes + 8, len - 8);
    trace_build_close(&file);
    ck_assert_int_ne(record_file(&rec, file.path, NULL, NULL), 0);
    ck_assert_msg(strstr(rec.err.msg, "newer"), "%s", rec.err.msg);
    free(bytes);
}
END_TEST

START_TEST(test_sections_with_a_wild_number_end_there) {
    char *bytes, wild[] = "\x08\xff\xff\xff\xff\x0f\x10\x05"; /* number 2^32-1 */
    size_t len;
    build_parts();
    bytes = trace_build_slurp(parts[0].path, &len);
    put_head();
    put_piece(3, bytes + 8, len - 8);
    uint8_t head[VT_FRAME_HDR];
    vt_frame_put_header(head, VT_FRAME_SECTION, wild, 8);
    ck_assert_int_eq(vt_write_full(file.fd, head, sizeof head), 0);
    ck_assert_int_eq(vt_write_full(file.fd, wild, 8), 0);
    trace_build_close(&file);
    ck_assert_int_eq(record_file(&rec, file.path, NULL, NULL), 0);
    ck_assert_uint_eq(rec.info->nprocesses, 1);
    ck_assert_msg(strstr(rec.info->damage.msg, "section"), "%s", rec.info->damage.msg);
    free(bytes);
}
END_TEST

/* Many tiny pieces: the index has a limit, and ends in one line. */
START_TEST(test_sections_index_keeps_to_the_memory_limit) {
    struct trace_source *source;
    put_head();
    for (uint32_t i = 0; i < 40000; i++) put_piece(i, "x", 1);
    trace_build_close(&file);
    memory_limit(1u << 20);
    ck_assert_int_eq(trace_source_open(file.path, &source, &rec.err), -ENOMEM);
    ck_assert_msg(strstr(rec.err.msg, "memory"), "%s", rec.err.msg);
}
END_TEST

/* A copy of the whole is the same bytes, and says how many calls it has. */
START_TEST(test_sections_are_copied_as_they_are) {
    char out[96];
    struct convert_result result;
    struct vt_err err = {0};
    size_t a, b;
    build_in_turn(64);
    snprintf(out, sizeof out, "%s.copy.vzt", file.path);
    struct convert_opts opts = {.input = file.path, .output = out};
    ck_assert_msg(convert_trace(&opts, &result, &err) == 0, "%s", err.msg);
    char *x = trace_build_slurp(file.path, &a), *y = trace_build_slurp(out, &b);
    ck_assert_uint_eq(a, b);
    ck_assert_int_eq(memcmp(x, y, a), 0);
    unlink(out);
    free(x);
    free(y);
}
END_TEST

/* Two processes of one number: born at different times they are two; the same one, traced again after an exec, is one. */
START_TEST(test_sections_tell_processes_by_their_birth) {
    static const uint64_t born[][2] = {{1000000000, 9000000000}, {1000000000, 1010000000}};
    for (int row = 0; row < 2; row++) {
        put_head();
        for (uint32_t i = 0; i < 2; i++) {
            Vt__TraceHeader header = VT__TRACE_HEADER__INIT;
            Vt__Clock clock = VT__CLOCK__INIT;
            size_t len;
            trace_build_open_bare(&parts[i]);
            header.format = VT_TRACE_FORMAT;
            header.pid = 300;
            header.parent_pid = 299;
            header.clock = 1;
            header.born_ns = born[row][i];
            trace_build_frame(&parts[i], VT_FRAME_HEADER, &header.base);
            clock.hz = 1000000000;
            trace_build_frame(&parts[i], VT_FRAME_CLOCK, &clock.base);
            trace_build_letters(&parts[i]);
            trace_build_calls(&parts[i], 0, 9, 10000000000 * (i + 1), 100, "(a a)");
            trace_build_end(&parts[i], 10000000000 * (i + 1), 0);
            char *bytes = trace_build_slurp(parts[i].path, &len);
            put_piece(i, bytes + 8, len - 8);
            free(bytes);
        }
        trace_build_close(&file);
        ck_assert_msg(record_file(&rec, file.path, NULL, NULL) == 0, "%s", rec.err.msg);
        ck_assert_uint_eq(rec.info->nprocesses, row ? 1 : 2);
        ck_assert_uint_eq(rec.info->processes[0]->parent_pid, 299);
        ck_assert_uint_eq(rec.info->processes[0]->born_ns, born[row][row]);
        tear_down();
        set_up();
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_sections_are_read_in_pieces_of_any_size,
                                  test_sections_cut_anywhere_are_read_to_the_cut,
                                  test_sections_with_a_changed_byte_are_read_without_harm,
                                  test_sections_damage_of_one_leaves_the_others,
                                  test_sections_are_not_nested,
                                  test_sections_with_a_wild_number_end_there,
                                  test_sections_index_keeps_to_the_memory_limit,
                                  test_sections_are_copied_as_they_are,
                                  test_sections_tell_processes_by_their_birth};
    return case_main("cli/sections", tests, VT_ARRAY_LEN(tests), set_up, tear_down);
}
