/* The place of the agent: files inside the target's root and nowhere else, memfds that are really ours, and nothing that the
 * target could not write itself. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/attach_priv.h"
#include "attach/place.h"

#define OTHER_USER 54321

static struct target_creds creds_now(pid_t pid) {
    struct target_status status;
    struct target_creds creds;
    ck_assert_int_eq(target_status_read(pid, &status), 0);
    creds_of(pid, &status, &creds);
    return creds;
}

START_TEST(test_place_files_are_made_and_removed) {
    struct place p;
    struct vt_err err = {0};
    struct stat st;
    struct target_creds creds = creds_now(getpid());
    place_init(&p);
    p.reserve = vt_arena_bytes(VT_CHUNKS_MIN);
    ck_assert_msg(!place_files(&p, getpid(), &creds, true, &err), "%s", err.msg);
    ck_assert(p.files && p.agent_fd >= 0 && p.arena_fd >= 0);
    ck_assert_int_eq(stat(p.agent_path, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0700);
    ck_assert_int_eq(stat(p.arena_path, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
    ck_assert_int_eq(place_fill(&p, "agent", 5, 65536, &err), 0);
    ck_assert_int_eq(fstat(p.arena_fd, &st), 0);
    ck_assert_int_eq(st.st_size, 65536);
    ck_assert_int_eq(place_seal(&p, &err), 0);
    char agent[256], arena[256];
    memcpy(agent, p.agent_path, sizeof(agent));
    memcpy(arena, p.arena_path, sizeof(arena));
    place_close(&p);
    ck_assert_int_eq(access(agent, F_OK), -1);
    ck_assert_int_eq(access(arena, F_OK), -1);
    vt_close(&p.arena_fd);
}
END_TEST

/* A target whose /dev/shm and /tmp are links to absolute paths: they mean its own root, not ours. */
START_TEST(test_place_stays_inside_the_root) {
    char root[] = "/var/tmp/vt-place-XXXXXX", trap[] = "/var/tmp/vt-trap-XXXXXX", path[512];
    struct place p;
    struct vt_err err = {0};
    if (geteuid()) return (void)puts("SKIP attach/place stays_inside_the_root: needs root, for chroot");
    ck_assert(mkdtemp(root) && mkdtemp(trap));
    snprintf(path, sizeof(path), "%s/tmp", root);
    ck_assert_int_eq(symlink(trap, path), 0);
    snprintf(path, sizeof(path), "%s/run", root);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    int fds[2];
    char c;
    ck_assert_int_eq(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (chroot(root) || chdir("/") || write(fds[1], "x", 1) != 1) _exit(1);
        for (;;) pause();
    }
    ck_assert_int_eq(read(fds[0], &c, 1), 1);
    place_init(&p);
    p.reserve = vt_arena_bytes(VT_CHUNKS_MIN);
    struct target_creds creds = creds_now(pid);
    ck_assert_msg(!place_files(&p, pid, &creds, true, &err), "%s", err.msg);
    ck_assert_msg(!strncmp(p.agent_path, "/run/", 5), "%s", p.agent_path);
    ck_assert(!place_target_has_proc(pid, pid));
    snprintf(path, sizeof(path), "%s%s", root, p.agent_path);
    ck_assert_int_eq(access(path, F_OK), 0);
    place_close(&p);
    ck_assert_int_eq(access(path, F_OK), -1);
    ck_assert_int_eq(rmdir(trap), 0); /* nothing in there */
    vt_close(&p.arena_fd);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    snprintf(path, sizeof(path), "rm -r '%s'", root);
    ck_assert_int_eq(system(path), 0);
}
END_TEST

START_TEST(test_place_memfds_are_filled_and_sealed) {
    struct place p;
    struct vt_err err = {0};
    struct target_creds creds = creds_now(getpid());
    int agent = memfd_create(VT_AGENT_MEMFD, MFD_CLOEXEC | MFD_ALLOW_SEALING), other = memfd_create("other", MFD_CLOEXEC);
    int arena = memfd_create(VT_ARENA_MEMFD, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    char first[256];
    place_init(&p);
    ck_assert_int_eq(place_memfds(&p, getpid(), &creds, other, arena, &err), -EBADF); /* the number was reused */
    place_close(&p);
    vt_close(&p.arena_fd);
    place_init(&p);
    ck_assert_int_eq(place_memfds(&p, getpid(), &creds, agent, arena, &err), 0);
    memcpy(first, p.agent_path, sizeof(first));
    ck_assert_int_eq(access(first, F_OK), 0);
    ck_assert_int_eq(place_fill(&p, "agent", 5, 65536, &err), 0);
    ck_assert_int_eq(place_seal(&p, &err), 0);
    ck_assert_int_eq(ftruncate(p.arena_fd, 4096), -1);
    place_close(&p);
    vt_close(&p.arena_fd);
    ck_assert_int_eq(place_memfds(&p, getpid(), &creds, agent, arena, &err), -EBADF); /* not empty: not new */
    ck_assert_int_eq(dup3(memfd_create(VT_AGENT_MEMFD, MFD_CLOEXEC | MFD_ALLOW_SEALING), agent, O_CLOEXEC), agent);
    ck_assert_int_eq(dup3(memfd_create(VT_ARENA_MEMFD, MFD_CLOEXEC | MFD_ALLOW_SEALING), arena, O_CLOEXEC), arena);
    place_init(&p);
    ck_assert_int_eq(place_memfds(&p, getpid(), &creds, agent, arena, &err), 0);
    ck_assert_str_ne(p.agent_path, first); /* dlopen would take it for the same library */
    place_close(&p);
    vt_close(&p.arena_fd);
    ck_assert(place_target_has_proc(getpid(), getpid()));
    ck_assert(!place_target_has_proc(getpid(), 1));
}
END_TEST

/* ---- targets that want us to write elsewhere ---- */

#define VICTIM_TEXT "do not touch"

static void write_text(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) _exit(3);
    close(fd);
}

/* In the child, as another user: a mount namespace of its own in whose root the victim has the name of our memfd. Answers with
 * the number of a file descriptor for it. */
static void hostile(const char *dir, const char *victim, int open_flags, int answer) {
    char map[64], path[512], old[512];
    if (setgroups(0, NULL) || setresgid(OTHER_USER, OTHER_USER, OTHER_USER) || setresuid(OTHER_USER, OTHER_USER, OTHER_USER))
        _exit(1);
    prctl(PR_SET_DUMPABLE, 1); /* else its own /proc belongs to root */
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS)) _exit(2);
    write_text("/proc/self/setgroups", "deny");
    snprintf(map, sizeof(map), "0 %d 1", OTHER_USER);
    write_text("/proc/self/uid_map", map);
    write_text("/proc/self/gid_map", map);
    snprintf(path, sizeof(path), "%s/memfd:" VT_ARENA_MEMFD, dir);
    snprintf(old, sizeof(old), "%s/old", dir);
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("none", dir, "tmpfs", 0, NULL)) _exit(4);
    write_text(path, "");
    if (mkdir(old, 0755) || mount(victim, path, NULL, MS_BIND, NULL) || syscall(SYS_pivot_root, dir, old)) _exit(5);
    int fd = open("/memfd:" VT_ARENA_MEMFD, open_flags);
    if (fd < 0 || write(answer, &fd, sizeof(fd)) != sizeof(fd)) _exit(6);
    for (;;) pause();
}

static const struct {
    mode_t mode;
    int open_flags;
} victims[] = {{0600, O_PATH}, {0644, O_RDONLY}};

/* A root that attaches to another user's process writes nothing that this user could not write. */
START_TEST(test_place_memfds_exchanged_are_refused) {
    char dir[] = "/var/tmp/vt-place-XXXXXX", victim[] = "/var/tmp/vt-victim-XXXXXX", text[64] = "";
    struct vt_err err = {0};
    struct stat st;
    struct place p;
    int fds[2], number = -1;
    if (geteuid()) return (void)puts("SKIP attach/place memfds_exchanged_are_refused: needs root");
    int file = mkstemp(victim);
    ck_assert(file >= 0 && mkdtemp(dir));
    ck_assert_int_eq(write(file, VICTIM_TEXT, strlen(VICTIM_TEXT)), strlen(VICTIM_TEXT));
    ck_assert_int_eq(fchmod(file, victims[_i].mode), 0);
    ck_assert_int_eq(chown(dir, OTHER_USER, OTHER_USER), 0);
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) hostile(dir, victim, victims[_i].open_flags, fds[1]);
    close(fds[1]);
    if (read(fds[0], &number, sizeof(number)) != sizeof(number)) {
        int status = 0;
        waitpid(pid, &status, 0);
        printf("SKIP attach/place memfds_exchanged_are_refused: no user namespace here (step %d)\n", WEXITSTATUS(status));
    } else {
        char link[64], name[64] = "";
        struct target_creds creds = creds_now(pid);
        snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)pid, number);
        ck_assert_int_gt(readlink(link, name, sizeof(name) - 1), 0);
        ck_assert_str_eq(name, "/memfd:" VT_ARENA_MEMFD); /* what the name alone would tell */
        place_init(&p);
        ck_assert_int_eq(place_memfds(&p, pid, &creds, -1, number, &err), -EBADF);
        place_close(&p);
        ck_assert_int_eq(p.arena_fd, -1);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    ck_assert_int_eq(pread(file, text, sizeof(text) - 1, 0), strlen(VICTIM_TEXT));
    ck_assert_str_eq(text, VICTIM_TEXT);
    ck_assert_int_eq(fstat(file, &st), 0);
    close(file);
    unlink(victim);
    rmdir(dir);
}
END_TEST

/* Its places are directories that only root may write to: no file is made there, and root is itself again afterwards. */
START_TEST(test_place_files_are_made_as_the_target) {
    char root[] = "/var/tmp/vt-place-XXXXXX", path[512];
    struct vt_err err = {0};
    struct stat st;
    struct place p;
    int fds[2];
    char c;
    if (geteuid()) return (void)puts("SKIP attach/place files_are_made_as_the_target: needs root");
    ck_assert(mkdtemp(root));
    ck_assert_int_eq(chmod(root, 0755), 0);
    snprintf(path, sizeof(path), "%s/tmp", root);
    ck_assert_int_eq(mkdir(path, 0755), 0); /* root's */
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (chroot(root) || chdir("/") || setgroups(0, NULL) || setresgid(OTHER_USER, OTHER_USER, OTHER_USER) ||
            setresuid(OTHER_USER, OTHER_USER, OTHER_USER) || write(fds[1], "x", 1) != 1)
            _exit(1);
        for (;;) pause();
    }
    ck_assert_int_eq(read(fds[0], &c, 1), 1);
    struct target_creds creds = creds_now(pid);
    ck_assert_int_eq(creds.uid, OTHER_USER);
    place_init(&p);
    p.reserve = vt_arena_bytes(VT_CHUNKS_MIN);
    ck_assert_int_eq(place_files(&p, pid, &creds, true, &err), -EACCES);
    place_close(&p);
    ck_assert_int_eq(rmdir(path), 0); /* empty */
    ck_assert_int_eq(mkdir(path, 0), 0);
    ck_assert_int_eq(chmod(path, 01777), 0);
    place_init(&p);
    p.reserve = vt_arena_bytes(VT_CHUNKS_MIN);
    ck_assert_msg(!place_files(&p, pid, &creds, true, &err), "%s", err.msg);
    ck_assert_int_eq(fstat(p.arena_fd, &st), 0);
    ck_assert_int_eq(st.st_uid, OTHER_USER);
    ck_assert_int_eq(st.st_gid, OTHER_USER);
    place_close(&p);
    vt_close(&p.arena_fd);
    ck_assert_int_eq(setfsuid((uid_t)-1), 0);
    ck_assert_int_eq(access(path, W_OK), 0);
    ck_assert_int_eq(rmdir(path), 0); /* nothing left */
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    ck_assert_int_eq(rmdir(root), 0);
}
END_TEST

/* A file system that is nearly full: the arena takes half of what is left, and all of its blocks. */
START_TEST(test_place_files_leave_room) {
    struct vt_err err = {0};
    struct stat st;
    struct place p;
    int status;
    if (geteuid()) return (void)puts("SKIP attach/place files_leave_room: needs root");
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
            mount("none", "/dev/shm", "tmpfs", 0, "size=4m"))
            _exit(77);
        struct target_creds creds = creds_now(getpid());
        place_init(&p);
        p.reserve = vt_arena_bytes(PLACE_FILE_CHUNKS);
        if (place_files(&p, getpid(), &creds, false, &err)) _exit(1);
        if (strncmp(p.arena_path, "/dev/shm/", 9) || p.reserve > 2 << 20 || p.reserve < 1 << 20) _exit(2);
        if (fstat(p.arena_fd, &st) || (uint64_t)st.st_size != p.reserve || (uint64_t)st.st_blocks * 512 < p.reserve) _exit(3);
        place_close(&p);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    if (WEXITSTATUS(status) == 77) return (void)puts("SKIP attach/place files_leave_room: no mount namespace here");
    ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status), "ended with %#x", (unsigned)status);
}
END_TEST

int main(void) {
    Suite *s = suite_create("attach_place");
    TCase *tc = tcase_create("place");
    tcase_add_test(tc, test_place_files_are_made_and_removed);
    tcase_add_test(tc, test_place_stays_inside_the_root);
    tcase_add_test(tc, test_place_memfds_are_filled_and_sealed);
    tcase_add_loop_test(tc, test_place_memfds_exchanged_are_refused, 0, (int)VT_ARRAY_LEN(victims));
    tcase_add_test(tc, test_place_files_are_made_as_the_target);
    tcase_add_test(tc, test_place_files_leave_room);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
