/* Owns walks through a JSON text that is in memory (json_walk.h). */
#include "cli/base/json_walk.h"

#include <stdlib.h>
#include <string.h>

bool json_walk(const char *json, size_t len, const yajl_callbacks *callbacks, void *arg) {
    yajl_handle parser = yajl_alloc(callbacks, NULL, arg);
    if (!parser) return false;
    yajl_config(parser, yajl_dont_validate_strings, 1);
    bool good =
        yajl_parse(parser, (const unsigned char *)json, len) == yajl_status_ok && yajl_complete_parse(parser) == yajl_status_ok;
    yajl_free(parser);
    return good;
}

struct numbers {
    unsigned depth;
    char key[256];
    size_t key_len;
    void (*take)(void *arg, const char *key, size_t key_len, double value);
    void *arg;
};
static int numbers_key(void *arg, const unsigned char *key, size_t len) {
    struct numbers *n = arg;
    n->key_len = len < sizeof n->key ? len : sizeof n->key;
    if (n->depth == 1) memcpy(n->key, key, n->key_len);
    return 1;
}
static int numbers_number(void *arg, const char *text, size_t len) {
    struct numbers *n = arg;
    char s[64];
    if (n->depth != 1 || len >= sizeof s) return 1;
    memcpy(s, text, len);
    s[len] = 0;
    n->take(n->arg, n->key, n->key_len, strtod(s, NULL));
    return 1;
}
static int numbers_in(void *arg) { return (int)++((struct numbers *)arg)->depth; }
static int numbers_out(void *arg) {
    ((struct numbers *)arg)->depth--;
    return 1;
}

void json_numbers(const char *json, size_t len, void (*take)(void *arg, const char *key, size_t key_len, double value),
                  void *arg) {
    static const yajl_callbacks callbacks = {
        .yajl_number = numbers_number,
        .yajl_start_map = numbers_in,
        .yajl_map_key = numbers_key,
        .yajl_end_map = numbers_out,
        .yajl_start_array = numbers_in,
        .yajl_end_array = numbers_out,
    };
    struct numbers n = {.take = take, .arg = arg};
    if (!json_walk(json, len, &callbacks, &n)) return; /* what came before the fault was handed out */
}

static const char *skip_spaces(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')) p++;
    return p;
}

/* The end of the text that begins at p, its quotes included. */
static const char *skip_text(const char *p, const char *end) {
    for (p++; p < end && *p != '"'; p++) p += *p == '\\' && p + 1 < end;
    return p < end ? p + 1 : end;
}

/* The end of the value that begins at p: the comma or bracket behind it. */
static const char *skip_value(const char *p, const char *end) {
    size_t depth = 0;
    while (p < end && (depth || (*p != ',' && *p != '}' && *p != ']'))) {
        if (*p == '"') {
            p = skip_text(p, end);
            continue;
        }
        if (*p == '{' || *p == '[') depth++;
        if (*p == '}' || *p == ']') depth--;
        p++;
    }
    return p;
}

static bool is_one_of(const char *const *keys, const char *quoted, size_t len) {
    for (; *keys; keys++)
        if (len == strlen(*keys) + 2 && !memcmp(quoted + 1, *keys, len - 2)) return true;
    return false;
}

bool json_without_members(struct buf *out, const char *json, size_t len, const char *const *keys) {
    const char *end = json + len, *p = skip_spaces(json, end);
    size_t before = out->len;
    if (p == end || *p != '{') {
        buf_put(out, json, len);
        return true;
    }
    for (p = skip_spaces(p + 1, end); p < end && *p == '"'; p = skip_spaces(p < end && *p == ',' ? p + 1 : p, end)) {
        const char *member = p;
        p = skip_text(p, end);
        bool wanted = !is_one_of(keys, member, (size_t)(p - member));
        p = skip_value(p, end);
        if (!wanted) continue;
        buf_literal(out, out->len == before ? "{" : ",");
        buf_put(out, member, (size_t)(p - member));
    }
    if (out->len == before) return false;
    buf_literal(out, "}");
    return true;
}
