/* The memory that one session may use for what it knows of its target: streams, stacks, held calls, payloads of open blocks. A
 * target, or another writer of its arena, decides how much it asks for; this limits it. Event loop thread only. */
#ifndef VT_DAEMON_MEMORY_H
#define VT_DAEMON_MEMORY_H

#include <errno.h>

#include "proto/base.h"

struct memory {
    uint64_t used, most; /* bytes */
};

/* Counts bytes that are about to be allocated: 0, or -ENOBUFS and nothing is counted. */
static inline int memory_take(struct memory *m, uint64_t bytes) {
    if (bytes > m->most - m->used) return -ENOBUFS;
    m->used += bytes;
    return 0;
}
static inline void memory_give(struct memory *m, uint64_t bytes) { m->used -= bytes < m->used ? bytes : m->used; }

/* vt_grow with the bytes counted: 0, -ENOBUFS or -ENOMEM. */
static inline VT_MUST_CHECK int memory_grow(struct memory *m, void *items, uint32_t *room, size_t need, size_t size, size_t max) {
    uint32_t before = *room;
    if (need <= before) return 0;
    if ((2 * need + 16 - before) * size > m->most - m->used) return -ENOBUFS; /* vt_grow adds no more than that */
    int rc = vt_grow(items, room, need, size, max);
    if (!rc) m->used += (uint64_t)(*room - before) * size;
    return rc;
}

#endif
