/* A table from addresses to pointers. One thread. */
#ifndef VT_OUTSIDE_TABLE_H
#define VT_OUTSIDE_TABLE_H

#include "proto/base.h"

struct table { /* all zero = empty */
    uint64_t *keys;
    void **values; /* NULL = the place is free */
    size_t room, n;
};

void *table_get(const struct table *t, uint64_t key);
/* Takes the place of what was under that key. value is not NULL and stays the caller's. 0 or -ENOMEM. */
VT_MUST_CHECK int table_set(struct table *t, uint64_t key, void *value);
/* Empties it; its memory is kept. */
void table_clear(struct table *t);
void table_free(struct table *t);

#endif
