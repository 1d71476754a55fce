/* Seccomp filters: those that the kernel would not take, what each instruction does, chains, and which system calls of an attach
 * are refused. The interpreter agrees with the kernel about real filters. */
#include <check.h>
#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/seccomp.h"

#define NR BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define ARG(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, args) + 8 * (n))
#define IF(op, value, yes, no) BPF_JUMP(BPF_JMP | (op) | BPF_K, value, yes, no)
#define RET(action) BPF_STMT(BPF_RET | BPF_K, action)
#define ALLOW RET(SECCOMP_RET_ALLOW)
#define KILL RET(SECCOMP_RET_KILL_PROCESS)
#define LEN(code) (sizeof(code) / sizeof((code)[0]))

/* ---- what a filter does ---- */

#define X 7
static const struct seccomp_data sample = {
    .nr = 39, .arch = AUDIT_ARCH_X86_64, .instruction_pointer = 0x1122334455667788, .args = {0x100000002, 3, 0, 0, 0, 0xf0}};
#define TO_X BPF_STMT(BPF_LDX | BPF_IMM, X)
#define ALU(op, k)                                                                                                               \
    { BPF_STMT(BPF_ALU | (op) | BPF_K, k), BPF_STMT(BPF_RET | BPF_A, 0) }
#define ALU_X(op)                                                                                                                \
    { TO_X, BPF_STMT(BPF_ALU | (op) | BPF_X, 0), BPF_STMT(BPF_RET | BPF_A, 0) }
#define JUMP(op, k)                                                                                                              \
    { IF(op, k, 1, 0), RET(0), RET(1) }
#define JUMP_X(op)                                                                                                               \
    { TO_X, BPF_JUMP(BPF_JMP | (op) | BPF_X, 0, 1, 0), RET(0), RET(1) }

/* Each begins with the number of the system call, 39, in A. */
static const struct effect {
    const char *name;
    struct sock_filter code[8];
    uint32_t result;
} effects[] = {
    {"number", {BPF_STMT(BPF_RET | BPF_A, 0)}, 39},
    {"architecture", {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4), BPF_STMT(BPF_RET | BPF_A, 0)}, AUDIT_ARCH_X86_64},
    {"pointer-low", {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 8), BPF_STMT(BPF_RET | BPF_A, 0)}, 0x55667788},
    {"pointer-high", {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 12), BPF_STMT(BPF_RET | BPF_A, 0)}, 0x11223344},
    {"argument-low", {ARG(0), BPF_STMT(BPF_RET | BPF_A, 0)}, 2},
    {"argument-high", {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 20), BPF_STMT(BPF_RET | BPF_A, 0)}, 1},
    {"last-argument", {ARG(5), BPF_STMT(BPF_RET | BPF_A, 0)}, 0xf0},
    {"length", {BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_RET | BPF_A, 0)}, 64},
    {"length-x", {BPF_STMT(BPF_LDX | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_MISC | BPF_TXA, 0), BPF_STMT(BPF_RET | BPF_A, 0)}, 64},
    {"immediate", {BPF_STMT(BPF_LD | BPF_IMM, 5), BPF_STMT(BPF_RET | BPF_A, 0)}, 5},
    {"tax-txa",
     {BPF_STMT(BPF_MISC | BPF_TAX, 0), BPF_STMT(BPF_LD | BPF_IMM, 5), BPF_STMT(BPF_MISC | BPF_TXA, 0),
      BPF_STMT(BPF_RET | BPF_A, 0)},
     39},
    {"store-load",
     {BPF_STMT(BPF_ST, 15), BPF_STMT(BPF_LD | BPF_IMM, 5), BPF_STMT(BPF_LD | BPF_MEM, 15), BPF_STMT(BPF_RET | BPF_A, 0)},
     39},
    {"store-load-x",
     {TO_X, BPF_STMT(BPF_STX, 0), BPF_STMT(BPF_LDX | BPF_IMM, 0), BPF_STMT(BPF_LDX | BPF_MEM, 0), BPF_STMT(BPF_MISC | BPF_TXA, 0),
      BPF_STMT(BPF_RET | BPF_A, 0)},
     X},
    {"add", ALU(BPF_ADD, 0xffffffff), 38},
    {"sub", ALU(BPF_SUB, 40), 0xffffffff},
    {"mul", ALU(BPF_MUL, 3), 117},
    {"div", ALU(BPF_DIV, 4), 9},
    {"and", ALU(BPF_AND, 6), 6},
    {"or", ALU(BPF_OR, 64), 103},
    {"xor", ALU(BPF_XOR, 1), 38},
    {"lsh", ALU(BPF_LSH, 31), 0x80000000},
    {"rsh", ALU(BPF_RSH, 5), 1},
    {"neg", ALU(BPF_NEG, 0), (uint32_t)-39},
    {"add-x", ALU_X(BPF_ADD), 46},
    {"sub-x", ALU_X(BPF_SUB), 32},
    {"mul-x", ALU_X(BPF_MUL), 273},
    {"div-x", ALU_X(BPF_DIV), 5},
    {"and-x", ALU_X(BPF_AND), 7},
    {"or-x", ALU_X(BPF_OR), 39},
    {"xor-x", ALU_X(BPF_XOR), 32},
    {"lsh-x", ALU_X(BPF_LSH), 39 << 7},
    {"rsh-x", ALU_X(BPF_RSH), 0},
    {"div-by-zero", {BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), ALLOW}, SECCOMP_RET_KILL_THREAD},
    {"shift-too-far",
     {BPF_STMT(BPF_LDX | BPF_IMM, 33), BPF_STMT(BPF_ALU | BPF_LSH | BPF_X, 0), BPF_STMT(BPF_RET | BPF_A, 0)},
     78},
    {"jeq", JUMP(BPF_JEQ, 39), 1},
    {"jeq-not", JUMP(BPF_JEQ, 38), 0},
    {"jge", JUMP(BPF_JGE, 39), 1},
    {"jge-not", JUMP(BPF_JGE, 40), 0},
    {"jgt", JUMP(BPF_JGT, 38), 1},
    {"jgt-not", JUMP(BPF_JGT, 39), 0},
    {"jgt-unsigned", JUMP(BPF_JGT, 0xffffffff), 0},
    {"jset", JUMP(BPF_JSET, 2), 1},
    {"jset-not", JUMP(BPF_JSET, 8), 0},
    {"jeq-x", JUMP_X(BPF_JEQ), 0},
    {"jge-x", JUMP_X(BPF_JGE), 1},
    {"jgt-x", JUMP_X(BPF_JGT), 1},
    {"jset-x", JUMP_X(BPF_JSET), 1},
    {"ja", {BPF_STMT(BPF_JMP | BPF_JA, 2), RET(1), RET(2), RET(3), RET(4)}, 3},
    {"ja-0", {BPF_STMT(BPF_JMP | BPF_JA, 0), RET(1), RET(2)}, 1},
};

START_TEST(test_seccomp_instruction_does_as_in_the_kernel) {
    const struct effect *e = &effects[_i];
    struct sock_filter code[10] = {NR};
    size_t n = 1;
    for (size_t i = 0; i < LEN(e->code) && (e->code[i].code || e->code[i].k); i++) code[n++] = e->code[i];
    ck_assert_msg(!bpf_check(code, n), "%s: not taken", e->name);
    uint32_t result = bpf_run(code, n, &sample);
    ck_assert_msg(result == e->result, "%s: %#x instead of %#x", e->name, result, e->result);
}
END_TEST

/* ---- filters that the kernel would not take ---- */

static const struct malformed {
    const char *name;
    struct sock_filter code[4];
    size_t len;
} malformed[] = {
    {"empty", {ALLOW}, 0},
    {"no-return", {NR}, 1},
    {"jump-beyond-the-end", {BPF_STMT(BPF_JMP | BPF_JA, 1), ALLOW}, 2},
    {"jump-far", {BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff), ALLOW}, 2},
    {"true-beyond-the-end", {IF(BPF_JEQ, 0, 1, 0), ALLOW}, 2},
    {"false-beyond-the-end", {IF(BPF_JEQ, 0, 0, 255), ALLOW}, 2},
    {"jump-at-the-end", {ALLOW, BPF_STMT(BPF_JMP | BPF_JA, 0)}, 2},
    {"unaligned", {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), ALLOW}, 2},
    {"beyond-the-data", {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), ALLOW}, 2},
    {"far-beyond-the-data", {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0xfffff000), ALLOW}, 2},
    {"byte", {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), ALLOW}, 2},
    {"indirect", {BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), ALLOW}, 2},
    {"div-by-zero", {BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), ALLOW}, 2},
    {"modulo", {BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 3), ALLOW}, 2},
    {"shift-too-far", {BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), ALLOW}, 2},
    {"store-beyond", {BPF_STMT(BPF_ST, 16), ALLOW}, 2},
    {"load-beyond", {BPF_STMT(BPF_LDX | BPF_MEM, 16), ALLOW}, 2},
    {"return-x", {BPF_STMT(BPF_RET | BPF_X, 0)}, 1},
    {"unknown", {BPF_STMT(0xffff, 0), ALLOW}, 2},
};

START_TEST(test_seccomp_malformed_filter_is_not_run) {
    const struct malformed *m = &malformed[_i];
    struct seccomp_need need = {SECCOMP_START, ~0u, 0};
    struct seccomp_answers answers;
    seccomp_begin(&answers);
    ck_assert_msg(bpf_check(m->code, m->len) == -EINVAL, "%s: taken", m->name);
    ck_assert_int_eq(seccomp_ask(&answers, &need, m->code, m->len), -EINVAL);
}
END_TEST

START_TEST(test_seccomp_longest_filter_ends) {
    struct sock_filter *code = calloc(BPF_FILTER_MAX + 1, sizeof(*code));
    for (size_t i = 0; i <= BPF_FILTER_MAX; i++) code[i] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 1);
    code[BPF_FILTER_MAX - 1] = code[BPF_FILTER_MAX] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
    ck_assert_int_eq(bpf_check(code, BPF_FILTER_MAX), 0);
    ck_assert_uint_eq(bpf_run(code, BPF_FILTER_MAX, &sample), BPF_FILTER_MAX - 1);
    ck_assert_int_eq(bpf_check(code, BPF_FILTER_MAX + 1), -EINVAL);
    code[0] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, BPF_FILTER_MAX - 2); /* to the last one */
    ck_assert_int_eq(bpf_check(code, BPF_FILTER_MAX), 0);
    ck_assert_uint_eq(bpf_run(code, BPF_FILTER_MAX, &sample), 0);
    code[0].k++;
    ck_assert_int_eq(bpf_check(code, BPF_FILTER_MAX), -EINVAL);
    free(code);
}
END_TEST

/* Whatever the bytes are: what passes the check ends inside its memory. The sanitizers watch. */
START_TEST(test_seccomp_any_bytes_are_safe) {
    uint32_t seed = 1, taken = 0;
    for (int round = 0; round < 200000; round++) {
        size_t len = 1 + (seed >> 8) % 4;
        struct sock_filter *code = malloc(len * sizeof(*code));
        for (size_t i = 0; i < len; i++) {
            uint32_t r[4];
            for (int k = 0; k < 4; k++) r[k] = seed = seed * 1664525 + 1013904223;
            code[i] = (struct sock_filter){(uint16_t)(r[0] >> 24), (uint8_t)(r[1] >> 30), (uint8_t)(r[2] >> 30), r[3] >> 24};
        }
        if (round % 2) code[len - 1] = (struct sock_filter)ALLOW;
        if (!bpf_check(code, len)) {
            taken++;
            (void)bpf_run(code, len, &sample);
        }
        free(code);
    }
    ck_assert_uint_gt(taken, 1000);
}
END_TEST

/* ---- which calls are refused ---- */

#define FORBID(call, action)                                                                                                     \
    { NR, IF(BPF_JEQ, SYS_##call, 0, 1), RET(action), ALLOW }
#define LIBC_ALL 0xffu /* every property: every row is asked about */

static const struct question {
    const char *name;
    struct sock_filter chain[3][12]; /* each ends with its first ALLOW or KILL in the last place */
    unsigned steps;
    const char *refusal; /* NULL: none */
} questions[] = {
    {"no-filter", {{{0}}}, SECCOMP_THREAD, NULL},
    {"kill-process", {FORBID(set_robust_list, SECCOMP_RET_KILL_PROCESS)}, SECCOMP_THREAD, "would kill it for set_robust_list"},
    {"kill-thread", {FORBID(exit, SECCOMP_RET_KILL_THREAD)}, SECCOMP_THREAD, "would kill it for exit"},
    {"trap", {FORBID(futex, SECCOMP_RET_TRAP)}, SECCOMP_THREAD, "would send it SIGSYS for futex"},
    {"tracer", {FORBID(munmap, SECCOMP_RET_TRACE)}, SECCOMP_THREAD, "leaves to a tracer what happens at munmap"},
    {"supervisor", {FORBID(openat, SECCOMP_RET_USER_NOTIF)}, SECCOMP_LOAD, "leaves to a supervisor what happens at openat"},
    {"unknown-action", {FORBID(exit, 0x12340000)}, SECCOMP_THREAD, "would kill it for exit"},
    {"error", {FORBID(set_robust_list, SECCOMP_RET_ERRNO | EPERM)}, SECCOMP_THREAD, NULL},
    {"log", {FORBID(set_robust_list, SECCOMP_RET_LOG)}, SECCOMP_THREAD, NULL},
    {"not-needed", {FORBID(socket, SECCOMP_RET_KILL_PROCESS)}, SECCOMP_THREAD | SECCOMP_LOAD | SECCOMP_START, NULL},
    {"other-step", {FORBID(openat, SECCOMP_RET_KILL_PROCESS)}, SECCOMP_THREAD, NULL},
    {"start", {FORBID(getpid, SECCOMP_RET_KILL_PROCESS)}, SECCOMP_START, "would kill it for getpid"},
    {"script", {FORBID(lseek, SECCOMP_RET_KILL_PROCESS)}, SECCOMP_SCRIPT, "would kill it for lseek"},
    {"script-needs-no-thread", {FORBID(clone, SECCOMP_RET_KILL_PROCESS)}, SECCOMP_SCRIPT | SECCOMP_START, NULL},
    {"chain-newest", {{ALLOW}, FORBID(exit, SECCOMP_RET_KILL_PROCESS)}, SECCOMP_THREAD, "would kill it for exit"},
    {"chain-oldest", {FORBID(exit, SECCOMP_RET_KILL_PROCESS), {ALLOW}}, SECCOMP_THREAD, "would kill it for exit"},
    {"chain-kill-over-error",
     {FORBID(exit, SECCOMP_RET_ERRNO), FORBID(exit, SECCOMP_RET_KILL_THREAD), FORBID(exit, SECCOMP_RET_ERRNO)},
     SECCOMP_THREAD,
     "would kill it for exit"},
    {"chain-error-over-supervisor",
     {FORBID(exit, SECCOMP_RET_USER_NOTIF), FORBID(exit, SECCOMP_RET_ERRNO)},
     SECCOMP_THREAD,
     NULL},
    {"architecture",
     {{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4), IF(BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0), KILL, ALLOW}},
     SECCOMP_THREAD | SECCOMP_LOAD | SECCOMP_START,
     NULL},
    /* memory that is writable and executable at once, which we never ask for */
    {"arguments-allow",
     {{NR, IF(BPF_JEQ, SYS_mmap, 0, 3), ARG(2), IF(BPF_JEQ, PROT_READ | PROT_WRITE | PROT_EXEC, 0, 1), KILL, ALLOW}},
     SECCOMP_THREAD | SECCOMP_LOAD | SECCOMP_START,
     NULL},
    /* memory that becomes executable */
    {"arguments-kill",
     {{NR, IF(BPF_JEQ, SYS_mprotect, 0, 3), ARG(2), IF(BPF_JSET, PROT_EXEC, 0, 1), KILL, ALLOW}},
     SECCOMP_THREAD,
     "would kill it for mprotect"},
    {"clone-not-reached", {FORBID(clone, SECCOMP_RET_KILL_PROCESS)}, SECCOMP_THREAD, NULL},
    {"clone-after-clone3",
     {FORBID(clone3, SECCOMP_RET_ERRNO | ENOSYS), FORBID(clone, SECCOMP_RET_KILL_PROCESS)},
     SECCOMP_THREAD,
     "would kill it for clone,"},
    {"clone3", {FORBID(clone3, SECCOMP_RET_KILL_PROCESS)}, SECCOMP_THREAD, "would kill it for clone3,"},
};

static size_t length_of(const struct sock_filter *code) {
    size_t n = 12;
    while (n && !code[n - 1].code && !code[n - 1].k) n--;
    return n;
}

START_TEST(test_seccomp_dangerous_call_is_refused) {
    const struct question *q = &questions[_i];
    struct seccomp_need need = {q->steps, LIBC_ALL, 0x7f0000001000};
    struct seccomp_answers answers;
    char why[256] = "";
    seccomp_begin(&answers);
    for (size_t i = 0; i < LEN(q->chain); i++)
        if (length_of(q->chain[i])) ck_assert_int_eq(seccomp_ask(&answers, &need, q->chain[i], length_of(q->chain[i])), 0);
    int rc = seccomp_verdict(&answers, &need, why, sizeof(why));
    ck_assert_msg(rc == (q->refusal ? -EKEYREJECTED : 0), "%s: %d: %s", q->name, rc, why);
    ck_assert_msg(!q->refusal || strstr(why, q->refusal), "%s: says: %s", q->name, why);
    ck_assert_msg(!strchr(why, '\n') && strlen(why) + 1 < sizeof(why), "%s: not one whole line", q->name);
}
END_TEST

/* A libc without clone3 makes clone at once. */
START_TEST(test_seccomp_old_libc_needs_clone) {
    const struct sock_filter code[] = FORBID(clone, SECCOMP_RET_KILL_PROCESS);
    struct seccomp_need need = {SECCOMP_THREAD, 1 /* glibc */, 0};
    struct seccomp_answers answers;
    char why[256];
    seccomp_begin(&answers);
    ck_assert_int_eq(seccomp_ask(&answers, &need, code, LEN(code)), 0);
    ck_assert_int_eq(seccomp_verdict(&answers, &need, why, sizeof(why)), -EKEYREJECTED);
}
END_TEST

/* ---- filters of a real process ---- */

static pid_t filtered_child(const struct sock_filter *first, size_t first_len, const struct sock_filter *second,
                            size_t second_len) {
    int status;
    pid_t pid = fork();
    if (!pid) {
        struct sock_fprog a = {(unsigned short)first_len, (struct sock_filter *)(uintptr_t)first},
                          b = {(unsigned short)second_len, (struct sock_filter *)(uintptr_t)second};
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) _exit(1);
        if (first_len && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &a)) _exit(2);
        if (second_len && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &b)) _exit(3);
        if (ptrace(PTRACE_TRACEME, 0, 0, 0)) _exit(4);
        raise(SIGSTOP);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFSTOPPED(status), "ended with %#x", (unsigned)status);
    return pid;
}

static void end(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

START_TEST(test_seccomp_filters_of_a_process_are_read) {
    const struct sock_filter allow[] = {ALLOW}, strict[] = FORBID(set_robust_list, SECCOMP_RET_KILL_PROCESS);
    struct seccomp_need need = {SECCOMP_THREAD, LIBC_ALL, 0};
    char why[256] = "";
    pid_t pid = filtered_child(strict, 0, strict, 0);
    ck_assert_int_eq(seccomp_check(pid, 0, 0, &need, why, sizeof(why)), 0);
    ck_assert_str_eq(why, "");
    ck_assert_int_eq(seccomp_check(pid, 1, 0, &need, why, sizeof(why)), -EKEYREJECTED); /* /proc had told of one */
    ck_assert(strstr(why, "cannot be read") && strstr(why, "--force"));
    ck_assert_int_eq(seccomp_check(pid, 1, 1, &need, why, sizeof(why)), 0);
    ck_assert(strstr(why, "not known what they do"));
    ck_assert_int_eq(seccomp_check(pid, 2, 1, &need, why, sizeof(why)), -EKEYREJECTED);
    end(pid);
    ck_assert_int_eq(seccomp_check(pid, 2, 0, &need, why, sizeof(why)), -ESRCH);
    pid = filtered_child(allow, LEN(allow), allow, LEN(allow));
    int rc = seccomp_check(pid, 2, 0, &need, why, sizeof(why));
    end(pid);
    if (rc && strstr(why, "cannot be read")) { /* no CAP_SYS_ADMIN, or under a filter ourselves */
        ck_assert_int_eq(rc, -EKEYREJECTED);
        return;
    }
    ck_assert_int_eq(rc, 0);
    pid = filtered_child(strict, LEN(strict), allow, LEN(allow));
    ck_assert_int_eq(seccomp_check(pid, 2, 0, &need, why, sizeof(why)), -EKEYREJECTED);
    ck_assert(strstr(why, "would kill it for set_robust_list"));
    end(pid);
    pid = filtered_child(allow, LEN(allow), strict, LEN(strict));
    ck_assert_int_eq(seccomp_check(pid, 2, 0, &need, why, sizeof(why)), -EKEYREJECTED);
    end(pid);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("attach/seccomp");
    TCase *tests = tcase_create("seccomp");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, test_seccomp_instruction_does_as_in_the_kernel, 0, (int)LEN(effects));
    tcase_add_loop_test(tests, test_seccomp_malformed_filter_is_not_run, 0, (int)LEN(malformed));
    tcase_add_test(tests, test_seccomp_longest_filter_ends);
    tcase_add_test(tests, test_seccomp_any_bytes_are_safe);
    tcase_add_loop_test(tests, test_seccomp_dangerous_call_is_refused, 0, (int)LEN(questions));
    tcase_add_test(tests, test_seccomp_old_libc_needs_clone);
    tcase_add_test(tests, test_seccomp_filters_of_a_process_are_read);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
