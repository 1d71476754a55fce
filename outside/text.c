/* Owns reading str objects (text.h; Include/cpython/unicodeobject.h of CPython). */
#include "outside/text.h"

#include <errno.h>
#include <string.h>

#include "outside/layout.h"

enum { KIND_SHIFT = 2, KIND_MASK = 7, STR_LEN_MAX = 1 << 30 };

static size_t put_utf8(char *to, uint32_t c) {
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

int text_read(struct remote *r, const struct py_layout *l, uint64_t address, char *to, size_t size) {
    static const char cut[] = "...";
    enum { UTF8_MAX = 4 };
    uint8_t head[STR_SIZE], bytes[TEXT_MAX];
    size_t len = 0;
    to[0] = 0;
    if (!remote_is_object(address)) return -EINVAL;
    int rc = remote_read(r, address, head, sizeof(head));
    if (rc) return rc;
    uint64_t chars = remote_word(head, STR_LENGTH);
    uint32_t state = remote_half(head, STR_STATE), kind = state >> KIND_SHIFT & KIND_MASK;
    if (!(state & STR_IS_COMPACT) || (kind != 1 && kind != 2 && kind != 4) || chars > STR_LEN_MAX) return -EINVAL;
    size_t take = chars * kind < size ? (size_t)(chars * kind) : size / kind * kind;
    rc = remote_read(r, address + (state & STR_IS_ASCII ? l->str_data : l->str_compact), bytes, take);
    if (rc) return rc;
    for (size_t i = 0; i < take; i += kind) {
        uint32_t c = bytes[i];
        if (kind == 2) c |= (uint32_t)bytes[i + 1] << 8;
        if (kind == 4) c = remote_half(bytes, i);
        if (len + UTF8_MAX + sizeof(cut) > size || !c) {
            memcpy(to + len, cut, sizeof(cut));
            return 0;
        }
        len += put_utf8(to + len, c);
    }
    to[len] = 0;
    return 0;
}
