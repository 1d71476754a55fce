/* Small helpers for texts that end with a 0 byte. */
#ifndef VT_CLI_TEXT_H
#define VT_CLI_TEXT_H

#include <stdbool.h>

/* True when `text` is longer than `suffix` and ends with it. */
bool text_ends_with(const char *text, const char *suffix);

#endif
