/* Owns the hash table of text_map.h: open addressing, at most half full. Keys come from files, so the hash is seeded at random
 * in each process: no file can be made so that all its names collide. */
#include "cli/base/text_map.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cli/base/memory.h"

static uint64_t seed(void) {
    static uint64_t value;
    if (!value && getrandom(&value, sizeof value, GRND_NONBLOCK) != sizeof value) value = (uintptr_t)&value;
    value |= 1;
    return value;
}

static uint64_t mix(uint64_t a, uint64_t b) {
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(const void *key, size_t len) {
    const uint8_t *p = key;
    uint64_t hash = seed() ^ len, word;
    for (; len >= 8; p += 8, len -= 8) {
        memcpy(&word, p, 8);
        hash = mix(hash ^ word, 0x9e3779b97f4a7c15ull ^ seed());
    }
    word = 0;
    if (len) memcpy(&word, p, len);
    return mix(hash ^ word, 0xc2b2ae3d27d4eb4full ^ seed());
}

static struct text_map_entry *find(const struct text_map *map, uint64_t hash, const void *key, size_t len) {
    size_t at = hash & (map->slots - 1);
    for (;; at = (at + 1) & (map->slots - 1)) {
        struct text_map_entry *e = &map->entries[at];
        if (!e->key || (e->hash == hash && e->len == len && (!len || !memcmp(e->key, key, len)))) return e;
    }
}

static int grow(struct text_map *map) {
    struct text_map bigger = {.used = map->used, .slots = map->slots ? map->slots * 2 : 256};
    bigger.entries = memory_calloc(bigger.slots, sizeof *bigger.entries);
    if (!bigger.entries) return -1;
    for (size_t i = 0; i < map->slots; i++) {
        const struct text_map_entry *e = &map->entries[i];
        if (e->key) *find(&bigger, e->hash, e->key, e->len) = *e;
    }
    memory_free(map->entries);
    *map = bigger;
    return 0;
}

void *text_map_get(const struct text_map *map, const void *key, size_t len) {
    return map->slots ? find(map, hash_of(key, len), key, len)->value : NULL;
}

void **text_map_slot(struct text_map *map, const void *key, size_t len) {
    uint64_t hash = hash_of(key, len);
    struct text_map_entry *e = map->slots ? find(map, hash, key, len) : NULL;
    if (e && e->key) return &e->value;
    if (map->used * 2 >= map->slots) {
        if (grow(map)) return NULL;
        e = find(map, hash, key, len);
    }
    char *copy = memory_alloc(len + 1);
    if (!copy) return NULL;
    if (len) memcpy(copy, key, len);
    *e = (struct text_map_entry){.hash = hash, .len = len, .key = copy};
    map->used++;
    return &e->value;
}

void text_map_free(struct text_map *map) {
    for (size_t i = 0; i < map->slots; i++) memory_free(map->entries[i].key);
    memory_free(map->entries);
    *map = (struct text_map){0};
}
