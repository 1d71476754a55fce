/* Thread ids across pid namespaces: translates the target's own ids to those of the daemon's namespace. */
#ifndef VT_DAEMON_TIDS_H
#define VT_DAEMON_TIDS_H

#include "proto/base.h"

struct tids {
    pid_t pid;
    bool same_ns;
};
void tids_init(struct tids *t, pid_t pid, pid_t ns_pid);
/* Our id for the target's id; 0 = unknown (the thread is gone). */
uint32_t tids_outer(const struct tids *t, uint32_t ns_tid);
/* The id of a thread that the interpreter calls ns_tid. Some versions keep the parent's number in a process that was forked:
 * a number of another process stands for the thread that forked, which is the main thread there. */
uint32_t tids_of_interpreter(const struct tids *t, uint32_t ns_tid);
bool tids_alive(const struct tids *t, uint32_t tid);
static inline bool tids_same_ns(const struct tids *t) { return t->same_ns; }

#endif
