/* The pieces of JSON on stdout that `report` and `diff` share. Each but the last starts with a comma. */
#ifndef VT_CLI_REPORT_JSON_H
#define VT_CLI_REPORT_JSON_H

#include "cli/trace/left_out.h"
#include "cli/trace/trace_info.h"

void report_json_number(const char *key, uint64_t n);
/* text: any bytes; NULL = "". -ENOMEM. */
VT_MUST_CHECK int report_json_text(const char *key, const void *text, size_t len);
/* before, then the start of an object without its end: name, file, line, kind. -ENOMEM. */
VT_MUST_CHECK int report_json_function(const char *before, const struct trace_name *name);

/* ,"wrong_checksum":...,"left_out":{...} */
void report_json_left_out(const struct left_out *l);

#endif
