/* The reader and the writer of Chrome JSON, for formats that go through JSON (.cvf). */
#ifndef VT_CLI_CHROME_JSON_H
#define VT_CLI_CHROME_JSON_H

#include "cli/trace/trace_format.h"

extern const struct trace_source_ops source_json;
extern const struct trace_writer_ops out_chrome;

#endif
