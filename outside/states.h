/* What /proc says about the threads that were read. */
#ifndef VT_OUTSIDE_STATES_H
#define VT_OUTSIDE_STATES_H

#include "outside/outside.h"
#include "outside/pystacks.h"

/* Fills in state, call, since_ns, and OUTSIDE_GIL_WAITS, and the names that are missing. */
void states_read(pid_t pid, struct outside_thread *threads, size_t n, const struct gil_state *gils, size_t ngils);

/* Only `state`, `call` without its arguments, and OUTSIDE_GIL_WAITS. */
void states_read_calls(pid_t pid, struct outside_thread *threads, size_t n, const struct gil_state *gils, size_t ngils);

/* Only `state`. */
void states_read_running(pid_t pid, struct outside_thread *threads, size_t n);
/* Only `state` and `cpu_ns`. */
void states_read_cpu_times(pid_t pid, struct outside_thread *threads, size_t n);

#endif
