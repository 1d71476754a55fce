/* Events into the frames of a .vzt (proto/FORMAT.md): one block per thread, written when it is full. Ticks are
 * ns. Functions return 0 or -errno. */
#ifndef VT_CLI_VZT_PUT_H
#define VT_CLI_VZT_PUT_H

#include "cli/base/output.h"
#include "proto/block.h"
#include "proto/msg.h"

struct vzt_stream {           /* number = place in `streams` */
    struct vt_block_enc *enc; /* NULL = no block is open */
    uint64_t base_ns, last_ns;
    uint64_t ident;
    uint32_t tid;
    bool started;
};

struct vzt_put { /* zeroed; out and streams are the caller's */
    struct output *out;
    struct vzt_stream *streams;
    uint32_t nstreams, nopen;
    uint64_t events;
};

VT_MUST_CHECK int vzt_put_frame(struct output *out, uint32_t type, const ProtobufCMessage *msg);
/* CALL .. TASK. A time before the thread's last one counts as that. */
VT_MUST_CHECK int vzt_put_event(struct vzt_put *p, uint32_t stream, uint64_t ns, uint32_t type, uint32_t id);
/* These have the time of the event before them. ns is used only for the first event of a thread. */
VT_MUST_CHECK int vzt_put_payload(struct vzt_put *p, uint32_t stream, uint64_t ns, uint32_t kind, const void *data, uint32_t len);
VT_MUST_CHECK int vzt_put_gap(struct vzt_put *p, uint32_t stream, uint64_t ns, uint64_t count);
/* Writes all open blocks. */
VT_MUST_CHECK int vzt_put_flush(struct vzt_put *p);
void vzt_put_free(struct vzt_put *p);

#endif
