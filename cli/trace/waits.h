/* Which functions wait: one table for everything that separates waiting from working (report, html).
 *
 * - C functions are matched on "module.function" or "type.function", the whole text.
 * - Functions of the standard library on their module and qualified name, the whole of both; the file has to lie in a folder
 *   "python3.12" or the like, or in "Lib". Where a trace has bare names (Python below 3.11) the name's last part counts.
 * - "[in C: CALL" is what a thread was in when tracing began; CALL is a C function as above, or a system call of the table.
 *
 * Only names count: posix.read of a file waits as that of a pipe does. A kernel lane adds what it sees by rows, or by setting
 * bits for a single call. */
#ifndef VT_CLI_WAITS_H
#define VT_CLI_WAITS_H

#include "cli/trace/trace_info.h"

enum waits_bits {
    WAITS = 1,         /* its own time is waiting */
    WAITS_IDLE = 2,    /* ... for something to do, not for an answer: a thread that is there has nothing else to do */
    WAITS_BELOW = 4,   /* all waiting below it is of that kind */
    WAITS_IN_LOOP = 8, /* runs a callback of an event loop: waiting below it holds up everything else in the loop */
    WAITS_NEXT = 16,   /* what it waits for itself is the next request: idle as well */
    /* Its own time is that of functions that C code calls and that no hook sees, as in asyncio.to_thread(time.sleep, 1). What its
     * thread did not spend on a CPU is waiting. */
    WAITS_OFF_CPU = 32,
};
/* Bits of the function; 0 = it works. */
unsigned waits_of(const struct trace_name *name);

/* A Python function of the standard library, which is not what a person wrote. */
bool waits_in_library(const struct trace_name *name);

/* The rows, for the docs and for tests: NULL after the last. */
struct waits_row {
    enum waits_kind { WAITS_C, WAITS_PYTHON, WAITS_SYSCALL } kind;
    const char *module; /* "" = none */
    const char *name;
    unsigned bits;
};
const struct waits_row *waits_row(size_t i);

#endif
