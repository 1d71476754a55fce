/* Lines of maps files, modules and their kinds, and texts that are no maps file. */
#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "attach/maps.h"

START_TEST(test_maps_lines_are_parsed) {
    struct map_line l;
    const char *text = "7f12a4000000-7f12a4021000 rw-s 00003000 fd:1a 263457                     /tmp/a b (deleted)";
    ck_assert_int_eq(maps_parse_line(text, strlen(text), &l), 0);
    ck_assert_uint_eq(l.start, 0x7f12a4000000);
    ck_assert_uint_eq(l.end, 0x7f12a4021000);
    ck_assert_uint_eq(l.offset, 0x3000);
    ck_assert_uint_eq(l.dev_major, 0xfd);
    ck_assert_uint_eq(l.dev_minor, 0x1a);
    ck_assert_uint_eq(l.inode, 263457);
    ck_assert(l.r && l.w && !l.x && l.shared);
    ck_assert_str_eq(l.path, "/tmp/a b (deleted)");
    text = "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]";
    ck_assert_int_eq(maps_parse_line(text, strlen(text), &l), 0);
    ck_assert(!l.r && l.x && !l.shared);
    text = "1000-2000 rw-p 00000000 00:00 0 ";
    ck_assert_int_eq(maps_parse_line(text, strlen(text), &l), 0);
    ck_assert_str_eq(l.path, "");
    text = "1000-2000 rw-p 00000000 00:00 0";
    ck_assert_int_eq(maps_parse_line(text, strlen(text), &l), 0);
}
END_TEST

START_TEST(test_maps_refuses_other_lines) {
    static const char *const bad[] = {
        "",
        "hello",
        "2000-1000 rw-p 00000000 00:00 0",
        "1000-1000 rw-p 00000000 00:00 0",
        "1000-2000 rwxq 00000000 00:00 0",
        "1000-2000 qw-p 00000000 00:00 0",
        "1000-2000rw-p 00000000 00:00 0",
        "1000-2000 rw-p 00000000 00:00",
        "1000-2000 rw-p 00000000 00:00 x",
        "1000-2000 rw-p 00000000 00:00 0x",
        "1000-2000 rw-p 00000000 123456789:00 0",
        "10000000000000000-20000000000000000 rw-p 00000000 00:00 0",
        "1000-2000 rw-p 00000000 00:00 99999999999999999999999",
    };
    struct map_line l;
    for (size_t i = 0; i < VT_ARRAY_LEN(bad); i++)
        ck_assert_msg(maps_parse_line(bad[i], strlen(bad[i]), &l) == -EINVAL, "%s", bad[i]);
    ck_assert_int_eq(maps_parse_line("1000-2000 rw-p 00000000 00:00 5 /a\0b", 36, &l), -EINVAL);
    /* any prefix of a good line, read from memory that ends there */
    const char *good = "1000-2000 rw-p 00000000 00:00 5 /a";
    for (size_t n = 0; n <= strlen(good); n++) {
        char *copy = malloc(n ? n : 1);
        memcpy(copy, good, n);
        int rc = maps_parse_line(copy, n, &l);
        ck_assert_int_eq(rc, n < 31 ? -EINVAL : 0);
        free(copy);
    }
}
END_TEST

START_TEST(test_maps_long_path_is_cut) {
    struct map_line l;
    char text[2000] = "1000-2000 rw-p 00000000 00:00 5 /";
    size_t n = strlen(text);
    memset(text + n, 'p', sizeof(text) - n);
    ck_assert_int_eq(maps_parse_line(text, sizeof(text), &l), 0);
    ck_assert_uint_eq(strlen(l.path), sizeof(l.path) - 1);
}
END_TEST

static const char modules[] = "400000-401000 r--p 00000000 08:01 10   /usr/bin/app\n"
                              "401000-402000 r-xp 00001000 08:01 10   /usr/bin/app\n"
                              "402000-403000 rw-p 00000000 00:00 0 \n"
                              "403000-404000 rw-p 00002000 08:01 10   /usr/bin/app\n" /* after a hole: still the same */
                              "900000-920000 rw-p 00000000 00:00 0    [heap]\n"
                              "10000000-10001000 r-xp 00000000 08:01 11   /lib/tiny.so\n" /* data in its first page */
                              "10001000-10002000 rw-p 00000000 08:01 11   /lib/tiny.so\n"
                              "20000000-20001000 r-xp 00000000 08:01 11   /lib/tiny.so\n" /* loaded again */
                              "30000000-30001000 r--p 00001000 08:01 12   /lib/part.so\n"
                              "40000000-40001000 r-xp 00000000 08:01 13   /lib/x86_64-linux-gnu/libc.so.6\n"
                              "41000000-41001000 r-xp 00000000 08:01 14   /lib/libc-2.31.so\n"
                              "42000000-42001000 r-xp 00000000 08:01 15   /lib/libpthread-2.31.so\n"
                              "43000000-43001000 r-xp 00000000 08:01 16   /lib/ld-musl-x86_64.so.1\n"
                              "44000000-44001000 r-xp 00000000 08:01 17   /lib64/ld-linux-x86-64.so.2\n"
                              "45000000-45001000 r-xp 00000000 08:01 18   /usr/lib/libjemalloc.so.2\n"
                              "46000000-46001000 r-xp 00000000 08:01 19   /usr/lib/libcrypt.so.1\n"
                              "47000000-47001000 r-xp 00000000 00:01 20   /memfd:viztracer-agent (deleted)\n"
                              "48000000-48001000 rw-s 00000000 00:01 21   /memfd:viztracer-arena (deleted)\n"
                              "49000000-49001000 r-xp 00000000 00:01 22   /dev/shm/.viztracer-agent-0a.so (deleted)\n"
                              "4a000000-4a001000 rw-s 00000000 00:01 23   /tmp/.viztracer-arena-0a\n"
                              "4b000000-4b001000 r-xp 00000000 00:01 24   /opt/lib/libviztracer_agent.so\n"
                              "7ffff000-80000000 r-xp 00000000 00:00 0    [vdso]\n";

START_TEST(test_maps_lines_form_modules) {
    static const struct {
        uint64_t start, end, first;
        enum map_kind kind;
    } want[] = {
        {0x400000, 0x404000, 0x400000, MAP_OTHER},       {0x10000000, 0x10002000, 0x10000000, MAP_OTHER},
        {0x20000000, 0x20001000, 0x20000000, MAP_OTHER}, {0x30000000, 0x30001000, 0, MAP_OTHER},
        {0x40000000, 0x40001000, 0x40000000, MAP_LIBC},  {0x41000000, 0x41001000, 0x41000000, MAP_LIBC},
        {0x42000000, 0x42001000, 0x42000000, MAP_LIBC},  {0x43000000, 0x43001000, 0x43000000, MAP_LIBC},
        {0x44000000, 0x44001000, 0x44000000, MAP_LD},    {0x45000000, 0x45001000, 0x45000000, MAP_MALLOC},
        {0x46000000, 0x46001000, 0x46000000, MAP_OTHER}, {0x47000000, 0x47001000, 0x47000000, MAP_AGENT},
        {0x48000000, 0x48001000, 0x48000000, MAP_ARENA}, {0x49000000, 0x49001000, 0x49000000, MAP_AGENT},
        {0x4a000000, 0x4a001000, 0x4a000000, MAP_ARENA}, {0x4b000000, 0x4b001000, 0x4b000000, MAP_AGENT},
        {0x7ffff000, 0x80000000, 0x7ffff000, MAP_VDSO},
    };
    struct maps m;
    ck_assert_int_eq(maps_parse(modules, sizeof(modules) - 1, &m), 0);
    ck_assert_uint_eq(m.nmods, VT_ARRAY_LEN(want));
    ck_assert_uint_eq(m.nlines, 22);
    for (size_t i = 0; i < m.nmods; i++) {
        ck_assert_msg(m.mods[i].start == want[i].start && m.mods[i].end == want[i].end &&
                          m.mods[i].first_start == want[i].first && m.mods[i].kind == want[i].kind,
                      "%s: %lx-%lx first %lx kind %d", m.mods[i].path, m.mods[i].start, m.mods[i].end, m.mods[i].first_start,
                      m.mods[i].kind);
        ck_assert_ptr_eq(maps_find(&m, want[i].start), &m.mods[i]);
        ck_assert_ptr_eq(maps_find(&m, want[i].end - 1), &m.mods[i]);
    }
    ck_assert_ptr_null(maps_find(&m, 0));
    ck_assert_ptr_null(maps_find(&m, 0x900000));
    ck_assert_ptr_null(maps_find(&m, UINT64_MAX));
    ck_assert_ptr_eq(maps_find_line(&m, 0x900000), &m.lines[4]);
    ck_assert_ptr_null(maps_find_line(&m, 0x920000));
    maps_free(&m);
    ck_assert_ptr_null(maps_find(&m, 0x400000));
}
END_TEST

START_TEST(test_maps_refuses_other_texts) {
    struct maps m;
    ck_assert_int_eq(maps_parse("", 0, &m), 0);
    ck_assert_uint_eq(m.nlines, 0);
    ck_assert_int_eq(maps_parse("\n", 1, &m), -EINVAL);
    static const char backwards[] = "2000-3000 rw-p 0 00:00 0\n1000-2000 rw-p 0 00:00 0\n",
                      overlap[] = "2000-3000 rw-p 0 00:00 0\n2800-4000 rw-p 0 00:00 0\n";
    ck_assert_int_eq(maps_parse(backwards, sizeof(backwards) - 1, &m), -EINVAL);
    ck_assert_int_eq(maps_parse(overlap, sizeof(overlap) - 1, &m), -EINVAL);
    ck_assert_ptr_null(m.lines);
    size_t n = 65537, len = 0;
    char *many = malloc(n * 40);
    for (size_t i = 0; i < n; i++) len += (size_t)sprintf(many + len, "%zx-%zx rw-p 0 00:00 0\n", (i + 1) * 4096, (i + 2) * 4096);
    ck_assert_int_eq(maps_parse(many, len, &m), -E2BIG);
    while (many[len - 2] != '\n') len--;
    ck_assert_int_eq(maps_parse(many, len - 1, &m), 0);
    ck_assert_uint_eq(m.nlines, 65536);
    maps_free(&m);
    free(many);
}
END_TEST

START_TEST(test_maps_of_this_process_are_read) {
    struct maps m;
    Dl_info info;
    ck_assert_int_eq(maps_read(getpid(), &m), 0);
    void *symbol = dlsym(dlopen("libc.so.6", RTLD_NOW), "pthread_create");
    ck_assert_int_ne(dladdr(symbol, &info), 0);
    const struct map_module *mod = maps_find(&m, (uintptr_t)info.dli_fbase);
    ck_assert_ptr_nonnull(mod);
    ck_assert_uint_eq(mod->start, (uintptr_t)info.dli_fbase);
    ck_assert_int_eq(mod->kind, MAP_LIBC);
    ck_assert(maps_find_line(&m, (uintptr_t)symbol)->x);
    maps_free(&m);
    ck_assert_int_eq(maps_read(999999999, &m), -ESRCH);
    maps_free(&m);
}
END_TEST

static int stop;

/* Mappings that fall apart and grow together again, over several pages of text. */
static void *churn(void *arg) {
    enum { PAGES = 512, PAGE = 4096 };
    (void)arg;
    char *area = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    while (area != MAP_FAILED && !__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        for (size_t i = 0; i < PAGES; i += 2) mprotect(area + i * PAGE, PAGE, PROT_NONE);
        for (size_t i = 0; i < PAGES; i += 2) mprotect(area + i * PAGE, PAGE, PROT_READ);
    }
    return NULL;
}

START_TEST(test_maps_that_change_are_read_again) {
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, churn, NULL), 0);
    for (int i = 0; i < 3000; i++) {
        struct maps m;
        ck_assert_int_eq(maps_read(getpid(), &m), 0);
        ck_assert_uint_gt(m.nlines, 0);
        maps_free(&m);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("attach/maps");
    TCase *tests = tcase_create("maps");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_maps_lines_are_parsed);
    tcase_add_test(tests, test_maps_refuses_other_lines);
    tcase_add_test(tests, test_maps_long_path_is_cut);
    tcase_add_test(tests, test_maps_lines_form_modules);
    tcase_add_test(tests, test_maps_refuses_other_texts);
    tcase_add_test(tests, test_maps_of_this_process_are_read);
    tcase_add_test(tests, test_maps_that_change_are_read_again);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
