/* Events into the frames of a .vzt (proto/FORMAT.md): one block per thread, written when it is full. Ticks are
 * ns. Functions return 0 or -errno. Frames of a file of several processes are gathered per section and written in pieces. */
#ifndef VT_CLI_VZT_PUT_H
#define VT_CLI_VZT_PUT_H

#include "cli/base/output.h"
#include "proto/block.h"
#include "proto/msg.h"

struct vzt_section { /* frames that are not written yet */
    uint8_t *data;
    size_t len, room;
};

struct vzt_file {
    struct output *out;
    struct vzt_section *sections; /* NULL = a file of one process */
    uint32_t nsections;
    size_t held; /* bytes in all sections */
};

struct vzt_stream {           /* number = place in `streams` */
    struct vt_block_enc *enc; /* NULL = no block is open */
    uint64_t base_ns, last_ns;
    uint64_t ident;
    uint32_t tid, section;
    bool started;
};

struct vzt_put { /* zeroed; file.out and streams are the caller's */
    struct vzt_file file;
    struct vzt_stream *streams;
    uint32_t nstreams, nopen;
    void (*wrote)(void *ctx, uint32_t section, uint32_t events); /* a block was written; may be NULL */
    void *ctx;
};

/* Makes it a file of that many processes and writes its head. Before the first frame. */
VT_MUST_CHECK int vzt_file_sections(struct vzt_file *f, uint32_t n);
/* Writes what the sections hold. */
VT_MUST_CHECK int vzt_file_flush(struct vzt_file *f);
/* section: 0 in a file of one process. */
VT_MUST_CHECK int vzt_put_frame(struct vzt_file *f, uint32_t section, uint32_t type, const ProtobufCMessage *msg);
/* CALL .. TASK. A time before the thread's last one counts as that. */
VT_MUST_CHECK int vzt_put_event(struct vzt_put *p, uint32_t stream, uint64_t ns, uint32_t type, uint32_t id);
/* These have the time of the event before them. ns is used only for the first event of a thread. */
VT_MUST_CHECK int vzt_put_payload(struct vzt_put *p, uint32_t stream, uint64_t ns, uint32_t kind, const void *data, uint32_t len);
VT_MUST_CHECK int vzt_put_gap(struct vzt_put *p, uint32_t stream, uint64_t ns, uint64_t count);
/* Writes all open blocks. */
VT_MUST_CHECK int vzt_put_flush(struct vzt_put *p);
void vzt_put_free(struct vzt_put *p);

#endif
