/* The tasks of asyncio in a target, and what each waits for. */
#ifndef VT_OUTSIDE_TASKS_H
#define VT_OUTSIDE_TASKS_H

#include "outside/outside.h"
#include "outside/pystacks.h"

struct tasks;

/* Borrows all. */
VT_MUST_CHECK int tasks_new(struct tasks **out, struct remote *remote, const struct py_layout *layout, struct codes *codes,
                            uint64_t runtime);
void tasks_free(struct tasks *t);
/* Reads the tasks that are not done. `interpreters`: their addresses; `threads`: all that were read, with their frames. 0,
 * -ENOMEM or -ESRCH. */
VT_MUST_CHECK int tasks_read(struct tasks *t, const uint64_t *interpreters, size_t n, const struct outside_thread *threads,
                             size_t nthreads);
const struct outside_task *tasks_all(const struct tasks *t, size_t *n, bool *cut);

#endif
