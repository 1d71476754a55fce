/* Text that grows. Out of memory sticks: nothing more is taken, `failed` tells. */
#ifndef VT_CLI_TEXT_BUF_H
#define VT_CLI_TEXT_BUF_H

#include <stdlib.h>
#include <string.h>

#include "cli/base/json.h"
#include "proto/base.h"

struct text_buf { /* all zero = empty */
    char *data;
    size_t len, room;
    bool failed;
};

/* Room for n more bytes, or NULL. */
static inline char *text_room(struct text_buf *b, size_t n) {
    if (n > b->room - b->len) {
        size_t room = (b->len + n) * 2 + 64;
        char *grown = b->failed || n > SIZE_MAX / 4 ? NULL : realloc(b->data, room);
        if (!grown) {
            b->failed = true;
            return NULL;
        }
        b->data = grown;
        b->room = room;
    }
    return b->data + b->len;
}
static inline void text_put(struct text_buf *b, const void *text, size_t len) {
    char *p = len ? text_room(b, len) : NULL;
    if (!p) return;
    memcpy(p, text, len);
    b->len += len;
}
static inline void text_literal(struct text_buf *b, const char *text) { text_put(b, text, strlen(text)); }
/* "text" as JSON has it. */
static inline void text_string(struct text_buf *b, const void *text, size_t len) {
    char *p = text_room(b, JSON_TEXT_MAX(len) + 2);
    if (p) b->len = (size_t)(json_put_string(p, len ? text : "", len) - b->data);
}
static inline void text_free(struct text_buf *b) {
    free(b->data);
    *b = (struct text_buf){0};
}

#endif
