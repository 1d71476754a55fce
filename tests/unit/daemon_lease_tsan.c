/* The thread that renews leases, beside a main thread that opens and closes arenas. Most useful under SAN=thread. */
#include <check.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/drain/lease.h"

#define CHUNKS 2u
#define WAIT_MS 20000

static struct clock_source clock_here;
static struct lease lease;

static void open_arena(struct arena *a, int *fd) {
    struct vt_err err = {0};
    *fd = memfd_create("lease-test", 0);
    ck_assert_int_ge(*fd, 0);
    ck_assert_int_eq(ftruncate(*fd, (off_t)vt_arena_bytes(CHUNKS)), 0);
    ck_assert_msg(arena_open(a, dup(*fd), CHUNKS, &err) == 0, "%s", err.msg);
}

static void start(uint64_t patience_ns) {
    clock_init(&clock_here);
    ck_assert_int_eq(lease_start(&lease, &clock_here, patience_ns), 0);
}

/* Until the lease ends later than `past`; false: it never did. */
static bool renewed(const struct arena *a, uint64_t past) {
    for (int ms = 0; ms < WAIT_MS; ms++) {
        if (vt_load_acquire(&a->ctl->lease) > past) return true;
        usleep(1000);
    }
    return false;
}

/* Nobody beats: the thread goes on by itself, again and again. */
START_TEST(test_lease_is_renewed_without_the_loop) {
    struct arena a;
    int fd;
    start(3600u * 1000000000ull);
    open_arena(&a, &fd);
    ck_assert_uint_eq(arenas_renew(1), 0); /* not kept yet */
    ck_assert_uint_eq(vt_load_acquire(&a.ctl->lease), 0);
    lease_keep(&lease, &a);
    for (int i = 0; i < 3; i++) {
        uint64_t before = vt_load_acquire(&a.ctl->lease);
        ck_assert_msg(renewed(&a, before), "no renewal %d", i);
        ck_assert_uint_gt(vt_load_acquire(&a.ctl->lease), clock_ticks(&clock_here));
    }
    arena_keep(&a, false);
    ck_assert_uint_eq(arenas_renew(1), 0);
    arena_close(&a);
    lease_stop(&lease);
    close(fd);
}
END_TEST

/* A loop that is held up for longer than the patience: as if the daemon were dead. */
START_TEST(test_lease_ends_when_the_loop_is_held_up) {
    struct arena a;
    int fd;
    start(1); /* over before the thread looks */
    open_arena(&a, &fd);
    arena_keep(&a, true);
    usleep(3 * (LEASE_EVERY_NS / 1000));
    ck_assert_uint_eq(vt_load_acquire(&a.ctl->lease), 0);
    ck_assert_uint_gt(lease_beat(&lease, vt_mono_ns()), 0);
    lease_beat(&lease, vt_mono_ns() + 3600u * 1000000000ull); /* it runs, and will have run */
    ck_assert_msg(renewed(&a, 0), "no renewal after the loop was back");
    arena_close(&a);
    lease_stop(&lease);
    close(fd);
}
END_TEST

/* Arenas come and go, one of them cut short by its owner, while the thread renews. */
START_TEST(test_lease_arenas_come_and_go) {
    struct arena cut, a;
    int cut_fd, fd;
    start(3600u * 1000000000ull);
    open_arena(&cut, &cut_fd);
    lease_keep(&lease, &cut);
    for (int i = 0; i < 200; i++) {
        open_arena(&a, &fd);
        lease_keep(&lease, &a);
        ck_assert_uint_ge(arenas_renew(i + 1), 2);
        if (i == 100) ck_assert_int_eq(ftruncate(cut_fd, 0), 0);
        arena_close(&a);
        close(fd);
    }
    ck_assert_int_eq(cut.broken, 1);
    arena_close(&cut);
    ck_assert_uint_eq(arenas_renew(1), 0);
    lease_stop(&lease);
    close(cut_fd);
}
END_TEST

int main(void) {
    Suite *s = suite_create("lease");
    TCase *t = tcase_create("lease");
    tcase_set_timeout(t, 90);
    tcase_add_test(t, test_lease_is_renewed_without_the_loop);
    tcase_add_test(t, test_lease_ends_when_the_loop_is_held_up);
    tcase_add_test(t, test_lease_arenas_come_and_go);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
