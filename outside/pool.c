/* Owns memory for texts of one reading (pool.h). */
#include "outside/pool.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64 << 10 };

struct pool_block {
    struct pool_block *next;
    size_t used, room;
    char bytes[];
};

static struct pool_block *block_for(struct pool *p, size_t len) {
    struct pool_block *b = p->blocks;
    if (b && len <= b->room - b->used) return b;
    size_t room = len > BLOCK ? len : BLOCK;
    b = malloc(sizeof(*b) + room);
    if (!b) return NULL;
    *b = (struct pool_block){.next = p->blocks, .room = room};
    return p->blocks = b;
}

char *pool_text(struct pool *p, const char *text) {
    size_t len = strlen(text) + 1;
    struct pool_block *b = len > POOL_MAX - p->taken ? NULL : block_for(p, len);
    if (!b) return NULL;
    char *to = b->bytes + b->used;
    memcpy(to, text, len);
    b->used += len;
    p->taken += len;
    return to;
}

/* One block is kept. */
void pool_reset(struct pool *p) {
    while (p->blocks && p->blocks->next) {
        struct pool_block *next = p->blocks->next;
        free(p->blocks);
        p->blocks = next;
    }
    if (p->blocks) p->blocks->used = 0;
    p->taken = 0;
}

void pool_free(struct pool *p) {
    pool_reset(p);
    free(p->blocks);
    *p = (struct pool){0};
}
