/* Owns reading of plain and gzipped files, and the copies of streams (input.h). */
#include "cli/base/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zlib.h>

#include "cli/base/output.h"

#define FILE_BYTES (256u << 10) /* read at once */
#define TRAILER 8u              /* of a gzip member: the checksum and the length of its data, little endian */
#define HEAD_BYTES (64u << 10)  /* of a stream, enough to tell its format */
#define SPOOL_STEP (1u << 20)
#define SPOOL_FREE_PART 20u /* one of this many parts of the disk stays free */

enum state { PLAIN, MEMBER, OVER };

struct input {
    int fd;
    enum state state;
    bool file_over, wrong_checksum, met_end;
    const char *damage;
    uint64_t size, done;
    z_stream zlib;
    uint64_t unpacked; /* of this member */
    uLong crc;
    uint8_t *at;   /* next byte of the file */
    uint8_t *end;  /* behind the last one that was read */
    uint8_t *last; /* unpacked bytes for input_byte */
    size_t last_at, last_len;
    uint8_t buf[TRAILER + FILE_BYTES]; /* begins with the last bytes that were used: a trailer may lie across two reads */
};

/* Reads more of the file behind what is unused. 0 also at its end. */
static int refill(struct input *in) {
    size_t kept = (size_t)(in->end - in->at);
    memmove(in->buf, in->at - TRAILER, TRAILER + kept);
    in->at = in->buf + TRAILER;
    in->end = in->at + kept;
    while (!in->file_over && in->end < in->buf + sizeof in->buf) {
        ssize_t n = read(in->fd, in->end, (size_t)(in->buf + sizeof in->buf - in->end));
        if (n < 0) return -errno;
        if (n == 0) in->file_over = true;
        in->end += n;
        in->done += (uint64_t)n;
        if (n > 0) break;
    }
    return 0;
}

/* At least two bytes, where the file has them. */
static int look_ahead(struct input *in) {
    int rc = 0;
    while (!rc && in->end - in->at < 2 && !in->file_over) rc = refill(in);
    return rc;
}
static bool is_gzip(const struct input *in) { return in->end - in->at >= 2 && in->at[0] == 0x1f && in->at[1] == 0x8b; }

static int begin_member(struct input *in) {
    in->unpacked = 0;
    in->crc = crc32(0, NULL, 0);
    if (inflateReset2(&in->zlib, 15 + 16) != Z_OK) return -EINVAL;
    /* Its own check would throw away the data before a wrong checksum: ours is made when they have been handed over. */
    return inflateValidate(&in->zlib, 0) == Z_OK ? 0 : -EINVAL;
}

int input_cannot(const char *path, int code, struct vt_err *err) {
    static const struct {
        int code;
        const char *advice;
    } rows[] = {
        {EINTR, ""},
        {ENOENT, "; check the path"},
        {ENOTDIR, "; check the path"},
        {EISDIR, "; name a trace in it, or see them with vizviewer"},
        {EACCES, "; read it as a user who may, or with sudo"},
        {EPERM, "; read it as a user who may, or with sudo"},
        {ENOMEM, "; allow more with --max_memory"},
    };
    const char *advice = "; try again, or copy the file elsewhere";
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++)
        if (rows[i].code == -code) advice = rows[i].advice;
    return vt_err_set(err, code, "%s: %s%s", path, code == -EINTR ? "interrupted" : strerror(-code), advice);
}

int input_open(const char *path, struct input **out, struct vt_err *err) {
    struct input *in = calloc(1, sizeof *in);
    struct stat st;
    int rc = 0;
    if (!in) return vt_err_set(err, -ENOMEM, "out of memory");
    in->at = in->end = in->buf + TRAILER;
    in->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (in->fd < 0 || fstat(in->fd, &st) < 0) rc = -errno;
    if (!rc) in->size = (uint64_t)st.st_size;
    if (!rc) rc = look_ahead(in);
    if (!rc && is_gzip(in)) {
        in->state = MEMBER;
        rc = inflateInit2(&in->zlib, 15 + 16) == Z_OK ? begin_member(in) : -ENOMEM;
    }
    if (rc) {
        input_close(in);
        return input_cannot(path, rc, err);
    }
    *out = in;
    return 0;
}

void input_close(struct input *in) {
    if (!in) return;
    inflateEnd(&in->zlib);
    vt_close(&in->fd);
    free(in->last);
    free(in);
}

static uint32_t number_at(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* A member is over: its trailer is the last that was used. Another one may follow; anything else behind it is no data. */
static int end_member(struct input *in) {
    in->wrong_checksum |= number_at(in->at - TRAILER) != in->crc || number_at(in->at - 4) != (uint32_t)in->unpacked;
    int rc = look_ahead(in);
    in->state = OVER;
    if (rc || !is_gzip(in)) return rc;
    in->state = MEMBER;
    return begin_member(in);
}

/* Unpacks into data; *len may be 0 before the end. */
static int unpack(struct input *in, uint8_t *data, size_t room, size_t *len) {
    int rc = in->at == in->end && !in->file_over ? refill(in) : 0;
    if (rc) return rc;
    in->zlib.next_in = in->at;
    in->zlib.avail_in = (uInt)(in->end - in->at);
    in->zlib.next_out = data;
    in->zlib.avail_out = room < UINT32_MAX / 2 ? (uInt)room : UINT32_MAX / 2;
    int code = inflate(&in->zlib, Z_NO_FLUSH);
    *len = (size_t)(in->zlib.next_out - data);
    in->at = in->end - in->zlib.avail_in;
    in->unpacked += *len;
    in->crc = crc32_z(in->crc, data, *len);
    if (code == Z_STREAM_END) return end_member(in);
    if (code == Z_MEM_ERROR) return -ENOMEM;
    if (code == Z_OK || (code == Z_BUF_ERROR && !in->file_over)) return 0;
    in->damage = code == Z_BUF_ERROR ? "the gzip data ends early" : "the gzip data is damaged";
    in->state = OVER;
    return 0;
}

static int copy(struct input *in, uint8_t *data, size_t room, size_t *len) {
    int rc = in->at == in->end && !in->file_over ? refill(in) : 0;
    *len = (size_t)(in->end - in->at) < room ? (size_t)(in->end - in->at) : room;
    memcpy(data, in->at, *len);
    in->at += *len;
    if (!*len && in->file_over) in->state = OVER;
    return rc;
}

static int fill(struct input *in, void *data, size_t room, size_t *len) {
    size_t step = in->last_len - in->last_at < room ? in->last_len - in->last_at : room;
    if (step) memcpy(data, in->last + in->last_at, step);
    in->last_at += step;
    *len = step;
    int rc = 0;
    while (!rc && *len < room && in->state != OVER) {
        uint8_t *to = (uint8_t *)data + *len;
        rc = in->state == MEMBER ? unpack(in, to, room - *len, &step) : copy(in, to, room - *len, &step);
        if (!rc) *len += step;
    }
    return rc;
}

int input_read(struct input *in, void *data, size_t room, size_t *len) {
    int rc = fill(in, data, room, len);
    in->met_end |= !rc && *len < room;
    return rc;
}

int input_byte(struct input *in, uint8_t *byte) {
    if (in->last_at == in->last_len) {
        if (!in->last && !(in->last = malloc(FILE_BYTES))) return -ENOMEM;
        in->last_at = in->last_len = 0;
        size_t len;
        int rc = fill(in, in->last, FILE_BYTES, &len);
        in->met_end |= !rc && !len;
        if (rc || !len) return rc;
        in->last_len = len;
    }
    *byte = in->last[in->last_at++];
    return 1;
}

bool input_met_end(const struct input *in) { return in->met_end; }
const char *input_damage(const struct input *in) { return in->damage; }
bool input_checksum_is_wrong(const struct input *in) { return in->wrong_checksum; }
uint64_t input_done(const struct input *in) { return in->done; }
uint64_t input_size(const struct input *in) { return in->size; }

/* ---- streams ---- */

/* Where the disk is nearly full, others would be hurt too. */
static int has_room(int fd) {
    struct statvfs fs;
    if (fstatvfs(fd, &fs) < 0) return -errno;
    return fs.f_blocks && fs.f_bavail < fs.f_blocks / SPOOL_FREE_PART ? -ENOSPC : 0;
}

/* Copies `most` bytes, or up to the end: *over. */
static int copy_stream(int from, int to, uint64_t most, bool *over) {
    char *buf = malloc(SPOOL_STEP);
    int rc = buf ? 0 : -ENOMEM;
    for (uint64_t done = 0; !rc && done < most && !*over;) {
        ssize_t n = read(from, buf, most - done < SPOOL_STEP ? (size_t)(most - done) : SPOOL_STEP);
        if (n < 0) rc = -errno;
        if (n == 0) *over = true;
        if (n > 0) rc = vt_write_full(to, buf, (size_t)n);
        if (n > 0) done += (uint64_t)n;
        if (!rc && n > 0) rc = has_room(to);
    }
    free(buf);
    return rc;
}

int input_spool(const char *path, int (*is_wanted)(const char *path, struct vt_err *err), struct spooled *to,
                struct vt_err *err) {
    struct stat st;
    bool over = false;
    int rc = 0, from = -1;
    *to = (struct spooled){.fd = -1};
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) return 0; /* the format's reader opens it */
    from = open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0 || fstat(from, &st) < 0)
        rc = -errno;
    else if (S_ISDIR(st.st_mode))
        rc = -EISDIR;
    if (rc) {
        input_cannot(path, rc, err);
        goto out;
    }
    to->fd = output_temp();
    if (to->fd < 0) {
        rc = vt_err_set(err, to->fd, "no temporary file for %s: %s; set TMPDIR", path, strerror(-to->fd));
        goto out;
    }
    snprintf(to->path, sizeof to->path, "/proc/self/fd/%d", to->fd);
    rc = copy_stream(from, to->fd, HEAD_BYTES, &over);
    int unwanted = rc ? 0 : is_wanted(to->path, err);
    if (!rc && !unwanted) rc = copy_stream(from, to->fd, UINT64_MAX, &over);
    if (rc == -EINTR)
        vt_err_set(err, rc, "%s: interrupted", path);
    else if (rc == -ENOSPC)
        vt_err_set(err, rc, "%s: no room for a copy of the stream; save it as a file, or set TMPDIR to a larger disk", path);
    else if (rc)
        vt_err_set(err, rc, "%s: copying the stream: %s", path, strerror(-rc));
    if (!rc) rc = unwanted;
out:
    vt_close(&from);
    if (rc) vt_close(&to->fd);
    return rc;
}
