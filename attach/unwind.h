/* The stack of a stopped thread of another process. libunwind reads the DWARF tables through our own accessors, which find
 * modules by the mapped inode and so work in any mount namespace. */
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

/* Calls visit for each frame, innermost first. A non-zero result of visit ends the walk and is returned. 0: the end of
 * the stack, as the unwind tables say. -ENODATA: a frame has no tables, the rest is unknown. -ETIME: the deadline passed. */
VT_MUST_CHECK int unwinder_walk(struct unwinder *u, const struct arch_regs *regs, uint64_t deadline_ns,
                                int (*visit)(void *ctx, const struct unwind_frame *frame), void *ctx);
/* Start of the function that contains the address, from the unwind tables; 0 = unknown. */
uint64_t unwinder_function(struct unwinder *u, uint64_t lookup);

#endif
