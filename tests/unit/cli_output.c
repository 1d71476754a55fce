/* Output files: complete or absent; an old file of that name survives every failure; gzip; a full disk. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "cli/base/output.h"
#include "cli/target_path.h"

static char dir[64], path[128];
static struct output *out;
static struct vt_err err;
static uint64_t bytes;

static void set_up(void) {
    snprintf(dir, sizeof dir, "/tmp/cli-output-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/out", dir);
    memset(&err, 0, sizeof err);
}
static void tear_down(void) {
    char command[160];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

static void must_open(bool gzip) { ck_assert_msg(output_open(path, gzip, &out, &err) == 0, "%s", err.msg); }
static int entries(void) { /* in dir, hidden ones too */
    char command[160];
    snprintf(command, sizeof command, "exit $(find '%s' -mindepth 1 | wc -l)", dir);
    return WEXITSTATUS(system(command));
}
static void expect_content(const char *want) {
    char got[256] = "";
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(got, 1, sizeof got - 1, f);
    fclose(f);
    got[n] = 0;
    ck_assert_str_eq(got, want);
}
static void write_old(void) {
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    fputs("old", f);
    fclose(f);
}

START_TEST(test_output_appears_when_whole) {
    struct stat st;
    umask(027);
    must_open(false);
    output_write(out, "hello", 5);
    output_flush(out);
    ck_assert_int_lt(access(path, F_OK), 0);
    ck_assert_int_eq(entries(), 1);
    ck_assert_int_eq(output_commit(out, &bytes, &err), 0);
    ck_assert_uint_eq(bytes, 5);
    expect_content("hello");
    ck_assert_int_eq(entries(), 1);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0640);
}
END_TEST

START_TEST(test_output_abort_keeps_the_old_file) {
    write_old();
    must_open(false);
    output_write(out, "new", 3);
    output_abort(out);
    expect_content("old");
    ck_assert_int_eq(entries(), 1);
    must_open(false);
    output_write(out, "new", 3);
    ck_assert_int_eq(output_commit(out, &bytes, &err), 0);
    expect_content("new");
}
END_TEST

START_TEST(test_output_link_stays_a_link) {
    char real_path[160];
    struct stat st;
    snprintf(real_path, sizeof real_path, "%s/real", dir);
    write_old();
    ck_assert_int_eq(rename(path, real_path), 0);
    ck_assert_int_eq(symlink("real", path), 0);
    must_open(false);
    output_write(out, "new", 3);
    ck_assert_int_eq(output_commit(out, &bytes, &err), 0);
    ck_assert_int_eq(lstat(path, &st), 0);
    ck_assert(S_ISLNK(st.st_mode));
    expect_content("new");
}
END_TEST

/* What another user has put under the name in a folder like /tmp: links, files and pipes of his. */
enum foreign { FOREIGN_LINK, FOREIGN_DEAD_LINK, FOREIGN_FILE, FOREIGN_FIFO };

START_TEST(test_output_foreign_things_in_a_sticky_folder_are_replaced) {
    char victim[96], nowhere[96];
    struct stat st;
    if (geteuid()) return (void)puts("SKIP cli/output test_foreign_things_in_a_sticky_folder_are_replaced: needs root");
    ck_assert_int_eq(chmod(dir, 01777), 0);
    snprintf(victim, sizeof victim, "%s/victim", dir);
    snprintf(nowhere, sizeof nowhere, "%s/nowhere", dir);
    int fd = open(victim, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_eq(write(fd, "keep", 4), 4);
    close(fd);
    switch ((enum foreign)_i) {
    case FOREIGN_LINK: ck_assert_int_eq(symlink(victim, path), 0); break;
    case FOREIGN_DEAD_LINK: ck_assert_int_eq(symlink(nowhere, path), 0); break;
    case FOREIGN_FILE: ck_assert_int_eq(mknod(path, S_IFREG | 0666, 0), 0); break;
    case FOREIGN_FIFO: ck_assert_int_eq(mkfifo(path, 0666), 0); break;
    }
    ck_assert_int_eq(lchown(path, 54321, 54321), 0);
    if (_i >= FOREIGN_FILE) ck_assert_int_eq(chmod(path, 0666), 0);
    ck_assert_msg(!output_open(path, false, &out, &err), "%s", err.msg);
    output_write(out, "new", 3);
    ck_assert_int_eq(output_commit(out, &bytes, &err), 0);
    ck_assert_int_eq(lstat(path, &st), 0);
    ck_assert(S_ISREG(st.st_mode) && st.st_size == 3 && st.st_uid == 0);
    ck_assert_int_eq(st.st_mode & 022, 0);
    ck_assert_int_eq(stat(victim, &st), 0);
    ck_assert_int_eq(st.st_size, 4);
    ck_assert_int_eq(access(nowhere, F_OK), -1);
}
END_TEST

START_TEST(test_output_foreign_links_to_folders_are_refused) {
    char link[96], victim[96];
    if (geteuid()) return (void)puts("SKIP cli/output test_foreign_links_to_folders_are_refused: needs root");
    ck_assert_int_eq(chmod(dir, 01777), 0);
    snprintf(link, sizeof link, "%s/link", dir);
    snprintf(victim, sizeof victim, "%s/victim", dir);
    snprintf(path, sizeof path, "%s/more/out.json", link);
    ck_assert_int_eq(mkdir(victim, 0755), 0);
    ck_assert_int_eq(symlink(victim, link), 0);
    ck_assert_int_eq(lchown(link, 54321, 54321), 0);
    ck_assert_int_eq(output_open(path, false, &out, &err), -EACCES);
    ck_assert_int_eq(lchown(link, 0, 0), 0); /* our own link is followed */
    err.msg[0] = 0;
    ck_assert_msg(!output_open(path, false, &out, &err), "%s", err.msg);
    output_abort(out);
}
END_TEST

/* A raw trace is always a new file: what has its name already stays as it is. */
START_TEST(test_output_raw_trace_is_a_new_file) {
    struct attach_options o = {.output_file = path, .req.pid = 1};
    struct target_path t;
    struct output_place place;
    struct stat st;
    char taken[160];
    snprintf(taken, sizeof taken, "%s/.out.%d.vzt", dir, getpid());
    ck_assert_int_eq(symlink("/dev/null", taken), 0);
    ck_assert_msg(!target_path_open(&t, &place, &o, &err), "%s", err.msg);
    ck_assert_str_ne(t.raw, taken);
    ck_assert(!fstat(t.raw_fd, &st) && S_ISREG(st.st_mode));
    target_path_discard(&t);
    ck_assert_int_eq(lstat(taken, &st), 0);
}
END_TEST

static pid_t dead_pid(void) {
    pid_t pid = fork();
    if (!pid) _exit(0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    return pid;
}

static bool tells(const char *name) {
    struct attach_options o = {.output_file = path, .req.pid = 1};
    struct target_path t;
    struct output_place place;
    char line[PATH_MAX];
    ck_assert_msg(!target_path_open(&t, &place, &o, &err), "%s", err.msg);
    bool told = target_path_tell_left(&t, line, sizeof line);
    if (told) ck_assert_msg(strstr(line, name), "%s", line);
    target_path_discard(&t);
    return told;
}

static int put_file(char name[160], pid_t pid, const char *end) {
    snprintf(name, 160, "%s/.out.%d%s", dir, (int)pid, end);
    int fd = open(name, O_WRONLY | O_CREAT, 0600);
    ck_assert(fd >= 0 && write(fd, "trace", 5) == 5);
    return fd;
}

/* What a killed client left is told, and stays. What a living one uses is not: it runs, or holds the lock in another container.
 */
START_TEST(test_output_tells_of_a_left_raw_trace) {
    char name[160];
    struct stat st;
    pid_t dead = dead_pid();
    int fd = put_file(name, dead, ".vzt");
    ck_assert(tells(name));
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    ck_assert_msg(!tells(name), "a locked one is told");
    close(fd);
    ck_assert(tells(name));
    ck_assert_int_eq(lstat(name, &st), 0);
    unlink(name);
    static const struct {
        bool lives;
        const char *end;
        bool told;
    } rows[] = {{true, ".vzt", false}, {false, "-1.vzt", true}, {false, ".vzt.json", false}, {false, ".vz", false}};
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        close(put_file(name, rows[i].lives ? getppid() : dead, rows[i].end));
        ck_assert_msg(tells(name) == rows[i].told, "%s", name);
        unlink(name);
    }
}
END_TEST

START_TEST(test_output_makes_folders) {
    snprintf(path, sizeof path, "%s/a//b/c/out", dir);
    must_open(false);
    ck_assert_int_eq(output_commit(out, &bytes, &err), 0);
    expect_content("");
}
END_TEST

START_TEST(test_output_refusals_name_path_and_cause) {
    static const struct {
        const char *path;
        int code;
    } rows[] = {{"/proc/nothing/here", -ENOENT}, {"/tmp", -EISDIR}, {"/etc/passwd/x", -ENOTDIR}};
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        memset(&err, 0, sizeof err);
        ck_assert_int_eq(output_open(rows[i].path, false, &out, &err), rows[i].code);
        ck_assert_msg(strstr(err.msg, rows[i].path) && strstr(err.msg, strerror(-rows[i].code)), "%s", err.msg);
    }
}
END_TEST

START_TEST(test_output_device_that_is_full_is_named) {
    ck_assert_int_eq(symlink("/dev/full", path), 0);
    for (int gzip = 0; gzip < 2; gzip++) {
        memset(&err, 0, sizeof err);
        must_open(gzip);
        output_write(out, "x", 1);
        ck_assert_int_eq(output_commit(out, &bytes, &err), -ENOSPC);
        ck_assert_msg(strstr(err.msg, "No space left"), "%s", err.msg);
    }
}
END_TEST

START_TEST(test_output_disk_full_leaves_nothing) {
    static char block[64 << 10];
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("none", dir, "tmpfs", 0, "size=256k"))
        return (void)puts("SKIP cli/output test_disk_full: cannot mount a small file system here");
    write_old();
    must_open(false);
    for (int i = 0; i < 100; i++) output_write(out, block, sizeof block);
    ck_assert_int_eq(output_error(out), -ENOSPC);
    ck_assert_int_eq(output_commit(out, &bytes, &err), -ENOSPC);
    ck_assert_msg(strstr(err.msg, "No space left") && strstr(err.msg, "-o"), "%s", err.msg);
    expect_content("old");
    ck_assert_int_eq(entries(), 1);
    ck_assert_int_eq(umount(dir), 0);
}
END_TEST

START_TEST(test_output_gzip_is_one_member) {
    must_open(true);
    uint64_t state = 88172645463325252ull, sum = 0, got_sum = 0;
    size_t total = 0, got = 0;
    for (int i = 0; i < 400; i++) {
        char line[12000];
        size_t len = (size_t)(state % sizeof line);
        for (size_t k = 0; k < len; k++) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            line[k] = (char)('a' + state % 20);
            sum = sum * 31 + (unsigned char)line[k];
        }
        output_write(out, line, len);
        total += len;
    }
    ck_assert_int_eq(output_commit(out, &bytes, &err), 0);
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(bytes, st.st_size);
    FILE *f = fopen(path, "rb");
    unsigned char *packed = malloc(bytes), piece[4096];
    ck_assert_uint_eq(fread(packed, 1, bytes, f), bytes);
    fclose(f);
    z_stream z = {.next_in = packed, .avail_in = (uInt)bytes};
    ck_assert_int_eq(inflateInit2(&z, 31), Z_OK);
    int rc;
    do {
        z.next_out = piece;
        z.avail_out = sizeof piece;
        rc = inflate(&z, Z_NO_FLUSH);
        for (size_t k = 0; k < sizeof piece - z.avail_out; k++) got_sum = got_sum * 31 + piece[k];
        got += sizeof piece - z.avail_out;
    } while (rc == Z_OK);
    ck_assert_int_eq(rc, Z_STREAM_END);
    ck_assert_uint_eq(z.avail_in, 0); /* nothing behind the first member */
    ck_assert_uint_eq(got, total);
    ck_assert(got_sum == sum);
    inflateEnd(&z);
    free(packed);
}
END_TEST

START_TEST(test_output_takes_pieces_larger_than_the_buffer) {
    size_t len = 3 * OUTPUT_BUF + 17;
    char *big = calloc(1, len);
    must_open(false);
    output_write(out, "a", 1);
    output_write(out, big, len);
    output_put(out, (char *)memcpy(output_room(out, OUTPUT_BUF), "z", 1) + 1);
    ck_assert_int_eq(output_commit(out, &bytes, &err), 0);
    ck_assert_uint_eq(bytes, len + 2);
    free(big);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli/output");
    TCase *tests = tcase_create("output");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_output_appears_when_whole);
    tcase_add_test(tests, test_output_abort_keeps_the_old_file);
    tcase_add_test(tests, test_output_link_stays_a_link);
    tcase_add_loop_test(tests, test_output_foreign_things_in_a_sticky_folder_are_replaced, FOREIGN_LINK, FOREIGN_FIFO + 1);
    tcase_add_test(tests, test_output_foreign_links_to_folders_are_refused);
    tcase_add_test(tests, test_output_raw_trace_is_a_new_file);
    tcase_add_test(tests, test_output_tells_of_a_left_raw_trace);
    tcase_add_test(tests, test_output_makes_folders);
    tcase_add_test(tests, test_output_refusals_name_path_and_cause);
    tcase_add_test(tests, test_output_device_that_is_full_is_named);
    tcase_add_test(tests, test_output_disk_full_leaves_nothing);
    tcase_add_test(tests, test_output_gzip_is_one_member);
    tcase_add_test(tests, test_output_takes_pieces_larger_than_the_buffer);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
