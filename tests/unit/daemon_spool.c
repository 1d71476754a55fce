/* The spool: whole frames only, limits, a full disk, folders that are not safe, names from outside. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/drain/payload.h"
#include "daemon/io/spool.h"
#include "proto/owndir.h"
#include "proto/trace_reader.h"

static char dir[64];
static struct spool spool;
static struct vt_err err;

static void set_up(void) {
    strcpy(dir, "/tmp/spool-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    memset(&err, 0, sizeof(err));
}
static void tear_down(void) {
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static int put_names(uint32_t n) {
    Vt__Names m = VT__NAMES__INIT;
    Vt__Name *list[64], rows[64];
    for (uint32_t i = 0; i < n; i++) {
        vt__name__init(&rows[i]);
        rows[i].id = i + 1;
        rows[i].name.data = (uint8_t *)dir;
        rows[i].name.len = strlen(dir);
        list[i] = &rows[i];
    }
    m.n_names = n;
    m.names = list;
    return spool_put(&spool, 0, VT_FRAME_NAMES, &m.base);
}

static unsigned frames_in(const char *path) {
    struct vt_trace *t;
    struct vt_trace_frame frame;
    unsigned n = 0;
    ck_assert_msg(!vt_trace_open(path, &t, &err), "%s", err.msg);
    while (vt_trace_next(t, false, &frame, &err) == 1) n++;
    ck_assert_msg(!err.code, "%s", err.msg);
    ck_assert(!vt_trace_truncated(t));
    vt_trace_close(t);
    return n;
}

START_TEST(test_spool_appends_and_locks) {
    ck_assert_int_eq(spool_open(&spool, dir, 42, geteuid(), getegid(), 0, &err), 0);
    for (int i = 0; i < 100; i++) ck_assert_int_eq(put_names(10), 0);
    ck_assert_uint_eq(frames_in(spool.path), 100);
    int fd = open(spool.path, O_RDONLY);
    struct stat st;
    ck_assert_int_eq(flock(fd, LOCK_SH | LOCK_NB), -1); /* its session lives */
    ck_assert(!fstat(fd, &st) && (st.st_mode & 0777) == 0600 && (uint64_t)st.st_size == spool.size);
    char path[PATH_MAX];
    strcpy(path, spool.path);
    struct spool second; /* the same pid in the same second */
    ck_assert_int_eq(spool_open(&second, dir, 42, geteuid(), getegid(), 0, &err), 0);
    ck_assert_str_ne(second.path, path);
    spool_close(&second, true);
    spool_close(&spool, false);
    ck_assert_int_eq(flock(fd, LOCK_SH | LOCK_NB), 0);
    ck_assert_int_eq(access(path, F_OK), 0);
    close(fd);
}
END_TEST

START_TEST(test_spool_keeps_the_size_limit) {
    ck_assert_int_eq(spool_open(&spool, dir, 42, geteuid(), getegid(), 5000, &err), 0);
    int rc = 0;
    for (int i = 0; i < 100 && !rc; i++) rc = put_names(10);
    ck_assert_int_eq(rc, -EFBIG);
    ck_assert_int_eq(put_names(1), -EFBIG);
    ck_assert_uint_le(spool.size, 5000);
    Vt__End end = VT__END__INIT;
    ck_assert_int_eq(spool_put_last(&spool, 0, VT_FRAME_END, &end.base), 0); /* the trace is closed all the same */
    ck_assert_uint_eq(spool.tail_len, 0);
    ck_assert_uint_gt(frames_in(spool.path), 5);
    spool_close(&spool, true);
}
END_TEST

/* Each frame of a file of several processes has its section's head in front, and both are there or neither. */
START_TEST(test_spool_sections_have_heads) {
    struct vt_trace *t;
    struct vt_trace_frame frame;
    Vt__Drops drops = VT__DROPS__INIT;
    uint32_t numbers[2] = {7, 0}, seen = 0;
    ck_assert_int_eq(spool_open(&spool, dir, 42, geteuid(), getegid(), 0, &err), 0);
    ck_assert_int_eq(spool_begin_sections(&spool), 0);
    for (int i = 0; i < 2; i++) ck_assert_int_eq(spool_put(&spool, numbers[i], VT_FRAME_DROPS, &drops.base), 0);
    spool.max_bytes = spool.size + 4;
    ck_assert_int_eq(spool_put(&spool, 1, VT_FRAME_DROPS, &drops.base), -EFBIG);
    ck_assert_int_eq(vt_trace_open(spool.path, &t, &err), 0);
    ck_assert_int_eq(vt_trace_next(t, false, &frame, &err), 1);
    ck_assert_uint_eq(frame.type, VT_FRAME_HEADER);
    while (vt_trace_next(t, false, &frame, &err) == 1) {
        ProtobufCMessage *msg;
        ck_assert_uint_eq(frame.type, VT_FRAME_SECTION);
        ck_assert_int_eq(vt_msg_unpack(frame.type, frame.payload, frame.len, &msg), 0);
        ck_assert_uint_eq(((Vt__Section *)(void *)msg)->number, numbers[seen]);
        uint64_t end = vt_trace_pos(t) + ((Vt__Section *)(void *)msg)->bytes;
        vt_msg_free(msg);
        ck_assert_int_eq(vt_trace_next(t, false, &frame, &err), 1);
        ck_assert(frame.type == VT_FRAME_DROPS && vt_trace_pos(t) == end);
        seen++;
    }
    ck_assert_uint_eq(seen, 2);
    vt_trace_close(t);
    spool_close(&spool, true);
}
END_TEST

START_TEST(test_spool_full_disk_keeps_whole_frames) {
    struct rlimit limit = {10000, 10000}; /* writes beyond fail, some of them half way */
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(spool_open(&spool, dir, 42, geteuid(), getegid(), 0, &err), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int rc = 0;
    unsigned n = 0;
    for (; n < 1000 && !rc; n++) rc = put_names(13);
    ck_assert_int_eq(rc, -EFBIG);
    ck_assert_uint_eq(frames_in(spool.path), n - 1); /* the half one was cut off */
    limit.rlim_cur = spool.size;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    Vt__End end = VT__END__INIT;
    end.reason = VT__END_REASON__SPOOL_FULL;
    ck_assert_int_eq(spool_put_last(&spool, 0, VT_FRAME_END, &end.base), 0);
    ck_assert_uint_gt(spool.tail_len, VT_FRAME_HDR); /* for the client that is there */
    spool_close(&spool, true);
}
END_TEST

START_TEST(test_spool_checks_folders) {
    char path[128], to[160];
    snprintf(path, sizeof(path), "%s/a", dir);
    ck_assert_int_eq(spool_dir_prepare(path, false, &err), 0);
    ck_assert_int_eq(spool_dir_prepare(path, false, &err), 0);
    ck_assert(owndir_is_safe(path, geteuid(), OWNDIR_PRIVATE) && !owndir_is_safe(path, geteuid() + 1, OWNDIR_PRIVATE));
    ck_assert_int_eq(chmod(path, 0777), 0);
    ck_assert_int_eq(spool_dir_prepare(path, false, &err), -EPERM);
    ck_assert(!owndir_is_safe(path, geteuid(), OWNDIR_PRIVATE));
    ck_assert_int_eq(chmod(path, 0700), 0);
    snprintf(to, sizeof(to), "%s/link", dir);
    ck_assert_int_eq(symlink(path, to), 0);
    memset(&err, 0, sizeof(err));
    ck_assert_int_ne(spool_dir_prepare(to, false, &err), 0);
    ck_assert(!owndir_is_safe(to, geteuid(), OWNDIR_PRIVATE));
    memset(&err, 0, sizeof(err));
    ck_assert_int_eq(spool_dir_prepare("/proc/no/such", false, &err), -ENOENT);
    ck_assert_ptr_nonnull(strstr(err.msg, "VIZTRACERD_SPOOL"));
}
END_TEST

static int count_folder(void *ctx, const char *folder) {
    (*(int *)ctx)++;
    ck_assert(!strncmp(folder, dir, strlen(dir)));
    return 0;
}

/* What another user may have put under the name of our folder: a folder of his, one of ours that he may write to, a link, a file.
 * There is another folder then, and it is found again. */
enum taken { TAKEN_BY_OTHER, TAKEN_OPEN, TAKEN_BY_LINK, TAKEN_BY_FILE };

START_TEST(test_spool_owndir_goes_elsewhere_when_its_name_is_taken) {
    char stem[128], first[160], second[160];
    int n = 0;
    if (_i == TAKEN_BY_OTHER && geteuid()) return (void)puts("SKIP daemon/spool owndir of another user: needs root");
    snprintf(stem, sizeof(stem), "%s/vt-%u", dir, geteuid());
    switch ((enum taken)_i) {
    case TAKEN_BY_OTHER: ck_assert(!mkdir(stem, 0700) && !chown(stem, 54321, 54321)); break;
    case TAKEN_OPEN: ck_assert(!mkdir(stem, 0700) && !chmod(stem, 0777)); break;
    case TAKEN_BY_LINK: ck_assert_int_eq(symlink("/", stem), 0); break;
    case TAKEN_BY_FILE: ck_assert_int_eq(mknod(stem, S_IFREG | 0600, 0), 0); break;
    }
    ck_assert_int_eq(owndir_prepare(stem, 0700, OWNDIR_PRIVATE, first, sizeof(first)), 0);
    ck_assert_str_ne(first, stem);
    ck_assert(owndir_is_safe(first, geteuid(), OWNDIR_PRIVATE));
    ck_assert_int_eq(owndir_prepare(stem, 0700, OWNDIR_PRIVATE, second, sizeof(second)), 0);
    ck_assert_str_eq(first, second);
    ck_assert_int_eq(owndir_each(stem, geteuid(), OWNDIR_PRIVATE, count_folder, &n), 0);
    ck_assert_int_eq(n, 1);
}
END_TEST

/* Lengths that do not fit the payload are refused whatever they say. */
START_TEST(test_payload_bounds_are_checked) {
    uint8_t buf[64] = {0};
    struct vt_pl_name name = {.namelen = 10, .filelen = 10};
    struct vt_pl_stack stack = {.nframes = 4, .namelen = 4};
    struct vt_pl_thread thread = {.namelen = 5};
    struct vt_pl_task task = {.namelen = UINT32_MAX};
    struct text a, b;
    const uint8_t *ids, *lines;
    memcpy(buf, &name, sizeof(name));
    ck_assert_int_eq(payload_name(buf, sizeof(name) + 20, &name, &a, &b), 0);
    ck_assert(a.len == 10 && b.len == 10 && b.p == buf + sizeof(name) + 10);
    for (uint32_t len = 0; len < sizeof(name) + 20; len++) ck_assert_int_eq(payload_name(buf, len, &name, &a, &b), -EPROTO);
    memcpy(buf, &stack, sizeof(stack));
    ck_assert_int_eq(payload_stack(buf, sizeof(stack) + 20, &stack, &a, &ids, &lines), 0);
    for (uint32_t len = 0; len < sizeof(stack) + 20; len++)
        ck_assert_int_eq(payload_stack(buf, len, &stack, &a, &ids, &lines), -EPROTO);
    ck_assert_ptr_null(lines);
    stack.flags = VT_STACK_HAS_LINES;
    memcpy(buf, &stack, sizeof(stack));
    ck_assert_int_eq(payload_stack(buf, sizeof(stack) + 36, &stack, &a, &ids, &lines), 0);
    ck_assert_ptr_eq(lines, buf + sizeof(stack) + 20);
    for (uint32_t len = 0; len < sizeof(stack) + 36; len++)
        ck_assert_int_eq(payload_stack(buf, len, &stack, &a, &ids, &lines), -EPROTO);
    stack.nframes = UINT32_MAX;
    memcpy(buf, &stack, sizeof(stack));
    ck_assert_int_eq(payload_stack(buf, sizeof(buf), &stack, &a, &ids, &lines), -EPROTO);
    memcpy(buf, &thread, sizeof(thread));
    ck_assert_int_eq(payload_thread(buf, sizeof(thread) + 5, &thread, &a), 0);
    ck_assert_int_eq(payload_thread(buf, sizeof(thread) + 4, &thread, &a), -EPROTO);
    memcpy(buf, &task, sizeof(task));
    ck_assert_int_eq(payload_task(buf, sizeof(buf), &task, &a), -EPROTO);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("daemon_spool");
    TCase *tc = tcase_create("spool");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_spool_appends_and_locks);
    tcase_add_test(tc, test_spool_keeps_the_size_limit);
    tcase_add_test(tc, test_spool_full_disk_keeps_whole_frames);
    tcase_add_test(tc, test_spool_sections_have_heads);
    tcase_add_test(tc, test_spool_checks_folders);
    tcase_add_loop_test(tc, test_spool_owndir_goes_elsewhere_when_its_name_is_taken, TAKEN_BY_OTHER, TAKEN_BY_FILE + 1);
    tcase_add_test(tc, test_payload_bounds_are_checked);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
