/* The CPU time of a target's threads, as /proc has it: read at the begin and at the end of tracing, and written to the trace. */
#ifndef VT_DAEMON_CPU_TIMES_H
#define VT_DAEMON_CPU_TIMES_H

#include <sys/types.h>

#include "proto/msg.h"

#define CPU_TIMES_THREADS 1024u /* at most, in one frame: about 15 ms of reading */
#define CPU_TIMES_OFTEN 64u     /* a process of so many threads is read four times a second as well, while events come */

/* Fills m; its lists are valid until the next call. most: of threads; with more m->whole is false. -ESRCH: no thread could be
 * read. Event loop thread only. */
VT_MUST_CHECK int cpu_times_read(pid_t pid, uint32_t most, Vt__CpuTimes *m);
/* CPU time in ns from the text of /proc/PID/task/TID/stat, whose clock ticks are hz a second. -EBADMSG. */
VT_MUST_CHECK int cpu_times_of_stat(const char *stat, uint64_t hz, uint64_t *ns);

#endif
