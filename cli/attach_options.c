/* Owns the table of attach options: what each is called, where it goes, what help says. */
#include "cli/attach_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/output.h"
#include "cli/format/format.h"
#include "proto/abi/arena.h"

#define AT(field) OPTION_AT(struct attach_options, field)
#define TRACE_LIST(field) OPTION_AT(struct attach_options, trace.field), .count = offsetof(struct attach_options, trace.n_##field)
#define TRACE_BIT(bit) OPTION_AT(struct attach_options, trace.flags), .value = (bit)
#define NO_TRACE_BIT(bit) OPTION_AT(struct attach_options, trace.flags), .value = -(int64_t)(bit)
#define REFUSED(name, letter, why)                                                                                               \
    { name, letter, OPTION_REFUSED, .help = why }

#define GIL_TIMEOUT_NS 60000000000ull

#define AFTER_START "needs the program's source changed before it starts; this version traces processes that run already"
#define NOT_YET "is not available in this version"
#define LAUNCH "starts a program and cannot be combined with attach"

const struct option_row attach_option_rows[] = {
    {"Output", .kind = OPTION_HEADING},
    {"--output_file", "-o", OPTION_TEXT, AT(output_file), .arg = "OUT",
     .help = "where the trace goes; the name's ending chooses the format; - or -.vzt ...: stdout (result.json; of more than 5 "
             "million calls "
             "result.vzt)"},
    {"--unique_output_file", "-u", OPTION_FLAG, AT(unique),
     .help = "makes a name that does not exist yet: python_<date>_<time>_<pid>.json"},
    {"--output_dir", NULL, OPTION_TEXT, AT(output_dir), .arg = "DIR", .help = "folder of the output file"},
    {"--quiet", NULL, OPTION_FLAG, AT(quiet), .help = "prints errors only"},
    {"--open", NULL, OPTION_FLAG, AT(open), .help = "opens the trace in the viewer afterwards"},

    {"How long", .kind = OPTION_HEADING},
    {"--t", "-t", OPTION_SECONDS, AT(req.duration_ns), .arg = "SEC",
     .help = "stops after SEC seconds; 0, a negative number, or no -t: until Ctrl+C"},
    {"--max_size", NULL, OPTION_SIZE, AT(req.max_bytes), .arg = "BYTES",
     .help = "stops when the trace on disk has this size: 500M, 2G"},
    {"--tracer_entries", NULL, OPTION_INT, AT(tracer_entries), .min = 1, .arg = "N", .help = "keeps the newest N calls (all)"},

    {"Which functions", .kind = OPTION_HEADING},
    {"--include_files", NULL, OPTION_PATHS, TRACE_LIST(include_files), .arg = "PATH...",
     .help = "records only functions of files whose name begins with one of these"},
    {"--exclude_files", NULL, OPTION_PATHS, TRACE_LIST(exclude_files), .arg = "PATH...",
     .help = "leaves these out, and what they call"},
    {"--include_functions", NULL, OPTION_LIST, TRACE_LIST(include_functions), .arg = "GLOB...",
     .help = "records only functions with these names: handle_*, App.run"},
    {"--exclude_functions", NULL, OPTION_LIST, TRACE_LIST(exclude_functions), .arg = "GLOB...",
     .help = "leaves these out; what they call is kept"},
    {"--include_modules", NULL, OPTION_LIST, TRACE_LIST(include_modules), .arg = "GLOB...",
     .help = "records only functions of these modules and packages"},
    {"--exclude_modules", NULL, OPTION_LIST, TRACE_LIST(exclude_modules), .arg = "GLOB...",
     .help = "leaves these out; what they call is kept"},
    {"--ignore_c_function", NULL, OPTION_BIT, NO_TRACE_BIT(VT_F_C_CALLS), .help = "records Python functions only"},
    {"--ignore_frozen", NULL, OPTION_BIT, TRACE_BIT(VT_F_IGNORE_FROZEN),
     .help = "leaves out <frozen ...> functions, and what they call"},
    {"--max_stack_depth", NULL, OPTION_INT, AT(trace.max_stack_depth), .min = -1, .arg = "N",
     .help = "records calls less than N deep; -1 = all"},
    {"--min_duration", NULL, OPTION_DURATION, AT(trace.min_duration_ns), .arg = "TIME",
     .help = "leaves out shorter calls: 0.3ms, 13us; no unit = microseconds"},
    {"--max_overhead", NULL, OPTION_SHARE, AT(trace.max_overhead), .arg = "LIMIT",
     .help = "5% or 0.05: keeps the cost of tracing below that share of CPU time; hot functions are then only counted"},

    {"What is recorded besides", .kind = OPTION_HEADING},
    {"--log_func_args", NULL, OPTION_BIT, TRACE_BIT(VT_F_ARGS), .help = "records arguments"},
    {"--log_func_retval", NULL, OPTION_BIT, TRACE_BIT(VT_F_RETVAL), .help = "records return values"},
    {"--log_func_repr", NULL, OPTION_BIT, TRACE_BIT(VT_F_REPR),
     .help = "tells values as their own classes do: runs code of the target and can deadlock it"},
    {"--repr_limit", NULL, OPTION_INT, AT(trace.repr_limit), .min = 1, .arg = "N",
     .help = "most characters of one argument or value (256)"},
    {"--log_gc", NULL, OPTION_BIT, TRACE_BIT(VT_F_GC), .help = "records garbage collections"},
    {"--log_async", NULL, OPTION_BIT, TRACE_BIT(VT_F_ASYNC), .help = "makes one track for each asyncio task"},
    OPTION_END,
};

const struct option_row attach_command_rows[] = {
    {"PID...", NULL, OPTION_LIST, AT(pid_words), .count = offsetof(struct attach_options, npid_words), .ask = "which process?",
     .help = "the Python processes to trace; several go into one trace"},
    {"--subprocesses", NULL, OPTION_FLAG, AT(subprocesses),
     .help = "traces also all Python processes below them, those that come later, too"},

    {"How to attach", .kind = OPTION_HEADING},
    {"--method", NULL, OPTION_CHOICE, AT(req.method), .choices = "auto ptrace remote-exec", .arg = "HOW",
     .help = "auto, ptrace or remote-exec (PEP 768, Python 3.14 and newer)"},
    {"--gil_timeout", NULL, OPTION_SECONDS, AT(req.gil_timeout_ns), .arg = "SEC",
     .help = "gives up when the process has not given up the GIL after SEC seconds (60); 0 = waits for ever"},
    {"--force", NULL, OPTION_FLAG, AT(req.force),
     .help = "attaches also to a process that has opted out of remote debugging, or whose seccomp filters cannot be read"},

    REFUSED("--log_var", NULL, AFTER_START),
    REFUSED("--log_number", NULL, AFTER_START),
    REFUSED("--log_attr", NULL, AFTER_START),
    REFUSED("--log_func_exec", NULL, AFTER_START),
    REFUSED("--log_func_entry", NULL, AFTER_START),
    REFUSED("--log_exception", NULL, AFTER_START),
    REFUSED("--magic_comment", NULL, AFTER_START),
    REFUSED("--log_sparse", NULL, "is for launched programs; --include_functions chooses functions here"),
    REFUSED("--log_exit", NULL, "means the end of a script; an attached process is traced until it ends anyway"),
    REFUSED("--log_print", NULL, "would swallow what the process prints; it is for launched programs"),
    REFUSED("--log_audit", NULL, "needs an audit hook, which could never be taken out of the process again"),
    REFUSED("--log_torch", NULL, NOT_YET),
    REFUSED("--log_func_with_objprint", NULL, "would import a module into the process; use --log_func_args"),
    REFUSED("--plugins", NULL, "would import code into the process; it is for launched programs"),
    REFUSED("--pid_suffix", NULL, "is for launched programs; use -u for a name with a pid"),
    REFUSED("--flamegraph", NULL, "is for launched programs; name the output .svg, or make one with viztracer convert"),
    REFUSED("--include_children", NULL, "is for launched programs; use --subprocesses"),
    REFUSED("--log_multiprocess", NULL, "is for launched programs; use --subprocesses"),
    REFUSED("--log_subprocess", NULL, "is for launched programs; use --subprocesses"),
    REFUSED("--report_server", NULL, "is not needed: --subprocesses brings all processes into one trace"),
    REFUSED("--report_endpoint", NULL, "is not needed: --subprocesses brings all processes into one trace"),
    REFUSED("--rcfile", NULL, "is for launched programs"),
    REFUSED("--module", "-m", LAUNCH),
    REFUSED("--cmd_string", "-c", LAUNCH),
    REFUSED("--run", NULL, LAUNCH),
    REFUSED("--", NULL, LAUNCH),
    REFUSED("--minimize_memory", NULL, "has no meaning here: nothing is saved inside the process"),
    REFUSED("--ignore_multiprocess", NULL, "has no meaning at attach: only the process named is traced"),
    REFUSED("--sanitize_function_name", NULL, "has no meaning here: names are always valid JSON"),
    REFUSED("--file_info", NULL, "has no meaning here: traces have the source texts anyway"),
    REFUSED("--dump_raw", NULL, "has no meaning here: there is one way to write a trace"),
    REFUSED("--attach_installed", NULL, "is not needed: --attach works on every process"),
    REFUSED("--trace_self", NULL, "has no meaning here: no Python code of ours runs in the process"),
    OPTION_END,
};

void attach_options_text(struct attach_options *o, int argc, char **argv) {
    size_t len = 0;
    for (int i = 1; i < argc && len < sizeof(o->text) - 1; i++) {
        int n = snprintf(o->text + len, sizeof(o->text) - len, "%s%s", len ? " " : "", argv[i]);
        len += n > 0 ? (size_t)n : 0;
    }
}

void attach_options_init(struct attach_options *o) {
    memset(o, 0, sizeof(*o));
    vt__attach_req__init(&o->req);
    vt__options__init(&o->trace);
    o->req.options = &o->trace;
    o->trace.text = o->text;
    o->trace.flags = VT_F_C_CALLS;
    o->trace.max_stack_depth = -1;
    o->req.gil_timeout_ns = GIL_TIMEOUT_NS;
}

/* --open shows what vizviewer can show: CLI_OK, or CLI_USAGE and a line on stderr. */
static int check_open(const struct attach_options *o) {
    char list[FORMAT_LIST_MAX];
    const char *output = o->output_file ? o->output_file : ".json";
    if (!output_is_stdout(output) && format_has_use(format_by_name(output, NULL), FORMAT_VIEWED)) return CLI_OK;
    return cli_usage("--open cannot show %s: name the output %s, or leave --open out", output,
                     format_list(FORMAT_VIEWED, " or ", list));
}

int attach_options_check(const struct attach_options *o) {
    struct vt_err err = {0};
    if (o->unique && o->output_file) return cli_usage("-u makes its own name and cannot be combined with -o: leave one out");
    if (o->output_file && output_is_stdout(o->output_file) && (o->open || o->output_dir))
        return cli_usage("-o %s writes to stdout and cannot be combined with --%s", o->output_file,
                         o->open ? "open" : "output_dir");
    if (o->trace.n_include_files && o->trace.n_exclude_files)
        return cli_usage("--include_files and --exclude_files cannot be combined");
    if (o->output_file && format_check_output(o->output_file, &err)) return cli_usage("%s", err.msg);
    if (o->output_file && format_is_native(o->output_file) && o->tracer_entries)
        return cli_usage("a .vzt file keeps all calls: give --tracer_entries to viztracer convert");
    return o->open ? check_open(o) : CLI_OK;
}

void attach_options_free(struct attach_options *o) { options_free(&cli_attach.options, o); }

static int take_pids(struct attach_options *o) {
    for (size_t i = 0; i < o->npid_words; i++) {
        const char *word = o->pid_words[i];
        char *end;
        errno = 0;
        long pid = strtol(word, &end, 10);
        if (end == word || *end || errno || pid < 1 || pid > INT32_MAX) return cli_usage("attach: %s is not a process id", word);
        bool known = false;
        for (size_t k = 0; k < o->npids; k++) known |= o->pids[k] == (pid_t)pid;
        if (!known) o->pids[o->npids++] = (pid_t)pid;
    }
    o->req.pid = (uint32_t)o->pids[0];
    return CLI_OK;
}

int attach_options_parse(struct attach_options *o, int argc, char **argv) {
    attach_options_init(o);
    attach_options_text(o, argc, argv);
    int rc = cli_parse(&cli_attach, o, argc, argv);
    if (!rc) rc = take_pids(o);
    if (rc) return rc;
    return attach_options_check(o);
}
