/* A hash table from any bytes to a pointer: names, threads and processes of a trace by their texts in its file. */
#ifndef VT_CLI_TEXT_MAP_H
#define VT_CLI_TEXT_MAP_H

#include <stddef.h>
#include <stdint.h>

struct text_map { /* all zero = empty */
    struct text_map_entry {
        uint64_t hash;
        size_t len;
        char *key; /* malloc'd; NULL = free slot */
        void *value;
    } * entries;
    size_t used, slots; /* slots: a power of two or 0 */
};

/* NULL when there is none. */
void *text_map_get(const struct text_map *map, const void *key, size_t len);
/* The slot for the value of key; it holds NULL when the key is new. NULL = out of memory. Valid until the next call. */
void **text_map_slot(struct text_map *map, const void *key, size_t len);
/* Frees keys, not values. */
void text_map_free(struct text_map *map);

#endif
