/* Owns reading the rcfile, by the rules of Python's configparser as far as VizTracer uses them: "name = value" or "name: value",
 * lines that begin with # or ; are comments, an indented line goes on with the value before. Sections other than [default] are
 * not looked at. */
#include "cli/rcfile.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX 65536u
#define WORDS_MAX 1024

struct reading {
    const char *path;
    const struct options_command *c;
    char **words;
    int n;
    char *text, *names; /* the file; room for "--name" of each line */
    size_t names_len;
    bool section_seen, in_default, takes_value;
    struct vt_err *err;
};

static int add(struct reading *r, char *word) {
    if (r->n == WORDS_MAX) return vt_err_set(r->err, -E2BIG, "%s: more than %d words", r->path, WORDS_MAX);
    r->words[r->n++] = word;
    return 0;
}

static int add_values(struct reading *r, char *value) {
    int rc = 0;
    char *save = NULL;
    for (char *word = strtok_r(value, " \t", &save); word && !rc; word = strtok_r(NULL, " \t", &save)) rc = add(r, word);
    return rc;
}

static int take_setting(struct reading *r, char *line) {
    size_t len = strcspn(line, "=:");
    if (!line[len]) return vt_err_set(r->err, -EINVAL, "%s: %.60s: not of the form name = value", r->path, line);
    char *value = line + len + 1, *name = r->names + r->names_len;
    while (len && isspace((unsigned char)line[len - 1])) len--;
    name[0] = name[1] = '-';
    for (size_t i = 0; i < len; i++) name[2 + i] = (char)tolower((unsigned char)line[i]);
    name[2 + len] = 0;
    r->names_len += len + 3;
    const struct option_row *row = options_find(r->c, name);
    if (!row || strlen(row->name) != len + 2)
        return vt_err_set(r->err, -EINVAL, "%s: %s: no such option; see viztracer help run", r->path, name + 2);
    r->takes_value = option_takes_value(row);
    int rc = add(r, name);
    return rc || !r->takes_value ? rc : add_values(r, value);
}

static int take_line(struct reading *r, char *line) {
    size_t len = strlen(line);
    while (len && isspace((unsigned char)line[len - 1])) line[--len] = 0;
    char *first = line + strspn(line, " \t");
    if (!*first || *first == '#' || *first == ';') return 0;
    if (*line == '[') {
        r->in_default = !strcmp(line, "[default]");
        r->section_seen |= r->in_default;
        return 0;
    }
    if (!r->in_default) return 0;
    if (first != line && r->n > 1) return r->takes_value ? add_values(r, first) : 0;
    return take_setting(r, first);
}

int rcfile_read(const char *path, const struct options_command *c, char ***words, int *nwords, char **text, struct vt_err *err) {
    struct reading r = {.path = path, .c = c, .err = err};
    size_t len;
    *words = NULL;
    *text = NULL;
    r.words = calloc(WORDS_MAX, sizeof(char *));
    r.text = malloc(5 * BYTES_MAX); /* each line of the file adds at most three bytes to its name */
    if (r.words) r.words[r.n++] = (char *)"rcfile";
    int rc = r.words && r.text ? 0 : vt_err_set(err, -ENOMEM, "out of memory");
    if (!rc) {
        rc = vt_read_file(path, r.text, BYTES_MAX, &len);
        if (rc) vt_err_set(err, rc, "--rcfile %s: %s", path, strerror(-rc));
    }
    r.names = r.text + BYTES_MAX;
    char *save = NULL;
    for (char *line = rc ? NULL : strtok_r(r.text, "\n", &save); line && !rc; line = strtok_r(NULL, "\n", &save))
        rc = take_line(&r, line);
    if (!rc && !r.section_seen) rc = vt_err_set(err, -EINVAL, "%s: no section [default]", path);
    if (rc) {
        free(r.words);
        free(r.text);
        return rc;
    }
    *words = r.words;
    *nwords = r.n;
    *text = r.text;
    return 0;
}
