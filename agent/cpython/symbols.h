/* Exported symbols of the libraries that are loaded in this process, without its C library. Without the GIL. */
#ifndef VT_AGENT_SYMBOLS_H
#define VT_AGENT_SYMBOLS_H

#include "agent/cpython/base.h"

/* The address of an exported symbol of any loaded library, those of private namespaces (dlmopen) included; NULL = there is none.
 */
void *symbol_find(const char *name);
/* The same, and how many bytes it has. */
void *symbol_find_sized(const char *name, uint64_t *size);
/* The same without the library that this is a part of: what its own function of that name stands in front of. */
void *symbol_find_next(const char *name);
/* The path of the library that this is a part of, as the dynamic linker knows it; NULL = not found. */
const char *symbol_own_path(void);
/* A seccomp filter is active, which may kill the process for a system call that it does not know. Set before symbol_find. */
extern bool agent_filtered;

#endif
