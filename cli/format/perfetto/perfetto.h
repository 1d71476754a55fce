/* What the reader and the writer of .pftrace files share. */
#ifndef VT_CLI_PERFETTO_H
#define VT_CLI_PERFETTO_H

#include "cli/trace/trace_format.h"

extern const struct trace_writer_ops out_perfetto; /* out_perfetto.c */

#endif
