/* Owns adding up the functions of a trace by folder (hidden.h). */
#include "cli/trace/hidden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/figures.h"

#define SHOWN 3u

struct folder {
    const char *path; /* not terminated: a part of a name's file */
    size_t len;
    uint64_t functions;
};

/* The folder of a file, the file itself where its name is relative; for the standard library and installed packages one folder
 * for all of it: ".../lib/python3.12". */
static size_t folder_of(const char *file, size_t len) {
    static const char lib[] = "/lib/python3.";
    const char *in_lib = memmem(file, len, lib, sizeof lib - 1);
    if (in_lib) {
        const char *end = memchr(in_lib + sizeof lib - 1, '/', len - (size_t)(in_lib + sizeof lib - 1 - file));
        if (end) return (size_t)(end - file);
    }
    size_t all = len;
    while (len && file[len - 1] != '/') len--;
    if (file[0] != '/') return all;
    return len > 1 ? len - 1 : len;
}

static int most_first(const void *a, const void *b) {
    const struct folder *x = a, *y = b;
    return x->functions < y->functions ? 1 : x->functions > y->functions ? -1 : 0;
}

static size_t add(struct folder *folders, size_t n, const struct trace_name *name) {
    size_t len = folder_of(name->file, name->file_len);
    for (size_t i = 0; i < n; i++)
        if (folders[i].len == len && !memcmp(folders[i].path, name->file, len)) return folders[i].functions++, n;
    if (!len || n == HIDDEN_FOLDERS) return n;
    folders[n] = (struct folder){name->file, len, 1};
    return n + 1;
}

void hidden_describe(const struct trace_info *info, const char *filters, char *text, size_t size) {
    struct folder *folders = calloc(HIDDEN_FOLDERS, sizeof *folders);
    char count[48], path[256];
    uint64_t functions = 0;
    size_t n = 0, len = 0;
    *text = 0;
    for (uint32_t p = 0; folders && p < info->names.npages; p++)
        for (uint32_t k = 0; info->names.pages[p] && k < ID_TABLE_PAGE; k++) {
            const struct trace_name *name = info->names.pages[p][k];
            if (!name || name->kind) continue;
            functions++;
            if (name->file_len && name->file[0] != '<') n = add(folders, n, name);
        }
    if (functions) {
        qsort(folders, n, sizeof *folders, most_first);
        len = (size_t)snprintf(text, size, "0 of %s match %.200s", format_things(count, sizeof count, functions, "function"),
                               filters);
        for (size_t i = 0; i < n && i < SHOWN && len < size; i++) {
            vt_clean_line(path, sizeof path, folders[i].path, folders[i].len);
            format_things(count, sizeof count, folders[i].functions, "function");
            if (i) *strchr(count, ' ') = 0;
            len +=
                (size_t)snprintf(text + len, size - len, "%s%s (%s)", i ? ", " : ": the target's files are under ", path, count);
        }
    }
    free(folders);
}
