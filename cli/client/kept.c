/* Owns looking for kept traces. */
#include "cli/client/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/client/client.h"
#include "proto/frame.h"
#include "proto/msg.h"

#define HEADER_MAX (1u << 20) /* bytes of a trace's header; ordinary ones have a few hundred */

struct each {
    int (*fn)(void *ctx, const struct spooldir_file *k);
    void *ctx;
};

static int each_in(void *ctx, const char *dir) {
    const struct each *each = ctx;
    return spooldir_each(dir, geteuid(), each->fn, each->ctx);
}

int kept_each(int (*fn)(void *ctx, const struct spooldir_file *k), void *ctx) {
    struct each each = {fn, ctx};
    return spooldir_each_own(each_in, &each);
}

/* The message of the frame of this type at *at, or NULL; *at moves behind it. */
static ProtobufCMessage *read_frame(int fd, uint32_t wanted, off_t *at) {
    uint8_t head[VT_FRAME_HDR];
    uint32_t type, len, crc;
    ProtobufCMessage *msg = NULL;
    if (pread(fd, head, sizeof head, *at) != (ssize_t)sizeof head || vt_frame_get_header(head, &type, &len, &crc)) return NULL;
    if (type != wanted || len > HEADER_MAX) return NULL;
    uint8_t *payload = malloc(len + 1u);
    *at += (off_t)sizeof head;
    bool whole = payload && pread(fd, payload, len, *at) == (ssize_t)len && !vt_frame_check(crc, payload, len);
    if (whole && vt_msg_unpack(type, payload, len, &msg)) msg = NULL;
    free(payload);
    *at += (off_t)len;
    return msg;
}

/* The header of the trace, or NULL: in a file of several processes that of the one which came first. */
static Vt__TraceHeader *read_header(int fd) {
    uint8_t magic[8];
    off_t at = sizeof magic;
    if (pread(fd, magic, sizeof magic, 0) != (ssize_t)sizeof magic || memcmp(magic, VT_FILE_MAGIC, sizeof magic)) return NULL;
    Vt__TraceHeader *header = (Vt__TraceHeader *)(void *)read_frame(fd, VT_FRAME_HEADER, &at);
    if (!header || header->format != VT_TRACE_FORMAT_SECTIONS) return header;
    vt_msg_free(&header->base);
    ProtobufCMessage *section = read_frame(fd, VT_FRAME_SECTION, &at);
    vt_msg_free(section);
    return section ? (Vt__TraceHeader *)(void *)read_frame(fd, VT_FRAME_HEADER, &at) : NULL;
}

pid_t kept_header(const char *path, char *cmdline, size_t size) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    Vt__TraceHeader *header = fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) ? read_header(fd) : NULL;
    pid_t pid = header ? (pid_t)header->pid : 0;
    if (size) snprintf(cmdline, size, "%s", header ? header->cmdline : "");
    if (header) vt_msg_free(&header->base);
    vt_close(&fd);
    return pid;
}

struct search {
    pid_t pid;
    struct spooldir_file *best;
    bool found;
};

static int newer(void *ctx, const struct spooldir_file *k) {
    struct search *s = ctx;
    if (s->found && k->saved_ns <= s->best->saved_ns) return 0;
    if (k->pid != s->pid && kept_header(k->path, NULL, 0) != s->pid) return 0;
    *s->best = *k;
    s->found = true;
    return 0;
}

static int ask(void *ctx, struct client *c) {
    struct search *s = ctx;
    ProtobufCMessage *reply;
    if (client_request(c, VT_CTL_STATUS, NULL, VT_CTL_STATUS_REP, &reply, NULL)) return 0;
    const Vt__StatusRep *m = (const Vt__StatusRep *)reply;
    for (size_t i = 0; i < m->n_sessions; i++) {
        const Vt__SessionInfo *info = m->sessions[i];
        struct spooldir_file k = {
            .pid = (pid_t)info->pid, .uid = info->owner_uid, .bytes = info->bytes, .saved_ns = info->start_real_ns};
        if (!info->spool[0] || snprintf(k.path, sizeof(k.path), "%s", info->spool) >= (int)sizeof(k.path)) continue;
        newer(s, &k);
    }
    vt_msg_free(reply);
    return 0;
}

int kept_find(pid_t pid, struct spooldir_file *out) {
    struct search s = {pid, out, false};
    struct client c;
    kept_each(newer, &s);
    if (!s.found && !client_open_system(&c, NULL)) {
        ask(&s, &c);
        client_close(&c);
    }
    return s.found ? 0 : -ENOENT;
}
