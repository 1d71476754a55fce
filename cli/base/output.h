/* The output file of a writer, plain or gzip. It appears under its name only when it is complete. The first error is kept:
 * after it all bytes are accepted and thrown away, and output_commit returns it. */
#ifndef VT_CLI_OUTPUT_H
#define VT_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base.h"

#define OUTPUT_BUF (1u << 20)

struct output {
    char *pos, *end; /* free room; only output.c and the two functions below touch it */
};

/* Makes missing folders. gzip: compress on the way. -errno and err with the cause. */
VT_MUST_CHECK int output_open(const char *path, bool gzip, struct output **out, struct vt_err *err);
/* "-" and "-.SUFFIX" stand for stdout. */
bool output_is_stdout(const char *path);
/* The same over memory: bytes go to sink as they come (0 or -errno; an error sticks). Commit and abort as with a file; there
 * is no name. */
VT_MUST_CHECK int output_open_sink(bool gzip, int (*sink)(void *arg, const void *data, size_t len), void *arg,
                                   struct output **out);
/* Into a descriptor, which stays the caller's: no name. */
VT_MUST_CHECK int output_open_fd(const int *fd, struct output **out);
/* A file without a name in TMPDIR or /tmp, for what would be too large for memory: descriptor or -errno. */
VT_MUST_CHECK int output_temp(void);
void output_flush(struct output *o);
/* A piece of any length. */
void output_write(struct output *o, const void *data, size_t len);
/* 0, or the first error; lets long work stop early. */
int output_error(const struct output *o);
/* Bytes of the file so far (compressed ones for gzip). */
uint64_t output_bytes(const struct output *o);
/* Writes the rest, gives the file its name, frees o in any case. On an error nothing is left behind under either
 * name; err says what and why. */
VT_MUST_CHECK int output_commit(struct output *o, uint64_t *bytes, struct vt_err *err);
/* Removes what was written and frees o. NULL is fine. */
void output_abort(struct output *o);

/* At least n (<= OUTPUT_BUF) bytes of room: write there, then output_put the end. */
static inline char *output_room(struct output *o, size_t n) {
    if ((size_t)(o->end - o->pos) < n) output_flush(o);
    return o->pos;
}
static inline void output_put(struct output *o, char *end) { o->pos = end; }

/* Creates the folders above path as far as they are missing. */
VT_MUST_CHECK int output_make_dirs(const char *path);

#endif
