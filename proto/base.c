/* Owns the helpers of proto/base.h: errors, log lines, whole transfers, clocks. */
#include "proto/base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int vt_err_set(struct vt_err *err, int code, const char *fmt, ...) {
    if (!err || err->msg[0]) return code;
    int saved = errno;
    va_list args;
    va_start(args, fmt);
    if (vsnprintf(err->msg, sizeof(err->msg), fmt, args) < 0) err->msg[0] = '\0';
    va_end(args);
    /* one line, whatever a file name or a peer put into it */
    for (char *c = err->msg; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f) *c = ' ';
    err->code = code;
    errno = saved;
    return code;
}

/* -1 = not yet taken from the environment. Read and written by one thread. */
static int log_level = -1;

void vt_log_level_set(enum vt_log_level level) { log_level = (int)level; }

static int log_level_from_env(void) {
    static const char *const names[] = {"error", "info", "debug"};
    const char *value = getenv("VIZTRACERD_LOG");
    for (size_t i = 0; value && i < VT_ARRAY_LEN(names); i++)
        if (!strcmp(value, names[i])) return (int)i;
    return VT_LOG_ERROR;
}

void vt_log(enum vt_log_level level, const char *fmt, ...) {
    static const char *const tags[] = {"error", "info", "debug"};
    int saved = errno;
    if (log_level < 0) log_level = log_level_from_env();
    if ((int)level <= log_level) {
        char line[1024];
        int head = snprintf(line, sizeof(line), "viztracerd: %s: ", tags[level]);
        va_list args;
        va_start(args, fmt);
        int body = vsnprintf(line + head, sizeof(line) - (size_t)head - 1, fmt, args);
        va_end(args);
        if (body >= 0) {
            size_t len = strlen(line);
            line[len++] = '\n';
            /* one write per line, so that lines of several processes do not mix; nothing to do if it fails */
            int rc = vt_write_full(STDERR_FILENO, line, len);
            (void)rc;
        }
    }
    errno = saved;
}

int vt_read_full(int fd, void *buf, size_t len) {
    for (size_t done = 0; done < len;) {
        ssize_t n = read(fd, (char *)buf + done, len - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        if (n == 0) return -EPIPE;
        done += (size_t)n;
    }
    return 0;
}

int vt_write_full(int fd, const void *buf, size_t len) {
    for (size_t done = 0; done < len;) {
        ssize_t n = write(fd, (const char *)buf + done, len - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        if (n == 0) return -EPIPE;
        done += (size_t)n;
    }
    return 0;
}

int vt_read_file(const char *path, char *buf, size_t size, size_t *len) {
    if (!size) return -E2BIG;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return -errno;
    int rc = 0;
    size_t done = 0;
    for (;;) {
        if (done == size) {
            rc = -E2BIG;
            break;
        }
        ssize_t n = read(fd, buf + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            rc = -errno;
            break;
        }
        if (n == 0) break;
        done += (size_t)n;
    }
    vt_close(&fd);
    if (done == size) done--;
    buf[done] = '\0';
    if (len) *len = done;
    return rc;
}

void vt_close(int *fd) {
    int saved = errno;
    if (*fd >= 0) close(*fd);
    *fd = -1;
    errno = saved;
}

static uint64_t clock_ns(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

uint64_t vt_mono_ns(void) { return clock_ns(CLOCK_MONOTONIC); }
uint64_t vt_real_ns(void) { return clock_ns(CLOCK_REALTIME); }
