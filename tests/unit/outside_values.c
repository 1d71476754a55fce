/* Values in bytes that may be anything: told where they make sense, bounded where they do not. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "outside/layout.h"
#include "outside/values.h"
#include "tests/lib/world.h"

enum { OBJECT = 0x1800, TYPE = 0x200, NAME = 0x900, TABLE = 0x1a00, WORK = 1000 };
#define STATE_ASCII (1ull << 2 | STR_IS_COMPACT | STR_IS_ASCII)
#define HUGE_SIZE (1ull << 60)

static uint8_t memory[WORLD_SIZE];

static void make(const char *type, uint32_t flags) {
    memset(memory, 0, sizeof memory);
    world_put(memory, OBJECT + OBJECT_TYPE, world_at(TYPE));
    world_put(memory, TYPE + TYPE_NAME, world_at(NAME));
    world_put(memory, TYPE + TYPE_FLAGS, flags);
    world_put(memory, TYPE + TYPE_SIZEOF, 24);
    strcpy((char *)memory + NAME, type);
}

static const char *tell(uint64_t *left) {
    static char text[VALUE_MAX];
    struct py_runtime py = {.major = 3, .minor = WORLD_PYTHON, .runtime = WORLD_BASE};
    struct py_layout layout;
    struct remote *remote;
    struct mem mem;
    mem_buffer(&mem, WORLD_BASE, memory, sizeof memory);
    ck_assert_int_eq(layout_of(&mem, &py, &layout), 0);
    ck_assert_int_eq(remote_new(&remote, &mem), 0);
    *left = WORK;
    value_read(remote, &layout, world_at(OBJECT), text, left);
    remote_free(remote);
    return text;
}

START_TEST(test_values_that_make_no_sense_are_bounded) {
    static const struct {
        const char *type;
        uint32_t flags;
        size_t at[3];
        uint64_t value[3];
        const char *text; /* that it begins with */
    } rows[] = {
        {"int", TYPE_FLAG_IS_LONG, {LONG_SIZE}, {HUGE_SIZE}, "<int of "},
        {"int", TYPE_FLAG_IS_LONG, {LONG_SIZE}, {1ull << 63}, "<int of "},
        {"int", TYPE_FLAG_IS_LONG, {LONG_SIZE, LONG_DIGITS}, {1, 0xffffffff}, "1073741823"},
        {"int", TYPE_FLAG_IS_LONG, {LONG_SIZE}, {3}, "0"}, /* digits that are 0 */
        {"bool", TYPE_FLAG_IS_LONG, {LONG_SIZE}, {5}, "?"},
        {"int", TYPE_FLAG_IS_LONG | TYPE_FLAG_ON_HEAP, {0}, {0}, "<int at 0x11800>"}, /* a class of the program */
        {"int", 0, {0}, {0}, "<int at "},
        {"str", TYPE_FLAG_IS_STR, {STR_LENGTH, STR_STATE}, {HUGE_SIZE, STATE_ASCII}, "?"},
        {"str", TYPE_FLAG_IS_STR, {STR_LENGTH, STR_STATE}, {2, 0}, "?"},
        {"bytes", TYPE_FLAG_IS_BYTES, {BYTES_SIZE, BYTES_DATA}, {HUGE_SIZE, 'x'}, "b'x\\x00"},
        {"list", TYPE_FLAG_IS_LIST, {16, 24}, {HUGE_SIZE, 8}, "[?]"},
        {"list", TYPE_FLAG_IS_LIST, {16, 24}, {HUGE_SIZE / 8, 0x10000}, "[?, ?, ?"},
        {"list", TYPE_FLAG_IS_LIST, {16, 24, TABLE}, {1, WORLD_BASE + TABLE, WORLD_BASE + OBJECT}, "[[...]]"},
        {"tuple", TYPE_FLAG_IS_TUPLE, {16, 24}, {1, WORLD_BASE + OBJECT}, "((...),)"},
        {"tuple", TYPE_FLAG_IS_TUPLE, {16, 24}, {2, 1}, "(?, ?)"},
        {"dict", TYPE_FLAG_IS_DICT, {32}, {3}, "{?}"},
        {"dict", TYPE_FLAG_IS_DICT, {32, TABLE + 24}, {WORLD_BASE + TABLE, 0x7fffffff}, "..."}, /* empty entries: work ends */
        {"set", 0, {SET_USED, SET_MASK, SET_TABLE}, {1, 0x7fffffff, WORLD_BASE + TABLE}, "{"},
        {"set", 0, {SET_USED, SET_MASK, SET_TABLE}, {1, HUGE_SIZE, 0}, "{?}"},
        {"float", 0, {16}, {0x7ff8000000000000}, "nan"},
        {"app\n\x1b.Thing", 0, {0}, {0}, "<app  .Thing at 0x11800>"},
    };
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        uint64_t left;
        make(rows[i].type, rows[i].flags);
        for (int k = 0; k < 3; k++) {
            size_t at = rows[i].at[k];
            if (at) world_put(memory, at < TABLE ? OBJECT + at : at, rows[i].value[k]);
        }
        const char *text = tell(&left), *wanted = rows[i].text;
        bool same = !strcmp(wanted, "...") ? left == 0 && vt_ends_with(text, wanted) : !strncmp(text, wanted, strlen(wanted));
        ck_assert_msg(same && strlen(text) < VALUE_MAX && left < WORK, "row %zu: %s", i, text);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("outside_values");
    TCase *tc = tcase_create("values");
    tcase_add_test(tc, test_values_that_make_no_sense_are_bounded);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
