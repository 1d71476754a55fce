/* The locks of threading that threads wait for, and who holds them. */
#ifndef VT_OUTSIDE_LOCKS_H
#define VT_OUTSIDE_LOCKS_H

#include "outside/outside.h"
#include "outside/remote.h"
#include "proto/abi/py_layout.h"

/* Fills in lock, lock_type, lock_owner and deadlocked. After states_read. */
void locks_find(struct remote *r, const struct py_layout *l, pid_t pid, struct outside_thread *threads, size_t n);

#endif
