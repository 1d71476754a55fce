/* JSON text and numbers: for any input a strict parser accepts the output, and numbers are right. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "cli/base/json.h"

static int parses(const char *text, size_t len) {
    yajl_handle h = yajl_alloc(NULL, NULL, NULL); /* checks UTF-8 too */
    yajl_status status = yajl_parse(h, (const unsigned char *)text, len);
    if (status == yajl_status_ok) status = yajl_complete_parse(h);
    yajl_free(h);
    return status == yajl_status_ok;
}

START_TEST(test_json_numbers_are_exact) {
    uint64_t state = 88172645463325252ull;
    char got[64], want[64];
    for (int round = 0; round < 200000; round++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        uint64_t v = state >> (state & 63);
        if (round < 1100) v = (uint64_t)round;
        if (round == 1100) v = UINT64_MAX;
        *json_put_u64(got, v) = 0;
        snprintf(want, sizeof want, "%" PRIu64, v);
        ck_assert_str_eq(got, want);
        ck_assert_uint_le(strlen(got), JSON_NUMBER_MAX);
        *json_put_us(got, v) = 0;
        snprintf(want, sizeof want, "%" PRIu64 ".%03u", v / 1000, (unsigned)(v % 1000));
        ck_assert_str_eq(got, want);
        ck_assert_uint_le(strlen(got), JSON_NUMBER_MAX);
    }
}
END_TEST

static const struct {
    const char *in, *out;
} rows[] = {
    {"plain", "plain"},
    {"a\"b\\c/", "a\\\"b\\\\c/"},
    {"\b\f\n\r\t\x01\x1f\x7f", "\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f"},
    {"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8d", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8d"},
    {"\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd"},
    {"x\xed\xa0\x80y", "x\xef\xbf\xbdy"},                                     /* lone surrogate */
    {"\xed\xb2\x80", "\xef\xbf\xbd"},                                         /* surrogateescape of 0x80 */
    {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},                                 /* overlong */
    {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},                                 /* cut */
    {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* above U+10FFFF */
    {"\xe2\x82z", "\xef\xbf\xbd\xef\xbf\xbdz"},
};
START_TEST(test_json_text_is_escaped) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char got[256];
        *json_put_text(got, rows[i].in, strlen(rows[i].in)) = 0;
        ck_assert_msg(strcmp(got, rows[i].out) == 0, "row %zu: %s", i, got);
    }
    char got[16];
    *json_put_string(got, "a\0b", 3) = 0;
    ck_assert_str_eq(got, "\"a\\u0000b\"");
}
END_TEST

START_TEST(test_json_any_bytes_are_strict) {
    uint64_t state = 88172645463325252ull;
    uint8_t in[64];
    char out[JSON_TEXT_MAX(sizeof in) + 2];
    for (int round = 0; round < 200000; round++) {
        for (size_t i = 0; i < sizeof in; i += 8) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            memcpy(in + i, &state, 8);
        }
        if (round % 2)
            for (size_t i = 0; i < sizeof in; i++) in[i] |= 0x80; /* mostly broken UTF-8 */
        size_t len = (size_t)(state % sizeof in);
        char *end = json_put_string(out, in, len);
        ck_assert_uint_le((size_t)(end - out), JSON_TEXT_MAX(len) + 2);
        ck_assert_msg(parses(out, (size_t)(end - out)), "not strict: %.*s", (int)(end - out), out);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli/json");
    TCase *tests = tcase_create("json");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_json_numbers_are_exact);
    tcase_add_test(tests, test_json_text_is_escaped);
    tcase_add_test(tests, test_json_any_bytes_are_strict);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
