/* Which options left calls out when a trace was made: their time counts as their callers' own, and so does their waiting. */
#ifndef VT_CLI_FILTERS_H
#define VT_CLI_FILTERS_H

#include "cli/trace/trace_info.h"

/* Sets info->filters from the options in the header of a .vzt. "" = there were none. */
void filters_describe(struct trace_info *info);
/* info->filters from the text in a file. Characters that are not printable ASCII are left out. */
void filters_take(struct trace_info *info, const char *text, size_t len);

#endif
