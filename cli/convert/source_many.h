/* Several traces as one source (--combine, --align_combine). */
#ifndef VT_CLI_SOURCE_MANY_H
#define VT_CLI_SOURCE_MANY_H

#include "cli/trace/source.h"

struct many_opts {
    bool align; /* shift each trace so that the sync markers, or without one the first events, are at the same time */
    void (*note)(void *arg, const char *text); /* one line of what the user should know; may be NULL */
    void *note_arg;
};

/* What is done, and why:
 * - Times stay as they are: CLOCK_MONOTONIC of one machine is one clock. A trace whose clock differs from the others' by more
 *   than a second (another machine, another boot) is put where the wall clock says.
 * - Processes stay apart. A pid that a later trace has as well is the same process when the two do not overlap in time;
 *   else the later one gets a number of its own, and its file's name.
 * - Of source texts of one path that of the later trace counts.
 * A file that is no trace is left out with a note; -EBADMSG when no trace is left, -errno when one cannot be read. */
VT_MUST_CHECK int source_many_open(const char *const *paths, size_t n, const struct many_opts *opts, struct trace_source **out,
                                   struct vt_err *err);

#endif
