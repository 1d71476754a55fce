/* Owns the words about the place of an output (output_place.h). */
#include "cli/output_place.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/base/output.h"

void output_place_look(struct output_place *p, const char *path) {
    struct stat st;
    size_t len = strlen(path);
    p->folder[0] = 0;
    if (output_is_stdout(path) || len >= sizeof p->folder) return;
    for (const char *slash = path; (slash = strchr(slash + 1, '/'));) {
        memcpy(p->folder, path, (size_t)(slash - path));
        p->folder[slash - path] = 0;
        if (stat(p->folder, &st)) return;
    }
    p->folder[0] = 0;
}

void output_place_note_replaced(const char *path) {
    struct stat st;
    if (!output_is_stdout(path) && !stat(path, &st) && S_ISREG(st.st_mode))
        fprintf(stderr, "viztracer: %s was there already and is replaced; -o FILE names another one\n", path);
}

const char *output_place_text(const struct output_place *p, char to[PATH_MAX + 32]) {
    to[0] = 0;
    if (p->folder[0]) snprintf(to, PATH_MAX + 32, ", in the new folder %s", p->folder);
    return to;
}
