/* What filters have hidden: where the functions are that a trace knows by name, for the line that tells why it is empty. */
#ifndef VT_CLI_HIDDEN_H
#define VT_CLI_HIDDEN_H

#include <stddef.h>

#include "cli/trace/trace_info.h"

/* Fills text with "0 of 143 functions match FILTERS: the target's files are under /srv/app (41 functions), /usr/lib/python3.12
 * (102)", the three folders with the most functions; "" when no Python function is known. What --*_functions and --*_modules hide
 * is told in the same way. Memory for folders, at most HIDDEN_FOLDERS. */
#define HIDDEN_FOLDERS 256u
void hidden_describe(const struct trace_info *info, const char *filters, char *text, size_t size);

#endif
