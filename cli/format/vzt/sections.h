/* Reading a .vzt of several processes (proto/FORMAT.md): which bytes of the file are whose. */
#ifndef VT_CLI_SECTIONS_H
#define VT_CLI_SECTIONS_H

#include "proto/trace_reader.h"

struct section {
    uint32_t number;
    size_t n, room;
    struct vt_trace_piece *pieces;
};

struct sections {
    struct vt_trace *file; /* borrowed */
    struct section **list; /* in the order in which they begin in the file */
    size_t n;
    struct vt_err damage; /* code != 0: nothing behind that place was read */
    bool truncated;
};

/* Reads the heads of the pieces, from the start of t. 1 and *out: t is a file of several processes; 0: of one; -ENOMEM or
 * another -errno and err. Memory: 24 bytes for each piece. Any file: damage is noted, what comes before it is good. */
VT_MUST_CHECK int sections_read(struct vt_trace *t, struct sections **out, struct vt_err *err);
void sections_free(struct sections *s); /* NULL is fine */

#endif
