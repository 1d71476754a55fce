/* Owns the spool folder and files. */
#include "daemon/io/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proto/owndir.h"

#define TAIL_MAX (1u << 20) /* bytes for the last frames of a trace, which need a few hundred */

mode_t spool_dir_mode(bool shared) { return shared ? 0711 : 0700; }

int spool_dir_prepare(const char *dir, bool shared, struct vt_err *err) {
    struct stat st;
    mode_t mode = spool_dir_mode(shared);
    int rc = 0;

    if (mkdir(dir, mode) && errno != EEXIST) {
        rc = -errno;
        return vt_err_set(err, rc, "cannot make the spool folder %s: %s; set VIZTRACERD_SPOOL to a folder with room", dir,
                          strerror(-rc));
    }
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) {
        rc = vt_err_set(err, -errno, "spool folder %s: %s", dir, strerror(errno));
    } else if (st.st_uid != geteuid() || (st.st_mode & OWNDIR_SHARED)) {
        rc = vt_err_set(err, -EPERM, "spool folder %s: belongs to another user or others can write to it; set VIZTRACERD_SPOOL",
                        dir);
    }
    vt_close(&fd);
    return rc;
}

int spool_open(struct spool *s, const char *dir, pid_t pid, uid_t uid, gid_t gid, uint64_t max_bytes, struct vt_err *err) {
    time_t now = time(NULL);
    struct tm tm;
    char stamp[32];
    int rc;

    memset(s, 0, sizeof(*s));
    s->fd = -1;
    s->max_bytes = max_bytes;
    localtime_r(&now, &tm);
    strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &tm);
    for (int i = 0; i < 100 && s->fd < 0; i++) {
        char more[16] = "";
        if (i) snprintf(more, sizeof(more), "-%d", i);
        if (snprintf(s->path, sizeof(s->path), "%s/%d-%s%s.vzt", dir, pid, stamp, more) >= (int)sizeof(s->path))
            return vt_err_set(err, -ENAMETOOLONG, "spool folder name too long");
        s->fd = open(s->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (s->fd < 0 && errno != EEXIST) break;
    }
    if (s->fd < 0) {
        rc = -errno;
        return vt_err_set(err, rc, "cannot write to the spool folder %s: %s; set VIZTRACERD_SPOOL to a folder with room", dir,
                          strerror(-rc));
    }
    if (uid != geteuid() && fchown(s->fd, uid, gid)) {
        rc = vt_err_set(err, -errno, "spool %s: cannot give it to uid %u: %s", s->path, uid, strerror(errno));
        spool_close(s, true);
        return rc;
    }
    flock(s->fd, LOCK_EX | LOCK_NB);
    rc = vt_write_full(s->fd, VT_FILE_MAGIC, 8);
    if (rc) {
        vt_err_set(err, rc, "spool %s: %s; set VIZTRACERD_SPOOL to a folder with room", s->path, strerror(-rc));
        spool_close(s, true);
        return rc;
    }
    s->size = 8;
    return 0;
}

/* Appends bytes. On error it truncates the file to whole frames. */
static int append(struct spool *s, const uint8_t *frame, size_t len) {
    if (s->full) return s->full;
    if (s->max_bytes && s->size + len > s->max_bytes) {
        s->full = -EFBIG;
        return s->full;
    }
    size_t done = 0;
    while (done < len) {
        ssize_t n = pwrite(s->fd, frame + done, len - done, (off_t)(s->size + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            s->full = n < 0 ? -errno : -ENOSPC;
            if (ftruncate(s->fd, (off_t)s->size)) vt_log(VT_LOG_ERROR, "spool %s: cannot cut back: %s", s->path, strerror(errno));
            return s->full;
        }
        done += (size_t)n;
    }
    s->size += len;
    return 0;
}

/* The frame; in a file of several processes with the head of its section in front. *bytes: free() it. */
static int pack(const struct spool *s, uint32_t section, uint32_t type, const ProtobufCMessage *msg, uint8_t **bytes,
                size_t *len) {
    Vt__Section m = VT__SECTION__INIT;
    uint8_t *head = NULL, *frame;
    size_t head_len = 0;
    int rc = vt_msg_pack(type, msg, &frame, len);
    if (rc || !s->sections) {
        *bytes = frame;
        return rc;
    }
    m.number = section;
    m.bytes = (uint32_t)*len;
    rc = vt_msg_pack(VT_FRAME_SECTION, &m.base, &head, &head_len);
    uint8_t *both = rc ? NULL : realloc(head, head_len + *len);
    if (both) {
        memcpy(both + head_len, frame, *len);
        *bytes = both;
        *len += head_len;
    } else {
        free(rc ? NULL : head);
    }
    free(frame);
    return rc ? rc : both ? 0 : -ENOMEM;
}

int spool_begin_sections(struct spool *s) {
    Vt__TraceHeader header = VT__TRACE_HEADER__INIT;
    header.format = VT_TRACE_FORMAT_SECTIONS;
    header.tool_version = (char *)VT_VERSION;
    int rc = spool_put(s, 0, VT_FRAME_HEADER, &header.base);
    s->sections = true;
    return rc;
}

int spool_put(struct spool *s, uint32_t section, uint32_t type, const ProtobufCMessage *msg) {
    uint8_t *frame;
    size_t len;
    if (s->full) return s->full;
    int rc = pack(s, section, type, msg, &frame, &len);
    if (rc) return rc;
    rc = append(s, frame, len);
    free(frame);
    return rc;
}

int spool_put_last(struct spool *s, uint32_t section, uint32_t type, const ProtobufCMessage *msg) {
    uint8_t *frame;
    size_t len;
    int rc = pack(s, section, type, msg, &frame, &len);
    if (rc) return rc;
    uint64_t limit = s->max_bytes;
    int full = s->full;
    s->max_bytes = 0; /* the last frames may exceed the limit by a few hundred bytes */
    if (!s->tail_len) s->full = 0;
    rc = append(s, frame, len);
    s->max_bytes = limit;
    if (full) s->full = full;
    if (rc) {
        rc = vt_grow(&s->tail, &s->tail_room, s->tail_len + len, 1, TAIL_MAX);
        if (!rc) {
            memcpy(s->tail + s->tail_len, frame, len);
            s->tail_len += len;
        }
    }
    free(frame);
    return rc;
}

void spool_close(struct spool *s, bool remove) {
    if (s->fd >= 0 && remove) unlink(s->path);
    vt_close(&s->fd);
    free(s->tail);
    s->tail = NULL;
    s->tail_len = 0;
}
