/* Texts of a target: str objects as UTF-8. */
#ifndef VT_OUTSIDE_TEXT_H
#define VT_OUTSIDE_TEXT_H

#include "outside/remote.h"
#include "proto/abi/py_layout.h"

#define TEXT_MAX 4096u /* bytes of one text with its NUL; longer ones are cut and end in three dots */

/* Reads a str object into to[size], NUL-terminated. size is TEXT_MAX at most. -EINVAL: it is none. */
VT_MUST_CHECK int text_read(struct remote *r, const struct py_layout *l, uint64_t address, char *to, size_t size);

/* The first characters of a str object, *n at most; *n = how many. -EINVAL: it is none. */
VT_MUST_CHECK int text_chars(struct remote *r, const struct py_layout *l, uint64_t address, uint32_t *to, size_t *n, bool *whole);
/* Writes one character and returns how many bytes it took. */
enum { TEXT_UTF8_MAX = 4 };
size_t text_utf8(char to[TEXT_UTF8_MAX], uint32_t c);

#endif
