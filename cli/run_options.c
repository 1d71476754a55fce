/* Owns the table of a launch's own options, and reading the rcfile before the command line. */
#include "cli/run_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/base/output.h"
#include "cli/rcfile.h"
#include "proto/abi/arena.h"

#define AT(field) OPTION_AT(struct run_options, field)
#define TRACE_BIT(bit) OPTION_AT(struct run_options, trace.trace.flags), .value = (bit)
#define REFUSED(name, why)                                                                                                       \
    { name, NULL, OPTION_REFUSED, .help = why }
#define ACCEPTED(name, why)                                                                                                      \
    { name, NULL, OPTION_FLAG, AT(unused), .help = why }
#define OLDER(name, bit)                                                                                                         \
    { name, NULL, OPTION_BIT, OPTION_AT(struct run_options, older), .value = (bit), .help = CHILDREN_NOW }
#define CHILDREN_NOW "an older name; all processes of the program are traced anyway"
#define REPORTS_NOW "not needed: all processes of the program come into one trace"
#define LOG_WORDS(field) AT(log.field), .count = offsetof(struct run_options, log.n_##field)
#define REGEX(field) LOG_WORDS(field), .arg = "REGEX..."
#define NOT_YET "is not available in this version"

const struct option_row run_option_rows[] = {
    {"PROGRAM", NULL, OPTION_REST, AT(words), .count = offsetof(struct run_options, nwords),
     .help = "a script, or any command that runs Python; what follows belongs to it, but for options of this list"},

    {"What is started", .kind = OPTION_HEADING},
    {"--module", "-m", OPTION_LAST, AT(module), .arg = "MODULE", .help = "runs a module, as python -m does"},
    {"--cmd_string", "-c", OPTION_LAST, AT(code), .arg = "CODE", .help = "runs code, as python -c does"},
    {"--run", NULL, OPTION_ENDS, .help = "ends the options, as -- does: a program follows"},
    {"--python", NULL, OPTION_TEXT, AT(python), .arg = "FILE",
     .help = "the interpreter for scripts, -m and -c (python3 or python on PATH)"},

    {"Launch", .kind = OPTION_HEADING},
    {"--log_exit", NULL, OPTION_BIT, TRACE_BIT(VT_F_LOG_EXIT),
     .help = "records what runs after the program's own code, too: atexit functions and the interpreter's end"},
    {"--pid_suffix", NULL, OPTION_FLAG, AT(trace.pid_suffix), .help = "adds the process id to the output's name"},
    {"--flamegraph", NULL, OPTION_FLAG, AT(trace.flamegraph), .help = "writes a flame graph beside the output, too: NAME.svg"},
    {"--ignore_multiprocess", NULL, OPTION_FLAG, AT(only_first),
     .help = "traces only the first process that runs Python code, not those that it starts"},
    {"--rcfile", NULL, OPTION_TEXT, AT(rcfile), .arg = "FILE",
     .help = "a file with a section [default] of options: name = value (.viztracerrc, if it is there)"},

    {"Values of the program's variables", .kind = OPTION_HEADING},
    {"--log_var", NULL, OPTION_LIST, REGEX(var), .help = "records each assignment to variables with these names"},
    {"--log_number", NULL, OPTION_LIST, REGEX(number), .help = "the same as counters, for variables that hold numbers"},
    {"--log_attr", NULL, OPTION_LIST, REGEX(attr), .help = "records each assignment to attributes with these names"},
    {"--log_func_exec", NULL, OPTION_LIST, REGEX(func_exec), .help = "records all assignments in these functions with the call"},
    {"--log_func_entry", NULL, OPTION_LIST, REGEX(func_entry), .help = "records each entry of these functions as an instant"},
    {"--log_exception", NULL, OPTION_FLAG, AT(log.exception), .help = "records each exception that a raise statement raises"},
    {"--magic_comment", NULL, OPTION_FLAG, AT(log.magic_comment),
     .help = "obeys comments in the source: # !viztracer: log_var(\"x\", x), log_instant(\"x\"), log"},

    {"Plugins", .kind = OPTION_HEADING},
    {"--plugins", NULL, OPTION_LIST, LOG_WORDS(plugins), .arg = "MODULE...",
     .help = "loads plugins of the package viztracer into the program: modules, or \"module arguments\""},

    {"What is recorded in place of other things", .kind = OPTION_HEADING},
    {"--log_sparse", NULL, OPTION_BIT, TRACE_BIT(VT_F_SPARSE),
     .help = "records only functions with the decorator @log_sparse of the package viztracer, and events of the program's own"},
    {"--log_print", NULL, OPTION_FLAG, AT(log.print),
     .help = "makes instants of what the program prints with print, and prints nothing"},
    {"--log_audit", NULL, OPTION_LIST, REGEX(audit), .choices = ".*",
     .help = "records audit events with these names, or all, as instants"},
    {"--log_func_with_objprint", NULL, OPTION_FLAG, AT(log.objprint),
     .help = "lets the program's module objprint tell the values of --log_func_args and --log_func_retval"},

    {"Accepted, without effect", .kind = OPTION_HEADING},
    OLDER("--log_multiprocess", RUN_OLDER_MULTIPROCESS),
    OLDER("--log_subprocess", RUN_OLDER_SUBPROCESS),
    OLDER("--include_children", RUN_OLDER_CHILDREN),
    {"--report_endpoint", NULL, OPTION_TEXT, AT(report_endpoint), .arg = "HOST:PORT", .help = REPORTS_NOW},
    {"--report_server", NULL, OPTION_LIST, LOG_WORDS(report_server), .choices = "", .arg = "[HOST:PORT]", .help = REPORTS_NOW},
    ACCEPTED("--minimize_memory", "nothing is saved inside the program"),
    ACCEPTED("--sanitize_function_name", "names are always valid JSON"),
    ACCEPTED("--file_info", "traces have the source texts anyway"),
    ACCEPTED("--dump_raw", "there is one way to write a trace"),
    ACCEPTED("--trace_self", "no Python code of the tracer runs in the program"),

    REFUSED("--attach_installed", "is not needed: --attach works on every process"),
    REFUSED("--log_torch", NOT_YET " for launched programs; VizTracer(log_torch=True) in the program does it"),
    OPTION_END,
};

/* Only the name of the rcfile is of interest: mistakes are reported by the real parse. */
static const char *rcfile_of(int argc, char **argv) {
    struct run_options o;
    struct vt_err err = {0};
    memset(&o, 0, sizeof(o));
    attach_options_init(&o.trace);
    int rc = options_parse(&cli_run.options, &o, argc, argv, &err);
    const char *name = rc ? NULL : o.rcfile;
    options_free(&cli_run.options, &o);
    return name;
}

/* The file's words become the defaults of the command line. */
static int take_rcfile(struct run_options *o, const char *path) {
    struct vt_err err = {0};
    char **words;
    int nwords;
    if (rcfile_read(path, &cli_run.options, &words, &nwords, &o->rctext, &err)) return cli_usage("%s", err.msg);
    int rc = options_parse(&cli_run.options, o, nwords, words, &err);
    free(words);
    return rc ? cli_usage("%s: %s", path, err.msg) : CLI_OK;
}

/* Lines for python/viztracer/_instrument.py and _extras.py. */
static int fill_instrument(struct run_options *o) {
    const struct {
        const char *name;
        char *const *list;
        size_t n;
    } lists[] = {{"log_var", o->log.var, o->log.n_var},
                 {"log_number", o->log.number, o->log.n_number},
                 {"log_attr", o->log.attr, o->log.n_attr},
                 {"log_func_exec", o->log.func_exec, o->log.n_func_exec},
                 {"log_func_entry", o->log.func_entry, o->log.n_func_entry},
                 {"log_exception", NULL, o->log.exception},
                 {"magic_comment", NULL, o->log.magic_comment},
                 {"log_audit", o->log.audit, o->log.n_audit},
                 {"plugins", o->log.plugins, o->log.n_plugins},
                 {"log_print", NULL, o->log.print},
                 {"log_func_with_objprint", NULL, o->log.objprint}};
    size_t n = 0;
    for (size_t i = 0; i < VT_ARRAY_LEN(lists); i++) n += lists[i].n;
    o->instrument = calloc(n + 1, sizeof(char *));
    if (!o->instrument) return cli_fail("out of memory");
    for (size_t i = 0; i < VT_ARRAY_LEN(lists); i++)
        for (size_t k = 0; k < lists[i].n; k++) {
            const char *value = lists[i].list ? lists[i].list[k] : "";
            if (strchr(value, '\n')) return cli_usage("--%s: a value of one line is wanted", lists[i].name);
            if (asprintf(&o->instrument[o->trace.trace.n_instrument], "%s %s", lists[i].name, value) < 0)
                return cli_fail("out of memory");
            o->trace.trace.n_instrument++;
        }
    o->trace.trace.instrument = o->instrument;
    if (o->log.objprint) o->trace.trace.flags |= VT_F_REPR;
    return CLI_OK;
}

int run_options_parse(struct run_options *o, int argc, char **argv) {
    memset(o, 0, sizeof(*o));
    attach_options_init(&o->trace);
    attach_options_text(&o->trace, argc, argv);
    const char *named = rcfile_of(argc, argv);
    int rc = named || !access(RCFILE, R_OK) ? take_rcfile(o, named ? named : RCFILE) : CLI_OK;
    if (!rc) rc = cli_parse(&cli_run, o, argc, argv);
    if (!rc && o->trace.flamegraph && o->trace.output_file && output_is_stdout(o->trace.output_file))
        return cli_usage("--flamegraph needs an output with a name: -o %s has none", o->trace.output_file);
    if (!rc) rc = fill_instrument(o);
    return rc ? rc : attach_options_check(&o->trace);
}

void run_options_tell_older(const struct run_options *o) {
    for (const struct option_row *row = run_option_rows; row->name && !o->trace.quiet; row++)
        if (row->kind == OPTION_BIT && row->at == offsetof(struct run_options, older) && o->older & (uint32_t)row->value)
            fprintf(stderr, "viztracer: %s is %s\n", row->name, row->help);
    if (!o->trace.quiet && (o->report_endpoint || o->log.report_server))
        fprintf(stderr, "viztracer: --report_%s is %s\n", o->report_endpoint ? "endpoint" : "server", REPORTS_NOW);
}

void run_options_free(struct run_options *o) {
    options_free(&cli_run.options, o);
    for (size_t i = 0; o->instrument && i < o->trace.trace.n_instrument; i++) free(o->instrument[i]);
    free(o->instrument);
    o->instrument = NULL;
    o->trace.trace.n_instrument = 0;
    free(o->rctext);
}
