/* Owns the search for the words that are no JSON (json_words.h). It follows strings and their escapes only: everything else
 * is the parser's matter. */
#include "cli/format/json/json_words.h"

#include <string.h>

#include "proto/base.h"

static const struct {
    const char *text, *string;
    size_t len;
} words[] = {{"NaN", "\"NaN\"", 3}, {"Infinity", "\"Infinity\"", 8}, {"-Infinity", "\"-Infinity\"", 9}};

/* Behind the string that goes on at p; end when it goes on there. */
static const char *skip_string(struct json_words *w, const char *p, const char *end) {
    if (w->escaped && p < end) {
        w->escaped = false;
        p++;
    }
    while (p < end && *p != '"') {
        if (*p == '\\') {
            if (++p == end) {
                w->escaped = true;
                return end;
            }
        }
        p++;
    }
    if (p == end) return end;
    w->in_string = false;
    return p + 1;
}

size_t json_words_next(struct json_words *w, const char *text, size_t len, bool last, const char **word, size_t *word_len) {
    const char *p = text, *end = text + len;
    *word = NULL;
    *word_len = 0;
    while (p < end) {
        if (w->in_string) {
            p = skip_string(w, p, end);
            continue;
        }
        char c = *p;
        if (c == '"') w->in_string = true;
        if (c == 'N' || c == 'I' || c == '-')
            for (size_t i = 0; i < VT_ARRAY_LEN(words); i++) {
                size_t rest = (size_t)(end - p), n = rest < words[i].len ? rest : words[i].len;
                if (memcmp(p, words[i].text, n) != 0) continue;
                if (n < words[i].len) {
                    if (last) continue;
                    return (size_t)(p - text);
                }
                *word = words[i].string;
                *word_len = words[i].len;
                return (size_t)(p - text);
            }
        p++;
    }
    return len;
}
