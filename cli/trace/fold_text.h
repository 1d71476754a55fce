/* What outputs say about folded calls (struct trace_fold in writer.h). */
#ifndef VT_CLI_FOLD_TEXT_H
#define VT_CLI_FOLD_TEXT_H

#include "cli/trace/writer.h"

/* Outputs name the functions with nine tenths of the folded time, but at most this many; fewer when many calls are shown,
 * because viewers hold all of it. */
#define FOLD_LISTED_MAX 16u

/* The sum of the functions that are not listed; its name is NULL. */
struct trace_fold_function fold_others(const struct trace_fold *fold);
/* {"calls":..,"total_us":..,"functions":[{"name":..,"calls":..,"self_us":..}..],"others":{..}}: malloc'd, or NULL when there
 * is no memory. */
char *fold_json(const struct trace_fold *fold, size_t *len);

#endif
