/* Traces that ask their reader for as much memory as they can: valid .vzt and .json files with ever more of one thing. */
#ifndef VT_TESTS_TRACE_HOSTILE_H
#define VT_TESTS_TRACE_HOSTILE_H

#include <stdio.h>

#include "tests/lib/trace_build.h"

/* Their names, NULL-terminated. */
extern const char *const trace_hostile_kinds[];
/* Makes a .vzt with `n` things of a kind; -1: no such kind. Remove it with trace_build_remove. */
int trace_hostile_make(struct trace_build *b, const char *kind, uint32_t n);
/* Writes Chrome JSON with n threads of one call each. */
void trace_hostile_json(FILE *f, uint32_t n);

#endif
