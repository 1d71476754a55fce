/* The text of one value: at most `limit` characters of UTF-8 in at most `room` bytes at `to`, not NUL-terminated. A text that was
 * cut ends in "...". With the GIL of the value's interpreter. */
#ifndef VT_AGENT_REPR_H
#define VT_AGENT_REPR_H

#include "agent/cpython/base.h"

/* Any value; the length in bytes. Runs no code of the target and makes no object that the garbage collector knows: types are told
 * by their layout, instances by their fields. A pending exception is left alone unless a text had to be made for it. */
uint32_t value_text(void *value, char *to, uint32_t room, uint32_t limit);
/* Proves how instances are laid out, once a session; where it is not as expected, they are told without their fields. */
void value_check(void);
/* The same by repr(). May run code of the target (__repr__), which may do anything: pause the thread first. No
 * exception is pending afterwards. `main_interpreter`: a KeyboardInterrupt that is raised there is handed on to the program. */
uint32_t repr_value(void *value, char *to, uint32_t room, uint32_t limit, const void *main_interpreter);
/* From now on repr_value asks this callable of the program for the text of a whole value, in the main interpreter; NULL: repr().
 * With the GIL; takes a reference. */
void repr_use(void *function);
bool repr_is_replaced(void); /* has it named one? */
/* A number, None, a bool or an ASCII str: no code of the target runs, a pending exception is left alone. The length in bytes,
 * or -1: it is a value of another kind, or its text does not fit into `room`. */
int32_t repr_plain(void *value, char *to, uint32_t room, uint32_t limit);

#endif
