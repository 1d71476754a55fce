/* Owns --help of one command: usage, what it does, arguments and options in 80 columns. */
#include <stdio.h>
#include <string.h>

#include "options/options.h"

#define WIDTH 80u
#define COLUMN 28u /* where the texts of options begin */

/* `text` in lines of at most WIDTH columns, each indented; the cursor is at column `at`. */
static void print_wrapped(const char *text, unsigned indent, unsigned at) {
    while (*text) {
        size_t n = strcspn(text, " \n");
        if (at > indent && at + 1 + n > WIDTH) {
            printf("\n");
            at = 0;
        }
        if (at < indent)
            at += (unsigned)printf("%*s", (int)(indent - at), "");
        else if (at > indent)
            at += (unsigned)printf(" ");
        at += (unsigned)printf("%.*s", (int)n, text);
        text += n;
        if (*text == '\n') {
            printf("\n");
            at = 0;
        }
        if (*text) text++;
    }
    printf("\n");
}

void options_print_row(const char *left, const char *text, unsigned column) {
    int n = printf("%s", left);
    unsigned at = n > 0 ? (unsigned)n : 0;
    if (at + 2 > column) {
        printf("\n");
        at = 0;
    }
    print_wrapped(text, column, at);
}

static void print_row(const struct option_row *r) {
    char left[96];
    const char *name = option_shown_name(r);
    bool letter = r->letter && name != r->letter;
    snprintf(left, sizeof(left), "  %s%s%s%s%s", letter ? r->letter : "", letter ? ", " : "", name,
             r->arg && name[0] == '-' ? " " : "", r->arg && name[0] == '-' ? r->arg : "");
    options_print_row(left, r->help, COLUMN);
}

void options_print_help(const struct options_command *c) {
    const char *name = c->flag ? c->flag : c->name;
    char usage[160];
    const struct option_row *r;
    bool options = false;
    int n = snprintf(usage, sizeof(usage), "usage: %s%s%s", c->program, name ? " " : "", name ? name : "");
    printf("%s", usage);
    print_wrapped(c->args, 7, n > 0 ? (unsigned)n : 0);
    if (c->flag) printf("       (or %s %s ...)\n", c->program, c->name);
    printf("\n");
    print_wrapped(c->about ? c->about : c->summary, 0, 0);
    for (size_t i = 0; (r = options_row(c, i)); i++) {
        if (r->kind == OPTION_HEADING) printf("\n%s:\n", r->name);
        if (r->kind == OPTION_HEADING) options = true;
        if (!option_is_shown(r)) continue;
        if (!options) printf("\n");
        options = true;
        print_row(r);
    }
    if (c->more) c->more();
    if (c->examples) {
        printf("\nExamples:\n");
        for (const char *p = c->examples; *p;) {
            size_t len = strcspn(p, "\n");
            printf("  %.*s\n", (int)len, p);
            p += len + (p[len] == '\n');
        }
    }
}
