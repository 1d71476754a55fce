/* Finds NaN, Infinity and -Infinity in JSON text that comes in chunks: outside of strings, where a value may begin. */
#ifndef VT_CLI_JSON_WORDS_H
#define VT_CLI_JSON_WORDS_H

#include <stdbool.h>
#include <stddef.h>

struct json_words { /* all zero = at the start of the text */
    bool in_string, escaped;
};

/* How many bytes of the text are plain JSON, up to a word or up to the end. *word: NULL, or the word that comes then as a JSON
 * string, "\"NaN\""; *len: its length in the text. A beginning of a word at the end of the text is not among the bytes,
 * and *word is NULL: it has to come again with what follows it. last: nothing follows. */
size_t json_words_next(struct json_words *w, const char *text, size_t len, bool last, const char **word, size_t *word_len);

#endif
