/* Owns the table (table.h): open addressing, at most half full. */
#include "outside/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 64 }; /* a power of 2, as all rooms are */

static size_t place_of(const struct table *t, uint64_t key) {
    size_t at = (size_t)(key * 0x9E3779B97F4A7C15ull >> 32) & (t->room - 1);
    while (t->values[at] && t->keys[at] != key) at = (at + 1) & (t->room - 1);
    return at;
}

void *table_get(const struct table *t, uint64_t key) { return t->room ? t->values[place_of(t, key)] : NULL; }

static int grow(struct table *t) {
    struct table grown = {.room = t->room ? t->room * 2 : FIRST_ROOM};
    grown.keys = calloc(grown.room, sizeof(*grown.keys));
    grown.values = calloc(grown.room, sizeof(*grown.values));
    if (!grown.keys || !grown.values) {
        table_free(&grown);
        return -ENOMEM;
    }
    for (size_t i = 0; i < t->room; i++) {
        if (!t->values[i]) continue;
        size_t at = place_of(&grown, t->keys[i]);
        grown.keys[at] = t->keys[i];
        grown.values[at] = t->values[i];
    }
    grown.n = t->n;
    table_free(t);
    *t = grown;
    return 0;
}

int table_set(struct table *t, uint64_t key, void *value) {
    int rc = t->n * 2 >= t->room ? grow(t) : 0;
    if (rc) return rc;
    size_t at = place_of(t, key);
    if (!t->values[at]) t->n++;
    t->keys[at] = key;
    t->values[at] = value;
    return 0;
}

void table_clear(struct table *t) {
    if (t->room) memset(t->values, 0, t->room * sizeof(*t->values));
    t->n = 0;
}

void table_free(struct table *t) {
    free(t->keys);
    free(t->values);
    *t = (struct table){0};
}
