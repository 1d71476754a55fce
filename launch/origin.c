/* Owns what a traced process tells the processes that it starts: that it did so, on which thread and when. Programs without an
 * interpreter pass on what they were told. So a process below a shell names the process that started the shell.
 *
 * May run in a child of vfork: that has the thread pointer of the thread that made it, and `own` is that of its parent. */
#include "agent/cpython/arch.h"
#include "agent/cpython/symbols.h"
#include "launch/launch.h"

enum { MONOTONIC = 1, PID_DIGITS = 8, DIGITS = 16, NO_FUNCTION = 38 /* ENOSYS */ };

static int (*next_fork)(void);
static int (*next_clock)(int, int64_t *); /* makes no system call, as a rule: this process may be under a filter */

void origin_find(void) {
    *(void **)&next_clock = symbol_find_next("clock_gettime");
    *(void **)&next_fork = symbol_find_next("fork");
}

static uint64_t now_ns(void) {
    int64_t now[2] = {0, 0};
    if (next_clock) next_clock(MONOTONIC, now);
    return (uint64_t)now[0] * 1000000000u + (uint64_t)now[1];
}

static char *put_hex(char *to, uint64_t value, int digits) {
    for (int i = digits - 1; i >= 0; i--) *to++ = "0123456789abcdef"[value >> (4 * i) & 15];
    return to;
}

static uint64_t get_hex(const char **at, int digits) {
    uint64_t value = 0;
    for (int i = 0; i < digits; i++) {
        char c = *(*at)++;
        value = value << 4 | (uint64_t)(c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 0);
    }
    return value;
}

void origin_write(char *value) {
    if (!own.pid) return;
    char *at = put_hex(value + VT_LAUNCH_ORIGIN, own.pid, PID_DIGITS);
    put_hex(put_hex(at, arch_thread_pointer(), DIGITS), now_ns(), DIGITS);
}

void origin_of_program(struct vt_launch_origin *origin) {
    const char *at = own.value + VT_LAUNCH_ORIGIN;
    *origin = (struct vt_launch_origin){.pid = (uint32_t)get_hex(&at, PID_DIGITS)};
    origin->ident = get_hex(&at, DIGITS);
    origin->mono_ns = get_hex(&at, DIGITS);
}

void origin_of_fork(struct vt_launch_origin *origin) {
    *origin = (struct vt_launch_origin){.pid = own.pid, .ident = arch_thread_pointer(), .mono_ns = own.forked_ns};
    own.forked_ns = 0;
}

EXPORT int fork(void);
int fork(void) {
    if (UNLIKELY(!next_fork)) origin_find();
    if (!next_fork) return exec_fail(NO_FUNCTION);
    if (own.pid) own.forked_ns = now_ns();
    int pid = next_fork();
    if (pid) own.forked_ns = 0;
    return pid;
}
