/* Blocks: any sequence of events comes back unchanged; hostile bytes do no harm; size and speed on call trees. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zstd.h>

#include "proto/block.h"
#include "proto/block_code.h"

#define STAMP_MASK ((1ull << VT_REC_TS_BITS) - 1)

static uint64_t random_state;
static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}
static uint64_t below(uint64_t n) { return next_random() % n; }

/* What went in, to compare with what comes out. */
struct model {
    struct vt_event ev[VT_BLOCK_EVENTS + 1];
    size_t n;
    uint8_t bytes[1u << 21];
    size_t used;
};
static struct model model;
static struct vt_block_enc *enc;
static struct vt_block_dec *dec;

static void set_up(void) {
    random_state = 88172645463325252ull;
    memset(&model, 0, sizeof model);
    ck_assert_ptr_nonnull(enc = vt_block_enc_new());
    ck_assert_ptr_nonnull(dec = vt_block_dec_new());
}
static void tear_down(void) {
    vt_block_enc_free(enc);
    vt_block_dec_free(dec);
}

static void expect_model(uint64_t base) {
    const uint8_t *data;
    size_t len, n;
    uint32_t raw_len;
    const struct vt_event *ev;
    ck_assert_int_eq(vt_block_count(enc), model.n);
    ck_assert_int_eq(vt_block_finish(enc, &data, &len, &raw_len), 0);
    ck_assert_uint_le(raw_len, VT_BLOCK_RAW_MAX);
    ck_assert_int_eq(vt_block_decode(dec, base, data, len, raw_len, (uint32_t)model.n, &ev, &n), 0);
    ck_assert_uint_eq(n, model.n);
    uint32_t calls = 0;
    for (size_t i = 0; i < n; i++) {
        calls += ev[i].type == VT_REC_CALL || ev[i].type == VT_REC_C_CALL;
        ck_assert_msg(ev[i].ticks == model.ev[i].ticks && ev[i].type == model.ev[i].type && ev[i].id == model.ev[i].id &&
                          ev[i].count == model.ev[i].count && ev[i].payload_len == model.ev[i].payload_len,
                      "event %zu of %zu differs: type %u id %u ticks %llu, was type %u id %u ticks %llu", i, n, ev[i].type,
                      ev[i].id, (unsigned long long)ev[i].ticks, model.ev[i].type, model.ev[i].id,
                      (unsigned long long)model.ev[i].ticks);
        if (ev[i].payload_len) ck_assert_mem_eq(ev[i].payload, model.ev[i].payload, ev[i].payload_len);
    }
    ck_assert_uint_eq(vt_block_calls(enc), calls);
}

static uint64_t random_delta(void) {
    static const uint64_t limits[] = {1, 50, 0x3ffe, 0x4001, 1u << 20, 1ull << 33};
    return below(limits[below(VT_ARRAY_LEN(limits))]);
}

START_TEST(test_block_any_sequence_round_trips) {
    for (int round = 0; round < 300; round++) {
        model.n = model.used = 0;
        uint64_t base = next_random() >> below(40), now = base;
        uint64_t ids = 1 + below(round % 3 ? 30 : VT_ID_MAX);
        size_t want = below(round % 10 ? 600 : VT_BLOCK_EVENTS + 1);
        if (base > UINT64_MAX / 2) base = now = base / 2;
        vt_block_begin(enc, base);
        while (model.n < want) {
            struct vt_event *ev = &model.ev[model.n];
            uint64_t dice = below(50);
            *ev = (struct vt_event){.ticks = now};
            if (dice == 0) {
                ev->type = VT_REC_GAP;
                ev->count = next_random();
                if (vt_block_gap(enc, ev->count)) break;
            } else if (dice == 1) {
                ev->type = VT_REC_PAYLOAD;
                ev->id = (uint32_t)below(VT_PL_KINDS);
                ev->payload_len = (uint32_t)below(below(20) ? 40 : 3000);
                if (model.used + ev->payload_len > sizeof model.bytes) break;
                ev->payload = model.bytes + model.used;
                for (uint32_t i = 0; i < ev->payload_len; i++) model.bytes[model.used++] = (uint8_t)next_random();
                if (vt_block_payload(enc, ev->id, ev->payload, ev->payload_len)) break;
            } else {
                ev->type = 1 + (uint32_t)below(VT_REC_TASK);
                ev->id = (uint32_t)below(ids + 1);
                ev->ticks = now + random_delta();
                uint64_t rec = vt_rec_make(ev->ticks, ev->id, ev->type);
                if (!vt_block_put(enc, &rec, 1, &now)) break;
                ck_assert_uint_eq(now, ev->ticks);
            }
            model.n++;
        }
        expect_model(base);
    }
}
END_TEST

/* Many at once, with pauses of any length: the caller, who knows the whole stamps, comes near to a first one that is far. */
START_TEST(test_block_runs_round_trip) {
    static uint64_t rec[4000], full[4000];
    for (int round = 0; round < 200; round++) {
        uint64_t base = next_random() >> (2 + below(30)), now = base, at = base, ids = 1 + below(20);
        size_t want = 1 + below(VT_ARRAY_LEN(rec)), took = 0;
        model.n = 0;
        vt_block_begin(enc, base);
        for (size_t i = 0; i < want; i++) {
            struct vt_event *ev = &model.ev[i];
            full[i] = at += below(100) ? below(400) : below(1ull << below(37));
            *ev = (struct vt_event){.ticks = at, .type = 1 + (uint32_t)below(VT_REC_TASK), .id = (uint32_t)below(ids)};
            rec[i] = vt_rec_make(at, ev->id, ev->type);
        }
        while (took < want && !vt_block_full(enc)) {
            if (full[took] - now >= 1ull << (VT_REC_TS_BITS - 1)) now = full[took];
            size_t n = 1; /* an EPOCH record stands where the upper bits change */
            while (took + n < want && full[took + n] >> VT_REC_TS_BITS == full[took] >> VT_REC_TS_BITS) n++;
            size_t step = vt_block_put(enc, rec + took, n, &now);
            took += step;
            if (step) ck_assert_uint_eq(now, full[took - 1]);
        }
        model.n = took;
        ck_assert(took == want || vt_block_full(enc));
        expect_model(base);
    }
}
END_TEST

START_TEST(test_block_put_takes_leading_plain_records_only) {
    uint64_t now = 5;
    uint64_t rec[] = {vt_rec_make(6, 1, VT_REC_CALL), vt_rec_make(7, 1, VT_REC_RETURN), vt_rec_make(8, 0, VT_REC_PAYLOAD),
                      vt_rec_make(9, 1, VT_REC_CALL)};
    vt_block_begin(enc, 5);
    ck_assert_uint_eq(vt_block_put(enc, rec, 4, &now), 2);
    ck_assert_uint_eq(now, 7);
    ck_assert_uint_eq(vt_block_put(enc, rec + 2, 2, &now), 0);
    ck_assert_uint_eq(vt_block_put(enc, (uint64_t[]){0}, 1, &now), 0);
    ck_assert_uint_eq(vt_block_count(enc), 2);
}
END_TEST

START_TEST(test_block_stamps_wrap_and_never_go_back) {
    uint64_t start = STAMP_MASK - 1, now = start;
    uint64_t rec[] = {vt_rec_make(STAMP_MASK, 1, VT_REC_CALL), vt_rec_make(3, 2, VT_REC_CALL), vt_rec_make(1, 2, VT_REC_RETURN)};
    vt_block_begin(enc, start);
    ck_assert_uint_eq(vt_block_put(enc, rec, 3, &now), 2); /* what goes back is left to the caller, who knows more */
    ck_assert_uint_eq(now, STAMP_MASK + 1 + 3);
    ck_assert_uint_eq(vt_block_put(enc, rec + 2, 1, &now), 1);
    ck_assert_uint_eq(now, STAMP_MASK + 1 + 3);
    model.ev[0] = (struct vt_event){.ticks = STAMP_MASK, .type = VT_REC_CALL, .id = 1};
    model.ev[1] = (struct vt_event){.ticks = now, .type = VT_REC_CALL, .id = 2};
    model.ev[2] = (struct vt_event){.ticks = now, .type = VT_REC_RETURN, .id = 2};
    model.n = 3;
    expect_model(start);
}
END_TEST

START_TEST(test_block_caller_may_move_time_on) { /* an EPOCH record does */
    uint64_t now = 100, rec = vt_rec_make(150, 1, VT_REC_CALL);
    vt_block_begin(enc, 100);
    now = 5ull << VT_REC_TS_BITS;
    ck_assert_uint_eq(vt_block_put(enc, &rec, 1, &now), 1);
    model.ev[0] = (struct vt_event){.ticks = (5ull << VT_REC_TS_BITS) + 150, .type = VT_REC_CALL, .id = 1};
    model.n = 1;
    expect_model(100);
}
END_TEST

START_TEST(test_block_bytes_are_those_of_format_md) { /* the example drawn there */
    static const uint8_t drawn[] = {3, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x14, 0x03, 0, 0, 0, 0x11, 0x0d, 0x03};
    uint64_t now = 1000, rec[] = {vt_rec_make(1000, 1, VT_REC_CALL), vt_rec_make(1005, 1, VT_REC_RETURN)};
    const uint8_t *data;
    size_t len;
    uint32_t raw_len;
    uint8_t raw[64];
    vt_block_begin(enc, 1000);
    ck_assert_uint_eq(vt_block_put(enc, rec, 2, &now), 2);
    ck_assert_int_eq(vt_block_gap(enc, 3), 0);
    ck_assert_int_eq(vt_block_finish(enc, &data, &len, &raw_len), 0);
    ck_assert_uint_eq(ZSTD_decompress(raw, sizeof raw, data, len), sizeof drawn);
    ck_assert_uint_eq(raw_len, sizeof drawn);
    ck_assert_mem_eq(raw, drawn, sizeof drawn);
}
END_TEST

START_TEST(test_block_natural_leaves_cost_nothing) { /* each kind of enter has its usual leave */
    static const struct {
        uint32_t enter, leave;
    } rows[] = {{VT_REC_CALL, VT_REC_RETURN},
                {VT_REC_C_CALL, VT_REC_C_RETURN},
                {VT_REC_RESUME, VT_REC_YIELD},
                {VT_REC_THROW, VT_REC_YIELD}};
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        uint64_t now = 0, rec[] = {vt_rec_make(0, 99, rows[i].enter), vt_rec_make(1, 99, rows[i].leave)};
        const uint8_t *data;
        size_t len;
        uint32_t raw_len;
        vt_block_begin(enc, 0);
        ck_assert_uint_eq(vt_block_put(enc, rec, 2, &now), 2);
        ck_assert_int_eq(vt_block_finish(enc, &data, &len, &raw_len), 0);
        ck_assert_uint_eq(raw_len, BLOCK_HEAD + 4 + 2); /* only the first event stands in the side stream */
    }
}
END_TEST

START_TEST(test_block_deeper_than_the_predictor_round_trips) {
    uint64_t now = 0;
    vt_block_begin(enc, 0);
    for (uint32_t i = 0; i < 16000; i++) {
        uint32_t type = i < 8000 ? VT_REC_CALL : VT_REC_RETURN, id = 1 + (i < 8000 ? i : 15999 - i) % 7;
        uint64_t rec = vt_rec_make(i, id, type);
        ck_assert_uint_eq(vt_block_put(enc, &rec, 1, &now), 1);
        model.ev[model.n++] = (struct vt_event){.ticks = i, .type = type, .id = id};
    }
    expect_model(0);
}
END_TEST

START_TEST(test_block_full_takes_no_more) {
    uint64_t now = 0, rec;
    vt_block_begin(enc, 0);
    for (uint32_t i = 0; i < VT_BLOCK_EVENTS; i++) {
        rec = vt_rec_make(i, 7, i % 2 ? VT_REC_RETURN : VT_REC_CALL);
        ck_assert_uint_eq(vt_block_put(enc, &rec, 1, &now), 1);
        model.ev[model.n++] = (struct vt_event){.ticks = i, .type = i % 2 ? VT_REC_RETURN : VT_REC_CALL, .id = 7};
    }
    ck_assert_uint_eq(vt_block_put(enc, &rec, 1, &now), 0);
    ck_assert_int_eq(vt_block_gap(enc, 1), -ENOSPC);
    ck_assert_int_eq(vt_block_payload(enc, VT_PL_NAME, "x", 1), -ENOSPC);
    expect_model(0);
}
END_TEST

START_TEST(test_block_side_stream_can_be_full_before_tokens) {
    uint64_t now = 0;
    size_t put = 0;
    vt_block_begin(enc, 0);
    for (uint64_t i = 0; i < VT_BLOCK_EVENTS; i++, put++) { /* new id and a long delta each time */
        uint64_t rec = vt_rec_make((i + 1) << 20, VT_ID_MAX - i, VT_REC_CALL);
        if (!vt_block_put(enc, &rec, 1, &now)) break;
        model.ev[model.n++] = (struct vt_event){.ticks = (i + 1) << 20, .type = VT_REC_CALL, .id = (uint32_t)(VT_ID_MAX - i)};
    }
    ck_assert_uint_gt(put, 4000);
    ck_assert_uint_lt(put, VT_BLOCK_EVENTS);
    expect_model(0);
}
END_TEST

START_TEST(test_block_payload_sizes_have_bounds) {
    static uint8_t big[VT_BLOCK_RAW_MAX];
    vt_block_begin(enc, 9);
    ck_assert_int_eq(vt_block_payload(enc, VT_PL_ARGS, big, sizeof big), -EMSGSIZE);
    ck_assert_int_eq(vt_block_payload(enc, VT_PL_ARGS, NULL, 0), 0);
    model.ev[model.n++] = (struct vt_event){.ticks = 9, .type = VT_REC_PAYLOAD, .id = VT_PL_ARGS};
    int rc;
    while ((rc = vt_block_payload(enc, VT_PL_ARGS, big, VT_PAYLOAD_MAX)) == 0)
        model.ev[model.n++] = (struct vt_event){
            .ticks = 9, .type = VT_REC_PAYLOAD, .id = VT_PL_ARGS, .payload = big, .payload_len = VT_PAYLOAD_MAX};
    ck_assert_int_eq(rc, -ENOSPC);
    ck_assert_uint_gt(model.n, 50);
    expect_model(9);
}
END_TEST

START_TEST(test_block_empty_round_trips) {
    vt_block_begin(enc, 1);
    expect_model(1);
}
END_TEST

/* A real block with any one byte changed, any length cut, or counts that lie: an error or other events, never a crash. */
START_TEST(test_block_damaged_is_refused) {
    uint64_t now = 0;
    vt_block_begin(enc, 0);
    for (uint32_t i = 0; i < 500; i++) {
        uint64_t rec = vt_rec_make(i * 37, 1 + below(20), 1 + (uint32_t)below(VT_REC_TASK));
        ck_assert_uint_eq(vt_block_put(enc, &rec, 1, &now), 1);
        if (i % 100 == 0) ck_assert_int_eq(vt_block_payload(enc, VT_PL_ARGS, "abc", 3), 0);
    }
    const uint8_t *data;
    size_t len, n;
    uint32_t raw_len, count = vt_block_count(enc);
    const struct vt_event *ev;
    ck_assert_int_eq(vt_block_finish(enc, &data, &len, &raw_len), 0);
    uint8_t *copy = malloc(len);
    for (size_t i = 0; i < len; i++) {
        memcpy(copy, data, len);
        copy[i] ^= (uint8_t)(1 + below(255));
        int rc = vt_block_decode(dec, 0, copy, len, raw_len, count, &ev, &n);
        ck_assert(rc == 0 || rc == -EBADMSG);
        rc = vt_block_decode(dec, 0, data, i, raw_len, count, &ev, &n);
        ck_assert_int_eq(rc, -EBADMSG);
    }
    ck_assert_int_eq(vt_block_decode(dec, 0, data, len, raw_len - 1, count, &ev, &n), -EBADMSG);
    ck_assert_int_eq(vt_block_decode(dec, 0, data, len, raw_len + 1, count, &ev, &n), -EBADMSG);
    ck_assert_int_eq(vt_block_decode(dec, 0, data, len, 0, count, &ev, &n), -EBADMSG);
    ck_assert_int_eq(vt_block_decode(dec, 0, data, len, UINT32_MAX, count, &ev, &n), -EBADMSG);
    ck_assert_int_eq(vt_block_decode(dec, 0, data, len, raw_len, count + 1, &ev, &n), -EBADMSG);
    ck_assert_int_eq(vt_block_decode(dec, UINT64_MAX - 5, data, len, raw_len, count, &ev, &n), -EBADMSG);
    ck_assert_int_eq(vt_block_decode(dec, 0, data, len, raw_len, count, &ev, &n), 0);
    free(copy);
}
END_TEST

START_TEST(test_varint_bounds_are_checked) {
    uint8_t buf[BLOCK_VARINT_MAX];
    uint64_t v;
    uint8_t *end = block_put_varint(buf, UINT64_MAX);
    ck_assert_int_eq(end - buf, BLOCK_VARINT_MAX);
    ck_assert_ptr_eq(block_get_varint(buf, end, &v), end);
    ck_assert(v == UINT64_MAX);
    ck_assert_ptr_null(block_get_varint(buf, end - 1, &v));
    ck_assert_ptr_null(block_get_varint(buf, buf, &v));
    buf[9] = 2; /* 65 bits */
    ck_assert_ptr_null(block_get_varint(buf, end, &v));
}
END_TEST

static uint64_t fib_records(uint64_t *rec, size_t room, size_t *n, uint64_t ticks, int depth) {
    if (*n + 2 > room) return ticks;
    rec[(*n)++] = vt_rec_make(ticks += 150 + below(30), 1, VT_REC_CALL);
    if (depth > 1) {
        ticks = fib_records(rec, room, n, ticks, depth - 1);
        ticks = fib_records(rec, room, n, ticks, depth - 2);
    }
    if (*n < room) rec[(*n)++] = vt_rec_make(ticks += 120 + below(30), 1, VT_REC_RETURN);
    return ticks;
}

/* Not a benchmark, a guard: a broken predictor or planes would show as several times the size. */
START_TEST(test_block_of_fib_is_small) {
    size_t room = 1u << 20, n = 0, bytes = 0;
    uint64_t *rec = malloc(room * sizeof *rec), now = 0, ticks = 0;
    while (n + 2 <= room) ticks = fib_records(rec, room, &n, ticks, 24);
    struct timespec from, to;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    for (size_t i = 0; i < n;) {
        const uint8_t *data;
        size_t len;
        uint32_t raw_len;
        vt_block_begin(enc, now);
        i += vt_block_put(enc, rec + i, n - i, &now);
        ck_assert_int_eq(vt_block_finish(enc, &data, &len, &raw_len), 0);
        bytes += len;
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    double ns = (double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec);
    printf("fib: encode and zstd %.1f ns/event, %.2f B/call\n", ns / (double)n, 2.0 * (double)bytes / (double)n);
    ck_assert_double_lt(2.0 * (double)bytes / (double)n, 2.6);
    free(rec);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("proto/block");
    TCase *tests = tcase_create("block");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_block_any_sequence_round_trips);
    tcase_add_test(tests, test_block_runs_round_trip);
    tcase_add_test(tests, test_block_put_takes_leading_plain_records_only);
    tcase_add_test(tests, test_block_stamps_wrap_and_never_go_back);
    tcase_add_test(tests, test_block_caller_may_move_time_on);
    tcase_add_test(tests, test_block_bytes_are_those_of_format_md);
    tcase_add_test(tests, test_block_natural_leaves_cost_nothing);
    tcase_add_test(tests, test_block_deeper_than_the_predictor_round_trips);
    tcase_add_test(tests, test_block_full_takes_no_more);
    tcase_add_test(tests, test_block_side_stream_can_be_full_before_tokens);
    tcase_add_test(tests, test_block_payload_sizes_have_bounds);
    tcase_add_test(tests, test_block_empty_round_trips);
    tcase_add_test(tests, test_block_damaged_is_refused);
    tcase_add_test(tests, test_varint_bounds_are_checked);
    tcase_add_test(tests, test_block_of_fib_is_small);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
