/* VizTracer's "file_info": the source text of the functions in a trace, for viewers. */
#ifndef VT_CLI_FILE_INFO_H
#define VT_CLI_FILE_INFO_H

#include "cli/base/output.h"
#include "cli/trace/writer.h"

#define FILE_INFO_FILE_MAX (4u << 20)   /* larger files are left out */
#define FILE_INFO_TOTAL_MAX (64u << 20) /* and everything after this much text */

/* Where source files are looked for. */
struct file_source {
    int root_fd;    /* the target's root folder or -1: our own */
    char cwd[4096]; /* the target's working folder, "" = not known */
    uint32_t uid;   /* the target's user: only what it may read is taken */
};
/* root: e.g. /proc/PID/root, or NULL; cwd: e.g. /proc/PID/cwd, or NULL. Works while the target lives; what is
 * opened here stays usable when it is gone. Never fails: without the target our own files are used. */
void file_source_open(struct file_source *source, const char *root, const char *cwd, uint32_t uid);
void file_source_close(struct file_source *source);

/* Writes {"files":{path:[text, lines]},"functions":{name:[path, line]}} for the Python functions with `used` set. */
VT_MUST_CHECK int file_info_write(struct output *o, struct trace_info *info, const struct file_source *source);

#endif
