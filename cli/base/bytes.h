/* Bytes that grow. -ENOMEM leaves what there is as it was. */
#ifndef VT_CLI_BYTES_H
#define VT_CLI_BYTES_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base.h"

struct bytes { /* all zero = empty; data is free()d by the owner */
    char *data;
    size_t used, room;
};

static inline VT_MUST_CHECK int bytes_put(struct bytes *b, const void *data, size_t len) {
    if (b->used + len > b->room) {
        size_t room = (b->used + len) * 2 + 64;
        char *grown = realloc(b->data, room);
        if (!grown) return -ENOMEM;
        b->data = grown;
        b->room = room;
    }
    if (len) memcpy(b->data + b->used, data, len);
    b->used += len;
    return 0;
}

#endif
