/* Values of a target as text, told without running its code: numbers, str, bytes, None and the built-in containers as repr()
 * tells them, anything else as <module.Type at 0x...>. What cannot be read is "?". */
#ifndef VT_OUTSIDE_VALUES_H
#define VT_OUTSIDE_VALUES_H

#include "outside/remote.h"
#include "proto/abi/py_layout.h"

#define VALUE_MAX 256u /* bytes of a text with its NUL; longer ones are cut and end in three dots */

/* *work: how many more objects and entries of tables may be looked at; it goes down. At 0 the text ends in three dots. */
void value_read(struct remote *r, const struct py_layout *l, uint64_t address, char to[VALUE_MAX], uint64_t *work);

#endif
