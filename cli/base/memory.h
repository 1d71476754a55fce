/* The memory of what grows with a trace: its names, threads, stacks, open calls, calls to be sorted. Whatever reads traces
 * allocates with these functions, and a command that was given a limit ends in one line instead of taking the machine's
 * memory. Like malloc and the others, but above the limit they fail as without memory. Any thread. */
#ifndef VT_CLI_MEMORY_H
#define VT_CLI_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base.h"

#define MEMORY_SHARE 2u /* without --max_memory: one of this many parts of the memory that the machine or the container has */

void *memory_alloc(size_t size);
void *memory_calloc(size_t n, size_t size);
void *memory_realloc(void *old, size_t size);
char *memory_strdup(const char *text);
char *memory_strndup(const char *text, size_t len); /* of len bytes */
/* Only for what these functions gave. NULL is fine. */
void memory_free(void *p);

/* Bytes from now on; 0 = no limit, which is what a program starts with. Forgets that an earlier limit was met. */
void memory_limit(uint64_t bytes);
/* --max_memory as given, 0 = not given: then the usual share. */
void memory_limit_usual(uint64_t given);
/* Something new begins: forgets that the limit was met. */
void memory_again(void);
/* How much is in use, and the most that ever was. */
uint64_t memory_used(void);
uint64_t memory_most(void);
/* The limit was met since it was set: results may lack something. */
bool memory_is_short(void);
/* rc, or -ENOMEM where the limit was met: then err is one line that says so, whatever it said before. */
VT_MUST_CHECK int memory_verdict(int rc, const char *file, struct vt_err *err);

#endif
