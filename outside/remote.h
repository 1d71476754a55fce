/* Reading the memory of a target with few system calls. What was read stays until it is forgotten: pages that were asked for, and
 * ranges that were loaded before they were asked for, in one call. Nothing outside the target's lower half is read. One
 * thread. */
#ifndef VT_OUTSIDE_REMOTE_H
#define VT_OUTSIDE_REMOTE_H

#include "attach/mem.h"

struct remote;

/* Borrows mem. */
VT_MUST_CHECK int remote_new(struct remote **out, struct mem *mem);
void remote_free(struct remote *r);

/* Forgets all that was read: what is read from now on is as it is from now on. */
void remote_forget(struct remote *r);

/* Ranges to be loaded together: first each is named, then all are loaded. What cannot be loaded is read when it is asked for. */
void remote_want(struct remote *r, uint64_t addr, size_t len);
void remote_load(struct remote *r);

/* Exactly len bytes, or -EFAULT, -ESRCH, -EPERM. */
VT_MUST_CHECK int remote_read(struct remote *r, uint64_t addr, void *buf, size_t len);
VT_MUST_CHECK int remote_u64(struct remote *r, uint64_t addr, uint64_t *v);
VT_MUST_CHECK int remote_u32(struct remote *r, uint64_t addr, uint32_t *v);
/* An address that an object can have: in the lower half and aligned. */
bool remote_is_object(uint64_t addr);

/* Fields of a copy. The caller has made sure that they are inside. */
uint64_t remote_word(const void *copy, size_t at);
uint32_t remote_half(const void *copy, size_t at);

#endif
