/* Converts ticks of a trace's clock to CLOCK_MONOTONIC nanoseconds: along a line through the first and the last Clock frame,
 * or by the frequency in the only one. Exact to a nanosecond over days; every input gives a monotone result. Any thread. */
#ifndef VT_PROTO_CLOCK_H
#define VT_PROTO_CLOCK_H

#include <stdint.h>

#include "proto/base.h"

struct vt_clock_point {
    uint64_t ticks, mono_ns, real_ns, hz;
};

struct vt_clock_map {
    uint64_t ticks0, ns0;
    uint64_t scale; /* ns per tick in units of 2^-48 */
};

/* kind: enum vt_clock. first, last: may be the same. -EBADMSG when they give no usable frequency. */
VT_MUST_CHECK int vt_clock_map_init(struct vt_clock_map *map, uint32_t kind, const struct vt_clock_point *first,
                                    const struct vt_clock_point *last);
/* Saturates at 0 and UINT64_MAX. */
static inline uint64_t vt_clock_to_ns(const struct vt_clock_map *map, uint64_t ticks) {
    if (ticks >= map->ticks0) {
        unsigned __int128 after = (unsigned __int128)(ticks - map->ticks0) * map->scale >> 48;
        return after > UINT64_MAX - map->ns0 ? UINT64_MAX : map->ns0 + (uint64_t)after;
    }
    unsigned __int128 before = ((unsigned __int128)(map->ticks0 - ticks) * map->scale + ((1ull << 48) - 1)) >> 48;
    return before > map->ns0 ? 0 : map->ns0 - (uint64_t)before;
}

#endif
