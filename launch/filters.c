/* Owns the news that this process puts itself under a seccomp filter: it stands in front of the two functions of the C library by
 * which that is done. A filter may kill a process for a system call that it does not know, and asking the kernel takes one. */
#include "agent/cpython/arch.h"
#include "agent/cpython/symbols.h"
#include "launch/launch.h"

enum { SET_SECCOMP = 22 /* PR_SET_SECCOMP */, SYS_SECCOMP = 317, SYS_PRCTL_NUMBER = 157, MODE_FILTER = 1 };

typedef long (*syscall_function)(long, long, long, long, long, long, long);
typedef int (*prctl_function)(int, unsigned long, unsigned long, unsigned long, unsigned long);
static syscall_function next_syscall;
static prctl_function next_prctl;

/* Looking for a function takes system calls, too: it is done before there can be a filter. */
void filters_find(void) {
    *(void **)&next_syscall = symbol_find_next("syscall");
    *(void **)&next_prctl = symbol_find_next("prctl");
}

EXPORT long syscall(long number, long a, long b, long c, long d, long e, long f);
EXPORT int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);

long syscall(long number, long a, long b, long c, long d, long e, long f) {
    if (UNLIKELY(!next_syscall)) filters_find();
    bool filters = (number == SYS_SECCOMP && a <= MODE_FILTER) || (number == SYS_PRCTL_NUMBER && a == SET_SECCOMP);
    if (LIKELY(!filters)) return next_syscall(number, a, b, c, d, e, f);
    long result = next_syscall(number, a, b, c, d, e, f);
    if (!result) own.filtered = true;
    return result;
}

int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
    if (UNLIKELY(!next_prctl)) filters_find();
    int result = next_prctl(option, a, b, c, d);
    if (!result && option == SET_SECCOMP) own.filtered = true;
    return result;
}
