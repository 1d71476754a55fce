/* Owns what tests do with seccomp filters of their own (filters.h). */
#include "tests/lib/filters.h"

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PTRACE_SECCOMP_GET_FILTER
#define PTRACE_SECCOMP_GET_FILTER 0x420c
#endif

bool filters_allow_all(void) {
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {1, &allow};
    return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

bool filters_forbid_reading(void) {
    /* exec takes it from the permitted ones of what is started; a user other than root has none */
    return geteuid() || !prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) || !prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN);
}

bool filters_can_be_read(void) {
    int status;
    pid_t pid = fork();
    if (!pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!filters_allow_all() || ptrace(PTRACE_TRACEME, 0, 0, 0)) _exit(1);
        raise(SIGSTOP);
        _exit(0);
    }
    bool can = waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) && ptrace(PTRACE_SECCOMP_GET_FILTER, pid, 0, NULL) == 1;
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return can;
}
