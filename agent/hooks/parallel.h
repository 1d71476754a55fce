/* Events of interpreters with a GIL of their own; parallel.c has the rules. Called with that GIL. */
#ifndef VT_AGENT_PARALLEL_H
#define VT_AGENT_PARALLEL_H

#include "agent/hooks/detail.h"

/* type: enum vt_rec_type. */
void parallel_python(void *code, uint32_t type);
void parallel_c(void *callable, void *definition, uint32_t type);
/* The same in sessions with options; see detail_python and detail_c. */
enum detail_next parallel_detail_python(void *code, uint32_t type, void *value);
enum detail_next parallel_detail_c(void *code, void *callable, void *definition, uint32_t type);
/* Tells the frames that are open in the current interpreter. */
void parallel_stacks(void);

#endif
