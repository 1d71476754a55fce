/* Helpers that every host-side folder shares: errors, logging, bounded I/O, time. Not used by agent/.
 * Convention of the tree: functions return 0 or -errno; results go through out-pointers. */
#ifndef VT_PROTO_BASE_H
#define VT_PROTO_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VT_MUST_CHECK __attribute__((warn_unused_result))
#define VT_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define VT_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* What went wrong, passed across folder boundaries: `msg` is one line, "what: why; what to do". */
struct vt_err {
    int code; /* -errno */
    char msg[384];
};
/* Fills err (may be NULL; the first message wins: a filled err is kept) and returns code. */
int vt_err_set(struct vt_err *err, int code, const char *fmt, ...) VT_PRINTF(3, 4);

/* Log lines go to stderr by default; level from VIZTRACERD_LOG=error|info|debug. errno is preserved. */
enum vt_log_level { VT_LOG_ERROR = 0, VT_LOG_INFO = 1, VT_LOG_DEBUG = 2 };
void vt_log_level_set(enum vt_log_level level);
void vt_log(enum vt_log_level level, const char *fmt, ...) VT_PRINTF(2, 3);

/* Whole transfers; 0 or -errno; -EPIPE when the other side ends early. EINTR is retried. */
VT_MUST_CHECK int vt_read_full(int fd, void *buf, size_t len);
VT_MUST_CHECK int vt_write_full(int fd, const void *buf, size_t len);
/* Reads a whole small file (e.g. /proc/PID/status) into buf, NUL-terminated; *len without the NUL.
 * -E2BIG when it does not fit. */
VT_MUST_CHECK int vt_read_file(const char *path, char *buf, size_t size, size_t *len);
/* Closes *fd when >= 0 and sets it to -1; keeps errno. */
void vt_close(int *fd);

uint64_t vt_mono_ns(void);
uint64_t vt_real_ns(void);

#endif
