/* Owns the calibration of a trace's clock (clock.h). */
#include "proto/clock.h"

#include <errno.h>

#include "proto/abi/arena.h"

/* Two readings closer than this give a worse frequency than the daemon's own figure. */
#define LINE_MIN_NS 50000000ull
#define NS_PER_S 1000000000ull

/* -EBADMSG when a tick would last longer than 2^16 ns or nothing at all. */
static int scale_of(uint64_t ns, uint64_t ticks, uint64_t *scale) {
    if (ns == 0 || ticks == 0 || ns / ticks >= 1u << 16) return -EBADMSG;
    *scale = (uint64_t)(((unsigned __int128)ns << 48) / ticks);
    return *scale ? 0 : -EBADMSG;
}

int vt_clock_map_init(struct vt_clock_map *map, uint32_t kind, const struct vt_clock_point *first,
                      const struct vt_clock_point *last) {
    *map = (struct vt_clock_map){.ticks0 = first->ticks, .ns0 = first->mono_ns, .scale = 1ull << 48};
    if (kind == VT_CLOCK_MONOTONIC_NS) {
        map->ticks0 = map->ns0 = 0;
        return 0;
    }
    bool line = last->ticks > first->ticks && last->mono_ns > first->mono_ns;
    uint64_t hz = last->hz ? last->hz : first->hz;
    if (line && (last->mono_ns - first->mono_ns >= LINE_MIN_NS || !hz))
        return scale_of(last->mono_ns - first->mono_ns, last->ticks - first->ticks, &map->scale);
    return scale_of(NS_PER_S, hz, &map->scale);
}
