/* In which system call each thread of a target is, told without touching the target: /proc/PID/task/TID/syscall (proc(5)), and
 * what the call's descriptor is: a file, a pipe, the two ends of a socket. A thread that waits for the interpreter's lock is in
 * Python code and is left out. */
#ifndef VT_ATTACH_INSIDE_H
#define VT_ATTACH_INSIDE_H

#include <sys/types.h>

#include "proto/base.h"

#define INSIDE_TEXT_MAX 160u /* with the NUL */
#define INSIDE_THREADS_MAX 512u

/* Calls fn for each thread that is in a system call, INSIDE_THREADS_MAX at most; the text is one clean line such as "futex" or
 * "recvfrom(5: tcp 127.0.0.1:41022 -> 127.0.0.1:5432)". Threads that run are not told. fn returns non-zero to end it. A
 * moment later a thread may be elsewhere. */
void inside_each(pid_t pid, int (*fn)(void *ctx, pid_t tid, const char *text), void *ctx);

/* One thread: 1 = text is filled; -EAGAIN = it runs; 0 = it is not there, or waits for the interpreter's lock. */
int inside_thread(pid_t pid, pid_t tid, char *text, size_t size);

/* The same for many threads of one process: it reads the memory map once. NULL = out of memory. */
struct inside;
struct inside *inside_open(pid_t pid);
int inside_look(struct inside *l, pid_t tid, char *text, size_t size);
void inside_close(struct inside *l);

/* The number of the system call that a thread is in and its first two arguments: 1; -EAGAIN = it runs; 0 = unknown. */
int inside_call(pid_t pid, pid_t tid, long *nr, unsigned long arg[2]);
/* The stack pointer of a thread in a system call: 1; else as inside_call. */
int inside_sp(pid_t pid, pid_t tid, uint64_t *sp);
/* "read" of a call that threads are found in; NULL = another one. */
const char *inside_call_name(long nr);

/* One line of /proc/net/tcp, tcp6, udp or udp6 as "tcp 127.0.0.1:80 -> 10.0.0.1:4242": its inode; 0 = no such line. */
uint64_t inside_parse_socket(const char *line, const char *proto, char *text, size_t size);

#endif
