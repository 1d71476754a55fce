/* A process of ours in our process group that does nothing but count the signals that come to it. The kernel does not tell
 * whether a signal was sent to this process alone or to the whole group. What the witness got, too, was sent to the group. Main
 * thread. */
#ifndef VT_CLI_WITNESS_H
#define VT_CLI_WITNESS_H

#include <sys/types.h>

#include "proto/base.h"

#define WITNESS_SIGNALS 65

struct witness {
    pid_t pid; /* 0 = there is none */
    int fd;    /* our end; -1 */
    unsigned seen[WITNESS_SIGNALS];
};

/* Starts it, for signals that this process does not ignore. When it cannot be started there is none, and nothing is said. It ends
 * with this process. */
void witness_start(struct witness *w, const int *numbers, size_t n);
/* How often each signal has come to it since the last call. All that were sent to the group before this call are counted. */
void witness_ask(struct witness *w, unsigned news[WITNESS_SIGNALS]);
void witness_end(struct witness *w);

#endif
