/* Reads and decodes the events of a .vzt in a second thread, a few blocks ahead of the caller. Hands out only the frames that
 * make calls: blocks and drops. When no thread can be started, the caller's own thread does the work. */
#ifndef VT_CLI_AHEAD_H
#define VT_CLI_AHEAD_H

#include "proto/block.h"
#include "proto/trace_reader.h"

struct ahead;

#define AHEAD_RUN 8u /* blocks in a row, when not all are wanted */

struct ahead_frame { /* valid until the next call of ahead_next */
    uint32_t type;   /* VT_FRAME_BLOCK or VT_FRAME_DROPS */
    uint64_t offset; /* of the frame in the file */
    int rc;          /* block: 0, or why there are no events: -EBADMSG, -ENOMEM */
    uint32_t serial; /* block */
    uint32_t run;    /* counts places at which blocks were left out */
    const struct vt_event *ev;
    size_t n;
    const uint8_t *payload; /* drops: the frame's */
    uint32_t len;
};

/* From the start of t, which nobody else may use until ahead_stop, to `until` (offset of a frame). one_in: hands
 * out one run of blocks in that many; 0 or 1 = all. -ENOMEM. */
VT_MUST_CHECK int ahead_start(struct vt_trace *t, uint64_t until, uint32_t one_in, struct ahead **out);
/* 1, 0 = end, or as vt_trace_next. */
VT_MUST_CHECK int ahead_next(struct ahead *a, const struct ahead_frame **frame, struct vt_err *err);
void ahead_stop(struct ahead *a); /* also before the end; NULL is fine */

#endif
