/* What the reader and the writer of .vzt files share. */
#ifndef VT_CLI_VZT_H
#define VT_CLI_VZT_H

#include "cli/trace/trace_format.h"

extern const struct trace_writer_ops out_vzt; /* out_vzt.c */

#endif
