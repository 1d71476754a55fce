/* The smallest agent that the ladder accepts. It maps the arena, gives the scratch mapping and the fds back, says so in the
 * control area, and leaves. Built by the tests: cc -shared -fPIC -nostdlib -ffreestanding. */
#include "proto/abi/arena.h"
#include "proto/abi/atomic.h"
#include "proto/abi/boot.h"

#define EXPORTED __attribute__((visibility("default")))
#ifndef AGENT_BUILD
#define AGENT_BUILD "attach-test"
#endif

EXPORTED struct vt_agent_info vt_agent_info = {
    .magic = VT_AGENT_INFO_MAGIC, .abi_major = VT_ABI_MAJOR, .abi_minor = VT_ABI_MINOR, .build = AGENT_BUILD};

static long sys6(long nr, long a, long b, long c, long d, long e, long f) {
    long r;
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    __asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
    return r;
}
#define SYS_OPENAT 257
#define SYS_CLOSE 3
#define SYS_MMAP 9
#define SYS_MUNMAP 11

EXPORTED void vt_agent_main(struct vt_boot *boot);
EXPORTED void vt_agent_main(struct vt_boot *boot) {
    uint32_t op = boot->op;
    uint64_t scratch = boot->scratch, scratch_len = boot->scratch_len, arena_bytes = boot->arena_bytes;
    int arena_fd = boot->arena_fd, agent_fd = boot->agent_fd;
    struct vt_ctl *ctl = 0;
    if (op == VT_OP_START) {
        vt_agent_info.busy = 1;
        if (arena_fd < 0) arena_fd = (int)sys6(SYS_OPENAT, -100, (long)boot->arena_path, 02 | 02000000, 0, 0, 0);
        long at = sys6(SYS_MMAP, 0, (long)arena_bytes, 3, 1, arena_fd, 0);
        if (at > 0 || at < -4095) ctl = (struct vt_ctl *)at;
    }
    if (agent_fd >= 0) sys6(SYS_CLOSE, agent_fd, 0, 0, 0, 0, 0);
    if (arena_fd >= 0) sys6(SYS_CLOSE, arena_fd, 0, 0, 0, 0, 0);
    vt_store_release(&boot->state, VT_BOOT_AGENT);
    sys6(SYS_MUNMAP, (long)scratch, (long)scratch_len, 0, 0, 0, 0);
    if (ctl) {
        vt_store_release(&ctl->state, VT_AGENT_GONE);
        sys6(SYS_MUNMAP, (long)ctl, (long)arena_bytes, 0, 0, 0, 0);
    }
    vt_store_release(&vt_agent_info.busy, 0);
}
