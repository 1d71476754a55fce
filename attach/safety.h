/* Decides whether pthread_create may run on a stopped thread: only if the thread holds none of the locks that
 * pthread_create takes (those of malloc, of the loader and of libc's thread list). */
#ifndef VT_ATTACH_SAFETY_H
#define VT_ATTACH_SAFETY_H

#include "attach/image.h"
#include "attach/unwind.h"

struct safety {
    bool safe;
    bool unknown_code; /* a frame or stack is not in the image, which may be out of date */
    unsigned frames;
    char why[160];
};

/* regs: of a stopped thread. At the deadline the answer is: unsafe. */
void safety_check(struct safety *s, struct unwinder *u, const struct image *img, const struct arch_regs *regs,
                  uint64_t deadline_ns);

#endif
