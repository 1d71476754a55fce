/* Owns reading of .vzt files: a sliding buffer over pread, frame checks, and the fields of Block frames, which are too
 * many and too large for an unpack with copies. */
#include "proto/trace_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/block_code.h"
#include "proto/msg.h"

#define MAGIC_LEN 8u
#define BUF_STEP (1u << 20)
#define HEAD_BYTES 128u /* of a Block: its numbers stand before its data */

struct vt_trace {
    int fd;
    bool truncated;
    uint64_t size;
    uint64_t offset; /* file offset of buf[0] */
    size_t pos, len; /* next byte to use, bytes present */
    uint8_t *buf;
    size_t buf_size;
    uint64_t begin;                      /* offset of the first frame */
    const struct vt_trace_piece *pieces; /* NULL = the file is the stream */
    size_t npieces;
    bool borrowed; /* fd is another one's */
};

/* The last piece that begins at or before `offset` of the stream; there is at least one. */
static const struct vt_trace_piece *piece_of(const struct vt_trace *t, uint64_t offset) {
    size_t low = 0, high = t->npieces;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (t->pieces[middle].at <= offset)
            low = middle;
        else
            high = middle;
    }
    return &t->pieces[low];
}

/* As pread, from the stream. */
static ssize_t read_at(const struct vt_trace *t, uint8_t *to, size_t len, uint64_t offset) {
    if (!t->borrowed) return pread(t->fd, to, len, (off_t)offset);
    if (offset >= t->size) return 0;
    const struct vt_trace_piece *p = piece_of(t, offset);
    uint64_t within = offset - p->at, rest = p->len - within;
    return pread(t->fd, to, len < rest ? len : (size_t)rest, (off_t)(p->offset + within));
}

static int reserve(struct vt_trace *t, size_t size) {
    if (size <= t->buf_size) return 0;
    uint8_t *grown = realloc(t->buf, size);
    if (!grown) return -ENOMEM;
    t->buf = grown;
    t->buf_size = size;
    return 0;
}

/* Makes `want` bytes from pos on present: 1, 0 = the file ends before, -errno. */
static int fill(struct vt_trace *t, size_t want) {
    if (t->len - t->pos >= want) return 1;
    if (t->pos && t->len > t->pos) memmove(t->buf, t->buf + t->pos, t->len - t->pos);
    t->offset += t->pos;
    t->len -= t->pos;
    t->pos = 0;
    size_t step = t->borrowed && t->size < BUF_STEP ? (size_t)t->size : BUF_STEP;
    int rc = reserve(t, want > step ? want : step);
    if (rc) return rc;
    while (t->len < want) {
        ssize_t n = read_at(t, t->buf + t->len, t->buf_size - t->len, t->offset + t->len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        if (n == 0) return 0;
        t->len += (size_t)n;
    }
    return 1;
}

/* Moves on by n bytes, present or not; they may lie behind the end. */
static void skip(struct vt_trace *t, uint64_t n) {
    if (n <= t->len - t->pos) {
        t->pos += (size_t)n;
        return;
    }
    t->offset += t->pos + n;
    t->pos = t->len = 0;
}

int vt_trace_open(const char *path, struct vt_trace **out, struct vt_err *err) {
    struct stat st;
    int rc;
    struct vt_trace *t = calloc(1, sizeof *t);
    if (!t) return vt_err_set(err, -ENOMEM, "%s: out of memory", path);
    t->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (t->fd < 0 || fstat(t->fd, &st) < 0) {
        rc = -errno;
        vt_err_set(err, rc, "%s: %s", path, strerror(-rc));
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        rc = vt_err_set(err, -EINVAL, "%s: not a regular file", path);
        goto out;
    }
    t->size = (uint64_t)st.st_size;
    rc = fill(t, MAGIC_LEN);
    if (rc < 0) {
        vt_err_set(err, rc, "%s: %s", path, strerror(-rc));
        goto out;
    }
    if (rc == 0 || memcmp(t->buf, VT_FILE_MAGIC, MAGIC_LEN) != 0) {
        rc = vt_err_set(err, -EBADMSG, "%s: not a .vzt trace", path);
        goto out;
    }
    t->pos = t->begin = MAGIC_LEN;
    *out = t;
    return 0;
out:
    vt_trace_close(t);
    return rc;
}

int vt_trace_open_pieces(const struct vt_trace *whole, const struct vt_trace_piece *pieces, size_t n, struct vt_trace **out) {
    struct vt_trace *t = calloc(1, sizeof *t);
    if (!t) return -ENOMEM;
    *t = (struct vt_trace){.fd = whole->fd, .borrowed = true, .pieces = pieces, .npieces = n};
    if (n) t->size = pieces[n - 1].at + pieces[n - 1].len;
    *out = t;
    return 0;
}

void vt_trace_close(struct vt_trace *t) {
    if (!t) return;
    if (!t->borrowed) vt_close(&t->fd);
    free(t->buf);
    free(t);
}

void vt_trace_rewind(struct vt_trace *t) {
    t->offset = t->begin;
    t->pos = t->len = 0;
    t->truncated = false;
}

void vt_trace_skip(struct vt_trace *t, uint64_t bytes) { skip(t, bytes); }

uint64_t vt_trace_file_offset(const struct vt_trace *t, uint64_t offset) {
    if (!t->npieces) return offset;
    const struct vt_trace_piece *p = piece_of(t, offset);
    return p->offset + (offset - p->at);
}

uint64_t vt_trace_size(const struct vt_trace *t) { return t->size; }
uint64_t vt_trace_pos(const struct vt_trace *t) { return t->offset + t->pos; }
bool vt_trace_truncated(const struct vt_trace *t) { return t->truncated; }

static int damaged(const struct vt_trace *t, struct vt_err *err, uint64_t offset, const char *what) {
    return vt_err_set(err, -EBADMSG, "damaged at byte %llu: %s", (unsigned long long)vt_trace_file_offset(t, offset), what);
}

/* Ends reading at a frame that is not whole. */
static int cut_short(struct vt_trace *t) {
    t->truncated = true;
    t->offset += t->pos;
    t->pos = t->len = 0;
    return 0;
}

int vt_trace_next(struct vt_trace *t, bool heads_only, struct vt_trace_frame *frame, struct vt_err *err) {
    while (1) {
        if (t->truncated) return 0;
        uint32_t crc;
        uint64_t start = vt_trace_pos(t);
        int rc = fill(t, VT_FRAME_HDR);
        if (rc < 0) return vt_err_set(err, rc, "reading the trace: %s", strerror(-rc));
        if (rc == 0) return t->len > t->pos ? cut_short(t) : 0;
        if (vt_frame_get_header(t->buf + t->pos, &frame->type, &frame->len, &crc)) return damaged(t, err, start, "frame length");

        const struct vt_msg_desc *desc = vt_msg_desc(frame->type);
        uint64_t rest = t->size > start + VT_FRAME_HDR ? t->size - start - VT_FRAME_HDR : 0;
        bool head = heads_only && frame->type == VT_FRAME_BLOCK;
        if ((head || !desc || !desc->trace) && rest >= frame->len) {
            size_t want = head ? frame->len < HEAD_BYTES ? frame->len : HEAD_BYTES : 0;
            rc = fill(t, VT_FRAME_HDR + want);
            if (rc < 0) return vt_err_set(err, rc, "reading the trace: %s", strerror(-rc));
            if (rc == 0) return cut_short(t);
            frame->payload = t->buf + t->pos + VT_FRAME_HDR;
            frame->offset = start;
            skip(t, (uint64_t)VT_FRAME_HDR + frame->len);
            if (!head) continue;
            frame->len = (uint32_t)want;
            return 1;
        }
        rc = fill(t, VT_FRAME_HDR + (size_t)frame->len);
        if (rc < 0) return vt_err_set(err, rc, "reading the trace: %s", strerror(-rc));
        if (rc == 0) return cut_short(t);
        frame->payload = t->buf + t->pos + VT_FRAME_HDR;
        frame->offset = start;
        t->pos += VT_FRAME_HDR + frame->len;
        if (!desc || !desc->trace) continue;
        if (vt_frame_check(crc, frame->payload, frame->len)) return damaged(t, err, start, "checksum");
        return 1;
    }
}

/* Field numbers and wire types of message Block in viztracerd.proto. */
enum { BLOCK_SERIAL = 1, BLOCK_IDENT, BLOCK_TID, BLOCK_BASE, BLOCK_LAST, BLOCK_EVENTS, BLOCK_RAW_LEN, BLOCK_DATA };
enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static void set_number(struct vt_trace_block *block, uint64_t field, uint64_t value) {
    switch (field) {
    case BLOCK_SERIAL: block->serial = (uint32_t)value; break;
    case BLOCK_IDENT: block->ident = value; break;
    case BLOCK_TID: block->tid = (uint32_t)value; break;
    case BLOCK_BASE: block->base_ticks = value; break;
    case BLOCK_LAST: block->last_ticks = value; break;
    case BLOCK_EVENTS: block->events = (uint32_t)value; break;
    case BLOCK_RAW_LEN: block->raw_len = (uint32_t)value; break;
    }
}

static int get_block(const uint8_t *p, size_t len, bool head, struct vt_trace_block *block) {
    const uint8_t *end = p + len;
    memset(block, 0, sizeof *block);
    while (p < end) {
        uint64_t key, value;
        if (!(p = block_get_varint(p, end, &key))) return -EBADMSG;
        switch (key & 7) {
        case WIRE_VARINT:
            if (!(p = block_get_varint(p, end, &value))) return -EBADMSG;
            set_number(block, key >> 3, value);
            continue;
        case WIRE_BYTES:
            if (!(p = block_get_varint(p, end, &value))) return -EBADMSG;
            if (head) return 0;
            break;
        case WIRE_64: value = 8; break;
        case WIRE_32: value = 4; break;
        default: return -EBADMSG;
        }
        if (value > (size_t)(end - p)) return -EBADMSG;
        if (key == (BLOCK_DATA << 3 | WIRE_BYTES)) {
            block->data = p;
            block->data_len = (size_t)value;
        }
        p += value;
    }
    return 0;
}

int vt_trace_get_block(const uint8_t *payload, size_t len, struct vt_trace_block *block) {
    int rc = get_block(payload, len, false, block);
    return rc ? rc : block->data ? 0 : -EBADMSG;
}

int vt_trace_block_head(const uint8_t *payload, size_t len, struct vt_trace_block *block) {
    return get_block(payload, len, true, block);
}
