/* The generator of man pages, shell completion and the tables in docs/: all of it from the tables that the programs parse
 * and help with. Built and run by make; prints to stdout. */
#ifndef VT_TOOLS_DOCGEN_H
#define VT_TOOLS_DOCGEN_H

#include "options/options.h"

enum program { VIZTRACER = 1, VIZVIEWER = 2, VIZTRACERD = 4 };

/* A fact with a name, and which programs it holds for. The last of a table has no name. */
struct fact {
    const char *name, *help;
    unsigned programs; /* enum program */
};
extern const struct fact environment[], files[], exit_codes[];

/* The commands of viztracer, then NULL. */
const struct options_command *command_at(size_t i);
const struct options_command *command_named(const char *name); /* NULL = none */
/* The first command that has the same shared rows; c itself when it is the first or has none. */
const struct options_command *first_with_rows_of(const struct options_command *c);
/* The i-th row to show of a command: shared rows only when `c` is the first to have them. Headings too. NULL behind the last. */
const struct option_row *row_to_show(const struct options_command *c, size_t i);

/* Each prints the whole thing; 0, or -EINVAL when there is no such page or table. */
int man_page(const char *name);
int doc_page(const char *path); /* prints the file, with its generated tables updated */
int completion(const char *shell);

#endif
