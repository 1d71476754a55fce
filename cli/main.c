/* Owns the table of commands, VizTracer's flag spelling of them, and the help made from the table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

const struct cli_cmd cli_cmds[] = {
    {"attach", "--attach", "PID [options]", "trace a running Python process until Ctrl+C, then save", cmd_attach,
     cmd_attach_help},
    {"detach", "--detach", "PID [-o FILE]", "end a trace from another terminal; save one that was kept", cmd_detach, NULL},
    {"status", NULL, "[--json]", "who traces what on this host, and traces that were kept", cmd_status, NULL},
    {"uninstall", "--uninstall", "PID", "clear a process of us, whatever state it is in", cmd_uninstall, NULL},
    {"convert", NULL, "FILE -o OUT", "turn a trace, or a part of it, into another kind", cmd_convert, NULL},
    {"combine", "--combine", "FILE.. -o OUT", "several traces in one", cmd_combine, NULL},
    {"align_combine", "--align_combine", "FILE.. -o OUT", "the same, shifted to begin together", cmd_align_combine, NULL},
    {"compress", "--compress", "FILE.json -o FILE.cvf", "VizTracer's compressed format", cmd_compress, NULL},
    {"decompress", "--decompress", "FILE.cvf -o FILE.json", "and back", cmd_decompress, NULL},
    {"report", NULL, "FILE [--tree] [--json] ...", "where the time went: functions, threads, slowest calls", cmd_report, NULL},
    {"diff", NULL, "BEFORE AFTER [--json] ...", "what got slower from one trace to another", cmd_diff, NULL},
    {"view", NULL, "FILE|FOLDER", "show a trace in the browser (also: vizviewer FILE)", cmd_view, NULL},
};
const size_t cli_ncmds = VT_ARRAY_LEN(cli_cmds);

static void help(void) {
    puts("viztracer " VT_VERSION ": timelines of live Python processes\n\nCommands:");
    for (size_t i = 0; i < cli_ncmds; i++) {
        char left[96];
        snprintf(left, sizeof(left), "viztracer %s %s", cli_cmds[i].flag ? cli_cmds[i].flag : cli_cmds[i].name, cli_cmds[i].args);
        printf("  %-40s %s\n", left, cli_cmds[i].help);
    }
    puts("Every --command PID can also be written without the dashes: viztracer attach PID\n");
    for (size_t i = 0; i < cli_ncmds; i++)
        if (cli_cmds[i].more_help) cli_cmds[i].more_help();
    puts("\nExit codes: 0 a trace was saved; 1 it was not, one line says why; 2 wrong usage.\n"
         "Environment: VIZTRACERD_SOCKET (\"none\" = a daemon of our own), VIZTRACERD_SPOOL, VIZTRACER_AGENT, VIZTRACERD_LOG.");
}

/* VizTracer's spelling: options may come first. The flag's value goes in front. */
static int run_flag(const struct cli_cmd *cmd, int argc, char **argv, int at) {
    size_t len = strlen(cmd->flag);
    char *value = argv[at][len] == '=' ? argv[at] + len + 1 : NULL;
    int n = 0, skip = at;
    char **args = calloc((size_t)argc + 2, sizeof(char *));
    if (!args) return cli_fail("out of memory");
    if (!value && at + 1 < argc) value = argv[skip = at + 1];
    if (!value || !value[0] || !strncmp(value, "--", 2)) {
        free(args);
        return cli_usage("%s: expected %s", cmd->flag, cmd->args);
    }
    args[n++] = (char *)cmd->name;
    for (int i = 1; i < at; i++) args[n++] = argv[i];
    /* Behind options that take a list the pid would be taken for one more path: it goes first. */
    memmove(args + 2, args + 1, (size_t)(n - 1) * sizeof(char *));
    args[1] = value;
    n++;
    for (int i = skip + 1; i < argc; i++) args[n++] = argv[i];
    int rc = cmd->run(n, args);
    free(args);
    return rc;
}

static bool is_flag(const char *arg, const char *flag) {
    size_t len = strlen(flag);
    return !strncmp(arg, flag, len) && (!arg[len] || arg[len] == '=');
}

int main(int argc, char **argv) {
    vt_log_name("viztracer");
    const char *slash = strrchr(argv[0] ? argv[0] : "", '/'), *self = slash ? slash + 1 : argv[0];
    if (self && !strcmp(self, "vizviewer")) return cmd_view(argc, argv);
    if (argc < 2) return help(), CLI_OK;
    for (size_t i = 0; i < cli_ncmds; i++)
        if (!strcmp(argv[1], cli_cmds[i].name)) return cli_cmds[i].run(argc - 1, argv + 1);
    for (int at = 1; at < argc && strcmp(argv[at], "--"); at++)
        for (size_t i = 0; i < cli_ncmds; i++)
            if (cli_cmds[i].flag && is_flag(argv[at], cli_cmds[i].flag)) return run_flag(&cli_cmds[i], argc, argv, at);
    if (cli_is_help(argv[1])) return help(), CLI_OK;
    if (!strcmp(argv[1], "--version")) return puts(VT_VERSION), CLI_OK;
    for (int at = 1; at < argc; at++)
        if (argv[at][0] != '-' || !strcmp(argv[at], "--") || !strcmp(argv[at], "-m") || !strcmp(argv[at], "-c"))
            return cli_usage("%s: no such command; starting a program under trace is not available in this version, use "
                             "viztracer --attach PID",
                             strcmp(argv[at], "--") || at + 1 == argc ? argv[at] : argv[at + 1]);
    return cli_usage("%s: without --attach PID there is nothing to do; see viztracer --help", argv[1]);
}
