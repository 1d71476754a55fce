/* Owns the table of commands, the choice of the command from argv, VizTracer's flag spelling, and `viztracer --help`. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/python_session.h"
#include "cli/run_options.h"

#define CLI_ROW(name) &cli_##name,
const struct cli_cmd *const cli_cmds[] = {CLI_COMMANDS(CLI_ROW)};
#undef CLI_ROW
const size_t cli_ncmds = VT_ARRAY_LEN(cli_cmds);

/* A line without a command: a launch. The flags of the commands are rows too, so that abbreviations and mistyped words are
 * compared with all names that are valid there. */
static struct option_row no_command_rows[RUN_ROWS_MAX + VT_ARRAY_LEN(cli_cmds) + 1];
static struct options_command no_command = {
    .program = "viztracer",
    .args = "[options] PROGRAM [ARG...]",
    .rows = no_command_rows,
    .shared = attach_option_rows,
};

static void fill_no_command(void) {
    size_t n = 0;
    for (; n < RUN_ROWS_MAX && run_option_rows[n].name; n++) no_command_rows[n] = run_option_rows[n];
    for (size_t i = 0; i < cli_ncmds; i++) {
        if (!cli_cmds[i]->options.flag) continue;
        no_command_rows[n].name = cli_cmds[i]->options.flag;
        no_command_rows[n].kind = OPTION_COMMAND;
        no_command_rows[n].help = "";
        n++;
    }
}

static const struct cli_cmd *command_of_flag(const char *flag) {
    for (size_t i = 0; i < cli_ncmds; i++)
        if (cli_cmds[i]->options.flag && !strcmp(cli_cmds[i]->options.flag, flag)) return cli_cmds[i];
    return NULL;
}

static const struct cli_cmd *command_of_name(const char *name) {
    for (size_t i = 0; i < cli_ncmds; i++)
        if (!strcmp(name, cli_cmds[i]->options.name)) return cli_cmds[i];
    return NULL;
}

void cli_print_help(void) {
    const char *group = "";
    printf("viztracer " VT_VERSION ": timelines of Python programs\n");
    for (size_t i = 0; i < cli_ncmds; i++) {
        const struct options_command *o = &cli_cmds[i]->options;
        char left[64];
        if (strcmp(group, cli_cmds[i]->group)) printf("\n%s:\n", group = cli_cmds[i]->group);
        snprintf(left, sizeof(left), "  %s %s", o->flag ? o->flag : o->name, o->args);
        options_print_row(left, o->summary, 34);
    }
    puts("\nviztracer help COMMAND shows one command and its options; viztracer --version\n"
         "says what was built in. Every --command can be written without the dashes, as\n"
         "in viztracer attach PID.\n\n"
         "Exit status: 0 done, a trace was saved; 1 not, one line says why; 2 wrong usage.\n"
         "More: man viztracer");
}

/* viztracer help [COMMAND] */
static int help(int argc, char **argv) {
    if (argc < 2) return cli_print_help(), cli_flush();
    const struct cli_cmd *cmd = command_of_name(argv[1] + strspn(argv[1], "-"));
    if (!cmd) return cli_usage("help: %s: no such command; see viztracer --help", argv[1]);
    options_print_help(&cmd->options);
    return cli_flush();
}

/* Is the flag's value the first argument of the command? */
static bool takes_argument(const struct cli_cmd *cmd) {
    const struct option_row *r;
    for (size_t i = 0; (r = options_row(&cmd->options, i)); i++)
        if (option_is_argument(r)) return true;
    return false;
}

int cli_parse(const struct cli_cmd *cmd, void *to, int argc, char **argv) {
    struct vt_err err = {0};
    int rc = options_parse(&cmd->options, to, argc, argv, &err);
    if (rc < 0) return cli_usage("%s", err.msg);
    if (rc == OPTIONS_WANT_HELP) options_print_help(&cmd->options);
    if (rc == OPTIONS_WANT_VERSION) cli_print_version(!strcmp(argv[0], cmd->options.name) ? "viztracer" : "vizviewer");
    if (!rc) return CLI_OK;
    return cli_flush() ? CLI_FAILED : -1;
}

/* VizTracer's spelling: options may come before the flag. The value of the flag becomes the first argument. */
static int run_flag(const struct cli_cmd *cmd, int argc, char **argv, int at) {
    char *value = strchr(argv[at], '=');
    bool wanted = takes_argument(cmd), given = value;
    int n = 0, skip = at;
    char **args = calloc((size_t)argc + 2, sizeof(char *));
    if (!args) return cli_fail("out of memory");
    args[n++] = (char *)cmd->options.name;
    if (value) value++;
    if (wanted && !value && at + 1 < argc) value = argv[skip = at + 1];
    bool is_help = wanted && !given && value && !strcmp(value, "--help");
    if (wanted ? (!value || !value[0] || !strncmp(value, "--", 2)) && !is_help : given) {
        free(args);
        return wanted ? cli_usage("%s: expected %s", cmd->options.flag, cmd->options.args)
                      : cli_usage("%s takes no value", cmd->options.flag);
    }
    /* Behind an option that takes a list, the value would become a part of the list: it goes first. */
    if (wanted) args[n++] = value;
    for (int i = 1; i < at; i++) args[n++] = argv[i];
    for (int i = skip + 1; i < argc; i++) args[n++] = argv[i];
    int rc = cmd->run(n, args);
    free(args);
    return rc;
}

/* Is the word a command that was mistyped, rather than a program? */
static const char *mistyped(const char *word) {
    const char *names[VT_ARRAY_LEN(cli_cmds)];
    for (size_t i = 0; i < cli_ncmds; i++) names[i] = cli_cmds[i]->options.name;
    return access(word, F_OK) ? options_suggest(word, names, cli_ncmds) : NULL;
}

/* No command: a program to start, or a mistake. */
static int run_no_command(int argc, char **argv, int rc, const char *program, const struct vt_err *err) {
    if (rc == OPTIONS_WANT_HELP) return cli_print_help(), cli_flush();
    if (rc == OPTIONS_WANT_VERSION) return cli_print_version("viztracer"), cli_flush();
    if (rc) return cli_usage("%s", err->msg);
    const char *meant = program ? mistyped(program) : NULL;
    if (meant) return cli_usage("%s: no such command; did you mean %s?", program, meant);
    const char *word = program ? program : "x";
    if (word[0] && !word[strspn(word, "0123456789")] && access(word, F_OK))
        return cli_usage("%s: no such command; did you mean viztracer --attach %s?", word, word);
    return cli_run.run(argc, argv);
}

static struct sigaction before_file_size;

void cli_restore_signals(void) { sigaction(SIGXFSZ, &before_file_size, NULL); }

int cli_main(int argc, char **argv) {
    vt_log_name("viztracer");
    sigaction(SIGXFSZ, NULL, &before_file_size);
    signal(SIGXFSZ, SIG_IGN); /* writing beyond RLIMIT_FSIZE then fails with an error that is reported */
    const char *slash = strrchr(argv[0] ? argv[0] : "", '/'), *self = slash ? slash + 1 : argv[0];
    if (self && !strcmp(self, "vizviewer")) {
        cli_is_viewer();
        return cli_view.run(argc, argv);
    }
    if (argc < 2) return cli_print_help(), cli_flush();
    if (!strcmp(argv[1], PYTHON_SESSION)) return python_session(argc - 1, argv + 1);
    const struct cli_cmd *cmd = command_of_name(argv[1]);
    if (cmd) return cmd->run(argc - 1, argv + 1);
    if (!strcmp(argv[1], "help")) return help(argc - 1, argv + 1);
    fill_no_command();
    struct run_options o;
    struct vt_err err = {0};
    memset(&o, 0, sizeof(o));
    attach_options_init(&o.trace);
    int rc = options_parse(&no_command, &o, argc, argv, &err);
    const char *program = o.nwords && !o.module && !o.code ? o.words[0] : NULL;
    options_free(&no_command, &o);
    /* A mistake may stand before the flag of a command, which then says so. */
    for (int at = 1; rc && at < argc && strcmp(argv[at], "--"); at++) {
        const struct option_row *row = options_find(&no_command, argv[at]);
        if (row && row->kind == OPTION_COMMAND) return run_flag(command_of_flag(row->name), argc, argv, at);
    }
    return run_no_command(argc, argv, rc, program, &err);
}
