/* Target memory through all three back ends: whole reads or an error, never a part, never out of bounds. */
#include <check.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/mem.h"

#define PAGE 4096u

/* A child with one page of letters, followed by a hole. */
static pid_t child;
static char *page;

static void start(void) {
    page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(page != MAP_FAILED);
    munmap(page + PAGE, PAGE);
    memset(page, 'a', PAGE);
    child = fork();
    if (!child) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) pause();
    }
    memset(page, 'z', PAGE); /* not what the child has */
}

static void stop(void) {
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void exercise(struct mem *m) {
    char buf[2 * PAGE];
    uint64_t word, at = (uintptr_t)page;
    uint32_t half;
    ck_assert_int_eq(m->read(m, at, buf, PAGE), 0);
    ck_assert_int_eq(buf[0], 'a');
    ck_assert_int_eq(buf[PAGE - 1], 'a');
    ck_assert_int_eq(m->read(m, at, buf, PAGE + 1), -EFAULT);
    ck_assert_int_eq(m->read(m, at + PAGE, buf, 1), -EFAULT);
    ck_assert_int_eq(m->read(m, 0, buf, 1), -EFAULT);
    ck_assert_int_eq(m->read(m, UINT64_MAX - 3, buf, 8), -EFAULT);
    ck_assert_int_eq(m->read(m, at, buf, 0), 0);
    ck_assert_int_eq(m->write(m, at + 8, "12345678", 8), 0);
    ck_assert_int_eq(mem_read_u64(m, at + 8, &word), 0);
    ck_assert_mem_eq(&word, "12345678", 8);
    ck_assert_int_eq(mem_read_u32(m, at + 12, &half), 0);
    ck_assert_mem_eq(&half, "5678", 4);
    ck_assert_int_eq(m->write(m, at + PAGE - 4, "12345678", 8), -EFAULT);
    /* a string that ends with the page, one that runs out of it, one that is cut */
    ck_assert_int_eq(m->write(m, at + PAGE - 4, "end", 4), 0);
    ck_assert_int_eq(mem_read_str(m, at + PAGE - 4, buf, sizeof(buf)), 0);
    ck_assert_str_eq(buf, "end");
    ck_assert_int_eq(m->write(m, at + PAGE - 4, "endx", 4), 0);
    ck_assert_int_eq(mem_read_str(m, at + PAGE - 4, buf, sizeof(buf)), -EFAULT);
    ck_assert_str_eq(buf, "");
    ck_assert_int_eq(mem_read_str(m, at + 16, buf, 5), 0);
    ck_assert_str_eq(buf, "aaaa");
    ck_assert_int_eq(page[8], 'z'); /* ours was not meant */
}

START_TEST(test_mem_reads_and_writes_by_process_vm) {
    struct mem m;
    start();
    ck_assert_int_eq(mem_open(&m, child), 0);
    exercise(&m);
    ck_assert_int_eq(m.fd, -1);
    uint64_t word;
    stop();
    ck_assert_int_eq(mem_read_u64(&m, (uintptr_t)page, &word), -ESRCH);
    mem_close(&m);
    ck_assert_int_eq(mem_open(&m, child), -ESRCH);
    ck_assert_int_eq(mem_open(&m, 0), -ESRCH);
    ck_assert_int_eq(mem_open(&m, -1), -ESRCH);
}
END_TEST

/* What some sandboxes do to us. */
static void forbid_process_vm(int error) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_writev, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {sizeof(code) / sizeof(code[0]), code};
    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
}

START_TEST(test_mem_falls_back_to_proc_mem) {
    static const int errors[] = {EPERM, ENOSYS};
    struct mem m;
    start();
    forbid_process_vm(errors[_i]);
    ck_assert_int_eq(mem_open(&m, child), 0);
    exercise(&m);
    ck_assert_int_ge(m.fd, 0);
    uint64_t word;
    stop();
    ck_assert_int_eq(mem_read_u64(&m, (uintptr_t)page, &word), -ESRCH);
    mem_close(&m);
    ck_assert_int_eq(m.fd, -1);
}
END_TEST

START_TEST(test_mem_buffer_has_bounds) {
    struct mem m;
    uint64_t word;
    char text[8];
    uint8_t *bytes = malloc(16);
    memcpy(bytes, "0123456789abcde\0", 16);
    mem_buffer(&m, 0x1000, bytes, 16);
    ck_assert_int_eq(mem_read_u64(&m, 0x1008, &word), 0);
    ck_assert_mem_eq(&word, "89abcde\0", 8);
    ck_assert_int_eq(mem_read_u64(&m, 0x1009, &word), -EFAULT);
    ck_assert_int_eq(mem_read_u64(&m, 0xfff, &word), -EFAULT);
    ck_assert_int_eq(mem_read_u64(&m, UINT64_MAX, &word), -EFAULT);
    ck_assert_int_eq(m.read(&m, 0x1000, text, SIZE_MAX), -EFAULT);
    ck_assert_int_eq(m.read(&m, 0x1010, text, 0), 0);
    ck_assert_int_eq(mem_read_str(&m, 0x100c, text, sizeof(text)), 0);
    ck_assert_str_eq(text, "cde");
    ck_assert_int_eq(mem_read_str(&m, 0x1000, text, 4), 0);
    ck_assert_str_eq(text, "012");
    bytes[15] = 'f';
    ck_assert_int_eq(mem_read_str(&m, 0x100c, text, sizeof(text)), -EFAULT);
    ck_assert_int_eq(mem_read_str(&m, 0x1000, text, 0), -EINVAL);
    ck_assert_ptr_null(m.write);
    mem_close(&m);
    free(bytes);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("attach/mem");
    TCase *tests = tcase_create("mem");
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, test_mem_reads_and_writes_by_process_vm);
    tcase_add_loop_test(tests, test_mem_falls_back_to_proc_mem, 0, 2);
    tcase_add_test(tests, test_mem_buffer_has_bounds);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
