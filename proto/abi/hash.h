/* The hash of our tables: FNV-1a, 64 bits. Not for what an enemy may choose without bound. Freestanding, any thread. */
#ifndef VT_PROTO_ABI_HASH_H
#define VT_PROTO_ABI_HASH_H

#include <stddef.h>
#include <stdint.h>

#define VT_HASH_START 0xcbf29ce484222325ull

/* Goes on from `hash`, at first VT_HASH_START. */
static inline uint64_t vt_hash(uint64_t hash, const void *data, size_t len) {
    const uint8_t *p = (const uint8_t *)data;
    for (size_t i = 0; i < len; i++) hash = (hash ^ p[i]) * 0x100000001b3ull;
    return hash;
}

#endif
