/* Owns the completion of bash and zsh. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/format/format.h"
#include "daemon/command_line.h"
#include "tools/docgen/docgen.h"

/* What the shell offers for a value. */
enum offer { NOTHING, FILES, OUTPUTS, FOLDERS, PIDS, CHOICES };

static enum offer offer_of(const struct option_row *r) {
    static const struct {
        const char *word;
        enum offer offer;
    } words[] = {{"FILE", FILES},  {"PATH", FILES},  {"BEFORE", FILES}, {"AFTER", FILES},
                 {"OUT", OUTPUTS}, {"DIR", FOLDERS}, {"PID", PIDS}};
    const char *arg = option_is_argument(r) ? r->name : r->arg;
    if (r->choices) return CHOICES;
    for (size_t i = 0; arg && i < VT_ARRAY_LEN(words); i++)
        if (!strncmp(arg, words[i].word, strlen(words[i].word))) return words[i].offer;
    return NOTHING;
}

/* The i-th row of a command, shared rows included. */
static const struct option_row *shown(const struct options_command *c, size_t i) {
    const struct option_row *r;
    for (size_t at = 0; (r = options_row(c, at)); at++)
        if (option_is_shown(r) && !i--) return r;
    return NULL;
}

/* " .json .json.gz ...": the formats that can be written. */
static void put_endings(void) {
    for (const struct trace_format *f = format_next(NULL); f; f = format_next(f))
        for (size_t i = 0; format_has_use(f, FORMAT_WRITTEN) && i < FORMAT_SUFFIXES_MAX && f->suffixes[i].text; i++)
            if (!f->suffixes[i].unlisted) printf(" %s", f->suffixes[i].text);
}

/* ---- bash ---- */

static void bash_offer(const struct option_row *r) {
    switch (offer_of(r)) {
    case FILES: printf("_viztracer_files -f"); break;
    case OUTPUTS: printf("_viztracer_files -f; _viztracer_endings"); break;
    case FOLDERS: printf("_viztracer_files -d"); break;
    case PIDS: printf("COMPREPLY=($(compgen -W \"$(_viztracer_pids)\" -- \"$cur\"))"); break;
    case CHOICES: printf("COMPREPLY=($(compgen -W '%s' -- \"$cur\"))", r->choices); break;
    case NOTHING: printf("COMPREPLY=()"); break;
    }
}

/* case $prev: values of this command's options; then its words. */
static void bash_command(const struct options_command *c, const char *pattern) {
    const struct option_row *r, *argument = NULL;
    printf("    %s)\n        case $prev in\n", pattern);
    for (size_t i = 0; (r = shown(c, i)); i++) {
        if (option_is_argument(r)) argument = argument ? argument : r;
        if (option_is_argument(r) || !option_takes_value(r)) continue;
        const char *name = option_shown_name(r);
        printf("        %s%s%s) ", r->letter && name != r->letter ? r->letter : "", r->letter && name != r->letter ? " | " : "",
               name);
        bash_offer(r);
        puts("; return ;;");
    }
    printf("        esac\n        words='");
    for (size_t i = 0; (r = shown(c, i)); i++)
        if (!option_is_argument(r)) printf("%s ", option_shown_name(r));
    printf("--help'\n        [[ $cur == -* ]] || { ");
    if (argument)
        bash_offer(argument);
    else
        printf("COMPREPLY=()");
    puts("; return; }\n        ;;");
}

static void bash(void) {
    const struct options_command *c;
    printf("# Completion of viztracer, vizviewer and viztracerd for bash. Made by tools/docgen from the tables of the programs.\n"
           "_viztracer_pids() { pgrep -d ' ' python 2>/dev/null; }\n"
           "_viztracer_files() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen \"$1\" -- \"$cur\"); }\n"
           "_viztracer_endings() { # the endings that fit what is typed of an output's name\n"
           "    local name=${cur##*/} ending\n"
           "    [[ $name == ?*.* ]] || return\n"
           "    for ending in");
    put_endings();
    puts("; do\n        [[ $ending == \".${name#*.}\"* ]] && COMPREPLY+=(\"${cur%\"$name\"}${name%%.*}$ending\")\n    done\n}\n"
         "_viztracer() {\n"
         "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command= words= i\n"
         "    if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD - 2]}; fi\n"
         "    case ${COMP_WORDS[0]##*/} in vizviewer) command=view ;; viztracerd) command=viztracerd ;; esac\n"
         "    for ((i = 1; i < COMP_CWORD && !${#command}; i++)); do\n"
         "        case ${COMP_WORDS[i]} in");
    for (size_t i = 0; (c = command_at(i)); i++)
        printf("        %s%s%s) command=%s ;;\n", c->name, c->flag ? " | " : "", c->flag ? c->flag : "", c->name);
    puts("        help) command=help ;;\n        esac\n    done\n    case $command in");
    for (size_t i = 0; (c = command_at(i)); i++) bash_command(c, c->name);
    bash_command(&command_line, "viztracerd");
    printf("    help) words='");
    for (size_t i = 0; (c = command_at(i)); i++) printf("%s%s", i ? " " : "", c->name);
    printf("' ;;\n    *)\n        words='--help --version");
    for (size_t i = 0; (c = command_at(i)); i++)
        if (c->flag) printf(" %s", c->flag);
    printf("'\n        [[ $cur == -* ]] || words='help");
    for (size_t i = 0; (c = command_at(i)); i++) printf(" %s", c->name);
    puts("'\n        ;;\n    esac\n    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n"
         "complete -F _viztracer viztracer vizviewer viztracerd");
}

/* ---- zsh ---- */

/* Inside single quotes; in specifications of _arguments, brackets and colons are escaped. */
static void zsh_text(const char *s, const char *escaped) {
    for (; *s; s++) {
        if (*s == '\'')
            fputs("'\\''", stdout);
        else if (strchr(escaped, *s))
            printf("\\%c", *s);
        else
            putchar(*s);
    }
}

static void zsh_offer(const struct option_row *r) {
    static const char *const actions[] = {[NOTHING] = " ",
                                          [FILES] = "_files",
                                          [OUTPUTS] = "_viztracer_outputs",
                                          [FOLDERS] = "_directories",
                                          [PIDS] = "_viztracer_pids"};
    putchar(':');
    zsh_text(option_is_argument(r) ? r->name : r->arg, "[]:\\");
    if (offer_of(r) == CHOICES)
        printf(":(%s)", r->choices);
    else
        printf(":%s", actions[offer_of(r)]);
}

static void zsh_row(const struct option_row *r) {
    const char *name = option_shown_name(r);
    if (option_is_argument(r)) {
        printf("            '%s", r->kind == OPTION_LIST ? "*" : "");
        zsh_offer(r);
        puts("' \\");
        return;
    }
    if (r->letter && name != r->letter)
        printf("            '(%s %s)'{%s,%s}'[", r->letter, name, r->letter, name);
    else
        printf("            '%s[", name);
    zsh_text(r->help, "[]:\\");
    putchar(']');
    if (r->arg) zsh_offer(r);
    puts("' \\");
}

static void zsh_command(const struct options_command *c, const char *name) {
    const struct option_row *r;
    printf("    %s)\n        _arguments \\\n", name);
    if (c->flag) {
        printf("            '%s[", c->flag);
        zsh_text(c->summary, "[]:\\");
        puts("]' \\");
    }
    for (size_t i = 0; (r = shown(c, i)); i++) zsh_row(r);
    puts("            '--help[shows the options]' ;;");
}

static void zsh(void) {
    const struct options_command *c;
    printf("#compdef viztracer vizviewer viztracerd\n"
           "# Completion for zsh. Made by tools/docgen from the tables of the programs.\n"
           "_viztracer_pids() {\n    local -a pids\n    pids=(${(f)\"$(pgrep python 2>/dev/null)\"})\n    compadd -a pids\n}\n"
           "_viztracer_outputs() { # files, and the endings that fit what is typed\n    local name=${PREFIX:t}\n    local -a "
           "endings\n    endings=(");
    put_endings();
    puts(" )\n    _files\n    [[ $name == ?*.* ]] && compadd -U -- ${PREFIX%$name}${name%%.*}${^endings}\n}\n"
         "_viztracer() {\n    local name= word\n    case $service in\n    vizviewer) name=view ;;\n    viztracerd) "
         "name=viztracerd ;;\n    *)\n"
         "        for word in ${words[2,CURRENT-1]}; do\n            case $word in");
    for (size_t i = 0; (c = command_at(i)); i++) {
        printf("            %s) name=%s; words=(${words:#%s}); ((CURRENT--)); break ;;\n", c->name, c->name, c->name);
        if (c->flag) printf("            %s) name=%s; break ;;\n", c->flag, c->name);
    }
    puts("            esac\n        done ;;\n    esac\n    case $name in");
    for (size_t i = 0; (c = command_at(i)); i++) zsh_command(c, c->name);
    zsh_command(&command_line, "viztracerd");
    puts("    *)\n        local -a commands\n        commands=(");
    for (size_t i = 0; (c = command_at(i)); i++) {
        printf("            '%s:", c->name);
        zsh_text(c->summary, "");
        puts("'");
    }
    puts("            'help:shows one command'\n        )\n"
         "        _describe command commands\n        _arguments \\");
    for (size_t i = 0; (c = command_at(i)); i++) {
        if (!c->flag) continue;
        printf("            '%s[", c->flag);
        zsh_text(c->summary, "[]:\\");
        puts("]' \\");
    }
    puts("            '--version[shows the version]' '--help[shows the commands]' ;;\n    esac\n}\n_viztracer \"$@\"");
}

int completion(const char *shell) {
    if (!strcmp(shell, "bash")) return bash(), 0;
    if (!strcmp(shell, "zsh")) return zsh(), 0;
    return -EINVAL;
}
