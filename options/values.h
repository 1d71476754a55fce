/* Inside options/: how a value gets into the caller's struct. */
#ifndef VT_OPTIONS_VALUES_H
#define VT_OPTIONS_VALUES_H

#include "options/options.h"

/* Reads text as the row's kind says and stores it: 0, or -EINVAL and err, which begins with `who`. */
VT_MUST_CHECK int value_take(const struct option_row *row, void *to, const char *text, const char *who, struct vt_err *err);
void value_store(const struct option_row *row, void *to, uint64_t v);
void value_store_bit(const struct option_row *row, void *to); /* BIT */

#endif
