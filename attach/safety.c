/* Owns the rules for a safe point (safety.h). A backtrace is read as runs of libc frames between other code. The outermost
 * frame of each run must be a function in which a thread can wait without a lock of libc. Frames in the loader or in another
 * allocator are never safe. The end of the stack must be proven, because missing unwind tables look like an end. */
#include "attach/safety.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>

#define HEAP_ALIGN (1ull << 20) /* alignment of malloc's secondary arenas (usually far larger), whose lock is at their start */
#define HEAP_HEAD 2048u         /* malloc's own data at that start */
#define SETXID_FRAME 1024u
#define BSS_REACH 65536u /* anonymous memory right after a module is its .bss */

struct check {
    struct safety *s;
    struct unwinder *u;
    const struct image *img;
    bool futex_of_program;
    /* the run of libc frames being read */
    bool in_run;
    unsigned runs;
    struct unwind_frame outermost;
    /* all fields of the last frame */
    struct unwind_frame last;
    unsigned foreign; /* frames outside libc and vDSO */
};

/* The room below the stack pointer must be unused. That is true for the program's first stack and for a stack that libc made,
 * which has the thread's own data at its upper end. It is not true for the small stacks of signal handlers, goroutines or
 * fibers, which have other memory right below. */
static bool on_own_stack(const struct image *img, const struct arch_regs *regs) {
    uint64_t sp = arch_sp(regs), thread = arch_thread_pointer(regs);
    const struct map_line *stack = maps_find_line(&img->maps, sp);
    if (!stack || !stack->w) return false;
    return !strcmp(stack->path, "[stack]") || (thread > sp && thread < stack->end);
}

static bool is_lock_owner(enum map_kind kind) { return kind == MAP_LIBC || kind == MAP_LD || kind == MAP_MALLOC; }

/* True when blocked in FUTEX_WAIT on a word that is no lock of libc, loader or allocator. libc has unnamed slow paths for
 * semaphores and condition variables, entered by a jump. */
static bool waits_for_program(const struct image *img, const struct arch_regs *regs) {
    if (arch_syscall_nr(regs) != arch_nr_futex || !arch_interrupted(regs)) return false;
    uint64_t word = arch_syscall_arg(regs, 0);
    uint64_t op = arch_syscall_arg(regs, 1) & (uint64_t)FUTEX_CMD_MASK;
    if (op != FUTEX_WAIT && op != FUTEX_WAIT_BITSET) return false;
    if ((word & (HEAP_ALIGN - 1)) < HEAP_HEAD) return false;
    /* setuid and the like wait for the other threads on a word of their own frame, and hold the lock that pthread_create takes.
     */
    if (op == FUTEX_WAIT && word >= arch_sp(regs) && word - arch_sp(regs) < SETXID_FRAME) return false;
    for (size_t i = 0; i < img->nmods; i++)
        if (is_lock_owner(img->mods[i].kind) && word >= img->mods[i].start && word < img->mods[i].end + BSS_REACH) return false;
    return true;
}

static int unsafe(struct safety *s, const struct unwind_frame *f, const char *what) {
    snprintf(s->why, sizeof(s->why), "frame %u at %" PRIx64 ": %s", f->depth, f->ip, what);
    return 1;
}

static bool run_is_safe(struct check *c) {
    const struct unwind_frame *f = &c->outermost;
    if (f->module->kind == MAP_VDSO) return true;
    if (c->runs == 1 && c->futex_of_program) return true;
    return image_is_wait(c->img, unwinder_function(c->u, f->lookup));
}

static int visit(void *ctx, const struct unwind_frame *f) {
    struct check *c = ctx;
    c->s->frames = f->depth + 1;
    /* the stack of a signal handler inside the stack that it interrupted */
    if (f->depth && f->sp < c->last.sp) return unsafe(c->s, f, "on another stack");
    c->last = *f;
    if (!f->module) c->s->unknown_code = true;
    if (!f->module && !f->depth) return unsafe(c->s, f, "runs code of no file"); /* perhaps our own bootstrap code */
    enum map_kind kind = f->module ? f->module->kind : MAP_OTHER;
    if (kind == MAP_LD) return unsafe(c->s, f, "in the dynamic loader");
    if (kind == MAP_MALLOC) return unsafe(c->s, f, "in a memory allocator");
    if (kind == MAP_AGENT) return unsafe(c->s, f, "in the agent"); /* it leaves soon, and only one agent may run at a time */
    if (kind == MAP_LIBC || kind == MAP_VDSO) {
        if (f->signal) return 0; /* returning from the kernel: no libc code runs */
        if (!c->in_run) c->runs++;
        c->in_run = true;
        c->outermost = *f;
        return 0;
    }
    if (c->in_run && !run_is_safe(c)) return unsafe(c->s, &c->outermost, "in libc");
    c->in_run = false;
    c->foreign++;
    return 0;
}

/* True when the last frame is the first function of a thread or of the program. Its unwind tables prove it; without them the
 * walk would have failed. */
static bool proven_end(struct check *c) {
    const struct image_module *m = c->last.module;
    if (!m || !m->open || !c->last.depth) return false;
    uint64_t function = unwinder_function(c->u, c->last.lookup);
    if (!function) return false;
    if (m->kind == MAP_LIBC) return c->foreign > 0;
    return function == m->bias + m->elf.entry;
}

void safety_check(struct safety *s, struct unwinder *u, const struct image *img, const struct arch_regs *regs,
                  uint64_t deadline_ns) {
    *s = (struct safety){0};
    struct check c = {.s = s, .u = u, .img = img, .futex_of_program = waits_for_program(img, regs)};
    if (!on_own_stack(img, regs)) {
        s->unknown_code = true; /* or the image is out of date */
        snprintf(s->why, sizeof(s->why), "not on a stack of its own");
        return;
    }
    int rc = unwinder_walk(u, regs, deadline_ns, visit, &c);
    if (rc > 0) return;
    if (rc == -ETIME) {
        snprintf(s->why, sizeof(s->why), "more than %u frames: too deep to check in time", s->frames);
        return;
    }
    bool whole = rc == 0 && proven_end(&c);
    bool waiting = arch_interrupted(regs) && (arch_nr_is_wait(arch_syscall_nr(regs)) || c.futex_of_program);
    if (!whole && !waiting) {
        snprintf(s->why, sizeof(s->why), "%u frames without a proven end", s->frames);
        return;
    }
    if (whole && !c.foreign) {
        snprintf(s->why, sizeof(s->why), "a thread of libc's own");
        return;
    }
    s->safe = true;
    if (whole) {
        snprintf(s->why, sizeof(s->why), "%u frames, none in libc's locks", s->frames);
    } else {
        snprintf(s->why, sizeof(s->why), "waits in system call %ld, which no allocator or loader makes", arch_syscall_nr(regs));
    }
}
