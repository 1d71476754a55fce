/* Owns reading str objects (text.h; Include/cpython/unicodeobject.h of CPython). */
#include "outside/text.h"

#include <errno.h>
#include <string.h>

#include "outside/layout.h"

enum { KIND_SHIFT = 2, KIND_MASK = 7, STR_LEN_MAX = 1 << 30 };

size_t text_utf8(char to[TEXT_UTF8_MAX], uint32_t c) {
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) c = 0xfffd;
    if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    size_t n = c < 0x10000 ? 3 : 4;
    to[0] = (char)(n == 3 ? 0xe0 | c >> 12 : 0xf0 | c >> 18);
    if (n == 4) to[1] = (char)(0x80 | (c >> 12 & 63));
    to[n - 2] = (char)(0x80 | (c >> 6 & 63));
    to[n - 1] = (char)(0x80 | (c & 63));
    return n;
}

/* Where the characters of a str object are, in units of `kind` bytes. */
struct chars {
    uint64_t at, n;
    uint32_t kind;
};

static int find_chars(struct remote *r, const struct py_layout *l, uint64_t address, struct chars *c) {
    uint8_t head[STR_SIZE];
    if (!remote_is_object(address)) return -EINVAL;
    int rc = remote_read(r, address, head, sizeof(head));
    if (rc) return rc;
    uint32_t state = remote_half(head, STR_STATE);
    *c = (struct chars){.at = address + (state & STR_IS_ASCII ? l->str_data : l->str_compact),
                        .n = remote_word(head, STR_LENGTH),
                        .kind = state >> KIND_SHIFT & KIND_MASK};
    bool known = c->kind == 1 || c->kind == 2 || c->kind == 4;
    return state & STR_IS_COMPACT && known && c->n <= STR_LEN_MAX ? 0 : -EINVAL;
}

static uint32_t char_at(const uint8_t *bytes, uint32_t kind) {
    if (kind == 4) return remote_half(bytes, 0);
    return kind == 2 ? bytes[0] | (uint32_t)bytes[1] << 8 : bytes[0];
}

int text_read(struct remote *r, const struct py_layout *l, uint64_t address, char *to, size_t size) {
    static const char cut[] = "...";
    uint8_t bytes[TEXT_MAX];
    struct chars c;
    size_t len = 0;
    to[0] = 0;
    int rc = find_chars(r, l, address, &c);
    if (rc) return rc;
    size_t take = c.n * c.kind < size ? (size_t)(c.n * c.kind) : size / c.kind * c.kind;
    rc = remote_read(r, c.at, bytes, take);
    if (rc) return rc;
    for (size_t i = 0; i < take; i += c.kind) {
        uint32_t one = char_at(bytes + i, c.kind);
        if (len + TEXT_UTF8_MAX + sizeof(cut) > size || !one) {
            memcpy(to + len, cut, sizeof(cut));
            return 0;
        }
        len += text_utf8(to + len, one);
    }
    to[len] = 0;
    return 0;
}

int text_chars(struct remote *r, const struct py_layout *l, uint64_t address, uint32_t *to, size_t *n, bool *whole) {
    uint8_t bytes[TEXT_MAX];
    struct chars c;
    size_t most = *n;
    *n = 0;
    int rc = find_chars(r, l, address, &c);
    if (rc) return rc;
    if (most > sizeof(bytes) / c.kind) most = sizeof(bytes) / c.kind;
    *whole = c.n <= most;
    if (*whole) most = (size_t)c.n;
    rc = remote_read(r, c.at, bytes, most * c.kind);
    if (rc) return rc;
    for (; *n < most; ++*n) to[*n] = char_at(bytes + *n * c.kind, c.kind);
    return 0;
}
