/* Arguments of calls and marks as Perfetto's typed annotations: fields of a TrackEvent that is being written. What comes
 * from the target or a file may be any bytes. */
#ifndef VT_CLI_PERFETTO_ARGS_H
#define VT_CLI_PERFETTO_ARGS_H

#include "cli/base/pb_put.h"
#include "cli/trace/writer.h"

/* One annotation of the event. */
void perfetto_arg_u64(struct buf *b, const char *name, uint64_t v);
void perfetto_arg_true(struct buf *b, const char *name);
void perfetto_arg_text(struct buf *b, const char *name, const void *text, size_t len);
/* A repr: int, float and bool as such where that is exact, else its text. */
void perfetto_arg_repr(struct buf *b, const char *name, const void *text, size_t len);
/* func_args: the recorded arguments of a call. */
void perfetto_arg_func_args(struct buf *b, const struct trace_call *call);
/* Its names are iids: those of perfetto_fold_names from 1 on; functions' names are the string of their index + 1. */
void perfetto_arg_fold(struct buf *b, const struct trace_fold *fold);
#define PERFETTO_FOLD_NAMES 7u
extern const char *const perfetto_fold_names[PERFETTO_FOLD_NAMES];
/* The members of a JSON object, nested; other values as "args"; text that is not JSON as a string. */
void perfetto_args_json(struct buf *b, const char *json, size_t len);

#endif
