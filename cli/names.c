/* Owns the spelling of function names (names.h). */
#include "cli/names.h"

#include <string.h>

#include "cli/json.h"

static char *put_raw(char *p, const void *text, size_t len) {
    if (len) memcpy(p, text, len);
    return p + len;
}

/* put: json_put_text or put_raw. */
static char *put_name(char *p, const struct trace_name *name, char *(*put)(char *, const void *, size_t)) {
    bool c = name->kind != 0;
    if (c && name->file_len) {
        p = put(p, name->file, name->file_len);
        *p++ = '.';
    }
    p = put(p, name->name, name->name_len);
    if (c) return p;
    *p++ = ' ';
    *p++ = '(';
    p = put(p, name->file, name->file_len);
    *p++ = ':';
    p = json_put_u64(p, name->line);
    *p++ = ')';
    return p;
}

size_t name_text_max(const struct trace_name *name) { return (size_t)name->name_len + name->file_len + JSON_NUMBER_MAX + 8; }
char *name_put_text(char *p, const struct trace_name *name) { return put_name(p, name, put_raw); }
char *name_put_json(char *p, const struct trace_name *name) { return put_name(p, name, json_put_text); }
