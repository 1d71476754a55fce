/* Owns the tables in docs/: the text between "<!-- generated: NAME -->" and "<!-- end -->". */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/format/format.h"
#include "daemon/command_line.h"
#include "tools/docgen/docgen.h"

#define LINE_MAX_BYTES 8192

/* Is a word of help code? A name with signs that Markdown interprets, an option, a file's ending. */
static bool is_code(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strchr("*_<>|~/", s[i]) && !(i && s[i] == '/' && n == i + 1)) return true;
    return n > 1 && (s[0] == '-' || s[0] == '.' || s[0] == '\'') && s[1] != '1' && s[1] != '.';
}

/* Writes help as Markdown. Text between < and > counts as one word. */
static void put_text(const char *s) {
    while (*s) {
        size_t n = strcspn(s, " "), back = 0, front = *s == '(';
        if (s[0] == '<' && !memchr(s, '>', n) && strchr(s, '>')) n = (size_t)(strchr(s, '>') - s) + 1, n += strcspn(s + n, " ");
        while (n > front + back + 1 && strchr(",:;.)", s[n - 1 - back])) back++;
        bool code = is_code(s + front, n - front - back);
        printf("%.*s%s", (int)front, s, code ? "`" : "");
        for (size_t i = front; i < n - back; i++) printf(s[i] == '|' ? "\\|" : "%c", s[i]);
        printf("%s%.*s", code ? "`" : "", (int)back, s + n - back);
        s += n;
        if (*s) putchar(*s++);
    }
}

static void put_rows(const struct options_command *c) {
    const struct option_row *r;
    puts("| option | meaning |\n|---|---|");
    for (size_t i = 0; (r = row_to_show(c, i)); i++) {
        if (r->kind == OPTION_HEADING || option_is_argument(r)) continue;
        const char *name = option_shown_name(r);
        printf("| ");
        if (r->letter && name != r->letter) printf("`%s`, ", r->letter);
        printf("`%s%s%s` | ", name, r->arg ? " " : "", r->arg ? r->arg : "");
        put_text(r->help);
        puts(" |");
    }
}

static void put_commands(void) {
    const struct options_command *c;
    puts("| command | what it does |\n|---|---|");
    for (size_t i = 0; (c = command_at(i)); i++) {
        printf("| `viztracer %s ", c->flag ? c->flag : c->name);
        for (const char *p = c->args; *p; p++) printf(*p == '|' ? "\\|" : "%c", *p);
        printf("` | ");
        put_text(c->summary);
        puts(" |");
    }
}

/* Options with the same reason that follow one another share a line. */
static void put_refused(void) {
    const struct options_command *c = command_named("attach");
    const struct option_row *r;
    const char *reason = NULL;
    puts("| option | why |\n|---|---|");
    for (size_t i = 0; (r = options_row(c, i)); i++) {
        if (r->kind != OPTION_REFUSED) continue;
        if (reason && strcmp(reason, r->help)) {
            printf(" | ");
            put_text(reason);
            puts(" |");
        }
        printf("%s`%s`", reason && !strcmp(reason, r->help) ? ", " : "| ", r->name);
        if (r->letter) printf(" (`%s`)", r->letter);
        reason = r->help;
    }
    printf(" | ");
    if (reason) put_text(reason);
    puts(" |");
}

static void put_facts(const char *head, const struct fact *f) {
    printf("| %s | meaning |\n|---|---|\n", head);
    for (; f->name; f++) {
        printf("| `%s` | ", f->name);
        put_text(f->help);
        puts(" |");
    }
}

static void put_formats(void) {
    puts("| ending | format | can be read again |\n|---|---|---|");
    for (const struct trace_format *f = format_next(NULL); f; f = format_next(f)) {
        bool first = true;
        printf("| ");
        for (size_t i = 0; i < FORMAT_SUFFIXES_MAX && f->suffixes[i].text; i++) {
            if (!f->suffixes[i].unlisted) printf("%s`%s`", first ? "" : ", ", f->suffixes[i].text), first = false;
        }
        printf(" | %s | %s%s%s |\n", f->help, format_has_use(f, FORMAT_READ) ? "yes" : "no", f->read_note ? ", " : "",
               f->read_note ? f->read_note : "");
    }
}

static int put_table(const char *name) {
    size_t n = strlen(name);
    char command[64];
    if (!strcmp(name, "commands")) return put_commands(), 0;
    if (!strcmp(name, "refused-options")) return put_refused(), 0;
    if (!strcmp(name, "formats")) return put_formats(), 0;
    if (!strcmp(name, "environment")) return put_facts("variable", environment), 0;
    if (!strcmp(name, "exit-codes")) return put_facts("code", exit_codes), 0;
    if (!strcmp(name, "viztracerd-options")) return put_rows(&command_line), 0;
    if (n < 9 || strcmp(name + n - 8, "-options")) return -EINVAL;
    snprintf(command, sizeof(command), "%.*s", (int)(n - 8), name);
    const struct options_command *c = command_named(command);
    return c ? put_rows(c), 0 : -EINVAL;
}

int doc_page(const char *path) {
    static char line[LINE_MAX_BYTES];
    char name[64];
    bool inside = false;
    FILE *f = fopen(path, "re");
    int rc = f ? 0 : -errno;
    while (!rc && fgets(line, sizeof(line), f)) {
        if (inside && !strcmp(line, "<!-- end -->\n")) inside = false;
        if (inside) continue;
        fputs(line, stdout);
        if (sscanf(line, "<!-- generated: %63[a-z-] -->", name) != 1) continue;
        inside = true;
        name[strcspn(name, " ")] = 0;
        size_t n = strlen(name);
        while (n && name[n - 1] == '-') name[--n] = 0;
        rc = put_table(name);
    }
    if (f) fclose(f);
    return rc;
}
