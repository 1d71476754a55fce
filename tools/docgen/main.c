/* Owns the generator's command line, and the choice of commands and rows to show. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "tools/docgen/docgen.h"

const struct options_command *command_at(size_t i) { return i < cli_ncmds ? &cli_cmds[i]->options : NULL; }

const struct options_command *command_named(const char *name) {
    for (size_t i = 0; i < cli_ncmds; i++)
        if (!strcmp(cli_cmds[i]->options.name, name)) return command_at(i);
    return NULL;
}

const struct options_command *first_with_rows_of(const struct options_command *c) {
    for (size_t i = 0; c->shared && i < cli_ncmds; i++)
        if (cli_cmds[i]->options.shared == c->shared) return command_at(i);
    return c;
}

const struct option_row *row_to_show(const struct options_command *c, size_t i) {
    const struct option_row *r;
    const struct options_command own = {.rows = c->rows, .shared = first_with_rows_of(c) == c ? c->shared : NULL};
    for (size_t at = 0; (r = options_row(&own, at)); at++)
        if ((option_is_shown(r) || r->kind == OPTION_HEADING) && !i--) return r;
    return NULL;
}

int main(int argc, char **argv) {
    static const struct {
        const char *what;
        int (*print)(const char *name);
    } outputs[] = {{"man", man_page}, {"page", doc_page}, {"completion", completion}};
    for (size_t i = 0; argc == 3 && i < VT_ARRAY_LEN(outputs); i++) {
        if (strcmp(argv[1], outputs[i].what)) continue;
        int rc = outputs[i].print(argv[2]);
        if (!rc && (fflush(stdout) || ferror(stdout))) rc = errno ? -errno : -EIO;
        if (rc) fprintf(stderr, "docgen: %s: %s\n", argv[2], strerror(-rc));
        return rc ? 1 : 0;
    }
    fprintf(stderr, "usage: docgen man viztracer|vizviewer|viztracerd, docgen completion bash|zsh, docgen page FILE.md\n");
    return 2;
}
