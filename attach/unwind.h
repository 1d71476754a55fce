/* The stack of a stopped thread of another process, by DWARF unwinding from outside: libunwind with our
 * own accessors, so that modules are found by the inode that is mapped, in whatever mount namespace. */
#ifndef VT_ATTACH_UNWIND_H
#define VT_ATTACH_UNWIND_H

#include "attach/arch/arch.h"
#include "attach/image.h"

struct unwinder;

struct unwind_frame {
    unsigned depth;
    uint64_t ip;     /* as it is */
    uint64_t lookup; /* address inside the calling instruction: to look up functions with */
    uint64_t sp;
    const struct image_module *module; /* NULL: code of no file */
    bool signal;                       /* the kernel put a signal handler on top of this frame */
};

/* Borrows both. */
VT_MUST_CHECK int unwinder_open(struct unwinder **out, const struct image *img, struct mem *mem);
void unwinder_close(struct unwinder *u);

/* Calls visit for each frame, innermost first, until it returns non-zero, which is returned. 0: the end of
 * the stack by the unwind tables. -ENODATA: a frame without tables, the rest is not known. -ETIME: still
 * not through at the deadline. */
VT_MUST_CHECK int unwinder_walk(struct unwinder *u, const struct arch_regs *regs, uint64_t deadline_ns,
                                int (*visit)(void *ctx, const struct unwind_frame *frame), void *ctx);
/* Start of the function that lookup is in, by the unwind tables; 0 = none. */
uint64_t unwinder_function(struct unwinder *u, uint64_t lookup);

#endif
