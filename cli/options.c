/* Owns the table of attach options and the parser, which follows Python's argparse: --x y, --x=y, unique prefixes, -ofile. */
#include "cli/options.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/abi/arena.h"

enum kind { FLAG, BOOL, TEXT, INT, SECONDS, DURATION, SIZE, METHOD, LIST, OVERHEAD, REFUSED };

struct option_row {
    const char *name;   /* "--x" */
    const char *letter; /* "-o" or NULL */
    enum kind kind;
    size_t at;     /* offset in struct attach_options */
    int64_t value; /* FLAG: bit; a negative one is cleared. INT: smallest value allowed */
    const char *arg, *help;
};

#define AT(field) offsetof(struct attach_options, field)
#define AFTER_START "needs the program's source changed before it runs; it cannot work on a process that runs already"
#define NOT_YET "is not available at attach in this version"

static const struct option_row rows[] = {
    {"--output_file", "-o", TEXT, AT(output_file), 0, "FILE",
     "where the trace goes: .json, .pftrace (each also .gz), .html, .vzt, or a flame graph: .svg, .folded, .speedscope.json, "
     ".pprof "
     "(result.json)"},
    {"--unique_output_file", "-u", BOOL, AT(unique), 0, NULL, "a name that is not there yet: python_<date>_<time>_<pid>.json"},
    {"--output_dir", NULL, TEXT, AT(output_dir), 0, "DIR", "folder of the output file"},
    {"--t", "-t", SECONDS, AT(duration_ns), 0, "SEC", "stop after SEC seconds; without it Ctrl+C stops"},
    {"--quiet", NULL, BOOL, AT(quiet), 0, NULL, "print nothing but errors"},
    {"--open", NULL, BOOL, AT(open), 0, NULL, "open the trace in the viewer afterwards"},
    {"--tracer_entries", NULL, INT, AT(tracer_entries), 1, "N", "keep the newest N calls (default: all)"},
    {"--max_stack_depth", NULL, INT, AT(max_stack_depth), -1, "N", "record calls less than N deep; -1 = all"},
    {"--include_files", NULL, LIST, AT(include), 0, "PATH...", "only functions of files that begin with one of these"},
    {"--exclude_files", NULL, LIST, AT(exclude), 0, "PATH...", "not these, nor what they call"},
    {"--include_functions", NULL, LIST, AT(include_functions), 0, "GLOB...", "only functions of these names: handle_*, App.run"},
    {"--exclude_functions", NULL, LIST, AT(exclude_functions), 0, "GLOB...", "not these; what they call is kept"},
    {"--include_modules", NULL, LIST, AT(include_modules), 0, "GLOB...", "only functions of these modules and packages"},
    {"--exclude_modules", NULL, LIST, AT(exclude_modules), 0, "GLOB...", "not these; what they call is kept"},
    {"--ignore_c_function", NULL, FLAG, AT(flags), -(int64_t)VT_F_C_CALLS, NULL, "Python functions only"},
    {"--ignore_frozen", NULL, FLAG, AT(flags), VT_F_IGNORE_FROZEN, NULL, "not <frozen ...> functions, nor what they call"},
    {"--min_duration", NULL, DURATION, AT(min_duration_ns), 0, "TIME", "leave out shorter calls: 0.3ms, 13us; no unit = us"},
    {"--log_func_args", NULL, FLAG, AT(flags), VT_F_ARGS, NULL, "with arguments"},
    {"--log_func_retval", NULL, FLAG, AT(flags), VT_F_RETVAL, NULL, "with return values"},
    {"--repr_limit", NULL, INT, AT(repr_limit), 1, "N", "characters of one argument or value (256)"},
    {"--max_overhead", NULL, OVERHEAD, AT(max_overhead), 0, "LIMIT", "5% or 0.05: hot functions are only counted beyond that"},
    {"--log_gc", NULL, FLAG, AT(flags), VT_F_GC, NULL, "with garbage collections"},
    {"--log_async", NULL, FLAG, AT(flags), VT_F_ASYNC, NULL, "one track for each asyncio task"},
    {"--method", NULL, METHOD, AT(method), 0, "HOW", "auto, ptrace or remote-exec (PEP 768, Python 3.14 and newer)"},
    {"--force", NULL, BOOL, AT(force), 0, NULL, "also a target that has opted out of remote debugging"},
    {"--max_size", NULL, SIZE, AT(max_size), 0, "BYTES", "stop when the trace on disk has this size: 500M, 2G"},

    {"--log_var", NULL, REFUSED, 0, 0, NULL, AFTER_START},
    {"--log_number", NULL, REFUSED, 0, 0, NULL, AFTER_START},
    {"--log_attr", NULL, REFUSED, 0, 0, NULL, AFTER_START},
    {"--log_func_exec", NULL, REFUSED, 0, 0, NULL, AFTER_START},
    {"--log_func_entry", NULL, REFUSED, 0, 0, NULL, AFTER_START},
    {"--log_exception", NULL, REFUSED, 0, 0, NULL, AFTER_START},
    {"--magic_comment", NULL, REFUSED, 0, 0, NULL, AFTER_START},
    {"--log_sparse", NULL, REFUSED, 0, 0, NULL, AFTER_START},
    {"--log_exit", NULL, REFUSED, 0, 0, NULL, "means the end of a script; an attached process is traced until it ends anyway"},
    {"--log_print", NULL, REFUSED, 0, 0, NULL, "would swallow what the process prints; it " NOT_YET},
    {"--log_audit", NULL, REFUSED, 0, 0, NULL, "needs an audit hook, which could never be taken out of the process again"},
    {"--log_torch", NULL, REFUSED, 0, 0, NULL, NOT_YET},
    {"--log_func_with_objprint", NULL, REFUSED, 0, 0, NULL, "would import a module into the process; use --log_func_args"},
    {"--plugins", NULL, REFUSED, 0, 0, NULL, "would import code into the process; it " NOT_YET},
    {"--pid_suffix", NULL, REFUSED, 0, 0, NULL, "is for launched programs; use -u for a name with a pid"},
    {"--report_server", NULL, REFUSED, 0, 0, NULL, NOT_YET},
    {"--report_endpoint", NULL, REFUSED, 0, 0, NULL, NOT_YET},
    {"--rcfile", NULL, REFUSED, 0, 0, NULL, NOT_YET},
    {"--module", "-m", REFUSED, 0, 0, NULL, "runs a module and cannot be combined with attach"},
    {"--cmd_string", "-c", REFUSED, 0, 0, NULL, "runs code and cannot be combined with attach"},
    {"--minimize_memory", NULL, REFUSED, 0, 0, NULL, "has no meaning here: nothing is saved inside the process"},
    {"--ignore_multiprocess", NULL, REFUSED, 0, 0, NULL, "has no meaning at attach: only the process named is traced"},
    {"--sanitize_function_name", NULL, REFUSED, 0, 0, NULL, "has no meaning here: names are always valid JSON"},
    {"--attach_installed", NULL, REFUSED, 0, 0, NULL, "is not needed: --attach works on every process"},
    {"--trace_self", NULL, REFUSED, 0, 0, NULL, "has no meaning here: no Python code of ours runs in the process"},
};

/* ---- values ---- */

/* A number with a unit of the table; -EINVAL for anything else, negative ones and overflow too. */
struct unit {
    const char *name;
    double factor;
};
static int number(const char *text, const struct unit *units, size_t n, uint64_t *out) {
    char *end;
    if (!(*text >= '0' && *text <= '9') && *text != '.') return -EINVAL;
    double v = strtod(text, &end);
    if (end == text || text[1] == 'x' || text[1] == 'X') return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(end, units[i].name)) continue;
        v = v * units[i].factor + 0.5;
        if (!(v >= 0 && v < 9e18)) return -EINVAL;
        *out = (uint64_t)v;
        return 0;
    }
    return -EINVAL;
}

int options_duration(const char *text, uint64_t *ns) {
    static const struct unit units[] = {{"", 1e3}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}};
    return number(text, units, VT_ARRAY_LEN(units), ns);
}
int options_size(const char *text, uint64_t *bytes) {
    static const struct unit units[] = {{"", 1}, {"K", 1024}, {"M", 1048576}, {"G", 1073741824}, {"T", 1099511627776.0}};
    return number(text, units, VT_ARRAY_LEN(units), bytes);
}
int options_count(const char *text, uint64_t *count) {
    static const struct unit units[] = {{"", 1}, {"k", 1e3}, {"K", 1e3}, {"M", 1e6}, {"G", 1e9}};
    return number(text, units, VT_ARRAY_LEN(units), count);
}

int options_overhead(const char *text, int64_t *out) {
    static const struct unit units[] = {{"", 10000}, {"%", 100}};
    uint64_t v;
    int rc = number(text, units, VT_ARRAY_LEN(units), &v);
    if (rc || v < 1 || v > 10000) return -EINVAL;
    *out = (int64_t)v;
    return 0;
}

static int set_value(struct attach_options *o, const struct option_row *row, const char *text) {
    static const struct unit seconds[] = {{"", 1e9}};
    static const char *const methods[] = {"auto", "ptrace", "remote-exec"};
    void *at = (char *)o + row->at;
    uint64_t v;
    char *end;
    const char *shown = row->letter && row->kind == SECONDS ? row->letter : row->name;

    switch (row->kind) {
    case TEXT:
        if (!text[0]) return cli_usage("%s: an empty name", shown);
        *(const char **)at = text;
        return 0;
    case INT:
        errno = 0;
        *(int64_t *)at = strtoll(text, &end, 10);
        if (end == text || *end || errno || *(int64_t *)at < row->value || *(int64_t *)at > INT32_MAX)
            return cli_usage("%s: %s is not a number from %lld on", shown, text, (long long)row->value);
        return 0;
    case SECONDS:
        if (number(text, seconds, 1, &v)) return cli_usage("%s: %s is not a number of seconds", shown, text);
        *(uint64_t *)at = v;
        return 0;
    case DURATION:
        if (options_duration(text, at))
            return cli_usage("%s: can't convert %s to time; the format is 0.3ms or 13us", shown, text);
        return 0;
    case SIZE:
        if (options_size(text, at)) return cli_usage("%s: %s is not a size like 500M or 2G", shown, text);
        return 0;
    case OVERHEAD:
        if (options_overhead(text, at)) return cli_usage("%s: %s is no limit like 5%% or 0.05", shown, text);
        return 0;
    case METHOD:
        for (size_t i = 0; i < VT_ARRAY_LEN(methods); i++)
            if (!strcmp(text, methods[i])) {
                *(const char **)at = text;
                return 0;
            }
        return cli_usage("%s: %s is none of auto, ptrace, remote-exec", shown, text);
    default: return 0;
    }
}

/* ---- parser ---- */

/* Exact name, or the only option that begins like this. NULL after a line on stderr. */
static const struct option_row *find_long(const char *name, size_t len) {
    const struct option_row *found = NULL;
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++)
        if (strlen(rows[i].name) == len && !memcmp(rows[i].name, name, len)) return &rows[i];
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        if (strncmp(rows[i].name, name, len)) continue;
        if (found) {
            cli_usage("%.*s could be %s or %s", (int)len, name, found->name, rows[i].name);
            return NULL;
        }
        found = &rows[i];
    }
    if (!found || len < 3) {
        cli_usage("%.*s is no option of attach; see viztracer attach --help", (int)len, name);
        return NULL;
    }
    return found;
}

static const struct option_row *find_letter(const char *arg) {
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++)
        if (rows[i].letter && !strncmp(arg, rows[i].letter, 2)) return &rows[i];
    cli_usage("%s is no option of attach; see viztracer attach --help", arg);
    return NULL;
}

static bool looks_like_option(const char *arg) { return arg[0] == '-' && arg[1] && !(arg[1] >= '0' && arg[1] <= '9'); }

static int take_list(struct attach_options *o, const struct option_row *row, const char *value, int argc, char **argv, int *i) {
    struct options_list *list = (struct options_list *)(void *)((char *)o + row->at);
    list->n = 0; /* the last one counts, as in argparse */
    if (value) {
        list->item[list->n++] = value;
    } else {
        while (*i + 1 < argc && !looks_like_option(argv[*i + 1])) {
            if (list->n == OPTIONS_FILES_MAX) return cli_usage("%s: more than %d", row->name, OPTIONS_FILES_MAX);
            list->item[list->n++] = argv[++*i];
        }
    }
    return list->n ? 0 : cli_usage("%s: expected at least one %s", row->name, row->arg[0] == 'P' ? "path" : "name");
}

static int take_option(struct attach_options *o, int argc, char **argv, int *i) {
    char *arg = argv[*i], *equals = strchr(arg, '=');
    const char *value = NULL;
    const struct option_row *row;

    if (arg[1] == '-') {
        row = find_long(arg, equals ? (size_t)(equals - arg) : strlen(arg));
        if (equals) value = equals + 1;
    } else {
        row = find_letter(arg);
        if (row && arg[2]) value = arg + 2 + (arg[2] == '=');
    }
    if (!row) return CLI_USAGE;
    if (row->kind == REFUSED) return cli_usage("%s %s", row->name, row->help);
    if (row->kind == FLAG || row->kind == BOOL) {
        if (value) return cli_usage("%s takes no value", row->name);
        if (row->kind == BOOL)
            *(bool *)((char *)o + row->at) = true;
        else if (row->value < 0)
            o->flags &= ~(uint32_t)-row->value;
        else
            o->flags |= (uint32_t)row->value;
        return 0;
    }
    if (row->kind == LIST) return take_list(o, row, value, argc, argv, i);
    if (!value) {
        if (*i + 1 >= argc || looks_like_option(argv[*i + 1]))
            return cli_usage("%s: expected a value (%s)", row->letter ? row->letter : row->name, row->arg);
        value = argv[++*i];
    }
    return set_value(o, row, value);
}

static void keep_text(struct attach_options *o, int argc, char **argv) {
    size_t len = 0;
    for (int i = 1; i < argc && len < sizeof(o->text) - 1; i++) {
        int n = snprintf(o->text + len, sizeof(o->text) - len, "%s%s", len ? " " : "", argv[i]);
        len += n > 0 ? (size_t)n : 0;
    }
}

int options_parse(struct attach_options *o, int argc, char **argv) {
    const char *pid = NULL;
    memset(o, 0, sizeof(*o));
    o->flags = VT_F_C_CALLS;
    o->max_stack_depth = -1;
    o->method = "auto";
    keep_text(o, argc, argv);
    for (int i = 1; i < argc; i++) {
        int rc = 0;
        if (looks_like_option(argv[i]))
            rc = take_option(o, argc, argv, &i);
        else if (pid)
            rc = cli_usage("%s: one process at a time, it is %s already", argv[i], pid);
        else
            pid = argv[i];
        if (rc) return rc;
    }
    if (!pid) return cli_usage("attach: which process? viztracer --attach PID");
    int rc = cli_parse_pid("attach", pid, &o->pid);
    if (rc) return rc;
    if (o->unique && o->output_file) return cli_usage("-u makes its own name and cannot be combined with -o");
    if (o->include.n && o->exclude.n) return cli_usage("--include_files and --exclude_files cannot be combined");
    return 0;
}

void options_help(void) {
    printf("Options of attach:\n");
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        char left[64];
        if (rows[i].kind == REFUSED) continue;
        bool hidden = rows[i].kind == SECONDS; /* has a letter only */
        snprintf(left, sizeof(left), "%s%s%s%s%s", rows[i].letter ? rows[i].letter : "", rows[i].letter && !hidden ? ", " : "",
                 hidden ? "" : rows[i].name, rows[i].arg ? " " : "", rows[i].arg ? rows[i].arg : "");
        printf("  %-32s %s\n", left, rows[i].help);
    }
}
