/* Which memory of the loaded libraries may be written. Any thread. */
#ifndef VT_AGENT_WRITABLE_H
#define VT_AGENT_WRITABLE_H

#include "agent/cpython/base.h"

/* Is the word in a library's data, outside what the dynamic linker makes read-only after relocation? False also when the word is
 * in no library that is known. Makes no system call. */
bool writable_word(const void *word);

#endif
