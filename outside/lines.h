/* Tables of lines: which instruction is in which line. Any bytes may be in such a table. */
#ifndef VT_OUTSIDE_LINES_H
#define VT_OUTSIDE_LINES_H

#include "proto/base.h"

struct line_start { /* from this instruction on, up to the next one */
    uint32_t at;    /* in bytes from the first instruction */
    uint32_t line;  /* 0 = none */
};

/* Reads co_lnotab (below 3.10) or co_linetable. `minor`: of Python 3. *starts is malloc'd and the caller's: NULL with *n 0 when
 * the table says nothing. 0 or -ENOMEM. Time and memory are linear in len. */
VT_MUST_CHECK int lines_read(int minor, const uint8_t *table, size_t len, uint32_t first, struct line_start **starts,
                             uint32_t *n);
/* The line at this byte, or the last one before it; 0 = none. */
uint32_t lines_find(const struct line_start *starts, uint32_t n, uint32_t at);

#endif
