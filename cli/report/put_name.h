/* A function's name on the terminal. */
#ifndef VT_CLI_PUT_NAME_H
#define VT_CLI_PUT_NAME_H

#include "cli/term/term.h"
#include "cli/trace/trace_info.h"

/* Prints "qualname (file:line)" or "module.func" in at most width columns (0 = no limit). The path is cut first, from the
 * left. */
void put_name(const struct term *term, const struct trace_name *name, unsigned width);

#endif
