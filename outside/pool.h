/* Memory for texts that live until the next reading: taken piece by piece, given back all at once. One thread. */
#ifndef VT_OUTSIDE_POOL_H
#define VT_OUTSIDE_POOL_H

#include "proto/base.h"

struct pool { /* all zero = empty; the owner calls pool_free */
    struct pool_block *blocks;
    size_t taken; /* bytes since the last pool_reset */
};

/* A copy of the text. NULL: out of memory, or more than POOL_MAX has been taken. */
#define POOL_MAX (64u << 20)
char *pool_text(struct pool *p, const char *text);
void pool_reset(struct pool *p);
void pool_free(struct pool *p);

#endif
