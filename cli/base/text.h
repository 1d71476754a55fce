/* Small helpers for texts that end with a 0 byte. */
#ifndef VT_CLI_TEXT_H
#define VT_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* True when `text` is longer than `suffix` and ends with it. */
bool text_ends_with(const char *text, const char *suffix);
/* Copies text as one line: every control character becomes `other`. Cut to size - 1 bytes and terminated. Returns its length. */
size_t text_one_line(char *to, size_t size, const char *from, size_t len, char other);

#endif
