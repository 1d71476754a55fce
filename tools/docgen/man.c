/* Owns the man pages, in mdoc. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/format/format.h"
#include "daemon/command_line.h"
#include "tools/docgen/docgen.h"

#define WIDTH 72u

/* n characters for roff: hyphens stay hyphens. */
static void put(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (s[i] == '\\')
            fputs("\\e", stdout);
        else if (s[i] == '-')
            fputs("\\-", stdout);
        else if (s[i] == '~')
            fputs("\\(ti", stdout);
        else
            putchar(s[i]);
}

/* An argument of a macro: no macro's name, no delimiter, no end of a quotation. */
static void put_argument(const char *s) {
    fputs(" \"\\&", stdout);
    for (; *s; s++) *s == '"' ? (void)fputs("\\(dq", stdout) : put(s, 1);
    fputs("\\&\"", stdout);
}

/* Running text: short lines, each sentence on a line of its own, a newline makes a paragraph. */
static void put_text(const char *s, const char *end) {
    size_t at = 0;
    while (*s) {
        size_t n = strcspn(s, " \n");
        if (at && at + 1 + n > WIDTH) putchar('\n'), at = 0;
        if (at) putchar(' ');
        if (!at && (*s == '.' || *s == '\'')) fputs("\\&", stdout);
        put(s, n);
        at += n + 1;
        s += n;
        bool stop = n && (s[-1] == '.' || s[-1] == '!' || s[-1] == '?') && !(n > 2 && s[-2] == '.');
        if (*s == '\n')
            fputs("\n.Pp\n", stdout), at = 0;
        else if (*s && stop)
            putchar('\n'), at = 0;
        if (*s) s++;
    }
    puts(end);
}

static void put_option(const struct option_row *r) {
    const char *name = option_shown_name(r);
    printf(".It");
    if (r->letter && name != r->letter) {
        printf(" Fl");
        put_argument(r->letter + 1);
        printf(" ,");
    }
    printf(name[0] == '-' ? " Fl" : " Ar");
    put_argument(name + (name[0] == '-'));
    if (r->arg && name[0] == '-') {
        printf(" Ar");
        put_argument(r->arg);
    }
    putchar('\n');
    put_text(r->help, ".");
}

static void put_rows(const struct options_command *c) {
    const struct option_row *r;
    bool open = false;
    for (size_t i = 0; (r = row_to_show(c, i)); i++) {
        if (r->kind == OPTION_HEADING) {
            if (open) puts(".El");
            open = false;
            puts(".Pp");
            put_text(r->name, ":");
            continue;
        }
        if (!open) puts(".Bl -tag -width Ds");
        open = true;
        put_option(r);
    }
    if (open) puts(".El");
    if (first_with_rows_of(c) != c) {
        puts(".Pp\nThe options of");
        printf(".Cm %s\nbelong to it too.\n", first_with_rows_of(c)->name);
    }
}

static void put_facts(const char *title, const struct fact *f, unsigned program, const char *macro) {
    printf(".Sh %s\n.Bl -tag -width Ds\n", title);
    for (; f->name; f++) {
        if (!(f->programs & program)) continue;
        printf(".It%s%s", macro[0] ? " " : "", macro);
        put_argument(f->name);
        putchar('\n');
        put_text(f->help, ".");
    }
    puts(".El");
}

static void put_formats(bool written) {
    puts(".Sh FORMATS\nThe ending of an output's name chooses its format.\nThe first bytes of an input show its format.\n"
         ".Bl -tag -width Ds");
    for (const struct trace_format *f = format_next(NULL); f; f = format_next(f)) {
        bool first = true;
        if (!written && !format_has_use(f, FORMAT_VIEWED)) continue;
        printf(".It");
        for (size_t i = 0; i < FORMAT_SUFFIXES_MAX && f->suffixes[i].text; i++) {
            if (f->suffixes[i].unlisted) continue;
            printf("%s Pa", first ? "" : " ,");
            put_argument(f->suffixes[i].text);
            first = false;
        }
        putchar('\n');
        put_text(f->help, written && !format_has_use(f, FORMAT_READ) ? " (only written)." : ".");
    }
    puts(".El");
}

static void put_examples(const char *examples) {
    for (const char *p = examples; p && *p;) {
        size_t n = strcspn(p, "\n");
        printf(".Dl ");
        put(p, n);
        putchar('\n');
        p += n + (p[n] == '\n');
    }
}

static void put_head(const char *name, const char *section, const char *summary) {
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    time_t t = epoch ? (time_t)strtoll(epoch, NULL, 10) : time(NULL);
    char date[32], title[32];
    struct tm tm;
    strftime(date, sizeof(date), "%B %e, %Y", gmtime_r(&t, &tm));
    snprintf(title, sizeof(title), "%s", name);
    for (char *p = title; *p; p++) *p = (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
    printf(".\\\" Made by tools/docgen from the tables of the programs.\n.Dd %s\n.Dt %s %s\n.Os\n.Sh NAME\n.Nm %s\n.Nd ", date,
           title, section, name);
    put(summary, strlen(summary));
    printf("\n.Sh SYNOPSIS\n");
}

static void put_synopsis(const char *program, const char *name, const char *args) {
    printf(".Nm %s\n", program);
    if (name) {
        printf(name[0] == '-' ? ".Fl" : ".Cm");
        put_argument(name + (name[0] == '-'));
        putchar('\n');
    }
    printf(".Ar");
    put_argument(args);
    putchar('\n');
}

static void viztracer(void) {
    const struct options_command *c;
    put_head("viztracer", "1", "timelines of Python processes that run already");
    for (size_t i = 0; (c = command_at(i)); i++) put_synopsis("viztracer", c->flag ? c->flag : c->name, c->args);
    put_synopsis("viztracer", "help", "COMMAND");
    put_synopsis("viztracer", "--version", "");
    puts(".Sh DESCRIPTION");
    put_text("viztracer attaches to a live CPython process, records every call of its functions, and saves the trace for a "
             "timeline, a report or a flame graph. The process needs no preparation, is stopped for milliseconds at the attach "
             "only, and "
             "goes on as before when the trace has ended.\n"
             "Each command can be written with or without the dashes. Options may come before or behind it. They may be "
             "shortened as long "
             "as they stay unique, and a value may follow a blank or an equals sign.",
             "");
    puts(".Sh COMMANDS\n.Bl -tag -width Ds");
    for (size_t i = 0; (c = command_at(i)); i++) {
        printf(".It Cm %s Ar", c->name);
        put_argument(c->args);
        putchar('\n');
        put_text(c->about ? c->about : c->summary, c->about ? "" : ".");
    }
    puts(".El\n.Sh OPTIONS");
    for (size_t i = 0; (c = command_at(i)); i++) {
        printf(".Ss Options of %s\n", c->name);
        put_rows(c);
    }
    put_formats(true);
    put_facts("ENVIRONMENT", environment, VIZTRACER, "Ev");
    put_facts("FILES", files, VIZTRACER, "Pa");
    put_facts("EXIT STATUS", exit_codes, VIZTRACER, "");
    puts(".Sh EXAMPLES");
    for (size_t i = 0; (c = command_at(i)); i++) put_examples(c->examples);
    puts(".Sh SEE ALSO\n.Xr vizviewer 1 ,\n.Xr viztracerd 8");
}

static void vizviewer(void) {
    const struct options_command *c = command_named("view");
    put_head("vizviewer", "1", c->summary);
    put_synopsis("vizviewer", NULL, c->args);
    puts(".Sh DESCRIPTION");
    put_text(c->about, "");
    puts(".Sh OPTIONS");
    put_rows(c);
    put_formats(false);
    put_facts("ENVIRONMENT", environment, VIZVIEWER, "Ev");
    put_facts("FILES", files, VIZVIEWER, "Pa");
    put_facts("EXIT STATUS", exit_codes, VIZVIEWER, "");
    puts(".Sh EXAMPLES");
    put_examples(c->examples);
    puts(".Sh SEE ALSO\n.Xr viztracer 1");
}

static void viztracerd(void) {
    put_head("viztracerd", "8", command_line.summary);
    put_synopsis("viztracerd", NULL, command_line.args);
    puts(".Sh DESCRIPTION");
    put_text(command_line.about, "");
    puts(".Sh OPTIONS");
    put_rows(&command_line);
    put_facts("ENVIRONMENT", environment, VIZTRACERD, "Ev");
    put_facts("FILES", files, VIZTRACERD, "Pa");
    put_facts("EXIT STATUS", exit_codes, VIZTRACERD, "");
    puts(".Sh EXAMPLES");
    put_examples(command_line.examples);
    puts(".Sh SEE ALSO\n.Xr viztracer 1");
}

int man_page(const char *name) {
    static const struct {
        const char *name;
        void (*print)(void);
    } pages[] = {{"viztracer", viztracer}, {"vizviewer", vizviewer}, {"viztracerd", viztracerd}};
    for (size_t i = 0; i < VT_ARRAY_LEN(pages); i++)
        if (!strcmp(name, pages[i].name)) return pages[i].print(), 0;
    return -EINVAL;
}
