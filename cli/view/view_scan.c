/* Owns finding one member of a large JSON text without holding the rest of it (view.h). It follows strings, escapes and the
 * depth of brackets: they decide where the value ends. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/view/view.h"

#define KEY_MAX 64u

struct view_scan {
    char key[KEY_MAX];
    size_t most;
    uint64_t depth;
    bool in_string, escaped, done;
    bool at_key;    /* depth 1: the next string is a key */
    bool matched;   /* the last key was the wanted one: the value follows its colon */
    bool taking;    /* inside the value */
    size_t key_len; /* length of a string that may be the key; KEY_MAX = it is not */
    char *value;
    size_t len, room;
};

int view_scan_new(const char *key, size_t most, struct view_scan **out) {
    struct view_scan *s = calloc(1, sizeof *s);
    if (!s) return -ENOMEM;
    if (strlen(key) >= sizeof s->key) {
        free(s);
        return -EINVAL;
    }
    memcpy(s->key, key, strlen(key) + 1);
    s->most = most;
    *out = s;
    return 0;
}

void view_scan_free(struct view_scan *s) {
    if (!s) return;
    free(s->value);
    free(s);
}

static int take(struct view_scan *s, char c) {
    if (s->len >= s->most) return -EFBIG;
    if (s->len == s->room) {
        size_t room = s->room ? s->room * 2 : 4096;
        char *grown = realloc(s->value, room);
        if (!grown) return -ENOMEM;
        s->value = grown;
        s->room = room;
    }
    s->value[s->len++] = c;
    return 0;
}

/* A character inside a string. */
static void string_char(struct view_scan *s, char c) {
    if (s->escaped) {
        s->escaped = false;
        s->key_len = KEY_MAX; /* our keys have no escapes */
    } else if (c == '\\') {
        s->escaped = true;
    } else if (c == '"') {
        s->in_string = false;
        if (s->depth == 1 && s->at_key) s->matched = s->key_len < KEY_MAX && !s->key[s->key_len];
    } else if (s->key_len < KEY_MAX) {
        s->key_len = s->key[s->key_len] == c && c ? s->key_len + 1 : KEY_MAX;
    }
}

/* A character outside strings; true when it ends a value of the outermost object. */
static bool structure_char(struct view_scan *s, char c) {
    switch (c) {
    case '"':
        s->in_string = true;
        s->key_len = 0;
        break;
    case '{':
    case '[':
        if (s->depth++ == 0) s->at_key = c == '{';
        break;
    case '}':
    case ']':
        if (s->depth) s->depth--;
        return s->depth == 0;
    case ',':
        if (s->depth != 1) break;
        s->at_key = true;
        return true;
    default: break;
    }
    return false;
}

int view_scan_feed(struct view_scan *s, const char *data, size_t len) {
    for (size_t i = 0; i < len && !s->done; i++) {
        char c = data[i];
        int rc = 0;
        if (s->in_string) {
            string_char(s, c);
            if (s->taking) rc = take(s, c);
        } else if (s->depth == 1 && s->at_key && c == ':') {
            s->at_key = false;
            s->taking = s->matched;
        } else {
            bool ends = structure_char(s, c);
            if (ends && s->taking)
                s->done = true;
            else if (s->taking)
                rc = take(s, c);
        }
        if (rc) return rc;
    }
    return s->done;
}

const char *view_scan_value(const struct view_scan *s, size_t *len) {
    *len = s->len;
    return s->done ? s->value : NULL;
}
