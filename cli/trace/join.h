/* Several traces as one source: what --combine makes of files, and how a .vzt of several processes is read. */
#ifndef VT_CLI_JOIN_H
#define VT_CLI_JOIN_H

#include "cli/trace/source.h"

/* The traces that are joined, from 0 to n - 1. One is open at a time, several times in the course of the work. */
struct join_parts {
    size_t n;
    void *ctx;
    /* -errno and err: the trace cannot be read. */
    int (*open)(void *ctx, size_t i, struct trace_source **source, struct vt_err *err);
    void (*close)(void *ctx, struct trace_source *source);
    const char *(*name)(void *ctx, size_t i); /* for messages; stays valid until the next call */
    void (*free)(void *ctx);                  /* with the joined source, or when it cannot be made */
};

struct join_opts {
    bool align;    /* shift each trace so that the sync markers, or without one the first events, are at the same time */
    bool one_file; /* the traces are parts of one file: of one clock; one that cannot be read is damage of the file */
    void (*note)(void *arg, const char *text); /* one line of what the user should know; may be NULL */
    void *note_arg;
    unsigned *files_left_out; /* counts files that are no trace, and are not in what is joined; may be NULL */
};

/* What is done, and why:
 * - Times stay as they are: CLOCK_MONOTONIC of one machine is one clock. A trace whose clock differs from the others' by more
 *   than a second (another machine, another boot) is put where the wall clock says.
 * - Processes stay apart. A pid that a later trace has as well is the same process when the two do not overlap in time and
 *   were not born at different times; else the later one gets a number of its own, and the trace's number behind its name.
 * - Of source texts of one path that of the later trace counts.
 * - Threads of two traces are never merged: each nests on its own.
 * Memory grows with processes, threads and functions. Takes parts. */
VT_MUST_CHECK int join_open(const struct join_parts *parts, const struct join_opts *opts, struct trace_source **out,
                            struct vt_err *err);

#endif
