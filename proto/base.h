/* Helpers for all programs outside the target: errors, log lines, growing buffers, whole transfers, time. The agent does not
 * use them. Convention of the tree: functions return 0 or -errno, results go through out-pointers. Any thread, unless it says
 * otherwise. */
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

/* Copies text as one line: from ends at its first NUL or after from_size bytes, to always gets a NUL; control characters become
 * blanks. For whatever another process wrote. */
void vt_clean_line(char *to, size_t size, const char *from, size_t from_size);
bool vt_ends_with(const char *text, const char *suffix);
/* Makes room for `need` items of `size` bytes in *items, which has room for *room: doubles, so that the cost per item is
 * constant. -ENOMEM, also when need is above max; *items is then as before. */
VT_MUST_CHECK int vt_grow(void *items, uint32_t *room, size_t need, size_t size, size_t max);

/* Log lines go to stderr, one write each, control characters as blanks. errno is preserved.
 * $VIZTRACERD_LOG: `error` (the default), `info`, `debug`, or a list of areas such as `attach,drain`: their debug lines, and
 * all info lines. One thread sets; any thread may log after the first line. */
enum vt_log_level { VT_LOG_ERROR = 0, VT_LOG_INFO = 1 };
enum vt_log_area { VT_AREA_ATTACH = 0, VT_AREA_SESSION, VT_AREA_DRAIN, VT_AREA_CLIENT, VT_AREAS };
/* What lines begin with; `viztracerd` until it is set. name stays the caller's and must live on. */
void vt_log_name(const char *name);
/* Takes the place of $VIZTRACERD_LOG. -EINVAL for a word that is neither a level nor an area; the others are taken. */
int vt_log_set(const char *words);
/* "attach, session, ..." for help texts. */
const char *vt_log_areas(void);
void vt_log(enum vt_log_level level, const char *fmt, ...) VT_PRINTF(2, 3);
void vt_debug(enum vt_log_area area, const char *fmt, ...) VT_PRINTF(2, 3);

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
