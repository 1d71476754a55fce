/* A file that is read from its start to its end, unpacked on the way when it is gzipped. What a damaged gzip file still
 * gives is handed over, also what a wrong checksum is of. One thread per struct input. */
#ifndef VT_CLI_INPUT_H
#define VT_CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base.h"

struct input;

/* "PATH: why; what to do" into err; returns code. A file that cannot be read. */
int input_cannot(const char *path, int code, struct vt_err *err); /* -code: an errno */

/* -errno and err, which names the file. */
VT_MUST_CHECK int input_open(const char *path, struct input **out, struct vt_err *err);
/* NULL is fine. */
void input_close(struct input *in);
/* Fills data with up to room bytes, fewer only where the file ends; *len 0 = the end, also where damage ends it. -errno:
 * the file cannot be read. */
VT_MUST_CHECK int input_read(struct input *in, void *data, size_t room, size_t *len);
/* The next byte: 1, 0 at the end, -errno. */
VT_MUST_CHECK int input_byte(struct input *in, uint8_t *byte);
/* More bytes were asked for than there were. */
bool input_met_end(const struct input *in);
/* Why the data ended early, "the gzip data is damaged"; NULL = it did not. */
const char *input_damage(const struct input *in);
/* A checksum of a gzip file that was met was wrong; the data were handed over. */
bool input_checksum_is_wrong(const struct input *in);
/* For progress: bytes of the file that were read, and its size. */
uint64_t input_done(const struct input *in);
uint64_t input_size(const struct input *in);

/* What can be read only once (a pipe, a socket, a terminal) goes into a file without a name. */
struct spooled {
    int fd;        /* -1: path is a file, which can be read as often as wanted */
    char path[32]; /* of that file; "" = none */
};
/* is_wanted: looks at the file `path` when its first bytes are there; not 0 ends it with that, before all is copied. The
 * copy leaves a part of the disk free. Interrupted by a signal that has a handler without SA_RESTART: -EINTR. */
VT_MUST_CHECK int input_spool(const char *path, int (*is_wanted)(const char *path, struct vt_err *err), struct spooled *to,
                              struct vt_err *err);

#endif
