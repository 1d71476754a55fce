/* Who waits: for each function of a walk whether it waits (cli/trace/waits.h), and for those that do, for whom most of the
 * time. Memory: a few callers of each function that waits. */
#ifndef VT_CLI_WAITERS_H
#define VT_CLI_WAITERS_H

#include "cli/profile/walk.h"

#define WAITERS_MAX 256u /* callers kept of one function; the time of more is not told apart */

struct waiters;

/* For the functions of an open walk, which stays the caller's. 0 or -ENOMEM. */
VT_MUST_CHECK int waiters_new(const struct trace_writer *walk, struct waiters **out);
void waiters_free(struct waiters *w); /* NULL is fine */
/* enum waits_bits of a function. */
unsigned waiters_bits(const struct waiters *w, uint32_t fn);
/* The function on top of the stack has waited for ns; in_loop: that held up an event loop. 0 or -ENOMEM. */
VT_MUST_CHECK int waiters_add(struct waiters *w, const struct walk_thread *t, bool in_loop, uint64_t ns);
/* The caller with most of the time, or NULL. */
const struct trace_name *waiters_most(const struct waiters *w, uint32_t fn, bool in_loop);

#endif
