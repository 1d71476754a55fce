/* The generated docs are complete: each command, option and format is in --help, in the man page, in the tables of docs/, and
 * in the completion of both shells. Reads the files that make has built, and runs the programs. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/format/format.h"
#include "daemon/command_line.h"
#include "tests/lib/interp.h"

#define TEXT_MAX (256u << 10)

static char text[TEXT_MAX];

static void take(FILE *f, const char *what) {
    ck_assert_msg(f != NULL, "cannot read %s", what);
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    ck_assert_msg(n && n < sizeof(text) - 1, "%s: %zu bytes", what, n);
    text[n] = 0;
}

static void read_built(const char *name) {
    char path[4096];
    snprintf(path, sizeof(path), "%s/../%s", tree_bin(), name);
    FILE *f = fopen(path, "re");
    take(f, path);
    fclose(f);
}

static void run_tool(const char *program, const char *line) {
    char command[4096];
    snprintf(command, sizeof(command), "%s/%s %s", tree_bin(), program, line);
    FILE *f = popen(command, "re");
    take(f, command);
    ck_assert_msg(pclose(f) == 0, "%s: it failed", command);
}

/* roff's "\-" and "\&" and quotes away, so that an option is "Fl -name". */
static void read_man(const char *name) {
    char *to = text;
    read_built(name);
    for (const char *p = text; *p; p++) {
        if (p[0] == '\\' && (p[1] == '&' || p[1] == '-')) {
            if (*++p == '-') *to++ = '-';
        } else if (*p != '"') {
            *to++ = *p;
        }
    }
    *to = 0;
}

/* `word` between characters that do not belong to names. */
static bool has_word(const char *in, const char *word) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t len = strlen(word);
    for (const char *p = in; (p = strstr(p, word)); p++)
        if ((p == in || !strchr(letters, p[-1])) && (!p[len] || !strchr(letters, p[len]))) return true;
    return false;
}

/* Every shown option of c, the way `where` writes them: prefix and name. */
static void has_options(const struct options_command *c, const char *prefix, unsigned skip, const char *where) {
    const struct option_row *r;
    char word[96];
    for (size_t i = 0; (r = options_row(c, i)); i++) {
        if (!option_is_shown(r) || option_is_argument(r)) continue;
        snprintf(word, sizeof(word), "%s%s", prefix, option_shown_name(r) + skip);
        ck_assert_msg(has_word(text, word), "%s has no %s of %s", where, word, c->name ? c->name : c->program);
    }
}

static void has_formats(enum format_use use, const char *where) {
    for (const struct trace_format *f = format_next(NULL); f; f = format_next(f))
        for (size_t i = 0; format_has_use(f, use) && i < FORMAT_SUFFIXES_MAX && f->suffixes[i].text; i++)
            if (!f->suffixes[i].unlisted)
                ck_assert_msg(has_word(text, f->suffixes[i].text), "%s has no %s", where, f->suffixes[i].text);
}

static void fits_80_columns(const char *where) {
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, "\n");
        ck_assert_msg(n <= 80, "%s: %zu columns: %.*s", where, n, (int)n, p);
        p += n + (p[n] == '\n');
    }
}

START_TEST(test_help_has_every_option) {
    char line[64];
    for (size_t i = 0; i < cli_ncmds; i++) {
        const struct options_command *c = &cli_cmds[i]->options;
        for (int way = 0; way < 2; way++) {
            snprintf(line, sizeof(line), way ? "%s --help" : "help %s", c->name);
            run_tool("viztracer", line);
            has_options(c, "", 0, line);
            fits_80_columns(line);
            if (c->more) has_formats(c == &cli_view.options ? FORMAT_VIEWED : FORMAT_WRITTEN, line);
        }
    }
    run_tool("viztracerd", "--help");
    has_options(&command_line, "", 0, "viztracerd --help");
    fits_80_columns("viztracerd --help");
}
END_TEST

START_TEST(test_help_has_every_command) {
    run_tool("viztracer", "--help");
    fits_80_columns("viztracer --help");
    for (size_t i = 0; i < cli_ncmds; i++) {
        const struct options_command *c = &cli_cmds[i]->options;
        ck_assert_msg(has_word(text, c->flag ? c->flag : c->name), "--help has no %s", c->name);
    }
}
END_TEST

START_TEST(test_man_pages_have_every_option_and_format) {
    read_man("man/viztracer.1");
    for (size_t i = 0; i < cli_ncmds; i++) {
        char word[64];
        const struct options_command *c = &cli_cmds[i]->options;
        has_options(c, "Fl ", 1, "viztracer.1");
        snprintf(word, sizeof(word), "Cm %s", c->name);
        ck_assert_msg(has_word(text, word), "viztracer.1 has no command %s", c->name);
    }
    has_formats(FORMAT_WRITTEN, "viztracer.1");
    has_formats(FORMAT_READ, "viztracer.1");
    read_man("man/vizviewer.1");
    has_options(&cli_view.options, "Fl ", 1, "vizviewer.1");
    has_formats(FORMAT_VIEWED, "vizviewer.1");
    read_man("man/viztracerd.8");
    has_options(&command_line, "Fl ", 1, "viztracerd.8");
}
END_TEST

static const char *const sections[] = {"NAME",        "SYNOPSIS",    "DESCRIPTION", "COMMANDS", "OPTIONS", "FORMATS",
                                       "ENVIRONMENT", "EXIT STATUS", "FILES",       "EXAMPLES", "SEE ALSO"};

START_TEST(test_man_pages_have_the_usual_sections) {
    static const char *const pages[] = {"man/viztracer.1", "man/vizviewer.1", "man/viztracerd.8"};
    for (size_t p = 0; p < VT_ARRAY_LEN(pages); p++) {
        read_built(pages[p]);
        for (size_t i = 0; i < VT_ARRAY_LEN(sections); i++) {
            char head[32];
            if (p && !strcmp(sections[i], "COMMANDS")) continue;
            if (p == 2 && !strcmp(sections[i], "FORMATS")) continue;
            snprintf(head, sizeof(head), "\n.Sh %s\n", sections[i]);
            ck_assert_msg(strstr(text, head) != NULL, "%s has no section %s", pages[p], sections[i]);
        }
    }
}
END_TEST

START_TEST(test_completion_has_every_option_and_format) {
    static const char *const files[] = {"completion/viztracer.bash", "completion/_viztracer"};
    for (size_t f = 0; f < VT_ARRAY_LEN(files); f++) {
        read_built(files[f]);
        for (size_t i = 0; i < cli_ncmds; i++) {
            const struct options_command *c = &cli_cmds[i]->options;
            has_options(c, "", 0, files[f]);
            ck_assert_msg(has_word(text, c->name), "%s has no command %s", files[f], c->name);
            ck_assert_msg(!c->flag || has_word(text, c->flag), "%s has no %s", files[f], c->flag);
        }
        has_options(&command_line, "", 0, files[f]);
        has_formats(FORMAT_WRITTEN, files[f]);
    }
}
END_TEST

/* Of the page in the source tree; that it is as generated, tests/lint/manual.sh checks. */
START_TEST(test_docs_have_every_option_and_format) {
    FILE *f = fopen("docs/options.md", "re");
    take(f, "docs/options.md");
    fclose(f);
    for (size_t i = 0; i < cli_ncmds; i++) has_options(&cli_cmds[i]->options, "`", 0, "docs/options.md");
    for (const struct option_row *r = cli_attach.options.shared; r->name; r++) {
        char word[64];
        snprintf(word, sizeof(word), "`%s`", r->name);
        if (r->kind == OPTION_REFUSED) ck_assert_msg(strstr(text, word) != NULL, "docs/options.md has no refused %s", word);
    }
    has_options(&command_line, "`", 0, "docs/options.md");
    f = fopen("docs/formats.md", "re");
    take(f, "docs/formats.md");
    fclose(f);
    has_formats(FORMAT_WRITTEN, "docs/formats.md");
    has_formats(FORMAT_READ, "docs/formats.md");
}
END_TEST

/* --version of all three names: the version, and what was built in. */
START_TEST(test_version_names_what_was_built_in) {
    static const char *const programs[] = {"viztracer", "vizviewer", "viztracerd"};
    for (size_t i = 0; i < VT_ARRAY_LEN(programs); i++) {
        char first[64];
        run_tool(programs[i], "--version");
        snprintf(first, sizeof(first), "%s " VT_VERSION "\n", programs[i]);
        ck_assert_msg(!strncmp(text, first, strlen(first)), "%s: %s", programs[i], text);
        ck_assert_msg(strstr(text, "zstd 1.") && strstr(text, "libbpf no"), "%s: %s", programs[i], text);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli_docs");
    TCase *tc = tcase_create("docs");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_help_has_every_option);
    tcase_add_test(tc, test_help_has_every_command);
    tcase_add_test(tc, test_man_pages_have_every_option_and_format);
    tcase_add_test(tc, test_man_pages_have_the_usual_sections);
    tcase_add_test(tc, test_completion_has_every_option_and_format);
    tcase_add_test(tc, test_docs_have_every_option_and_format);
    tcase_add_test(tc, test_version_names_what_was_built_in);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
