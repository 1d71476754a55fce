/* What the agent needs of the CPU and of the kernel's interface on it. Each file of cpu/ defines the same names:
 *
 *   SYS_*                  numbers of the system calls that the agent makes
 *   arch_syscall3, 6       a raw system call: its result, or -errno
 *   arch_ticks             the tick counter (VT_CLOCK_TSC)
 *   arch_pause             for spin loops
 *   arch_thread_pointer    pthread_self() of this thread
 *   ARCH_PTHREAD_TIDS      offsets of the thread id from there, by C library: compare with gettid before use
 *   arch_publish           a store that other threads see after all earlier stores of this thread
 *   arch_copy, arch_fill   memcpy and memset
 *
 * All of them may be called on any thread, with or without the GIL. */
#ifndef VT_AGENT_ARCH_H
#define VT_AGENT_ARCH_H

#if defined(__x86_64__)
#include "agent/cpython/cpu/x86_64.h"
#else
#error "agent/cpython/arch.h: this CPU is not supported yet"
#endif

#endif
