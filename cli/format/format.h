/* The formats of trace files: the table of all rows, and the choice of a row by a file's name or by its first bytes.
 * Nothing else in the program names formats. Any thread. */
#ifndef VT_CLI_FORMAT_H
#define VT_CLI_FORMAT_H

#include "cli/trace/trace_format.h"

/* Which suffixes a list has. */
enum format_use { FORMAT_READ, FORMAT_WRITTEN, FORMAT_VIEWED };
#define FORMAT_LIST_MAX 256u

/* The rows, one after the other: NULL gives the first; NULL after the last. */
const struct trace_format *format_next(const struct trace_format *previous);
bool format_has_use(const struct trace_format *format, enum format_use use);
/* ".json, .json.gz and .vzt": the suffixes of all rows with this use. last: " and " or " or ". Returns text. */
const char *format_list(enum format_use use, const char *last, char text[FORMAT_LIST_MAX]);

/* The row with the longest suffix that `path` ends with; *suffix (may be NULL) is that suffix. NULL = there is none. */
const struct trace_format *format_by_name(const char *path, const struct format_suffix **suffix);
/* The row of the format in which the viewer makes this part. */
const struct trace_format *format_of_part(enum format_part part);
/* More calls than that in a JSON file are worth a word before they are written. */
#define FORMAT_MANY_CALLS 5000000u
/* About how many bytes that number of calls, or pieces, takes in a JSON file of this name; 0 = not many, or no JSON. */
uint64_t format_is_large(const char *path, uint64_t calls);
/* True when `path` has a suffix of our own format. */
bool format_is_native(const char *path);
/* 0 when we write files of this name; else -EINVAL, and err lists the suffixes that we write. Ask before an attach. */
VT_MUST_CHECK int format_check_output(const char *output, struct vt_err *err);

/* The row of the format that the file's first bytes show. *format is NULL when no row knows them. -EBADMSG: empty or
 * damaged; other -errno: not readable; err names the file. */
VT_MUST_CHECK int format_of_file(const char *path, const struct trace_format **format, struct vt_err *err);
/* Opens a trace of any format that we read. The first bytes decide, not the name. -EBADMSG: no such trace; other -errno: not
 * readable; err says which and names the file. -EINTR: a signal was caught (cli/base/interrupt.h). */
VT_MUST_CHECK int trace_source_open(const char *path, struct trace_source **out, struct vt_err *err);

#endif
