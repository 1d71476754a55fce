/* The signal frame of a hijacked thread (arch/): its layout, the restart of interrupted calls, and that it restores a thread. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/image.h"
#include "attach/ptrace.h"
#include "attach/remote.h"

#define RED_ZONE 128u
#define RIP 0x7f0000001009ull

static const struct arch_gadgets gadgets = {.syscall_ret = 0x1000, .sigreturn = 0x2000};
static struct arch_context context;
static struct arch_frame frame;

static uint64_t word(uint64_t address) {
    uint64_t v;
    ck_assert(address >= frame.slot && address + 8 <= frame.slot + frame.len);
    memcpy(&v, frame.bytes + (address - frame.slot), sizeof(v));
    return v;
}

/* Offsets in struct ucontext. */
#define UC_RAX (40 + 13 * 8)
#define UC_RSP (40 + 15 * 8)
#define UC_RIP (40 + 16 * 8)
#define UC_FPSTATE (40 + 184)
#define UC_SIGMASK 296

static void fill(int64_t rax, int64_t orig_rax) {
    memset(&context, 0, sizeof(context));
    context.regs.gp.rsp = 0x7ffd00001238;
    context.regs.gp.rip = RIP;
    context.regs.gp.rax = (uint64_t)rax;
    context.regs.gp.orig_rax = (uint64_t)orig_rax;
    context.regs.gp.cs = 0x33;
    context.regs.gp.ss = 0x2b;
    context.sigmask = 0x1234;
    context.xstate_len = 4096;
}

static int build(const uint8_t *code, size_t len) {
    struct mem mem;
    mem_buffer(&mem, RIP - len, code, len);
    return arch_frame_build(&frame, &context, &gadgets, &mem);
}

START_TEST(test_sigframe_layout_is_the_kernels) {
    fill(7, -1);
    ck_assert_int_eq(build((const uint8_t *)"\x0f\x05", 2), 0);
    ck_assert_uint_le(frame.slot + frame.len, context.regs.gp.rsp - RED_ZONE);
    ck_assert_uint_eq(frame.context, frame.slot + 8);
    ck_assert_uint_eq(frame.context % 16, 0);
    ck_assert_uint_eq(word(frame.slot), gadgets.sigreturn);
    ck_assert_uint_eq(word(frame.context) & 0xffffffff, 7);
    ck_assert_uint_eq(word(frame.context + UC_RSP), context.regs.gp.rsp);
    ck_assert_uint_eq(word(frame.context + UC_RIP), RIP);
    ck_assert_uint_eq(word(frame.context + UC_RAX), 7);
    ck_assert_uint_eq(word(frame.context + UC_SIGMASK), 0x1234);
    uint64_t fp = word(frame.context + UC_FPSTATE), magic = word(fp + 464);
    ck_assert_uint_eq(fp % 64, 0);
    ck_assert_uint_eq(magic & 0xffffffff, 0x46505853);
    uint64_t size = magic >> 32; /* with the end mark */
    uint32_t end;
    memcpy(&end, frame.bytes + (fp - frame.slot) + size - 4, 4);
    ck_assert_uint_eq(end, 0x46505845);
    ck_assert_uint_eq(fp + size, frame.slot + frame.len);
}
END_TEST

/* What the kernel would do at the event-stop is done in the frame: rt_sigreturn does not. */
static const struct {
    int64_t rax, orig_rax;
    uint64_t rip, want_rax;
} restarts[] = {
    {-512, 202, RIP - 2, 202},    {-513, 9, RIP - 2, 9}, {-514, 232, RIP - 2, 232},       {-516, 35, RIP - 2, 35},
    {-4, 202, RIP, (uint64_t)-4}, {5, 0, RIP, 5},        {-512, -1, RIP, (uint64_t)-512}, {-516, 219, RIP - 2, 230},
};

START_TEST(test_sigframe_restarts_system_calls) {
    fill(restarts[_i].rax, restarts[_i].orig_rax);
    ck_assert_int_eq(build((const uint8_t *)"\xb8\xe6\x00\x00\x00\x0f\x05", 7), 0); /* mov $230,%eax; syscall */
    ck_assert_uint_eq(word(frame.context + UC_RIP), restarts[_i].rip);
    ck_assert_uint_eq(word(frame.context + UC_RAX), restarts[_i].want_rax);
}
END_TEST

START_TEST(test_sigframe_causes_no_spurious_eintr) {
    struct arch_regs r = {0};
    r.gp.rax = (uint64_t)-EINTR;
    r.gp.orig_rax = SYS_epoll_wait;
    ck_assert(arch_fix_restart(&r));
    ck_assert_int_eq((int64_t)r.gp.rax, -514);
    r.gp.rax = (uint64_t)-EINTR;
    r.gp.orig_rax = SYS_read;
    ck_assert(!arch_fix_restart(&r));
    r.gp.rax = 3;
    r.gp.orig_rax = SYS_epoll_wait;
    ck_assert(!arch_fix_restart(&r));
}
END_TEST

START_TEST(test_sigframe_refuses_what_does_not_fit) {
    fill(0, -1);
    context.xstate_len = 100;
    ck_assert_int_eq(build((const uint8_t *)"\x0f\x05", 2), -EOVERFLOW);
    fill(0, -1);
    context.regs.gp.rsp = 1000;
    ck_assert_int_eq(build((const uint8_t *)"\x0f\x05", 2), -EOVERFLOW);
}
END_TEST

/* -- on a real thread -- */
static volatile uint64_t *shared;

static pid_t counting_child(void) {
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(page, MAP_FAILED);
    shared = page;
    pid_t pid = fork();
    if (pid == 0) {
        for (double x = 1.5;; x = x * 1.0000001 > 3 ? 1.5 : x * 1.0000001) {
            shared[0]++;
            if (x < 1 || x > 4) shared[1]++;
        }
    }
    return pid;
}

static bool goes_on(void) {
    uint64_t was = shared[0];
    for (int i = 0; i < 2000 && shared[0] == was; i++) usleep(1000);
    return shared[0] != was && !shared[1];
}

/* _i: 0 = we put the thread back; 1 = we leave in the middle of a system call, and it comes back by itself. */
START_TEST(test_sigframe_restores_the_thread) {
    struct trace_env env;
    struct tracee t;
    struct mem mem;
    struct image img;
    struct vt_err err = {0};
    struct remote *r = calloc(1, sizeof(*r));
    pid_t pid = counting_child();
    ck_assert_int_eq(mem_open(&mem, pid), 0);
    ck_assert_int_eq(image_open(&img, pid, &mem, &err), 0);
    struct arch_gadgets g = {image_find_code(&img, arch_syscall_ret_patterns), image_find_code(&img, arch_sigreturn_patterns)};
    ck_assert(g.syscall_ret && g.sigreturn);
    for (int round = 0; round < 20; round++) {
        trace_begin(&env);
        ck_assert_int_eq(tracee_seize(&t, &env, pid, false, 2000), 0);
        ck_assert_int_eq(remote_begin(r, &t, &img, &g), 0);
        int64_t result = 0;
        const uint64_t none[6] = {0};
        ck_assert_int_eq(remote_syscall(r, "getpid", SYS_getpid, none, &result), 0);
        ck_assert_int_eq(result, pid);
        if (_i == 0) ck_assert_int_eq(remote_end(r), 0);
        ck_assert_uint_gt(tracee_release(&t, &env), 0);
        trace_end(&env);
        ck_assert(goes_on());
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    image_close(&img);
    mem_close(&mem);
    free(r);
}
END_TEST

int main(void) {
    Suite *s = suite_create("attach_sigframe");
    TCase *tc = tcase_create("frame");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_sigframe_layout_is_the_kernels);
    tcase_add_loop_test(tc, test_sigframe_restarts_system_calls, 0, VT_ARRAY_LEN(restarts));
    tcase_add_test(tc, test_sigframe_causes_no_spurious_eintr);
    tcase_add_test(tc, test_sigframe_refuses_what_does_not_fit);
    tcase_add_loop_test(tc, test_sigframe_restores_the_thread, 0, 2);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
