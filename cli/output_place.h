/* What a person is told about the place of an output: a folder that is made for it, a file that it replaces unasked. */
#ifndef VT_CLI_OUTPUT_PLACE_H
#define VT_CLI_OUTPUT_PLACE_H

#include <limits.h>
#include <stdbool.h>

struct output_place {
    char folder[PATH_MAX]; /* the outermost folder that does not exist yet; "" = all are there */
};

/* Before anything is made at `path`. */
void output_place_look(struct output_place *p, const char *path);
/* One line on stderr where a file is there: the user has named no output, and does not know which file this replaces. Called
 * just before the output is written. */
void output_place_note_replaced(const char *path);
/* ", in the new folder NAME", or "". Into to[PATH_MAX + 32]; returns it. */
const char *output_place_text(const struct output_place *p, char to[PATH_MAX + 32]);

#endif
