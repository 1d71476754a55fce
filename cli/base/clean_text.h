/* Text from traces and files, made safe to show to people: on a terminal, in a picture, in a name. */
#ifndef VT_CLI_CLEAN_TEXT_H
#define VT_CLI_CLEAN_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define CLEAN_TEXT_MAX 4096u     /* room for one piece of text; longer ones lose their beginning */
#define CLEAN_CUT "\xe2\x80\xa6" /* an ellipsis, one column: stands where text was cut */

/* Copies text as valid UTF-8 without control characters, line breaks and marks that change direction (each becomes '?') into
 * to[CLEAN_TEXT_MAX]. Returns to. */
char *clean_text(char *to, const void *text, size_t len);
/* A command line without the folder of its program: "python3 app.py". Points into the text. */
const char *clean_command(const char *cmdline);
/* Cuts clean text in text[CLEAN_TEXT_MAX] to this number of columns; the last one is then CLEAN_CUT. Returns text. */
char *clean_shorten(char text[CLEAN_TEXT_MAX], unsigned columns);
/* The columns that clean text takes on a terminal. */
unsigned clean_columns(const char *clean);
/* The bytes of the first character of clean text, which is not empty; *columns = its columns. */
size_t clean_next(const char *clean, unsigned *columns);

#endif
