/* Several files as one source (--combine, --align_combine). */
#ifndef VT_CLI_SOURCE_MANY_H
#define VT_CLI_SOURCE_MANY_H

#include "cli/trace/join.h"

/* join.h says what is done. A file that is no trace is left out with a note; -EBADMSG when no trace is left, -errno when one
 * cannot be read. */
VT_MUST_CHECK int source_many_open(const char *const *paths, size_t n, const struct join_opts *opts, struct trace_source **out,
                                   struct vt_err *err);

#endif
