/* Takes payloads of the target apart and checks them. Pure functions over hostile bytes, any thread. */
#ifndef VT_DAEMON_PAYLOAD_H
#define VT_DAEMON_PAYLOAD_H

#include "proto/abi/record.h"
#include "proto/base.h"

struct text { /* borrowed from the payload, not terminated */
    const uint8_t *p;
    uint32_t len;
};

/* Each: 0, or -EPROTO when head, lengths and payload length do not agree. */
VT_MUST_CHECK int payload_name(const uint8_t *p, uint32_t len, struct vt_pl_name *head, struct text *name, struct text *file);
VT_MUST_CHECK int payload_thread(const uint8_t *p, uint32_t len, struct vt_pl_thread *head, struct text *name);
VT_MUST_CHECK int payload_task(const uint8_t *p, uint32_t len, struct vt_pl_task *head, struct text *name);
/* *ids and *lines: nframes little-endian u32 each, unaligned; *lines is NULL when there are none. */
VT_MUST_CHECK int payload_stack(const uint8_t *p, uint32_t len, struct vt_pl_stack *head, struct text *name, const uint8_t **ids,
                                const uint8_t **lines);

#endif
