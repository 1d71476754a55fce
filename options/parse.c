/* Owns the walk over argv: the row of each word, its value, and the message when a word has no row. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options/values.h"

#define NAMES_MAX 128u

static const struct option_row everywhere[] = {
    {"--help", "-h", OPTION_HELP, .help = "shows this"},
    {"--version", NULL, OPTION_VERSION, .help = "shows the version and what was built in"},
    OPTION_END,
};

/* The i-th row of several tables, in their order. */
static const struct option_row *row_of(const struct option_row *const *tables, size_t n, size_t i) {
    for (size_t t = 0; t < n; t++)
        for (const struct option_row *r = tables[t]; r && r->name; r++)
            if (!i--) return r;
    return NULL;
}

const struct option_row *options_row(const struct options_command *c, size_t i) {
    return row_of((const struct option_row *const[]){c->rows, c->shared}, 2, i);
}

/* The same with the rows that all commands share. */
static const struct option_row *row_at(const struct options_command *c, size_t i) {
    return row_of((const struct option_row *const[]){c->rows, c->shared, everywhere}, 3, i);
}

bool option_is_argument(const struct option_row *row) { return row->kind != OPTION_HEADING && row->name[0] != '-'; }
bool option_takes_value(const struct option_row *row) { return row->kind >= OPTION_TEXT; }
bool option_is_shown(const struct option_row *row) {
    return row->help && row->kind != OPTION_HEADING && row->kind != OPTION_REFUSED && row->kind != OPTION_COMMAND;
}
const char *option_shown_name(const struct option_row *row) {
    return row->letter && strlen(row->name) == 3 ? row->letter : row->name;
}

/* ---- names ---- */

/* Does `name` begin with these `len` characters? */
static bool begins(const char *name, const char *word, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (name[i] != word[i] && !(name[i] == '_' && word[i] == '-') && !(name[i] == '-' && word[i] == '_')) return false;
    return true;
}

struct found {
    const struct option_row *row; /* an exact match, or the only one */
    size_t n;                     /* names with this beginning, when none is exact */
    char names[256];              /* these names, for people: "--a, --b or --c" */
};

static void find_long(const struct options_command *c, const char *word, size_t len, struct found *f) {
    const struct option_row *r;
    memset(f, 0, sizeof(*f));
    for (size_t i = 0; (r = row_at(c, i)); i++)
        if (r->name[0] == '-' && strlen(r->name) == len && begins(r->name, word, len)) {
            f->row = r;
            return;
        }
    if (len < 3) return;
    const char *last = NULL;
    size_t at = 0;
    for (size_t i = 0; (r = row_at(c, i)); i++) {
        if (r->name[0] != '-' || !r->help || !begins(r->name, word, len)) continue;
        f->row = f->n++ ? NULL : r;
        if (last && at < sizeof(f->names))
            at += (size_t)snprintf(f->names + at, sizeof(f->names) - at, "%s%s", at ? ", " : "", last);
        last = r->name;
    }
    if (last && at && at < sizeof(f->names)) snprintf(f->names + at, sizeof(f->names) - at, " or %s", last);
}

const struct option_row *options_find(const struct options_command *c, const char *word) {
    struct found f;
    if (strncmp(word, "--", 2)) return NULL;
    find_long(c, word, strcspn(word, "="), &f);
    return f.row;
}

static const struct option_row *find_letter(const struct options_command *c, char letter) {
    const struct option_row *r;
    for (size_t i = 0; (r = row_at(c, i)); i++)
        if (r->letter && r->letter[1] == letter) return r;
    return NULL;
}

/* ---- messages ---- */

/* "convert: " for messages of a command; "" for a program without commands. */
static const char *said_by(const struct options_command *c, char *buf, size_t size) {
    buf[0] = 0;
    if (c->name) snprintf(buf, size, "%s: ", c->name);
    return buf;
}

static void usage_of(const struct options_command *c, char *buf, size_t size) {
    const char *name = c->flag ? c->flag : c->name;
    snprintf(buf, size, "%s%s%s %s", c->program, name ? " " : "", name ? name : "", c->args);
}

static int no_such_option(const struct options_command *c, const char *word, struct vt_err *err) {
    const char *names[NAMES_MAX];
    char by[32];
    const struct option_row *r;
    size_t n = 0, len = strcspn(word, "=");
    for (size_t i = 0; (r = row_at(c, i)) && n < NAMES_MAX; i++)
        if (r->help && r->name[0] == '-') names[n++] = r->name;
    const char *meant = options_suggest(word, names, n);
    said_by(c, by, sizeof(by));
    if (meant) return vt_err_set(err, -EINVAL, "%s%.*s: no such option; did you mean %s?", by, (int)len, word, meant);
    if (c->name)
        return vt_err_set(err, -EINVAL, "%s%.*s: no such option; see %s help %s", by, (int)len, word, c->program, c->name);
    return vt_err_set(err, -EINVAL, "%s%.*s: no such option; see %s --help", by, (int)len, word, c->program);
}

/* ---- options ---- */

/* A word that is no value: -x, --x, but not -, -5, -.5 and -.vzt */
static bool looks_like_option(const char *word) {
    return word[0] == '-' && word[1] && word[1] != '.' && !(word[1] >= '0' && word[1] <= '9');
}

struct walk {
    const struct options_command *c;
    void *to;
    int argc, i; /* i: the current word */
    char **argv;
    struct vt_err *err;
    bool only_arguments;              /* no option comes any more */
    const struct option_row *program; /* OPTION_REST: the program was named; NULL = not yet, or there is none */
};

/* Appends one word. In a list of paths, the list owns the word. */
static int list_add(const struct walk *w, const struct option_row *row, const char *text) {
    char ***list = (char ***)(void *)((char *)w->to + row->at);
    size_t *n = (size_t *)(void *)((char *)w->to + row->count);
    char **grown = realloc(*list, (*n + 1) * sizeof(char *));
    if (!grown) return vt_err_set(w->err, -ENOMEM, "out of memory");
    *list = grown;
    grown[*n] = (char *)text;
    if (row->kind == OPTION_PATHS) grown[*n] = strdup(text);
    if (!grown[*n]) return vt_err_set(w->err, -ENOMEM, "out of memory");
    (*n)++;
    return 0;
}

/* As VizTracer does: a prefix of paths counts as typed and as an absolute path. */
static int list_add_path(const struct walk *w, const struct option_row *row, const char *text) {
    int rc = list_add(w, row, text);
    char *real = row->kind == OPTION_PATHS && !rc ? realpath(text, NULL) : NULL;
    if (real && strcmp(real, text)) rc = list_add(w, row, real);
    free(real);
    return rc;
}

static void list_clear(const struct option_row *row, void *to) {
    char ***list = (char ***)(void *)((char *)to + row->at);
    size_t *n = (size_t *)(void *)((char *)to + row->count);
    for (size_t i = 0; i < *n && row->kind == OPTION_PATHS; i++) free((*list)[i]);
    free(*list);
    *list = NULL;
    *n = 0;
}

static bool is_list(const struct option_row *row) {
    return row->kind == OPTION_LIST || row->kind == OPTION_PATHS || row->kind == OPTION_REST;
}

void options_free(const struct options_command *c, void *to) {
    const struct option_row *r;
    for (size_t i = 0; (r = options_row(c, i)); i++)
        if (is_list(r)) list_clear(r, to);
}

static int take_list(struct walk *w, const struct option_row *row, const char *value, const char *who) {
    int rc = 0, n = 0;
    list_clear(row, w->to); /* the last one counts, as in argparse */
    if (value) return list_add_path(w, row, value);
    for (; !rc && w->i + 1 < w->argc && !looks_like_option(w->argv[w->i + 1]); n++) {
        if (n == OPTION_LIST_MAX) return vt_err_set(w->err, -EINVAL, "%s: more than %d", who, OPTION_LIST_MAX);
        rc = list_add_path(w, row, w->argv[++w->i]);
    }
    if (rc || n) return rc;
    if (row->choices) return list_add_path(w, row, row->choices);
    return vt_err_set(w->err, -EINVAL, "%s: expected at least one %s", who, row->kind == OPTION_PATHS ? "path" : "name");
}

static const struct option_row *rest_row(const struct options_command *c) {
    const struct option_row *r;
    for (size_t i = 0; (r = options_row(c, i)); i++)
        if (r->kind == OPTION_REST) return r;
    return NULL;
}

/* value: the text after "=" or after the letter; NULL = none there. */
static int take_row(struct walk *w, const struct option_row *row, const char *value) {
    char by[32], who[96];
    snprintf(who, sizeof(who), "%s%s", said_by(w->c, by, sizeof(by)), option_shown_name(row));
    if (row->kind == OPTION_REFUSED) return vt_err_set(w->err, -EINVAL, "%s %s", who, row->help);
    if (!option_takes_value(row)) {
        if (value) return vt_err_set(w->err, -EINVAL, "%s takes no value", who);
        switch (row->kind) {
        case OPTION_FLAG: value_store(row, w->to, 1); return 0;
        case OPTION_BIT: value_store_bit(row, w->to); return 0;
        case OPTION_HELP: return OPTIONS_WANT_HELP;
        case OPTION_VERSION: return OPTIONS_WANT_VERSION;
        case OPTION_COMMAND: return OPTIONS_WANT_COMMAND;
        case OPTION_ENDS: w->only_arguments = true; return 0;
        default: return vt_err_set(w->err, -EINVAL, "%s: has to be the only command", who);
        }
    }
    if (is_list(row)) return take_list(w, row, value, who);
    if (!value) {
        bool any = row->kind == OPTION_LAST; /* code may begin with a dash */
        if (w->i + 1 >= w->argc || (!any && looks_like_option(w->argv[w->i + 1])))
            return vt_err_set(w->err, -EINVAL, "%s: expected a value (%s)", who, row->arg);
        value = w->argv[++w->i];
    }
    if (row->kind == OPTION_LAST) w->program = rest_row(w->c);
    return value_take(row, w->to, value, who, w->err);
}

/* -x, -xVALUE, -x=VALUE, -xyz */
static int take_letters(struct walk *w, const char *word) {
    for (const char *p = word + 1;; p++) {
        const struct option_row *row = find_letter(w->c, *p);
        if (!row) return no_such_option(w->c, word, w->err);
        if (!p[1]) return take_row(w, row, NULL);
        if (p[1] == '=') return take_row(w, row, p + 2);
        if (option_takes_value(row) || row->kind == OPTION_REFUSED) return take_row(w, row, p + 1);
        if (!find_letter(w->c, p[1])) return strlen(word) > 3 ? no_such_option(w->c, word, w->err) : take_row(w, row, p + 1);
        int rc = take_row(w, row, NULL);
        if (rc) return rc;
    }
}

static int take_option(struct walk *w, const char *word) {
    if (word[1] != '-') return take_letters(w, word);
    struct found f;
    char by[32];
    size_t len = strcspn(word, "=");
    find_long(w->c, word, len, &f);
    if (f.row) return take_row(w, f.row, word[len] ? word + len + 1 : NULL);
    if (f.n) return vt_err_set(w->err, -EINVAL, "%s%.*s could be %s", said_by(w->c, by, sizeof(by)), (int)len, word, f.names);
    return no_such_option(w->c, word, w->err);
}

/* ---- arguments ---- */

/* The row of the argument after `last` (NULL = the first). */
static const struct option_row *next_argument(const struct options_command *c, const struct option_row *last) {
    const struct option_row *r;
    bool now = !last;
    for (size_t i = 0; (r = options_row(c, i)); i++) {
        if (now && option_is_argument(r)) return r;
        if (r == last) now = true;
    }
    return NULL;
}

/* ---- behind the program ---- */

static bool is_ours_behind(const struct option_row *row) {
    return row && row->kind != OPTION_COMMAND && row->kind != OPTION_HELP && row->kind != OPTION_VERSION &&
           row->kind != OPTION_LAST && row->kind != OPTION_ENDS;
}

/* -o, -oVALUE, -us; not -ux, where x is not ours. */
static bool letters_are_ours(const struct options_command *c, const char *word) {
    for (const char *p = word + 1; *p; p++) {
        const struct option_row *row = find_letter(c, *p);
        if (!is_ours_behind(row)) return false;
        if (option_takes_value(row)) return true;
    }
    return true;
}

static int take_behind(struct walk *w, char *word) {
    const bool has_words = *(size_t *)(void *)((char *)w->to + w->program->count);
    const struct option_row *row = options_find(w->c, word);
    bool ends = !w->only_arguments && (!strcmp(word, "--") || (row && row->kind == OPTION_ENDS));
    bool ours = !w->only_arguments && !ends && looks_like_option(word) &&
                (word[1] == '-' ? is_ours_behind(row) : letters_are_ours(w->c, word));
    if (ends) w->only_arguments = true;
    if (ends && !has_words) return 0; /* -m MODULE -- ARG: it ended our options */
    if (!ours) return list_add(w, w->program, word);
    int rc = take_option(w, word);
    if (rc != -EINVAL) return rc;
    const struct vt_err why = *w->err;
    w->err->msg[0] = 0;
    return vt_err_set(w->err, rc, "%s; -- before the program leaves it all that follows", why.msg);
}

int options_parse(const struct options_command *c, void *to, int argc, char **argv, struct vt_err *err) {
    struct walk w = {.c = c, .to = to, .argc = argc, .argv = argv, .err = err};
    const struct option_row *last = NULL, *row = next_argument(c, NULL);
    bool in_list = false;
    char by[32], usage[160];
    int rc = 0;

    said_by(c, by, sizeof(by));
    usage_of(c, usage, sizeof(usage));
    for (w.i = 1; !rc && w.i < argc; w.i++) {
        char *word = argv[w.i];
        if (w.program) {
            rc = take_behind(&w, word);
        } else if (!w.only_arguments && !strcmp(word, "--") && !options_find(c, "--")) {
            w.only_arguments = true;
        } else if (!w.only_arguments && looks_like_option(word)) {
            rc = take_option(&w, word);
        } else if (!row) {
            if (last)
                rc = vt_err_set(err, -EINVAL, "%s%s; what is %s?", by, last->wants, word);
            else
                rc = vt_err_set(err, -EINVAL, "%swhat is %s? The usage is: %s", by, word, usage);
        } else if (row->kind == OPTION_REST) {
            w.program = row;
            rc = list_add(&w, row, word);
        } else if (is_list(row)) {
            in_list = true;
            rc = list_add(&w, row, word);
        } else {
            char who[96];
            snprintf(who, sizeof(who), "%s", by);
            if (who[0]) who[strlen(who) - 2] = 0; /* "attach" */
            rc = value_take(row, to, word, who[0] ? who : row->name, err);
            last = row;
            row = next_argument(c, row);
        }
    }
    if (!rc && row && !in_list && row->ask) return vt_err_set(err, -EINVAL, "%s%s %s", by, row->ask, usage);
    return rc;
}
