/* Owns the bytes of .pftrace files: packets and the messages in them (pftrace_read.h). Everything is hostile. */
#include "cli/format/perfetto/pftrace_read.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <zlib.h>

#define PROGRESS_STEP (4u << 20)

/* ---- messages ---- */

static int get_clock(struct pb_bytes in, struct pftrace_packet *p) {
    struct pb_field f;
    uint64_t id = 0, time = 0;
    int rc;
    while ((rc = pb_next(&in, &f)) == 1) {
        if (f.number == 1) id = f.value;
        if (f.number == 2) time = f.value;
    }
    if (id == PFTRACE_CLOCK_REAL) p->real_ns = time;
    if (id == PFTRACE_CLOCK_MONO) p->mono_ns = time;
    if (id == PFTRACE_CLOCK_OWN) p->own_ns = time;
    return rc;
}

static int get_defaults(struct pb_bytes in, struct pftrace_packet *p) {
    struct pb_field f, inner;
    int rc;
    while ((rc = pb_next(&in, &f)) == 1) {
        if (f.number == 58) p->default_clock = f.value;
        if (f.number != 11) continue;
        while ((rc = pb_next(&f.bytes, &inner)) == 1)
            if (inner.number == 11) p->default_track = inner.value;
        if (rc) return rc;
    }
    return rc;
}

static int get_packet(struct pb_bytes in, struct pftrace_packet *p) {
    struct pb_field f, clock;
    int rc;
    *p = (struct pftrace_packet){0};
    while ((rc = pb_next(&in, &f)) == 1) {
        switch (f.number) {
        case 6:
            while ((rc = pb_next(&f.bytes, &clock)) == 1)
                if (clock.number == 1 && (rc = get_clock(clock.bytes, p))) return -EBADMSG;
            if (rc) return -EBADMSG;
            break;
        case 8:
            p->time = f.value;
            p->has_time = true;
            break;
        case 10: p->sequence = f.value; break;
        case 11: p->event = f.bytes; break;
        case 12: p->interned = f.bytes; break;
        case 13: p->flags = f.value; break;
        case 58: p->clock = f.value; break;
        case 59:
            if (get_defaults(f.bytes, p)) return -EBADMSG;
            break;
        case 60: p->track = f.bytes; break;
        default: break;
        }
    }
    return rc ? -EBADMSG : 0;
}

/* pid, tid, name by their numbers in the message; 0 = it has none. */
static int get_names(struct pb_bytes in, uint32_t tid, uint32_t name, struct pftrace_track *t) {
    struct pb_field f;
    int rc;
    while ((rc = pb_next(&in, &f)) == 1) {
        if (f.number == 1) t->pid = f.value;
        if (tid && f.number == tid) t->tid = f.value;
        if (f.number == name && f.wire == 2) t->name = f.bytes;
    }
    return rc;
}

int pftrace_get_track(struct pb_bytes in, struct pftrace_track *t) {
    struct pb_field f;
    int rc;
    *t = (struct pftrace_track){0};
    while ((rc = pb_next(&in, &f)) == 1) {
        switch (f.number) {
        case 1: t->uuid = f.value; break;
        case 2: t->name = f.bytes; break;
        case 3:
            t->is_process = true;
            if (get_names(f.bytes, 0, 6, t)) return -EBADMSG;
            break;
        case 4:
            t->is_thread = true;
            if (get_names(f.bytes, 2, 5, t)) return -EBADMSG;
            break;
        case 5: t->parent = f.value; break;
        case 8: t->is_counter = true; break;
        default: break;
        }
    }
    return rc ? -EBADMSG : 0;
}

int pftrace_get_event(struct pb_bytes in, struct pftrace_event *e) {
    struct pb_field f;
    int rc;
    *e = (struct pftrace_event){.fields = in};
    while ((rc = pb_next(&in, &f)) == 1) {
        switch (f.number) {
        case 9: e->type = f.value; break;
        case 10: e->name_id = f.value; break;
        case 11: e->track = f.value; break;
        case 22: e->category = f.bytes; break;
        case 23: e->name = f.bytes; break;
        case 30:
            e->counter = (int64_t)f.value;
            e->has_counter = true;
            break;
        case 34: e->source_id = f.value; break;
        case 44:
            memcpy(&e->double_counter, &f.value, sizeof e->double_counter);
            e->has_double = f.wire == 1;
            break;
        case 47: e->has_flow = true; break;
        case 48: e->has_flow_end = true; break;
        default: break;
        }
    }
    return rc ? -EBADMSG : 0;
}

/* ---- files ---- */

struct input {
    gzFile f;
    uint64_t at; /* unpacked bytes */
    uint8_t *packet;
    size_t room;
};

/* 1, 0 = the file is over, -1 = it ends here in the middle or is damaged. */
static int get_byte(struct input *in, uint8_t *byte) {
    int c = gzgetc(in->f), code = 0;
    if (c < 0) {
        gzerror(in->f, &code);
        return code && code != Z_STREAM_END ? -1 : 0;
    }
    *byte = (uint8_t)c;
    in->at++;
    return 1;
}

/* The length of the next packet: 1; 0 at the end; -EBADMSG. */
static int next_length(struct input *in, uint64_t *len) {
    uint8_t byte;
    int rc = get_byte(in, &byte);
    if (rc <= 0) return rc ? -EBADMSG : 0;
    if (byte != (1 << 3 | 2)) return -EBADMSG;
    *len = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        if (get_byte(in, &byte) != 1) return -EBADMSG;
        *len |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return *len <= PFTRACE_PACKET_MAX ? 1 : -EBADMSG;
    }
    return -EBADMSG;
}

/* 1 and the packet's bytes; 0; -EBADMSG; -ENOMEM. What is there is read before room is made for what is said to come. */
static int next_packet(struct input *in, struct pb_bytes *packet) {
    uint64_t len;
    size_t got = 0;
    int rc = next_length(in, &len);
    if (rc != 1) return rc;
    while (got < len) {
        size_t step = len - got < (1u << 20) ? (size_t)len - got : 1u << 20;
        if (got + step > in->room) {
            uint8_t *grown = realloc(in->packet, (got + step) * 2);
            if (!grown) return -ENOMEM;
            in->packet = grown;
            in->room = (got + step) * 2;
        }
        int n = gzread(in->f, in->packet + got, (unsigned)step);
        if (n <= 0) return -EBADMSG;
        got += (size_t)n;
        in->at += (uint64_t)n;
    }
    *packet = (struct pb_bytes){in->packet, (size_t)len};
    return 1;
}

/* Our first packet clears the first sequence and says where its clocks stand. */
static bool is_ours(const struct pftrace_packet *p) {
    return p->sequence == 1 && (p->flags & PFTRACE_FLAG_CLEARED) && p->default_clock == PFTRACE_CLOCK_OWN && p->default_track &&
           !p->event.data;
}

static int read_packets(struct input *in, const char *path, const struct pftrace_handler *h, void *ctx, struct vt_err *damage,
                        struct vt_err *err) {
    struct pb_bytes bytes;
    struct pftrace_packet packet;
    struct stat st = {0};
    uint64_t reported = 0, before = 0;
    int rc;
    if (stat(path, &st) < 0) st.st_size = 0;
    while ((rc = next_packet(in, &bytes)) == 1) {
        rc = get_packet(bytes, &packet);
        if (!before && (rc || !is_ours(&packet)))
            return vt_err_set(err, -EPROTO, "%s: a Perfetto trace written by another program: open it in Perfetto", path);
        if (!rc) rc = h->packet(ctx, &packet);
        if (!rc && h->stop && *h->stop) rc = vt_err_set(err, -EINTR, "interrupted");
        if (rc) break;
        before = in->at;
        if (h->progress && before - reported >= PROGRESS_STEP) {
            reported = before;
            h->progress(h->progress_arg, (uint64_t)gzoffset(in->f), (uint64_t)st.st_size);
        }
    }
    if (rc != -EBADMSG) return rc;
    if (!before) return vt_err_set(err, rc, "%s: no trace that viztracer can read", path);
    vt_err_set(damage, rc, gzeof(in->f) ? "the file ends in the middle, at byte %llu" : "damaged at byte %llu",
               (unsigned long long)before);
    return 0;
}

int pftrace_packets(const char *path, const struct pftrace_handler *handler, void *ctx, struct vt_err *damage,
                    struct vt_err *err) {
    struct input in = {0};
    errno = 0;
    in.f = gzopen(path, "rbe");
    if (!in.f) {
        int rc = errno ? -errno : -ENOMEM;
        return vt_err_set(err, rc, "%s: %s", path, strerror(-rc));
    }
    gzbuffer(in.f, 256u << 10);
    int rc = read_packets(&in, path, handler, ctx, damage, err);
    if (rc == -ENOMEM) vt_err_set(err, rc, "out of memory");
    free(in.packet);
    gzclose(in.f);
    return rc;
}
