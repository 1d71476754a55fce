/* Where the agent is put: files inside the target's root and nowhere else, memfds that are really ours. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/place.h"

START_TEST(files) {
    struct place p;
    struct vt_err err = {0};
    struct stat st;
    place_init(&p);
    ck_assert_msg(!place_files(&p, getpid(), getuid(), getgid(), true, &err), "%s", err.msg);
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
START_TEST(stays_inside) {
    char root[] = "/var/tmp/vt-place-XXXXXX", trap[] = "/var/tmp/vt-trap-XXXXXX", path[512];
    struct place p;
    struct vt_err err = {0};
    if (geteuid()) return; /* needs chroot */
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
    ck_assert_msg(!place_files(&p, pid, 0, 0, true, &err), "%s", err.msg);
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

START_TEST(memfds) {
    struct place p;
    struct vt_err err = {0};
    int agent = memfd_create(VT_AGENT_MEMFD, MFD_CLOEXEC), other = memfd_create("other", MFD_CLOEXEC);
    int arena = memfd_create(VT_ARENA_MEMFD, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    char first[256];
    place_init(&p);
    ck_assert_int_eq(place_memfds(&p, getpid(), other, arena, &err), -EBADF); /* the number was reused */
    place_close(&p);
    vt_close(&p.arena_fd);
    place_init(&p);
    ck_assert_int_eq(place_memfds(&p, getpid(), agent, arena, &err), 0);
    memcpy(first, p.agent_path, sizeof(first));
    ck_assert_int_eq(access(first, F_OK), 0);
    ck_assert_int_eq(place_fill(&p, "agent", 5, 65536, &err), 0);
    ck_assert_int_eq(place_seal(&p, &err), 0);
    ck_assert_int_eq(ftruncate(p.arena_fd, 4096), -1);
    place_close(&p);
    vt_close(&p.arena_fd);
    place_init(&p);
    ck_assert_int_eq(place_memfds(&p, getpid(), agent, arena, &err), 0);
    ck_assert_str_ne(p.agent_path, first); /* dlopen would take it for the same library */
    place_close(&p);
    vt_close(&p.arena_fd);
    ck_assert(place_target_has_proc(getpid(), getpid()));
    ck_assert(!place_target_has_proc(getpid(), 1));
}
END_TEST

int main(void) {
    Suite *s = suite_create("attach_place");
    TCase *tc = tcase_create("place");
    tcase_add_test(tc, files);
    tcase_add_test(tc, stays_inside);
    tcase_add_test(tc, memfds);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
