/* Owns the code that runs in the target before the agent: a few hundred bytes in a mapping of their own. It has no libc, no
 * data and no relocations. A seccomp filter of the target may kill for unexpected system calls, so except for futex this code
 * makes only calls that dlopen makes, too.
 *
 * 1. blob_entry, on the hijacked thread: pthread_create, then rt_sigreturn into the thread's own
 *    context. A living tracer stops it at the entry of rt_sigreturn and makes that another call, to
 *    restore the thread by ptrace, which is exact; should the tracer die right then, the loop tries again.
 * 2. bootstrap, the new thread: waits for `go`, so that nothing happens unless the injector has filled
 *    the agent's file and the hijacked thread has left; loads the agent and *jumps* into it.
 * Whoever unmaps this code does it by a jump into libc's munmap with the thread's first return address
 * on the stack: no frame of ours is left. */
#include "proto/abi/atomic.h"
#include "proto/abi/boot.h"

#define NR_CLOSE 3
#define NR_FUTEX 202
#define NR_GETTID 186
#define FUTEX_WAIT_PRIVATE 128
#define SLICE_NS 500000ull /* between two looks at `go`: nobody can wake a futex of another process */
#define INTERRUPTED 4      /* EINTR */

/* The pending frame is at rbx. The call keeps a balanced stack; nothing here traps. */
__asm__(".section .text.entry,\"ax\"\n"
        ".globl blob_entry\n"
        "blob_entry:\n"
        "    call blob_hijacked\n"
        "1:  mov %rbx, %rsp\n"
        "    mov $15, %eax\n" /* rt_sigreturn */
        "    syscall\n"
        "    jmp 1b\n"
        ".text\n");

static inline long sys4(long nr, long a, long b, long c, long d) {
    long r;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return r;
}

void blob_hijacked(struct vt_boot *b);
static void *bootstrap(void *arg);

__attribute__((used, visibility("hidden"))) void blob_hijacked(struct vt_boot *b) {
    int (*attr_init)(void *) = (int (*)(void *))b->f_attr_init;
    int (*set_stack)(void *, uint64_t) = (int (*)(void *, uint64_t))b->f_attr_setstacksize;
    int (*set_detached)(void *, int) = (int (*)(void *, int))b->f_attr_setdetachstate;
    int (*create)(uint64_t *, void *, void *(*)(void *), void *) =
        (int (*)(uint64_t *, void *, void *(*)(void *), void *))b->f_create;
    int rc = attr_init(b->attr);
    if (!rc) rc = set_stack(b->attr, b->stack_size);
    if (!rc) rc = set_detached(b->attr, 1);
    if (!rc) rc = create(&b->thread, b->attr, bootstrap, b);
    b->create_rc = rc;
    vt_store_release(&b->parked, 1);
}

static void copy_text(char *to, const char *from, uint64_t size) {
    uint64_t i = 0;
    if (from)
        for (; i + 1 < size && from[i]; i++) to[i] = from[i];
    to[i] = 0;
}

/* Sleeps while `go` is `value`, for wait_ns at most. Counts slices: the clock is not read, because a
 * filter may not expect it as a system call. */
static uint32_t wait_while(struct vt_boot *b, uint32_t value) {
    const long slice[2] = {0, (long)SLICE_NS};
    uint32_t go;
    for (uint64_t slept = 0; (go = vt_load_acquire(&b->go)) == value && slept < b->wait_ns;) {
        long rc = sys4(NR_FUTEX, (long)&b->go, FUTEX_WAIT_PRIVATE, value, (long)slice);
        slept += rc == -INTERRUPTED ? SLICE_NS / 50 : SLICE_NS; /* the signal of setuid ends a wait early */
    }
    return go;
}

static void close_fds(struct vt_boot *b) {
    if (b->agent_fd >= 0) sys4(NR_CLOSE, b->agent_fd, 0, 0, 0);
    if (b->arena_fd >= 0) sys4(NR_CLOSE, b->arena_fd, 0, 0, 0);
    b->agent_fd = b->arena_fd = -1;
}

/* Tail calls: munmap and the agent return straight to the thread's start code in libc. */
typedef void *(*unmap_fn)(uint64_t, uint64_t);
typedef void *(*main_fn)(struct vt_boot *);

static void *bootstrap(void *arg) {
    struct vt_boot *b = arg;
    if (!(b->flags & VT_BOOT_F_FILTERED)) b->tid = (uint64_t)sys4(NR_GETTID, 0, 0, 0, 0);
    vt_store_release(&b->state, VT_BOOT_THREAD);

    uint32_t go = wait_while(b, VT_GO_WAIT);
    if (go == VT_GO_RUN) {
        main_fn agent = (main_fn)b->agent_entry;
        const char *(*last_error)(void) = (const char *(*)(void))b->f_dlerror;
        if (!agent) {
            void *(*load)(const char *, int) = (void *(*)(const char *, int))b->f_dlopen;
            void *(*lookup)(void *, const char *) = (void *(*)(void *, const char *))b->f_dlsym;
            void *handle = load(b->agent_path, (int)b->dlopen_flags);
            if (handle) agent = (main_fn)lookup(handle, b->entry);
        }
        if (agent && vt_load_acquire(&b->go) != VT_GO_CANCEL) {
            vt_store_release(&b->state, VT_BOOT_LOADED);
            return agent(b);
        }
        if (!agent) copy_text(b->err, last_error ? last_error() : 0, sizeof(b->err));
        go = vt_load_acquire(&b->go);
    }
    close_fds(b);
    if (go != VT_GO_CANCEL) {
        vt_store_release(&b->state, VT_BOOT_FAILED);
        if (go == VT_GO_RUN) go = wait_while(b, VT_GO_RUN);
    }
    /* Nobody said cancel: the injector is dead, and the hijacked thread may still be in this mapping.
     * Then the mapping stays. */
    if (go != VT_GO_CANCEL) return 0;
    return ((unmap_fn)b->f_munmap)(b->scratch, b->scratch_len);
}
