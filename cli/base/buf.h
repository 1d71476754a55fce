/* A buffer that grows: text or bytes. Out of memory is remembered: `failed` is set, what is there stays, and nothing more is
 * taken, so a caller may look at the end only. */
#ifndef VT_CLI_BUF_H
#define VT_CLI_BUF_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/json.h"
#include "cli/base/memory.h"
#include "proto/base.h"

struct buf { /* all zero = empty; the owner calls buf_free */
    union {
        char *data;
        uint8_t *bytes; /* the same */
    };
    size_t len, room;
    bool failed;
};

/* Room for n more bytes, or NULL. The caller adds to len what it has written. */
static inline char *buf_room(struct buf *b, size_t n) {
    if (n > b->room - b->len) {
        size_t room = b->failed || n > SIZE_MAX / 4 ? 0 : (b->len + n) * 2 + 64;
        char *grown = room ? memory_realloc(b->data, room) : NULL;
        if (!grown) {
            b->failed = true;
            return NULL;
        }
        b->data = grown;
        b->room = room;
    }
    return b->data + b->len;
}
/* 0 or -ENOMEM. */
static inline int buf_put(struct buf *b, const void *data, size_t len) {
    char *p = len ? buf_room(b, len) : NULL;
    if (p) {
        memcpy(p, data, len);
        b->len += len;
    }
    return b->failed ? -ENOMEM : 0;
}
static inline void buf_literal(struct buf *b, const char *text) { buf_put(b, text, strlen(text)); }
/* The text as a JSON string, with its quotes. */
static inline void buf_json_string(struct buf *b, const void *text, size_t len) {
    char *p = buf_room(b, JSON_TEXT_MAX(len) + 2);
    if (p) b->len = (size_t)(json_put_string(p, len ? text : "", len) - b->data);
}
static inline void buf_free(struct buf *b) {
    memory_free(b->data);
    *b = (struct buf){0};
}

#endif
