/* The arena size that memory limits allow: the plan as a table, and our own limits read back. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "attach/headroom.h"
#include "proto/abi/arena.h"

#define MIB (1ull << 20)
#define ALL HEADROOM_NONE
#define WANTED vt_arena_bytes(VT_CHUNKS_DEFAULT)

static const struct {
    uint64_t theirs, shared, address_space;
    uint64_t least, most; /* of the plan; 0, 0 = refused */
    const char *words;    /* of the refusal */
    bool pages_first;
} plans[] = {
    {ALL, ALL, ALL, 256 * MIB, 257 * MIB, NULL, false},
    {20 * MIB, ALL, ALL, 128 * MIB, 129 * MIB, NULL, true}, /* its pages are ours */
    {1 * MIB, ALL, ALL, 128 * MIB, 129 * MIB, NULL, true},
    {MIB - 1, ALL, ALL, 0, 0, "memory limit of its cgroup", false},
    {0, ALL, ALL, 0, 0, "memory limit of its cgroup", false},
    {ALL, 101 * MIB, ALL, 24 * MIB, 25 * MIB, NULL, false},
    {ALL, 4 * MIB, ALL, 0, 0, "outside of that cgroup", false},
    {ALL, 0, ALL, 0, 0, "outside of that cgroup", false},
    {30 * MIB, 41 * MIB, ALL, 9 * MIB, 10 * MIB, NULL, true},
    {ALL, ALL, 250 * MIB, 49 * MIB, 50 * MIB, NULL, false},
    {ALL, ALL, 151 * MIB, 0, 0, "RLIMIT_AS", false},
    {ALL, ALL, 0, 0, 0, "RLIMIT_AS", false},
};

START_TEST(test_headroom_plan_takes_a_part_or_refuses) {
    struct headroom room = {.theirs = plans[_i].theirs, .shared = plans[_i].shared, .address_space = plans[_i].address_space};
    struct arena_plan plan;
    struct vt_err err = {0};
    int rc = headroom_plan(&room, 1, WANTED, &plan, &err);
    if (plans[_i].words) {
        ck_assert_int_eq(rc, -ENOMEM);
        ck_assert_msg(strstr(err.msg, plans[_i].words) != NULL, "%s", err.msg);
        return;
    }
    ck_assert_msg(!rc, "%s", err.msg);
    ck_assert_uint_ge(plan.bytes, plans[_i].least);
    ck_assert_uint_le(plan.bytes, plans[_i].most);
    ck_assert_uint_eq((plan.bytes - VT_CTL_SIZE) % VT_CHUNK_SIZE, 0);
    ck_assert(plan.pages_first == plans[_i].pages_first);
}
END_TEST

START_TEST(test_headroom_read_finds_the_address_space_limit) {
    struct headroom room;
    headroom_read(getpid(), &room);
    ck_assert_uint_eq(room.address_space, HEADROOM_NONE);
    unsigned long pages = 0; /* a sanitizer has mapped terabytes */
    FILE *f = fopen("/proc/self/statm", "re");
    ck_assert(f && fscanf(f, "%lu", &pages) == 1);
    fclose(f);
    struct rlimit limit = {pages * (rlim_t)sysconf(_SC_PAGESIZE) + (1ull << 34), RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    headroom_read(getpid(), &room);
    ck_assert_uint_le(room.address_space, 1ull << 34);
    ck_assert_uint_ge(room.address_space, 1ull << 33);
}
END_TEST

/* A process shares each of its cgroups with itself. */
START_TEST(test_headroom_read_of_ourselves_is_shared) {
    struct headroom room;
    headroom_read(getpid(), &room);
    ck_assert_uint_eq(room.theirs, HEADROOM_NONE);
}
END_TEST

int main(void) {
    Suite *s = suite_create("attach/headroom");
    TCase *tc = tcase_create("headroom");
    tcase_add_loop_test(tc, test_headroom_plan_takes_a_part_or_refuses, 0, (int)VT_ARRAY_LEN(plans));
    tcase_add_test(tc, test_headroom_read_finds_the_address_space_limit);
    tcase_add_test(tc, test_headroom_read_of_ourselves_is_shared);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
