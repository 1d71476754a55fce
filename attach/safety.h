/* May pthread_create run on this thread now? Only if it holds none of the locks that pthread_create
 * takes: those of malloc, of the loader and of libc's thread list. */
#ifndef VT_ATTACH_SAFETY_H
#define VT_ATTACH_SAFETY_H

#include "attach/image.h"
#include "attach/unwind.h"

struct safety {
    bool safe;
    bool unknown_code; /* a frame or stack that the image does not know: it may be out of date */
    unsigned frames;
    char why[160];
};

/* Regs of a stopped thread. Stops thinking at the deadline: then unsafe. */
void safety_check(struct safety *s, struct unwinder *u, const struct image *img, const struct arch_regs *regs,
                  uint64_t deadline_ns);

#endif
