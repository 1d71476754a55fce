/* Owns the printing of a function's name in a table (put_name.h). */
#include "cli/report/put_name.h"

#include <stdio.h>
#include <string.h>

#include "cli/base/clean_text.h"
#include "cli/trace/names.h"

/* The tail of a path that fits, from a slash on where there is one; NULL = not even the file's own name does. */
static const char *path_tail(const char *path, unsigned width) {
    if (clean_columns(path) <= width) return path;
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/'))
        if (clean_columns(slash) + 1 <= width) return slash;
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    return clean_columns(base) <= width ? base : NULL;
}

void put_name(const struct term *term, const struct trace_name *name, unsigned width) {
    char what[CLEAN_TEXT_MAX], file[CLEAN_TEXT_MAX], line[16];
    name_short(what, name);
    if (name->kind) { /* of C functions the owner gives way */
        term_put_tail(what, width);
        return;
    }
    clean_text(file, name->file, name->file_len);
    snprintf(line, sizeof line, ":%u", name->line);
    unsigned taken = clean_columns(what) + (unsigned)strlen(line) + 3;
    const char *path = !width ? file : width > taken ? path_tail(file, width - taken) : NULL;
    if (!path) {
        term_put_tail(what, width);
        return;
    }
    printf("%s %s(%s%s%s)%s", what, term_dim(term), path != file && *path == '/' ? CLEAN_CUT : "", path, line, term_off(term));
}
