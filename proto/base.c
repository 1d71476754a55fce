/* Owns the helpers of proto/base.h: errors, log lines, growing buffers, whole transfers, clocks. */
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
    vt_clean_line(err->msg, sizeof(err->msg), err->msg, sizeof(err->msg)); /* a file name or another process can be part of it */
    err->code = code;
    errno = saved;
    return code;
}

void vt_clean_line(char *to, size_t size, const char *from, size_t from_size) {
    size_t n = 0;
    for (; n + 1 < size && n < from_size && from[n]; n++) to[n] = (unsigned char)from[n] < ' ' || from[n] == 0x7f ? ' ' : from[n];
    if (size) to[n] = '\0';
}

bool vt_ends_with(const char *text, const char *suffix) {
    size_t len = strlen(text), end = strlen(suffix);
    return len >= end && !memcmp(text + len - end, suffix, end);
}

int vt_grow(void *items, uint32_t *room, size_t need, size_t size, size_t max) {
    size_t want = *room ? *room : 16;
    void *old, *grown;
    if (need <= *room) return 0;
    if (need > max || max > UINT32_MAX) return -ENOMEM;
    while (want < need) want *= 2;
    if (want > max) want = max;
    memcpy(&old, items, sizeof(old)); /* items is a pointer to a pointer of any type */
    grown = reallocarray(old, want, size);
    if (!grown) return -ENOMEM;
    memcpy(items, &grown, sizeof(grown));
    *room = (uint32_t)want;
    return 0;
}

/* ---- log lines ---- */

static const char *const area_names[VT_AREAS] = {
    [VT_AREA_ATTACH] = "attach",
    [VT_AREA_SESSION] = "session",
    [VT_AREA_DRAIN] = "drain",
    [VT_AREA_CLIENT] = "client",
};
static const char *log_name = "viztracerd";
static bool log_known; /* false: $VIZTRACERD_LOG was not read yet */
static enum vt_log_level log_level;
static uint32_t log_areas; /* bit per area */

void vt_log_name(const char *name) { log_name = name; }

const char *vt_log_areas(void) {
    static char text[128];
    if (!text[0])
        for (size_t i = 0; i < VT_AREAS; i++) {
            if (i) strcat(text, ", ");
            strcat(text, area_names[i]);
        }
    return text;
}

static bool take_word(const char *word, size_t len) {
    static const struct {
        const char *name;
        enum vt_log_level level;
        uint32_t areas;
    } words[] = {{"error", VT_LOG_ERROR, 0}, {"info", VT_LOG_INFO, 0}, {"debug", VT_LOG_INFO, ~0u}, {"all", VT_LOG_INFO, ~0u}};
    for (size_t i = 0; i < VT_ARRAY_LEN(words); i++)
        if (strlen(words[i].name) == len && !memcmp(word, words[i].name, len)) {
            if (words[i].level > log_level) log_level = words[i].level;
            log_areas |= words[i].areas;
            return true;
        }
    for (size_t i = 0; i < VT_AREAS; i++)
        if (strlen(area_names[i]) == len && !memcmp(word, area_names[i], len)) {
            log_level = VT_LOG_INFO;
            log_areas |= 1u << i;
            return true;
        }
    return len == 0;
}

int vt_log_set(const char *words) {
    int rc = 0;
    log_known = true;
    log_level = VT_LOG_ERROR;
    log_areas = 0;
    for (;;) {
        size_t len = strcspn(words, ",");
        if (!take_word(words, len)) rc = -EINVAL;
        if (!words[len]) return rc;
        words += len + 1;
    }
}

VT_PRINTF(2, 0) static void put_line(const char *tag, const char *fmt, va_list args) {
    char text[1024], line[1200];
    int saved = errno;
    if (vsnprintf(text, sizeof(text), fmt, args) >= 0) {
        vt_clean_line(text, sizeof(text), text, sizeof(text));
        int len = snprintf(line, sizeof(line), "%s: %s: %s\n", log_name, tag, text);
        /* One write per line, so that lines of several processes do not mix. If it fails, nothing can be done. */
        int rc = vt_write_full(STDERR_FILENO, line, (size_t)len);
        (void)rc;
    }
    errno = saved;
}

static void know_log(void) {
    const char *env = log_known ? NULL : getenv("VIZTRACERD_LOG");
    log_known = true;
    if (env && vt_log_set(env))
        vt_log(VT_LOG_ERROR, "VIZTRACERD_LOG=%s: give error, info, debug, or areas out of: %s, all", env, vt_log_areas());
}

void vt_log(enum vt_log_level level, const char *fmt, ...) {
    know_log();
    if (level > log_level) return;
    va_list args;
    va_start(args, fmt);
    put_line(level == VT_LOG_ERROR ? "error" : "info", fmt, args);
    va_end(args);
}

void vt_debug(enum vt_log_area area, const char *fmt, ...) {
    know_log();
    if (!(log_areas >> area & 1)) return;
    va_list args;
    va_start(args, fmt);
    put_line(area_names[area], fmt, args);
    va_end(args);
}

/* ---- whole transfers, time ---- */

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
